"""A table, as a local cloud reads it. The cloud's reads aren't counted, and the library's requests are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from adapter.aws.chapters import is_chapter, to_chapter
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.items import to_record
from adapter.aws.keys import Signatures
from adapter.aws.notes import MARK, TableNote
from adapter.aws.store import DynamoStore
from adapter.protocol.chapters import Chapter
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, Instant
from adapter.protocol.timing import SCHEDULES
from adapter.testing.simulated_aws.time_to_live import TimeToLive
from adapter.testing.stats import WRITES, Stats


class ScannedTable:
    """The table of a local cloud. A subclass makes ``store``, ``table`` and ``time_to_live`` in `_open`.

    Then it calls `meter`.
    """

    make_invoker = LambdaInvoker
    make_signatures = Signatures
    store: DynamoStore
    table: str
    time_to_live: TimeToLive

    def __init__(self, stats: Stats) -> None:
        self._stack = ExitStack()
        self._stats = stats
        self._due: list[tuple[str, Instant]] | None = None

    def open(self) -> None:
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def _open(self) -> None:
        """Make everything. `close` undoes it."""
        raise NotImplementedError

    def due_minutes(self) -> list[int]:
        """The minutes in which anything is due, in order."""
        return sorted({at // MINUTE for _, at in self._entries()})

    def has_schedules(self) -> bool:
        return any(shard == SCHEDULES for shard, _ in self._entries())

    def records(self) -> list[Record]:
        """All records of the table, by id. The reads aren't counted."""
        items = (item for item in self._items() if not is_chapter(item))
        return sorted(map(to_record, items), key=lambda record: record.id)

    def chapters(self) -> Sequence[Chapter]:
        """All chapters of the table. The reads aren't counted."""
        return [chapter for item in self._items() if is_chapter(item) and (chapter := to_chapter(item)) is not None]

    def note(self, partition: str) -> TableNote:
        """A text beside the promises."""
        return TableNote(self.store.client, self.table, partition)

    def expire(self, now: Instant) -> None:
        """Let DynamoDB remove what it finds expired by now."""
        for pk, sk in self.time_to_live.take(now):
            key = {"pk": {"S": pk}, "sk": {"N": sk}}
            self._stats.metered = False
            try:
                item = self.store.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item", {})
                if self.time_to_live.has_expired(item, now):
                    self.store.client.delete_item(TableName=self.table, Key=key)
            finally:
                self._stats.metered = True

    def _entries(self) -> list[tuple[str, Instant]]:
        """The entries of the index. The reads aren't counted, and are repeated only after a write."""
        if self._due is None:
            # One scan in place of a query for each shard.
            items = self._scan(IndexName="due")
            self._due = [(item["due_shard"]["S"], Instant(item["due_at"]["N"])) for item in items]
        return self._due

    def _items(self) -> Iterator[dict[str, Any]]:
        return (item for item in self._scan() if not item["pk"]["S"].startswith(MARK))

    def _scan(self, **index: str) -> list[dict[str, Any]]:
        self._stats.metered = False
        try:
            pages = self.store.client.get_paginator("scan").paginate(TableName=self.table, **index)
            return [item for page in pages for item in page["Items"]]
        finally:
            self._stats.metered = True

    def meter(self) -> None:
        """Count each request of the store."""
        events = self.store.client.meta.events
        events.register("before-parameter-build.dynamodb.*", _remember_parameters)
        events.register("after-call.dynamodb.*", self._count)

    def _count(self, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        if model.name in WRITES:
            self._due = None
            self.time_to_live.note(context.get("parameters", {}).get("Item", {}))
        self._stats.count_request(model.name, context.get("parameters", {}), parsed)


def _remember_parameters(params: Any, context: Any, **_: Any) -> None:
    context["parameters"] = params
