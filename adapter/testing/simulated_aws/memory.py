"""The table in memory: the protocol's transitions on a dict, an index of what is due, and a stream of changes.

It takes time linear in the number of promises, and is a hundred times as fast as an emulator: it is for thousands of
runs. It doesn't refuse what only DynamoDB can refuse (an item's size, an expression). The contract tests of the store
run on it, too.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.aws.chapters import number_of
from adapter.aws.items import PROJECTED, check_size, to_item
from adapter.aws.partitions import Partitions
from adapter.errors import ConfigurationError
from adapter.protocol import promises
from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import ROOT_ORDINAL, key_of, parent_of
from adapter.protocol.making import changed
from adapter.protocol.promises import Arming, Firing, Refused, Written
from adapter.protocol.records import SEALED, Kind, Record, State
from adapter.protocol.times import EPOCH, MINUTE, NO_TIME, SECOND, Instant, Span
from adapter.protocol.timing import SCHEDULES, Due, due_of, shard_of
from adapter.testing.simulated_aws.chapters import Chapters
from adapter.testing.simulated_aws.time_to_live import TimeToLive
from adapter.testing.stats import Stats, item_size

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/memory/stream/1"


@dataclass
class _Partition:
    """Records by sort key; ``keys`` are sorted."""

    keys: list[int] = field(default_factory=list)
    records: dict[int, Record] = field(default_factory=dict)

    def put(self, key: int, record: Record) -> None:
        if key not in self.records:
            bisect.insort(self.keys, key)
        self.records[key] = record

    def pop(self, key: int) -> None:
        self.keys.remove(key)
        del self.records[key]


_EMPTY = _Partition()

LAG = SECOND
"""How old the answer of a lagging read may be. AWS names no bound; mostly it is less."""


class Transitions(ABC):
    """The writes of `adapter.engine.ports.Store`.

    Each applies a pure transition to the record that stands, and keeps the result unless it is refused.
    """

    @abstractmethod
    def peek(self, promise: str) -> Record | None:
        """The record that stands. This read isn't counted."""

    @abstractmethod
    def write(self, promise: str, written: Written) -> Written:
        """Keep the result of a transition, and return it; or return the refusal."""

    @abstractmethod
    def drop(self, record: Record) -> Record:
        """Remove a record, and return it."""

    def create(self, record: Record) -> Written:
        check_size(record.id, *(getattr(record, name) for name in SEALED))
        return self.write(record.id, promises.create(self.peek(record.id), record))

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
        check_size(promise, value)
        written = promises.settle(
            self.peek(promise), state, value, at, due_at, by_parent, unless_objects, prompted_by, took, retries
        )
        return self.write(promise, written)

    def ask(self, promise: str) -> Written:
        return self.write(promise, promises.ask(self.peek(promise)))

    def claim(
        self,
        promise: str,
        by: str,
        firing: Firing | None = None,
        due_at: Instant | None = None,
        armed: int | None = None,
    ) -> Written:
        return self.write(promise, promises.claim(self.peek(promise), by, firing, due_at, armed))

    def postpone(self, promise: str, was: Instant, due_at: Instant | None) -> Written:
        return self.write(promise, promises.postpone(self.peek(promise), was, due_at))

    def mark_objects(self, promise: str) -> Written:
        return self.write(promise, promises.mark_objects(self.peek(promise)))

    def register(self, promise: str, awaiter: str) -> Written:
        return self.write(promise, promises.register(self.peek(promise), awaiter))

    def arm(self, promise: str, arming: Arming) -> Written:
        return self.write(promise, promises.arm(self.peek(promise), arming))

    def arrive(self, promise: str, count: int, rejected: int = 0) -> Written:
        return self.write(promise, promises.arrive(self.peek(promise), count, rejected))

    def close(self, promise: str, due_at: Instant | None = None, at: Instant = EPOCH) -> Written:
        return self.write(promise, promises.close(self.peek(promise), due_at, at))

    def remove(self, promise: str, created_at: Instant) -> Written:
        removed = promises.remove(self.peek(promise), created_at)
        return removed if isinstance(removed, Refused) else self.drop(removed)

    def pause(self, promise: str, why: str) -> Written:
        return self.write(promise, promises.pause(self.peek(promise), why))

    def hold(self, promise: str, why: str, since: Instant, retry_at: Instant) -> Written:
        return self.write(promise, promises.hold(self.peek(promise), why, since, retry_at))

    def pin(self, promise: str, was: str, target: str, unpinned: str) -> Written:
        return self.write(promise, promises.pin(self.peek(promise), was, target, unpinned))


