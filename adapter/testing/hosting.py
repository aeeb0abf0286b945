"""The engine in a local cloud: ports with faults around each call, and a host that drives the cloud while it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adapter.aws.notes import Note
from adapter.engine.host import EngineHost
from adapter.engine.memory import Memory
from adapter.engine.operations import Now, Operation
from adapter.engine.ports import Payloads, Ports
from adapter.protocol.records import Record
from adapter.protocol.times import NO_TIME, Instant, Span
from adapter.testing.ports import Waiting
from adapter.testing.stats import Stats


@dataclass(frozen=True, kw_only=True)
class LocalPorts(Ports):
    """Ports with a fault before and after each call to the outside."""

    fault: Callable[[object, str], None]

    def perform(self, operation: Operation) -> Any:
        if type(operation) is Now:
            # It calls nobody. A Lambda that dies here dies as well before the next call, or after the one before.
            return self.clock.now()
        self.fault(operation, "before")
        result = Ports.perform(self, operation)
        self.fault(operation, "after")
        return result


@dataclass(frozen=True, slots=True)
class PutPayload:
    """A call that writes an object to the bucket. A Lambda may die around it, as around any operation of the engine."""

    key: str


@dataclass(frozen=True, slots=True)
class GetPayload:
    """A call that reads an object from the bucket."""

    key: str


@dataclass(frozen=True, slots=True)
class ClearPayloads:
    """Calls that remove objects from the bucket."""

    prefix: str


@dataclass(frozen=True)
class LocalPayloads:
    """`adapter.engine.ports.Payloads` with a fault before and after each call. It counts what AWS would charge."""

    payloads: Payloads
    stats: Stats
    fault: Callable[[object, str], None]

    def put(self, key: str, text: str) -> None:
        with self._around(PutPayload(key)):
            self.payloads.put(key, text)
            self.stats.puts += 1

    def get(self, key: str) -> str:
        with self._around(GetPayload(key)):
            self.stats.gets += 1
            return self.payloads.get(key)

    def copy(self, key: str, to: str) -> None:
        with self._around(PutPayload(to)):
            self.payloads.copy(key, to)
            self.stats.puts += 1

    def clear(self, prefix: str, before: Instant) -> None:
        with self._around(ClearPayloads(prefix)):
            self.payloads.clear(prefix, before)
            # Listing costs as much as putting; deleting costs nothing.
            self.stats.puts += 1

    @contextmanager
    def _around(self, call: object) -> Iterator[None]:
        self.fault(call, "before")
        yield
        self.fault(call, "after")


@dataclass(frozen=True, slots=True)
class WriteNote:
    """A call to the table, to make or replace a note: the keys that sign envelopes, or the moves of Lambdas."""

    partition: str


@dataclass(frozen=True)
class LocalNote:
    """`adapter.aws.notes.Note` with a fault before and after each write.

    Neither is counted: on AWS a sandbox reads the keys once in an hour, the moves only while a Lambda is missing, and
    hardly anybody writes either.
    """

    note: Note
    partition: str
    stats: Stats
    fault: Callable[[object, str], None]

    def read(self) -> str | None:
        with self._unmetered():
            return self.note.read()

    def write(self, text: str, was: str | None) -> bool:
        call = WriteNote(self.partition)
        self.fault(call, "before")
        with self._unmetered():
            written = self.note.write(text, was)
        self.fault(call, "after")
        return written

    @contextmanager
    def _unmetered(self) -> Iterator[None]:
        before, self.stats.metered = self.stats.metered, False
        try:
            yield
        finally:
            self.stats.metered = before


class InOrder:
    """`adapter.engine.ports.Pool` without threads: the same order at every run."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]


@dataclass(frozen=True)
class SkewedClock:
    """A Lambda's clock: the cloud's, wrong by ``skew``."""

    read: Callable[[], Instant]
    skew: Span = NO_TIME

    def now(self) -> Instant:
        return self.read() + self.skew


class LocalHost(EngineHost):
    """The engine inside the cloud. Waiting for a promise drives the cloud."""

    def __init__(self, cloud: Waiting, ports: Ports, memory: Memory | None = None) -> None:
        super().__init__(ports, memory)
        self._cloud = cloud

    def new_id(self) -> str:
        return self._cloud.new_id()

    def read_promise(self, promise: str) -> Record | None:
        return self.existing(self._cloud.peek(promise))

    def peek_promise(self, promise: str) -> Record | None:
        return self.existing(self._cloud.peek(promise, opened=False))

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        return self._cloud.wait(promise, timeout)

    def pass_time(self, seconds: float) -> None:
        self._cloud.advance(seconds)
