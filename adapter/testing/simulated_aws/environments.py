"""The execution environments of each function, where invocations take time and overlap.

An environment runs one invocation at a time. The next one comes to the idle environment that was used last; if none is
idle, Lambda makes one, as fast as it scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from adapter.protocol.times import SECOND, Instant, Span, span_of
from adapter.testing.latencies import Latencies


@dataclass(eq=False, slots=True)
class Environment:
    """One of a function's. ``fresh``: its code has still to be loaded. ``over``: nobody comes here any more."""

    function: str
    used_at: Instant
    fresh: bool = True
    over: bool = False


@dataclass(slots=True)
class _Line:
    """A function's idle environments, the one used last at the end; and how many more Lambda may make at once."""

    left: float
    counted_at: Instant
    idle: list[Environment] = field(default_factory=list)


class Environments:
    """Those of all functions. ``ended`` is told of each that ends."""

    def __init__(self, latencies: Latencies, clock: Callable[[], Instant]) -> None:
        self.ended: Callable[[Environment], None] = lambda environment: None
        self._latencies = latencies
        self._warm = span_of(latencies.warm_s)
        self._clock = clock
        self._lines: dict[str, _Line] = {}

    def has_room(self, function: str) -> bool:
        """Whether an attempt may begin now."""
        line = self._line(function)
        return bool(line.idle) or line.left >= 1

    def next_at(self, function: str) -> Instant | None:
        """When Lambda may make the next one; None: there is room already."""
        if self.has_room(function):
            return None
        line = self._line(function)
        missing = (1 - line.left) * self._latencies.scales_in_s / self._latencies.scales_by
        return line.counted_at + Span(math.ceil(missing * SECOND))

    def idle(self, function: str) -> int:
        """How many could be taken without making one."""
        return len(self._line(function).idle)

    def take(self, function: str, position: int = -1) -> Environment:
        """The idle one that was used last, or the one at a position; or a new one."""
        line = self._line(function)
        if line.idle:
            return line.idle.pop(position)
        line.left -= 1
        return Environment(function, self._clock())

    def give_back(self, environment: Environment) -> None:
        """Its invocation has ended."""
        if environment.over:
            self.ended(environment)
            return
        environment.used_at = self._clock()
        self._line(environment.function).idle.append(environment)

    def end(self, function: str) -> None:
        """No idle one is left, as after a deploy. The caller sees to those that are busy."""
        line = self._line(function)
        ending, line.idle = line.idle, []
        for environment in ending:
            self._end(environment)

    def _end(self, environment: Environment) -> None:
        environment.over = True
        self.ended(environment)

    def _line(self, function: str) -> _Line:
        """A function's line, as it is now."""
        now = self._clock()
        if function not in self._lines:
            self._lines[function] = _Line(left=self._latencies.scales_by, counted_at=now)
        line = self._lines[function]
        if now > line.counted_at:
            made = self._latencies.made_by(line.counted_at, now)
            line.left, line.counted_at = min(self._latencies.scales_by, line.left + made), now
        while line.idle and line.idle[0].used_at + self._warm <= now:
            self._end(line.idle.pop(0))
        return line
