"""Lambda's execution environments as processes of this machine: started when needed, reused, killed.

Each runs AWS's runtime interface client over the function's own handler. An environment serves one invocation at a
time. Between calls, nothing in this module runs.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapter.errors import ConfigurationError
from adapter.templates.template import FunctionSpec
from adapter.testing.processes.environment import Environment, EnvironmentDied, HandlerFailed

Printed = Callable[[str, str, str], None]


@dataclass(frozen=True, kw_only=True)
class Running:
    """An invocation under way. Its process signs requests with ``access_key``, and no other process does."""

    pid: int
    function: str
    request_id: str
    access_key: str


class Environments:
    """A Lambda service that only calls functions. Its caller does retries, queues and throttling.

    Args:
        variables: for every process, unless the function sets them itself: ``AWS_ENDPOINT_URL``, and what functions
            that no template defines need. Nothing else of this process's environment is handed on, so no credentials
            are.
        directory: the directory of the code: the processes' working directory and ``LAMBDA_TASK_ROOT``.
        limit: one function has at most so many environments. Further calls wait for a free one.
        printed: takes what an invocation printed, however it ended: the function's name, the request id, and the text.
            The calling thread calls it.

    Raises:
        ConfigurationError: awslambdaric isn't installed, or this isn't Linux.
    """

    def __init__(
        self,
        *,
        variables: Mapping[str, str],
        directory: Path,
        limit: int = 4,
        printed: Printed = lambda function, request_id, text: None,
    ) -> None:
        _check_platform()
        self._variables = dict(variables)
        self._directory = directory
        self._limit = limit
        self._printed = printed
        self._changed = threading.Condition()
        self._all: dict[str, list[Environment]] = {}
        self._idle: dict[str, list[Environment]] = {}
        self._retired: set[Environment] = set()
        self._count = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, spec: FunctionSpec, payload: str, request_id: str) -> Any:
        """Invoke a function and wait for its response.

        An environment whose handler raised goes on, as on Lambda; one that died is replaced at the next call.

        Raises:
            HandlerFailed: the handler raised.
            TimedOut: it ran longer than the function's timeout, and was killed.
            EnvironmentDied: its process ended or was killed, or it couldn't import its module.
        """
        environment = self._take(spec)
        healthy = False
        try:
            result = environment.call(payload, request_id)
            healthy = True
            return result
        except HandlerFailed:
            healthy = True
            raise
        finally:
            text = environment.printed()
            self._release(spec.name, environment, healthy)
            if text:
                self._printed(spec.name, request_id, text)

    def kill(self, victim: int | str) -> int:
        """Send SIGKILL to the process with this id, or to all processes of a function, and wait for their end.

        Returns:
            how many were alive.
        """
        with self._changed:
            named = [(name, environment) for name, every in self._all.items() for environment in every]
        victims = [environment for name, environment in named if victim in (name, environment.pid)]
        return sum(environment.kill() for environment in victims)

    def pids(self, function: str = "") -> list[int]:
        """The processes that are alive, of one function or of all."""
        with self._changed:
            named = [(name, environment) for name, every in self._all.items() for environment in every]
        return [environment.pid for name, environment in named if function in ("", name) and environment.alive]

    def running(self) -> list[Running]:
        """The invocations under way, including those whose process is still starting."""
        with self._changed:
            busy = [
                (name, environment, environment.request_id)
                for name, every in self._all.items()
                for environment in every
                if environment not in self._idle[name]
            ]
        return [
            Running(pid=one.pid, function=name, request_id=request_id, access_key=one.access_key)
            for name, one, request_id in busy
            if request_id
        ]

    def retire(self) -> None:
        """End every process: those that are idle now, and those that serve a call once they have answered it."""
        with self._changed:
            for name, idle in self._idle.items():
                while idle:
                    self._discard(name, idle.pop())
            self._retired.update(*self._all.values())
            self._changed.notify_all()

    def close(self) -> None:
        """Kill every process, and wait for their ends. Calls under way raise `EnvironmentDied`."""
        with self._changed:
            self._closed = True
            for every in self._all.values():
                for environment in every:
                    environment.kill()
            for name, idle in self._idle.items():
                while idle:
                    self._discard(name, idle.pop())
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(self._all.values()))

    def _take(self, spec: FunctionSpec) -> Environment:
        with self._changed:
            every, idle = self._all.setdefault(spec.name, []), self._idle.setdefault(spec.name, [])
            while True:
                if self._closed:
                    raise EnvironmentDied(f"{spec.name}: the environments are closed")
                while idle:
                    # The environment that was used last is taken, as Lambda does; the others stay idle.
                    environment = idle.pop()
                    if environment.alive:
                        return environment
                    self._discard(spec.name, environment)
                if len(every) < self._limit:
                    self._count += 1
                    new = Environment(spec, self._variables, self._directory, self._count)
                    every.append(new)
                    return new
                self._changed.wait()

    def _release(self, name: str, environment: Environment, healthy: bool) -> None:
        with self._changed:
            if healthy and not self._closed and environment not in self._retired:
                self._idle[name].append(environment)
            else:
                self._discard(name, environment)
            self._changed.notify_all()

    def _discard(self, name: str, environment: Environment) -> None:
        environment.close()
        self._all[name].remove(environment)
        self._retired.discard(environment)


def _check_platform() -> None:
    if importlib.util.find_spec("awslambdaric") is None:
        raise ConfigurationError(
            "functions in processes of their own need AWS's runtime interface client: "
            "pip install 'lambda-await[processes]'"
        )
    if sys.platform != "linux":
        raise ConfigurationError(f"functions in processes of their own need Linux, this is {sys.platform}")
