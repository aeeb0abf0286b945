"""Which process dies, and when. It dies around one of its calls of AWS, as a test or the dice decide, or in its own
code.

This module sees a process only from outside. It says which process dies by SIGKILL, and counts it as killed.
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
    Hold,
    Invoke,
    Pause,
    Pin,
    Postpone,
    Register,
    Remove,
    RemoveChapter,
    SendAt,
    SendBatch,
    Settle,
    WriteChapter,
)
from adapter.errors import ConfigurationError
from adapter.testing.faults import Kill
from adapter.testing.ports import Cloud
from adapter.testing.processes.environments import Running
from adapter.testing.simulated_aws.gateway import Call
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS, Function, Invocation

CALLS: dict[type[Any], str] = {
    **dict.fromkeys((Create, WriteChapter), "PutItem"),
    **dict.fromkeys((Settle, Claim, Arm, Arrive, Close, Hold, Pause, Pin, Postpone, Register), "UpdateItem"),
    **dict.fromkeys((Delete, Remove, RemoveChapter), "DeleteItem"),
    Invoke: "Invoke",
    SendAt: "SendMessage",
    SendBatch: "SendMessageBatch",
}
"""The calls of AWS that an operation of the engine makes. `LocalCloud.kill` kills at the first such call."""


@dataclass(eq=False)
class Attempt:
    """An invocation under way. ``promise`` is the promise that it runs, if it runs one."""

    function: Function
    invocation: Invocation
    promise: str
    killed: bool = False


class Deaths:
    """The deaths that are planned for the invocations under way.

    Args:
        kills: the kills that tests asked for. One is removed when it comes about.
        running: the processes that have an invocation.
    """

    def __init__(self, cloud: Cloud, kills: list[Kill], running: Callable[[], list[Running]]) -> None:
        self.under_way: list[Attempt] = []
        self._cloud = cloud
        self._kills = kills
        self._running = running
        self._midway: list[tuple[str, Callable[[], bool]]] = []

    def plan(self, kill: Kill) -> None:
        """Plan a kill. Raises ConfigurationError: its operation makes no call of AWS of its own."""
        if kill.operation not in CALLS:
            raise ConfigurationError(
                f"a process is seen by what it calls, and {kill.operation.__name__} has no call of its own:"
                f" kill it around {', '.join(operation.__name__ for operation in CALLS)}"
            )
        self._kills.append(kill)

    def plan_midway(self, fn: str, once: Callable[[], bool]) -> None:
        self._midway.append((fn, once))

    def around(self, call: Call, when: str) -> int | None:
        """The process that dies at this call, which it made; None if it lives."""
        if not self._kills and not self._cloud.dice.faults.crash:
            return None
        for attempt, running in self._processes():
            if running.access_key == call.caller and self._dies(attempt, call, when):
                attempt.killed = True
                return running.pid
        return None

    def midway(self) -> list[int]:
        """The processes that die now, in the middle of their code."""
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
            # Another thread of a killed process made this call, and it takes no effect any more.
            return True
        for kill in self._kills:
            if (CALLS[kill.operation], kill.when) == (call.operation, when) and self._runs(attempt, kill.fn):
                self._kills.remove(kill)
                return True
        return attempt.invocation.attempt <= len(RETRY_DELAYS) and self._cloud.dice.draw("crash")

    def _runs(self, attempt: Attempt, fn: str) -> bool:
        """Whether this attempt runs the durable function of that name, or is a Lambda with that handler."""
        if fn == attempt.function.spec.handler:
            return True
        record = self._cloud.peek(attempt.promise)
        return record is not None and record.fn == fn
