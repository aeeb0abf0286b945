"""Reading a function's promises, which lie in partitions of `adapter.protocol.ids.BUCKET` children each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from adapter.protocol.ids import BUCKET, ROOT_ORDINAL, parent_of, partition_of
from adapter.protocol.records import Record
from adapter.protocol.times import Instant


class Partitions(ABC):
    """The reads of `adapter.engine.ports.Store` over two requests: one item, and one partition from a sort key on."""

    @abstractmethod
    def read_promise(self, promise: str, lagging: bool = False) -> Record | None: ...

    @abstractmethod
    def query(self, partition: str, first: int, last: int | None = None, lagging: bool = False) -> list[Record]:
        """The partition's records from the sort key ``first`` on, in order; strongly consistent unless ``lagging``."""

    def read_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]:
        # The function's own record is read before its children's. So a settlement that it has counted is seen in a
        # child.
        if parent_of(promise) is not None:
            return _execution(self.read_promise(promise), self._from_on(promise, 0))
        own, children = self._root(promise, lagging=False)
        return _execution(own, [*children, *self._further(promise, 0, children)])

    def peek_promise(self, promise: str, lagging: bool = False) -> Record | None:
        # This store opens nothing anyway.
        return self.read_promise(promise, lagging)

    def peek_function(self, promise: str, lagging: bool = False) -> tuple[Record | None, Sequence[Record]]:
        if parent_of(promise) is not None:
            own = self.read_promise(promise, lagging)
            return _execution(own, self._to_the_last(promise, self.query(promise, 0, None, lagging), lagging))
        own, children = self._root(promise, lagging)
        return _execution(own, self._to_the_last(promise, children, lagging))

    def _root(self, promise: str, lagging: bool) -> tuple[Record | None, list[Record]]:
        """A root and the children in its partition, read together."""
        together = self.query(promise, ROOT_ORDINAL, None, lagging)
        roots = [record for record in together if record.id == promise]
        return (roots[0] if roots else None), together[len(roots) :]

    def peek_children(self, promise: str, expires: int | None = None, lagging: bool = False) -> Sequence[Record]:
        return _of(expires, self._to_the_last(promise, self.query(promise, 0, None, lagging), lagging))

    def _to_the_last(self, promise: str, first: list[Record], lagging: bool) -> list[Record]:
        """All children, from those of the first partition on.

        A run that died while it created many at once may have left gaps. A replay asks for the missing ones again, so
        it can stop at a gap. A reader that doesn't replay has to see the children behind it.
        """
        found, more = list(first), first
        bucket = 0
        while more:
            bucket += 1
            more = self.query(partition_of(promise, bucket), bucket * BUCKET, None, lagging)
            found.extend(more)
        return found

    def portable(self, record: Record) -> Record:
        # This store keeps nothing outside of the table.
        return record

    def clear(self, promise: str, before: Instant) -> None:
        # This store keeps nothing outside of the table.
        return

    def read_children(
        self, promise: str, first: int = 0, last: int | None = None, expires: int | None = None
    ) -> Sequence[Record]:
        if last is None:
            return _of(expires, self._from_on(promise, first))
        buckets = range(first // BUCKET, last // BUCKET + 1)
        within = [self.query(partition_of(promise, one), max(first, one * BUCKET), last) for one in buckets]
        return _of(expires, [record for found in within for record in found])

    def _from_on(self, promise: str, first: int) -> list[Record]:
        bucket = first // BUCKET
        found = self.query(partition_of(promise, bucket), first)
        return [*found, *self._further(promise, bucket, found)]

    def _further(self, promise: str, bucket: int, found: Sequence[Record]) -> list[Record]:
        """The records of the buckets that follow a full one."""
        further: list[Record] = []
        while found and found[-1].ordinal % BUCKET == BUCKET - 1:
            bucket += 1
            found = self.query(partition_of(promise, bucket), bucket * BUCKET)
            further.extend(found)
        return further


def _execution(own: Record | None, children: Sequence[Record]) -> tuple[Record | None, Sequence[Record]]:
    return own, children if own is None else _of(own.expires, children)


def _of(expires: int | None, children: Sequence[Record]) -> Sequence[Record]:
    """Without what an earlier execution of the id left: it has expired, and DynamoDB will remove it.

    All records of an execution expire at one time, and a later execution expires later, or never.
    """
    return [child for child in children if child.expires == expires]
