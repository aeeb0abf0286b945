"""How DynamoDB removes what has expired: at no price, in no order, some time within two days.

The world notes each item that is put, and removes those of which DynamoDB takes notice.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Mapping
from typing import Any

from adapter.protocol.times import DAY, EPOCH, SECOND, Instant

LATE = 2 * DAY
"""DynamoDB says a few days, and that it is mostly within two."""

Key = tuple[str, str]
"""The keys of an item of the promises' table, as texts."""


class TimeToLive:
    """What expires in a table, and when DynamoDB notices. ``attribute`` has the seconds; empty: nothing expires."""

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute
        self._queue: list[tuple[Instant, Key]] = []

    def note(self, item: Mapping[str, Any]) -> None:
        """An item was put."""
        seconds = item.get(self._attribute, {}).get("N")
        if seconds is not None:
            key = (item["pk"]["S"], item["sk"]["N"])
            late = zlib.crc32(f"{key} {seconds}".encode("utf-8", "surrogatepass")) % LATE
            heapq.heappush(self._queue, (Instant(int(seconds) * SECOND + late), key))

    def next_at(self) -> Instant | None:
        """When DynamoDB next looks at an item that may have expired."""
        return self._queue[0][0] if self._queue else None

    def take(self, now: Instant) -> list[Key]:
        """The keys at which DynamoDB looks until now. What stands there may be a later item, or none."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            found.append(heapq.heappop(self._queue)[1])
        return found

    def has_expired(self, item: Mapping[str, Any], now: Instant) -> bool:
        seconds = item.get(self._attribute, {}).get("N")
        return seconds is not None and EPOCH + int(seconds) * SECOND <= now
