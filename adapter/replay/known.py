"""What a run knows of the promises that its function has made. Pure.

It only ever grows: a settled record never changes again (I1), so one that was read earlier is merely behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapter.protocol.records import BLOCK_FUNCTION, Record, State, Wake


class Known:
    """Records by ordinal, and what follows from them.

    ``consumed`` counted settlements are among them, ``refusals`` of these rejections; ``latest`` is when the last of
    all settled; ``last`` is the highest ordinal that is stored, -1 where none is.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: dict[int, Record] = {}
        self.consumed = 0
        self.refusals = 0
        self.latest = 0
        self.last = -1
        self._unread: list[int] = []
        for record in records:
            self.learn(record)

    def learn(self, record: Record) -> bool:
        """Take a record that was loaded, written, or found to stand. Whether it tells of a settlement not yet known."""
        ordinal = record.ordinal
        before = self.records.get(ordinal)
        if before is not None and not before.pending:
            return False
        self.records[ordinal] = record
        self.last = max(self.last, ordinal)
        if record.pending:
            return False
        self.latest = max(self.latest, record.settled_at)
        if record.fn == BLOCK_FUNCTION and record.state is State.RESOLVED:
            self._unread.append(ordinal)
        if record.wake is Wake.COUNTED:
            self.consumed += 1
            self.refusals += record.rejected
        return True

    def is_pending(self, ordinal: int) -> bool:
        record = self.records.get(ordinal)
        return record is not None and record.pending

    def pending(self) -> list[Record]:
        return [record for record in self.records.values() if record.pending]

    def first_pending(self, otherwise: int) -> int:
        return min((record.ordinal for record in self.pending()), default=otherwise)

    def unread(self) -> list[int]:
        """Blocks of a map that have ended, and whose outcomes are still to be read, for `fill`."""
        found, self._unread = self._unread, []
        return found

    def fill(self, ordinal: int, outcomes: str) -> None:
        """The outcomes of a block's calls are what its settlement delivers."""
        self.records[ordinal] = replace(self.records[ordinal], value=outcomes)
