"""One attempt of an invocation: while it runs, this process is its Lambda."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from adapter.engine import hosts
from adapter.protocol.times import NO_TIME, Span
from adapter.testing.hosting import LocalHost
from adapter.testing.in_process.activities import Activity
from adapter.testing.simulated_aws.lambdas import Function, Invocation, environment


@dataclass(eq=False)
class Run:
    """One attempt of an invocation. ``promise`` and ``fn`` are known once it runs one.

    ``ran`` is for how long its code has run.
    """

    function: Function
    invocation: Invocation
    host: LocalHost
    activity: Activity | None = None
    promise: str = ""
    fn: str = ""
    ran: Span = NO_TIME
    _stack: ExitStack = field(default_factory=ExitStack)

    def enter(self, running: list[Run]) -> None:
        """From here on this process is the Lambda, with its host and its environment."""
        self._stack = ExitStack()
        self._stack.enter_context(environment(self.function.spec.environment))
        hosts.enter(self.host)
        self._stack.callback(hosts.leave, self.host)
        running.append(self)
        self._stack.callback(running.remove, self)

    def leave(self) -> None:
        """This process isn't the Lambda any more, or for a while."""
        self._stack.close()
