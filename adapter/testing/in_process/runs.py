"""One attempt of an invocation: while it runs, this process is its Lambda."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.engine import hosts, registry
from adapter.engine.operations import Many, Now, Remaining, RunCode, RunLeft, Sleep, Tell
from adapter.engine.registry import Definition
from adapter.protocol.times import NO_TIME, Span
from adapter.testing.hosting import LocalHost
from adapter.testing.in_process.activities import Activity
from adapter.testing.in_process.pacing import Pace
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.stats import SIDE_BY_SIDE


@dataclass
class Calls:
    """Counts an invocation's calls to the outside. Of those that are made side by side, so many count as one."""

    made: int = 0
    _within: int = 0

    def count(self, operation: object, when: str) -> None:
        """Count an operation that isn't one of `INSIDE`."""
        if type(operation) is Many:
            self._within += 1 if when == "before" else -1
            if when == "before":
                self.made += math.ceil(len(operation.operations) / SIDE_BY_SIDE)
        elif when == "before" and not self._within:
            self.made += 1


INSIDE = frozenset({Now, Remaining, RunCode, RunLeft, Sleep, Tell})
"""These call nobody outside."""


@dataclass(eq=False)
class Run:
    """One attempt of an invocation. ``promise`` and ``fn`` are known once it runs one.

    ``ran`` is for how long its code has run. ``instead`` are the functions that a test has faked. ``pace`` says how
    long its operations take; without it, no time.
    """

    function: Function
    invocation: Invocation
    host: LocalHost
    activity: Activity | None = None
    instead: Mapping[str, Definition] = field(default_factory=dict)
    pace: Pace | None = None
    promise: str = ""
    fn: str = ""
    ran: Span = NO_TIME
    calls: Calls = field(default_factory=Calls)
    _running: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fakes = registry.instead(self.instead, self.function.code)
        self._environment = self.function.environment.again()

    def enter(self, running: list[Run]) -> None:
        """From here on this process is the Lambda, with its host, its environment and its code."""
        self._running = running
        self._fakes.__enter__()
        self._environment.__enter__()
        hosts.enter(self.host)
        running.append(self)

    def leave(self) -> None:
        """This process isn't the Lambda any more, or for a while."""
        self._running.remove(self)
        hosts.leave(self.host)
        self._environment.__exit__()
        self._fakes.__exit__()