class MemoryStore(Partitions, Transitions):
    """`adapter.engine.ports.Store` in memory. ``changes`` is its stream, with records as Lambda hands them over.

    ``lags`` says of each read that may lag whether it does: it then shows what stood ``LAG`` before. ``expires`` is the
    attribute that tells when an item expires.
    """

    def __init__(
        self,
        stats: Stats | None = None,
        clock: Callable[[], Instant] = lambda: EPOCH,
        lags: Callable[[], bool] = lambda: False,
        expires: str = "",
    ) -> None:
        self.time_to_live = TimeToLive(expires)
        self._clock = clock
        self._lags = lags
        self._changed_at = EPOCH
        self._replaced: dict[str, dict[int, tuple[Instant, Record | None]]] = {}
        self.changes: list[dict[str, Any]] = []
        self._stats = stats or Stats()
        self._partitions: dict[str, _Partition] = {}
        self._chapters = Chapters()
        self._items: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}
        self._due: dict[str, list[tuple[Instant, str]]] = {}
        self._minutes: list[int] = []
        self._per_minute: Counter[int] = Counter()
        self._number = 0

    # Reads.

    def read_promise(self, promise: str, lagging: bool = False) -> Record | None:
        partition, key = key_of(promise)
        found = self._shown(partition, lagging).records.get(key)
        self._read([found] if found else [], lagging)
        return found

    def query(self, partition: str, first: int, last: int | None = None, lagging: bool = False) -> list[Record]:
        shown = self._shown(partition, lagging)
        end = None if last is None else bisect.bisect_right(shown.keys, last)
        found = [shown.records[key] for key in shown.keys[bisect.bisect_left(shown.keys, first) : end]]
        self._read(found, lagging)
        return [changed(record, args="", value="") for record in found] if lagging else found

    def _shown(self, partition: str, lagging: bool) -> _Partition:
        standing = self._partitions.get(partition, _EMPTY)
        if not lagging or not self._lags():
            return standing
        since = self._clock() - LAG
        before = {key: old for key, (at, old) in self._replaced.get(partition, {}).items() if at >= since}
        shown = {key: record for key, record in {**standing.records, **before}.items() if record is not None}
        return _Partition(sorted(shown), shown)

    def read_chapters(self, promise: str) -> tuple[Record | None, Sequence[Chapter]]:
        own = self.peek(promise) if parent_of(promise) is None else None
        size = self._chapters.size(promise) + (self._sizes[promise] if own else 0)
        self._stats.count_read(size, consistent=True)
        return own, self._chapters.of(promise)

    def peek_chapters(self, promise: str) -> Sequence[int]:
        self._stats.count_read(self._chapters.size(promise), consistent=False)
        return [chapter.number for chapter in self._chapters.of(promise)]

    def chapters(self) -> Sequence[Chapter]:
        """All chapters there are."""
        return self._chapters.every()

    def due(self, shard: str, until: Instant) -> Iterator[Sequence[Due]]:
        self._stats.count_read(0, consistent=False)
        entries = self._due.get(shard, [])
        found = [self.peek(promise) for _, promise in entries[: bisect.bisect_left(entries, (until, ""))]]
        yield [entry for record in found if record is not None and (entry := due_of(record)) is not None]

    def due_minutes(self) -> list[int]:
        """The minutes in which anything is due, in order."""
        return self._minutes

    def has_schedules(self) -> bool:
        return bool(self._due.get(SCHEDULES))

    def records(self) -> list[Record]:
        """All records, by key."""
        return [partition.records[key] for _, partition in sorted(self._partitions.items()) for key in partition.keys]

    # Writes.

    def delete(self, promise: str) -> Record | None:
        standing = self.peek(promise)
        if standing is not None and standing.kind is not Kind.SCHEDULE:
            raise ConfigurationError(f"{promise} isn't a schedule: nothing else is ever removed")
        if standing is None:
            self._stats.count_write(0)
            return None
        return self.drop(standing)

    def write_chapter(self, chapter: Chapter) -> None:
        old = self._chapters.item(chapter.promise, chapter.number)
        item = self._chapters.put(chapter)
        self.time_to_live.note(item)
        self._stream(chapter.promise, old, item)
        self._stats.count_write(item_size(item))

    def remove_chapter(self, promise: str, number: int) -> None:
        item = self._chapters.pop(promise, number)
        self._stats.count_write(0 if item is None else item_size(item))
        if item is not None:
            self._stream(promise, item, None)

    def expire(self, now: Instant) -> None:
        """Let DynamoDB remove what it finds expired by now. The stream says who removed it."""
        for pk, sk in self.time_to_live.take(now):
            if int(sk) < ROOT_ORDINAL:
                self._expire_chapter(pk, number_of({"sk": {"N": sk}}), now)
                continue
            partition = self._partitions.get(pk)
            standing = None if partition is None else partition.records.get(int(sk))
            if standing is None or not self.time_to_live.has_expired(self._items[standing.id], now):
                continue
            self._stats.metered = False
            try:
                self.drop(standing)
            finally:
                self._stats.metered = True
            self.changes[-1]["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

    def _expire_chapter(self, promise: str, number: int, now: Instant) -> None:
        item = self._chapters.item(promise, number)
        if item is not None and self.time_to_live.has_expired(item, now):
            self._chapters.pop(promise, number)

    # Bookkeeping.

    def peek(self, promise: str) -> Record | None:
        partition, key = key_of(promise)
        known = self._partitions.get(partition)
        return None if known is None else known.records.get(key)

    def _read(self, found: Sequence[Record], lagging: bool) -> None:
        # A record that is gone since has no size any more.
        self._stats.count_read(sum(self._sizes.get(record.id, 0) for record in found), consistent=not lagging)

    def _remember(self, partition: str, key: int, old: Record | None) -> None:
        """For reads that lag: of several changes, what stood before the first."""
        now = self._clock()
        if now > self._changed_at + LAG:
            self._replaced.clear()
        self._changed_at = now
        replaced = self._replaced.setdefault(partition, {})
        if key not in replaced or replaced[key][0] < now - LAG:
            replaced[key] = (now, old)

    def write(self, promise: str, written: Written) -> Written:
        if isinstance(written, Refused):
            self._stats.count_write(0)
            return written
        partition, key = key_of(promise)
        held = self._partitions.setdefault(partition, _Partition())
        old = held.records.get(key)
        self._remember(partition, key, old)
        self._index(old, written)
        held.put(key, written)
        item = to_item(written)
        self.time_to_live.note(item)
        self._stream(promise, self._items.get(promise), item)
        self._items[promise] = item
        self._sizes[promise] = item_size(item)
        self._stats.count_write(self._sizes[promise])
        return written

    def drop(self, record: Record) -> Record:
        self._stats.count_write(self._sizes.pop(record.id))
        self._index(record, None)
        partition, key = key_of(record.id)
        self._remember(partition, key, record)
        self._partitions[partition].pop(key)
        if not self._partitions[partition].keys:
            del self._partitions[partition]
        self._stream(record.id, self._items.pop(record.id), None)
        return record

    def _index(self, old: Record | None, new: Record | None) -> None:
        before = None if old is None or old.due_at is None else (old.due_at, old.id)
        after = None if new is None or new.due_at is None else (new.due_at, new.id)
        if before == after:
            return
        if before is not None:
            entries = self._due[shard_of(before[1])]
            del entries[bisect.bisect_left(entries, before)]
            self._tally(before[0] // MINUTE, -1)
        if after is not None:
            bisect.insort(self._due.setdefault(shard_of(after[1]), []), after)
            self._tally(after[0] // MINUTE, 1)

    def _tally(self, minute: int, change: int) -> None:
        self._per_minute[minute] += change
        if not self._per_minute[minute]:
            self._minutes.remove(minute)
        elif change > 0 and self._per_minute[minute] == 1:
            bisect.insort(self._minutes, minute)

    def _stream(self, promise: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        self._stats.count_change(old or {}, new or {}, PROJECTED)
        self._number += 1
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        image = new or old or {}
        change: dict[str, Any] = {
            "Keys": {"pk": image["pk"], "sk": image["sk"]},
            "SequenceNumber": f"{self._number:021d}",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        if new is not None:
            change["NewImage"] = new
        if old is not None:
            change["OldImage"] = old
        self.changes.append(
            {
                "eventID": str(self._number),
                "eventName": name,
                "eventSource": "aws:dynamodb",
                "eventSourceARN": ARN,
                "dynamodb": change,
            }
        )
