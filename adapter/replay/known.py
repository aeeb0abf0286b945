"""What a run knows of the promises that its function has made. Pure.

It only ever grows. A settled record never changes again (I1), so a record that was read earlier is merely behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapter.protocol.records import BLOCK_FUNCTION, Record, State, Wake


class Known:
    """Records by ordinal, and what they add up to.

    ``consumed`` is the number of counted settlements among them, and ``refusals`` how many of these are rejections.
    ``latest`` is the time of the latest settlement. ``last`` is the highest ordinal that is stored, -1 if there is
    none.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: dict[int, Record] = {}
        self._pending: dict[int, Record] = {}
        self.consumed = 0
        self.refusals = 0
        self.latest = 0
        self.last = -1
        self._unread: list[int] = []
        for record in records:
            self.learn(record)

    def learn(self, record: Record) -> bool:
        """Take a record. Returns whether it brings a settlement that wasn't known."""
        ordinal = record.ordinal
        if ordinal in self.records and ordinal not in self._pending:
            return False
        self.records[ordinal] = record
        self.last = max(self.last, ordinal)
        if record.pending:
            self._pending[ordinal] = record
            return False
        self._pending.pop(ordinal, None)
        self.latest = max(self.latest, record.settled_at)
        if record.fn == BLOCK_FUNCTION and record.state is State.RESOLVED:
            self._unread.append(ordinal)
        if record.wake is Wake.COUNTED:
            self.consumed += 1
            self.refusals += record.rejected
        return True

    def is_pending(self, ordinal: int) -> bool:
        return ordinal in self._pending

    def pending(self) -> list[Record]:
        return list(self._pending.values())

    def first_pending(self, otherwise: int) -> int:
        return min(self._pending, default=otherwise)

    def unread(self) -> list[int]:
        """The blocks of a map that have ended, but whose outcomes haven't been read yet: `fill` takes them."""
        found, self._unread = self._unread, []
        return found

    def fill(self, ordinal: int, outcomes: str) -> None:
        """Give a block the outcomes of its calls: its settlement delivers them."""
        self.records[ordinal] = replace(self.records[ordinal], value=outcomes)
