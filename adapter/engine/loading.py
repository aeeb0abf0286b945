"""How a run without a warm sandbox loads its function: by chapters, where there are any, and by records. Pure.

A short function is read as it ever was, by one query, and never has a chapter. Of a long one the run reads its chapters
and then the records that no chapter tells of. If these have become many, the run tells of them, once its function is
suspended. It is the last thing that it does, and nothing relies on it: the next run reads the chapter, or the records.

A replay that drifts over chapters is made again over the records themselves. So no chapter can ever stop a function.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any

from adapter.engine.memory import read_ranges
from adapter.engine.operations import (
    Many,
    Operation,
    ReadChapters,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    WriteChapter,
)
from adapter.protocol.chapters import Chapter, chapters_of, is_long, told_by, untold
from adapter.protocol.ids import parent_of
from adapter.protocol.records import Record


class Loader:
    """What one run has loaded. ``plain``: it reads no chapters any more."""

    def __init__(self) -> None:
        self.plain = False
        self._forget()

    @property
    def by_chapters(self) -> bool:
        """Whether any of what was loaded last comes from chapters."""
        return bool(self._told)

    def function(self, promise: str, long: bool) -> Generator[Operation, Any, tuple[Record | None, Sequence[Record]]]:
        """The function's record, and those of its children. ``long``: it may have chapters."""
        self._forget()
        if self.plain or not long:
            plainly: tuple[Record | None, Sequence[Record]] = yield ReadFunction(promise)
            return plainly
        if parent_of(promise) is None:
            own, chapters = yield ReadChapters(promise)
        else:
            # Its record is in another partition.
            own, (_, chapters) = yield Many((ReadPromise(promise), ReadChapters(promise)))
        if own is None:
            return None, ()
        return own, (yield from self._among(own, chapters))

    def children(self, own: Record, long: bool) -> Generator[Operation, Any, Sequence[Record]]:
        """The children's records alone. A function that was armed often has made many promises, or has slept often."""
        self._forget()
        if self.plain or not (long or is_long(own.epoch)):
            plainly: Sequence[Record] = yield ReadChildren(own.id, own.expires)
            return plainly
        _, chapters = yield ReadChapters(own.id)
        return (yield from self._among(own, chapters))

    def tell(self, own: Record) -> Generator[Operation, Any, None]:
        """Write chapters of what no chapter told, if they are worth it. The function has suspended.

        Of two runs at once the later one's chapter stands in place of the other's, and both are right.
        """
        chapters = chapters_of(own, self._read, self._told, self._number) if self._looked else []
        self._forget()
        if chapters:
            yield Many(tuple(WriteChapter(chapter) for chapter in chapters))

    def _forget(self) -> None:
        self._looked = False
        self._told: Collection[int] = ()
        self._read: Sequence[Record] = ()
        self._number = 0

    def _among(self, own: Record, chapters: Sequence[Chapter]) -> Generator[Operation, Any, Sequence[Record]]:
        """The children: those that chapters tell of, and all others as they are read."""
        # An earlier execution of the id may have left some. Those of this one take their places in turn.
        mine = [chapter for chapter in chapters if chapter.since == own.created_at]
        told = {record.ordinal: record for chapter in mine for record in told_by(chapter)}
        self._read = yield from read_ranges(own, untold(told))
        self._looked, self._told = True, frozenset(told)
        self._number = max((chapter.number for chapter in mine), default=-1) + 1
        together = told | {record.ordinal: record for record in self._read}
        return [together[ordinal] for ordinal in sorted(together)]
