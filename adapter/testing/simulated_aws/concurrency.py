"""The concurrency of an account: how many attempts may be under way at once, and for which functions.

An attempt that ended holds its place until it has lasted `SHORTEST`: code in a local cloud takes no virtual time by
itself, and would never be in another's way. With latencies it takes its own.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping

from adapter.errors import ConfigurationError
from adapter.protocol.times import MILLISECOND, Instant, Span

SHORTEST = 30 * MILLISECOND
"""No attempt takes less: what the bill takes an invocation to last, too."""

UNRESERVED = 10
"""AWS refuses a reservation that leaves less to all other functions. In most accounts it asks for 100."""


class Concurrency:
    """Who may begin. Functions with reserved concurrency have that for themselves, and no more; others share the rest.

    Args:
        limit: the account's; None: there is none, and reservations mean nothing either.
        reserved: how many of it a function has to itself, by name.
        clock: gives the time.
        shortest: no attempt takes less.
    """

    def __init__(
        self, limit: int | None, reserved: Mapping[str, int], clock: Callable[[], Instant], shortest: Span = SHORTEST
    ) -> None:
        self.limit = limit
        self._shortest = shortest
        self._reserved = reserved
        self._clock = clock
        self._rest = 0 if limit is None else limit - sum(reserved.values())
        self._busy: Counter[str] = Counter()
        self._ended: list[tuple[Instant, str]] = []
        self._check()

    def has_room(self, function: str) -> bool:
        """Whether an attempt may begin now."""
        if self.limit is None:
            return True
        self._free()
        pool = self._pool(function)
        return self._busy[pool] < self._reserved.get(pool, self._rest)

    def begin(self, function: str) -> Instant:
        """An attempt begins; at this time."""
        if self.limit is not None:
            self._busy[self._pool(function)] += 1
        return self._clock()

    def end(self, function: str, begun: Instant) -> None:
        """The attempt that began then is over."""
        if self.limit is None:
            return
        heapq.heappush(self._ended, (begun + self._shortest, self._pool(function)))
        self._free()

    def next_at(self) -> Instant | None:
        """When the next attempt that ended gives its place back."""
        self._free()
        return self._ended[0][0] if self.limit is not None and self._ended else None

    def _pool(self, function: str) -> str:
        """Whose places it takes: its own, or, as an empty name, those of all others."""
        return function if function in self._reserved else ""

    def _free(self) -> None:
        while self._ended and self._ended[0][0] <= self._clock():
            self._busy[heapq.heappop(self._ended)[1]] -= 1

    def _check(self) -> None:
        if self.limit is None:
            return
        if self.limit < 1:
            raise ConfigurationError(f"concurrency is at least 1, not {self.limit!r}")
        if self._reserved and self._rest < UNRESERVED:
            raise ConfigurationError(
                f"of a concurrency of {self.limit} the template reserves {sum(self._reserved.values())};"
                f" AWS refuses what leaves less than {UNRESERVED} to other functions"
            )
