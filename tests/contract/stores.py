"""The stores under contract, and the model that each of them is held against.

A further store joins by a line in `STORES`: a context manager that gives an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from adapter import promises
from adapter.ports import Store
from adapter.promises import Arming, Firing, Record, Refused, State, Written, parent_of
from adapter.testing.memory import MemoryStore
from adapter.timers import Due, shard_of
from tests.contract.tables import TABLES


class ModelStore:
    """`adapter.ports.Store` as it is meant: the pure transitions on a dict."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def get(self, promise: str) -> Record | None:
        return self.records.get(promise)

    def load(self, promise: str) -> tuple[Record | None, Sequence[Record]]:
        return self.get(promise), self.children(promise)

    def glance(self, promise: str) -> tuple[Record | None, Sequence[Record]]:
        return self.load(promise)

    def children(self, promise: str, first: int = 0) -> Sequence[Record]:
        found = [r for r in self.records.values() if parent_of(r.id) == promise and r.ordinal >= first]
        return sorted(found, key=lambda record: record.ordinal)

    def create(self, record: Record) -> Written:
        return self._keep(promises.create(self.get(record.id), record))

    def settle(self, promise: str, state: State, value: str, at: int, due_at: int | None = None) -> Written:
        return self._keep(promises.settle(self.get(promise), state, value, at, due_at))

    def claim(self, promise: str, firing: Firing | None = None, due_at: int | None = None) -> Written:
        return self._keep(promises.claim(self.get(promise), firing, due_at))

    def postpone(self, promise: str, was: int, due_at: int | None) -> Written:
        return self._keep(promises.postpone(self.get(promise), was, due_at))

    def register(self, promise: str, awaiter: str) -> Written:
        return self._keep(promises.register(self.get(promise), awaiter))

    def arm(self, promise: str, arming: Arming) -> Written:
        return self._keep(promises.arm(self.get(promise), arming))

    def arrive(self, promise: str, count: int) -> Written:
        return self._keep(promises.arrive(self.get(promise), count))

    def close(self, promise: str) -> Written:
        return self._keep(promises.close(self.get(promise)))

    def pause(self, promise: str, why: str) -> Written:
        return self._keep(promises.pause(self.get(promise), why))

    def delete(self, promise: str) -> Record | None:
        return self.records.pop(promise, None)

    def due(self, shard: str, until: int) -> Iterator[Sequence[Due]]:
        yield [
            Due(
                id=record.id,
                target=record.target,
                at=record.due_at,
                wake_at=record.wake_at,
            )
            for record in sorted(self.records.values(), key=lambda record: record.due_at or 0)
            if record.due_at is not None and record.due_at < until and shard_of(record.id) == shard
        ]

    def _keep(self, written: Written) -> Written:
        if not isinstance(written, Refused):
            self.records[written.id] = written
        return written


@contextmanager
def model() -> Iterator[ModelStore]:
    """The model itself: what is a law for the stores has to be one for it."""
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
