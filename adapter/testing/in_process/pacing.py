"""How long each operation of an invocation takes, one after the other or side by side.

An operation takes effect when it begins, and its invocation goes on when it ends: published latencies of messages count
from the beginning of the call that causes them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.engine import operations as ops
from adapter.protocol.times import NO_TIME, Instant, Span
from adapter.testing.hosting import ClearPayloads, GetPayload, PutPayload, WriteNote
from adapter.testing.latencies import Delays
from adapter.testing.stats import SIDE_BY_SIDE

TAKES: dict[type[Any], str] = {
    **dict.fromkeys((ops.ReadPromise, ops.ReadFunction, ops.ReadChildren), "read"),
    **dict.fromkeys((ops.PeekPromise, ops.PeekFunction, ops.PeekChildren), "read"),
    **dict.fromkeys((ops.Create, ops.Settle, ops.Close, ops.Claim, ops.Arm, ops.Arrive, ops.Register), "write"),
    **dict.fromkeys((ops.Postpone, ops.Pause, ops.Hold, ops.Delete, ops.Remove, WriteNote), "write"),
    ops.Invoke: "invoke",
    **dict.fromkeys((ops.SendAt, ops.SendBatch, ops.PutAside), "send"),
    **dict.fromkeys((PutPayload, ClearPayloads), "put"),
    GetPayload: "get",
}
"""Which latency each call takes: a field of `adapter.testing.latencies.Latencies`."""

TIMELESS = (ops.Now, ops.Remaining, ops.RunCode, ops.RunLeft, ops.Tell, ops.Many, ops.Clear)
"""These call nobody by themselves. Your code says by `LocalCloud.elapse` how long it takes."""


@dataclass(slots=True)
class _Call:
    """An operation under way. ``starts``: when each of its own begins, if it is `Many`."""

    operation: object
    ends: Instant
    starts: Iterator[Instant] | None = None


class Pace:
    """Says for how long an invocation waits, before each operation and after it."""

    def __init__(self, delays: Delays, now: Callable[[], Instant]) -> None:
        self._delays = delays
        self._now = now
        self._calls: list[_Call] = []

    def before(self, operation: object) -> Instant:
        """The operation is to begin then: now, unless others side by side of it have to end first."""
        now = self._now()
        outer = self._calls[-1].starts if self._calls else None
        begins = now if outer is None else next(outer, now)
        if isinstance(operation, ops.Many):
            self._calls.append(self._side_by_side(operation, now))
        else:
            # Of what is side by side, the whole ends when the last of it does.
            self._calls.append(_Call(operation, now if outer is not None else now + self._time_of(operation)))
        return begins

    def after(self, operation: object) -> Instant:
        """The invocation goes on then."""
        while self._calls:
            call = self._calls.pop()
            # What raised never ended; it was within this one.
            if call.operation is operation:
                return call.ends
        return self._now()

    def _side_by_side(self, many: ops.Many, now: Instant) -> _Call:
        starts, ends = spread([self._time_of(each) for each in many.operations], now)
        return _Call(many, ends, iter(starts))

    def _time_of(self, operation: object) -> Span:
        name = TAKES.get(type(operation))
        return NO_TIME if name is None else self._delays.draw(name)


def spread(times: Sequence[Span], now: Instant) -> tuple[list[Instant], Instant]:
    """When each of these begins, as many at a time as a sandbox makes side by side; and when all have ended."""
    ends: list[Instant] = []
    starts: list[Instant] = []
    for time in times:
        start = now if len(ends) < SIDE_BY_SIDE else heapq.heappop(ends)
        starts.append(start)
        heapq.heappush(ends, start + time)
    return starts, max(ends, default=now)
