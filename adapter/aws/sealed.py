"""A store that keeps user data as `adapter.aws.sealing` stores it. The engine sees none of that.

It opens only what a reader needs. A replay needs its children's outcomes but not their arguments; the resumer needs
neither. A part that isn't opened is `adapter.protocol.records.Stored`.

A write whose text would become an object is refused, as that of any other, if its execution was removed: nothing is put
then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from adapter.aws.marks import Gone, Marks
from adapter.aws.payloads import prefix_of
from adapter.aws.sealing import AboutToPut, Sealing, in_object, unannounced
from adapter.engine.ports import Clock, Pool, Store
from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import parent_of
from adapter.protocol.making import changed
from adapter.protocol.promises import Arming, Firing, Refusal, Refused, Written
from adapter.protocol.records import SEALED, Kind, Record, State, Stored
from adapter.protocol.times import EPOCH, NO_TIME, Instant, Span
from adapter.protocol.timing import Due

_REMOVED = Refused(Refusal.UNKNOWN, None)
"""How a store answers where there is no such record."""


class SealedStore:
    """`adapter.engine.ports.Store` over another one."""

    def __init__(self, store: Store, sealing: Sealing, pool: Pool, clock: Clock) -> None:
        self.inner = store
        self.sealing = sealing
        self._pool = pool
        self._marks = Marks(store, clock)

    def read_promise(self, promise: str) -> Record | None:
        found = self.inner.read_promise(promise)
        return None if found is None else self.sealing.opened(found, SEALED)

    def peek_promise(self, promise: str, lagging: bool = False) -> Record | None:
        found = self.inner.peek_promise(promise, lagging)
        return None if found is None else self.sealing.opened(found)

    def read_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]:
        own, children = self.inner.read_function(promise)
        return None if own is None else self.sealing.opened(own, SEALED), self._outcomes(children)

    def peek_function(self, promise: str, lagging: bool = False) -> tuple[Record | None, Sequence[Record]]:
        own, children = self.inner.peek_function(promise, lagging)
        return None if own is None else self.sealing.opened(own), [self.sealing.opened(child) for child in children]

    def peek_children(self, promise: str, expires: int | None = None, lagging: bool = False) -> Sequence[Record]:
        return [self.sealing.opened(child) for child in self.inner.peek_children(promise, expires, lagging)]

    def read_children(
        self, promise: str, first: int = 0, last: int | None = None, expires: int | None = None
    ) -> Sequence[Record]:
        return self._outcomes(self.inner.read_children(promise, first, last, expires))

    def read_chapters(self, promise: str) -> tuple[Record | None, Sequence[Chapter]]:
        own, chapters = self.inner.read_chapters(promise)
        opened = [replace(one, text=self.sealing.open_chapter(one.text, promise)) for one in chapters]
        return None if own is None else self.sealing.opened(own, SEALED), opened

    def write_chapter(self, chapter: Chapter) -> None:
        self.inner.write_chapter(replace(chapter, text=self.sealing.seal_chapter(chapter.text, chapter.promise)))

    def peek_chapters(self, promise: str) -> Sequence[int]:
        return self.inner.peek_chapters(promise)

    def remove_chapter(self, promise: str, number: int) -> None:
        self.inner.remove_chapter(promise, number)

    def create(self, record: Record) -> Written:
        is_root = parent_of(record.id) is None
        texts = {name: text for name in SEALED if (text := getattr(record, name))}
        # A root that is made here carries the mark itself.
        mark = unannounced if is_root else self._marks.mark
        sealed: dict[str, Any] = {name: self._seal(text, record.id, name, mark) for name, text in texts.items()}
        if None in sealed.values():
            return _REMOVED
        objects = is_root and any(in_object(text) for text in sealed.values())
        as_it_is = not objects and all(sealed[name] is text for name, text in texts.items())
        written = self.inner.create(record if as_it_is else changed(record, **sealed, objects=objects))
        if not isinstance(written, Refused):
            return changed(record, objects=True) if objects else record
        if objects and written.stands is not None and not written.stands.objects:
            try:
                # The object belongs to the execution that stands. Died before: the caller's retry comes here again.
                self._marks.mark(record.id)
            except Gone:
                # It was removed meanwhile.
                return self.create(record)
        return self._stands(written)

    def settle(
        self,
        promise: str,
        state: State,
        value: str,
        at: Instant,
        due_at: Instant | None = None,
        by_parent: bool = False,
        unless_objects: bool = False,
        prompted_by: str = "",
        took: Span = NO_TIME,
        retries: int = 0,
    ) -> Written:
        sealed = self._seal(value, promise, "value", self._marks.mark)
        if sealed is None:
            return _REMOVED
        unless_objects = unless_objects and not in_object(sealed)
        written = self.inner.settle(
            promise, state, sealed, at, due_at, by_parent, unless_objects, prompted_by, took, retries
        )
        if isinstance(value, Stored):
            # A follower's outcome: the resumer carries it on without reading it.
            return self._unread(written)
        if isinstance(written, Refused):
            return self._stands(written)
        opened = self.sealing.opened(written)
        return opened if opened.value is value else changed(opened, value=value)

    def ask(self, promise: str) -> Written:
        written = self.inner.ask(promise)
        # A refusal carries the outcome that the parent watches for.
        return self._stands(written) if isinstance(written, Refused) else self.sealing.opened(written)

    def claim(
        self,
        promise: str,
        by: str,
        firing: Firing | None = None,
        due_at: Instant | None = None,
        armed: int | None = None,
    ) -> Written:
        written = self.inner.claim(promise, by, firing, due_at, armed)
        # A replay may need the function's arguments.
        return self._unread(written) if isinstance(written, Refused) else self.sealing.opened(written, ("args",))

    def postpone(self, promise: str, was: Instant, due_at: Instant | None) -> Written:
        return self._unread(self.inner.postpone(promise, was, due_at))

    def register(self, promise: str, awaiter: str) -> Written:
        written = self.inner.register(promise, awaiter)
        return self._stands(written) if isinstance(written, Refused) else self.sealing.opened(written)

    def arm(self, promise: str, arming: Arming) -> Written:
        return self._unread(self.inner.arm(promise, arming))

    def arrive(self, promise: str, count: int, rejected: int = 0) -> Written:
        return self._unread(self.inner.arrive(promise, count, rejected))

    def close(self, promise: str, due_at: Instant | None = None, at: Instant = EPOCH) -> Written:
        return self._unread(self.inner.close(promise, due_at, at))

    def remove(self, promise: str, created_at: Instant) -> Written:
        return self._unread(self.inner.remove(promise, created_at))

    def clear(self, promise: str, before: Instant) -> None:
        if self.sealing.payloads is not None:
            self.sealing.payloads.clear(prefix_of(promise), before)

    def portable(self, record: Record) -> Record:
        found: dict[str, Any] = {
            name: self.sealing.without_bucket(text, record.id)
            for name in SEALED
            if isinstance(text := getattr(record, name), Stored)
        }
        return changed(record, **found) if found else record

    def delete(self, promise: str) -> Record | None:
        deleted = self.inner.delete(promise)
        return None if deleted is None else self.sealing.opened(deleted)

    def hold(self, promise: str, why: str, since: Instant, retry_at: Instant) -> Written:
        return self._unread(self.inner.hold(promise, why, since, retry_at))

    def pin(self, promise: str, was: str, target: str, unpinned: str) -> Written:
        return self._unread(self.inner.pin(promise, was, target, unpinned))

    def pause(self, promise: str, why: str) -> Written:
        # A drift shows arguments.
        sealed = self._seal(why, promise, "paused", self._marks.mark)
        return _REMOVED if sealed is None else self._unread(self.inner.pause(promise, sealed))

    def due(self, shard: str, until: Instant) -> Iterator[Sequence[Due]]:
        return self.inner.due(shard, until)

    def mark_objects(self, promise: str) -> Written:
        return self._unread(self.inner.mark_objects(promise))

    def _seal(self, text: str, promise: str, part: str, mark: AboutToPut) -> str | None:
        """The stored form of a part; None where it needs an object, and its execution was removed."""
        try:
            return self.sealing.seal(text, promise, part, mark)
        except Gone:
            return None

    def _outcome(self, record: Record) -> Record:
        """A child with its outcome, which its caller needs; of a follower also what may start its root."""
        starts = record.pending and record.kind in (Kind.FOLLOW, Kind.DETACH)
        return self.sealing.opened(record, ("args", "value") if starts else ("value",))

    def _outcomes(self, records: Sequence[Record]) -> Sequence[Record]:
        """The children in order. Their objects are fetched side by side."""
        far = [record for record in records if in_object(record.value)]
        fetched = {record.id: record for record in self._pool.map(self._outcome, far)} if far else {}
        return [fetched.get(record.id) or self._outcome(record) for record in records]

    def _stands(self, refused: Refused) -> Refused:
        return refused if refused.stands is None else replace(refused, stands=self._outcome(refused.stands))

    def _unread(self, written: Written) -> Written:
        if not isinstance(written, Refused):
            return self.sealing.opened(written)
        return written if written.stands is None else replace(written, stands=self.sealing.opened(written.stands))
