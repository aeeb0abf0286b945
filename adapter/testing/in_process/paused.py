"""Activities that let others go on until some time: which of them can go on now, and when the next one can."""

from __future__ import annotations

import bisect
import heapq

from adapter.protocol.times import Instant
from adapter.testing.in_process.activities import Activity


class Paused:
    """Activities by the time until which they pause. Those of one time keep the order in which they paused."""

    def __init__(self) -> None:
        self._later: list[tuple[Instant, int, Activity]] = []
        self._ready: list[tuple[int, Activity]] = []
        self._count = 0

    def add(self, activity: Activity, until: Instant) -> None:
        self._count += 1
        heapq.heappush(self._later, (until, self._count, activity))

    def ready(self, now: Instant) -> int:
        """How many can go on now."""
        while self._later and self._later[0][0] <= now:
            _, number, activity = heapq.heappop(self._later)
            bisect.insort(self._ready, (number, activity), key=lambda entry: entry[0])
        return len(self._ready)

    def take(self, position: int) -> Activity:
        """One of those that can go on, in the order in which they paused."""
        return self._ready.pop(position)[1]

    def next_at(self, now: Instant) -> Instant | None:
        """When the next one can go on."""
        if self._ready:
            return now
        return self._later[0][0] if self._later else None

    def drop_all(self) -> None:
        """End each of them where it stands."""
        while self._later or self._ready:
            activity = self._ready.pop()[1] if self._ready else heapq.heappop(self._later)[2]
            activity.drop()
