"""The stores under contract, and the model that each of them is compared with.

A further store joins by a line in `STORES`: a context manager that gives an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from adapter.engine.ports import Store
from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import parent_of
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Record
from adapter.protocol.timing import Due, due_of, shard_of
from adapter.testing.simulated_aws.memory import MemoryStore, Transitions
from tests.contract.tables import TABLES


class ModelStore(Transitions):
    """`adapter.engine.ports.Store` as it is meant: the pure transitions on a dict."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.chapters: dict[tuple[str, int], Chapter] = {}

    def read_promise(self, promise: str) -> Record | None:
        return self.records.get(promise)

    def peek_promise(self, promise: str, lagging: bool = False) -> Record | None:
        return self.read_promise(promise)

    def read_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]:
        own = self.read_promise(promise)
        below = sorted((r for r in self.records.values() if parent_of(r.id) == promise), key=lambda r: r.ordinal)
        return own, [child for child in below if own is None or child.expires == own.expires]

    def peek_function(self, promise: str, lagging: bool = False) -> tuple[Record | None, Sequence[Record]]:
        own, children = self.read_function(promise)
        return own, bare(children) if lagging else children

    def peek_children(self, promise: str, expires: int | None = None, lagging: bool = False) -> Sequence[Record]:
        children = self.read_children(promise, expires=expires)
        return bare(children) if lagging else children

    def clear(self, promise: str, before: int) -> None:
        """Nothing is beside the records."""

    def drop(self, record: Record) -> Record:
        return self.records.pop(record.id)

    def read_children(
        self, promise: str, first: int = 0, last: int | None = None, expires: int | None = None
    ) -> Sequence[Record]:
        found = [r for r in self.records.values() if parent_of(r.id) == promise and r.ordinal >= first]
        found = [record for record in found if (last is None or record.ordinal <= last) and record.expires == expires]
        return sorted(found, key=lambda record: record.ordinal)

    def read_chapters(self, promise: str) -> tuple[Record | None, Sequence[Chapter]]:
        own = self.read_promise(promise) if parent_of(promise) is None else None
        return own, [self.chapters[promise, number] for number in self.peek_chapters(promise)]

    def write_chapter(self, chapter: Chapter) -> None:
        self.chapters[chapter.promise, chapter.number] = chapter

    def peek_chapters(self, promise: str) -> Sequence[int]:
        return sorted((number for one, number in self.chapters if one == promise), reverse=True)

    def remove_chapter(self, promise: str, number: int) -> None:
        self.chapters.pop((promise, number), None)

    def peek(self, promise: str) -> Record | None:
        return self.records.get(promise)

    def delete(self, promise: str) -> Record | None:
        return self.records.pop(promise, None)

    def due(self, shard: str, until: int) -> Iterator[Sequence[Due]]:
        records = sorted(self.records.values(), key=lambda record: record.due_at or 0)
        entries = [due_of(record) for record in records if shard_of(record.id) == shard]
        yield [entry for entry in entries if entry is not None and entry.at < until]

    def write(self, promise: str, written: Written) -> Written:
        if not isinstance(written, Refused):
            self.records[promise] = written
        return written


def bare(records: Sequence[Record]) -> Sequence[Record]:
    """Without what may be large."""
    return [replace(record, args="", value="") for record in records]


@contextmanager
def model() -> Iterator[ModelStore]:
    """The model itself: the laws of the stores have to hold for it, too."""
    yield ModelStore()


@contextmanager
def memory() -> Iterator[MemoryStore]:
    """The store of local clouds with ``engine="memory"``."""
    yield MemoryStore()


def _dynamo(engine: str) -> Callable[[], AbstractContextManager[Store]]:
    @contextmanager
    def opened() -> Iterator[Store]:
        with TABLES[engine]() as table:
            yield table.store

    return opened


STORES: dict[str, Callable[[], AbstractContextManager[Store]]] = {
    **{f"dynamo-on-{engine}": _dynamo(engine) for engine in TABLES},
    "memory": memory,
    "model": model,
}
