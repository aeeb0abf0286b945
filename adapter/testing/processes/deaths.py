"""Which process dies, and when: around one of its calls of AWS, as told or drawn; or in the middle of its own code.

A process is seen from outside only. It dies by SIGKILL; this module says which one, and counts it as killed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapter.engine.operations import (
    Arm,
    Arrive,
    Claim,
    Close,
    Create,
    Delete,
    Invoke,
    Pause,
    Postpone,
    Register,
    Remove,
    SendAt,
    Settle,
)
from adapter.errors import ConfigurationError
from adapter.testing.faults import Kill
from adapter.testing.ports import Cloud
from adapter.testing.processes.environments import Running
from adapter.testing.simulated_aws.gateway import Call
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS, Function, Invocation

CALLS: dict[type[Any], str] = {
    Create: "PutItem",
    **dict.fromkeys((Settle, Claim, Arm, Arrive, Close, Pause, Postpone, Register), "UpdateItem"),
    **dict.fromkeys((Delete, Remove), "DeleteItem"),
    Invoke: "Invoke",
    SendAt: "SendMessage",
}
"""What an operation of the engine looks like from outside. `LocalCloud.kill` kills at the first call that looks so."""


@dataclass(eq=False)
class Attempt:
    """An invocation under way; ``promise`` is whose it is, if it is a promise's."""

    function: Function
    invocation: Invocation
    promise: str
    killed: bool = False


class Deaths:
    """Those that are to come, for the invocations that are under way.

    Args:
        kills: what tests asked for; one is removed when it comes about.
        running: the processes that have an invocation.
    """

    def __init__(self, cloud: Cloud, kills: list[Kill], running: Callable[[], list[Running]]) -> None:
        self.under_way: list[Attempt] = []
        self._cloud = cloud
        self._kills = kills
        self._running = running
        self._midway: list[tuple[str, Callable[[], bool]]] = []

    def plan(self, kill: Kill) -> None:
        """Raises ConfigurationError: it has no call by which it could be seen."""
        if kill.operation not in CALLS:
            raise ConfigurationError(
                f"a process is seen by what it calls, and {kill.operation.__name__} has no call of its own:"
                f" kill it around {', '.join(operation.__name__ for operation in CALLS)}"
            )
        self._kills.append(kill)

    def plan_midway(self, fn: str, once: Callable[[], bool]) -> None:
        self._midway.append((fn, once))

    def around(self, call: Call, when: str) -> int | None:
        """The process that dies by this call, which is its own; None where it lives."""
        if not self._kills and not self._cloud.dice.faults.crash:
            return None
        for attempt, running in self._processes():
            if running.access_key == call.caller and self._dies(attempt, call, when):
                attempt.killed = True
                return running.pid
        return None

    def midway(self) -> list[int]:
        """The processes that die now, wherever their code is."""
        found: list[int] = []
        for fn, once in [entry for entry in self._midway if entry[1]()]:
            for attempt, running in self._processes():
                if self._runs(attempt, fn):
                    self._midway.remove((fn, once))
                    attempt.killed = True
                    found.append(running.pid)
                    break
        return found

    def _processes(self) -> list[tuple[Attempt, Running]]:
        """The invocations under way, and the processes that they are in."""
        attempts = {attempt.invocation.request_id: attempt for attempt in self.under_way}
        return [(attempts[one.request_id], one) for one in self._running() if one.request_id in attempts]

    def _dies(self, attempt: Attempt, call: Call, when: str) -> bool:
        if attempt.killed:
            # Another of its threads: nothing that it does takes effect any more.
            return True
        for kill in self._kills:
            if (CALLS[kill.operation], kill.when) == (call.operation, when) and self._runs(attempt, kill.fn):
                self._kills.remove(kill)
                return True
        return attempt.invocation.attempt <= len(RETRY_DELAYS) and self._cloud.dice.draw("crash")

    def _runs(self, attempt: Attempt, fn: str) -> bool:
        """Whether it is a durable function's, by its name, or a Lambda's, by its handler's."""
        if fn == attempt.function.spec.handler:
            return True
        record = self._cloud.peek(attempt.promise)
        return record is not None and record.fn == fn
