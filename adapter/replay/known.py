"""What a run knows of the promises that its function has made. Pure.

It only ever grows. A settled record never changes again (I1), so a record that was read earlier is merely behind.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from adapter.protocol.chapters import Range, is_long, ranges
from adapter.protocol.making import changed
from adapter.protocol.records import BLOCK_FUNCTION, DISPATCHED, Record, State, Wake
from adapter.protocol.times import EPOCH, Instant

EACH = 1_000
"""Bytes of memory that a record takes beside its texts."""


class Known:
    """Records by ordinal, and what they add up to. A resume asks for what is kept here, and never looks at all records.

    ``consumed`` is the number of counted settlements among them, and ``rejections`` how many of these are rejected.
    ``latest`` is the time of the latest settlement. ``last`` is the highest ordinal that is stored, -1 if there is
    none. ``weight`` is about how many bytes of memory they take. ``unread`` are the blocks of a map that have ended,
    but whose outcomes haven't been read yet: `fill` takes them.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: dict[int, Record] = {}
        self.consumed = 0
        self.rejections = 0
        self.latest = EPOCH
        self.last = -1
        self.weight = 0
        self.unread: list[int] = []
        self._recent: list[int] = []
        self._pending: dict[int, Record] = {}
        self._idle: dict[str, dict[int, Record]] = {}
        for record in records:
            self.learn(record)

    def learn(self, record: Record) -> bool:
        """Take a record. Returns whether it brings a settlement that wasn't known."""
        ordinal = record.ordinal
        if ordinal in self.records and ordinal not in self._pending:
            return False
        self.records[ordinal] = record
        self.weight += EACH + len(record.args) + len(record.value)
        self.last = max(self.last, ordinal)
        if record.pending:
            self._wait_for(record, ordinal)
            return False
        if ordinal in self._pending:
            self._wait_no_more(ordinal)
        self.latest = max(self.latest, record.settled_at)
        if record.fn == BLOCK_FUNCTION and record.state is State.RESOLVED:
            self.unread.append(ordinal)
        if record.wake is Wake.COUNTED:
            self.consumed += 1
            heapq.heappush(self._recent, record.settled_at)
            self.rejections += record.rejected
        return True

    def consumed_by(self, at: Instant) -> int:
        """How many counted settlements happened until a time, which is never earlier than when this was last asked."""
        while self._recent and self._recent[0] <= at:
            heapq.heappop(self._recent)
        return self.consumed - len(self._recent)

    @property
    def long(self) -> bool:
        """Whether the function may have chapters."""
        return is_long(self.last)

    def is_pending(self, ordinal: int) -> bool:
        return ordinal in self._pending

    def pending(self) -> list[Record]:
        return list(self._pending.values())

    def news(self, end: int) -> list[Range]:
        """The ranges of ordinals that may have news: all that is pending, and whatever is from ``end`` on."""
        return ranges(sorted(self._pending), end)

    def idle(self, request: str) -> list[Record]:
        """The pending promises that a request created, and that no run in this memory has dispatched."""
        return list(self._idle.get(request, {}).values())

    def set_going(self, record: Record) -> None:
        """A run has dispatched the promise, or is about to."""
        self._busy(record.by, record.ordinal)

    def fill(self, ordinal: int, outcomes: str) -> None:
        """Give a block the outcomes of its calls: its settlement delivers them."""
        self.records[ordinal] = changed(self.records[ordinal], value=outcomes)
        self.weight += len(outcomes)
        self.unread.remove(ordinal)

    def _wait_for(self, record: Record, ordinal: int) -> None:
        if ordinal not in self._pending and record.kind in DISPATCHED:
            self._idle.setdefault(record.by, {})[ordinal] = record
        self._pending[ordinal] = record

    def _wait_no_more(self, ordinal: int) -> None:
        self._busy(self._pending.pop(ordinal).by, ordinal)

    def _busy(self, request: str, ordinal: int) -> None:
        idle = self._idle.get(request, {})
        idle.pop(ordinal, None)
        if not idle:
            self._idle.pop(request, None)
