"""How long each operation of an invocation takes, one after the other or side by side.

An operation takes effect when it begins, and its invocation goes on when it ends: published latencies of messages count
from the beginning of the call that causes them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from adapter.engine import operations as ops
from adapter.protocol.times import NO_TIME, Instant, Span
from adapter.testing.hosting import ClearPayloads, GetPayload, PutPayload, WriteNote
from adapter.testing.latencies import Delays
from adapter.testing.stats import SIDE_BY_SIDE

TAKES: dict[type[Any], str] = {
    **dict.fromkeys((ops.ReadPromise, ops.ReadFunction, ops.ReadChildren), "read"),
    **dict.fromkeys((ops.PeekPromise, ops.PeekFunction, ops.PeekChildren), "read"),
    **dict.fromkeys((ops.ReadChapters, ops.PeekChapters), "read"),
    **dict.fromkeys((ops.WriteChapter, ops.RemoveChapter), "write"),
    **dict.fromkeys((ops.Create, ops.Settle, ops.Close, ops.Claim, ops.Arm, ops.Arrive, ops.Register), "write"),
    ops.Ask: "write",
    **dict.fromkeys((ops.Postpone, ops.Pause, ops.Hold, ops.Pin, ops.Delete, ops.Remove, WriteNote), "write"),
    ops.Invoke: "invoke",
    **dict.fromkeys((ops.SendAt, ops.SendBatch, ops.PutAside), "send"),
    **dict.fromkeys((PutPayload, ClearPayloads), "put"),
    GetPayload: "get",
}
"""Which latency each call takes: a field of `adapter.testing.latencies.Latencies`."""

TIMELESS = (ops.Now, ops.Remaining, ops.RunCode, ops.RunLeft, ops.Sleep, ops.Tell, ops.Many, ops.Clear)
"""These call nobody by themselves. Your code says by `LocalCloud.elapse` how long it takes."""


T = TypeVar("T")
R = TypeVar("R")


class Pace:
    """Lets the time of an invocation's calls pass.

    Args:
        wait: lets time pass until then.
    """

    def __init__(self, delays: Delays, now: Callable[[], Instant], wait: Callable[[Instant], None]) -> None:
        self._delays = delays
        self._now = now
        self._wait = wait
        # What one of several side by side has taken up to now; None: nothing is side by side.
        self._taken: Span | None = None

    def take(self, operation: object) -> None:
        """The operation has taken effect: let its time pass."""
        name = TAKES.get(type(operation))
        if name is not None:
            self._pass(self._delays.draw(name))

    def side_by_side(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Map items as a sandbox's pool does: so many at a time. Each begins when another one has ended.

        What one of them does takes effect when it begins.
        """
        outer, begun = self._taken, self._now()
        ends: list[Span] = []
        results: list[R] = []
        try:
            for item in items:
                start = NO_TIME if len(ends) < SIDE_BY_SIDE else heapq.heappop(ends)
                if outer is None:
                    self._wait(begun + start)
                self._taken = NO_TIME
                results.append(function(item))
                heapq.heappush(ends, start + self._taken)
        finally:
            self._taken = outer
        self._pass(max(ends, default=NO_TIME), begun)
        return results

    def _pass(self, time: Span, since: Instant | None = None) -> None:
        if self._taken is None:
            self._wait((self._now() if since is None else since) + time)
        else:
            self._taken += time


@dataclass(frozen=True, slots=True)
class SandboxPool:
    """`adapter.engine.ports.Pool`: one item after the other, in the same order at every run; side by side in time."""

    pace: Callable[[], Pace | None]

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        pace = self.pace()
        return [function(item) for item in items] if pace is None else pace.side_by_side(function, items)
