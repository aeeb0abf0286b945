"""A table's stream, read as Lambda's event source mapping reads it: filters, batches, partial failures, retries."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapter.testing.faults import Killed
from adapter.testing.simulated_aws.filters import compile_pattern
from adapter.testing.simulated_aws.template import StreamMapping

Deliver = Callable[[str, dict[str, Any], int], Any]
"""Calls a function with an event, at an attempt; returns its response, raises as it does."""


@dataclass
class TableStream:
    """The shards of a table's stream behind a client of DynamoDB Streams."""

    client: Any
    arn: str
    iterators: dict[str, str | None] = field(default_factory=dict)

    def read(self) -> list[dict[str, Any]]:
        """What is new, as Lambda hands it over, in the order of each shard."""
        found: list[dict[str, Any]] = []
        shards = self.client.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"]
        for shard in (shard["ShardId"] for shard in shards):
            if shard not in self.iterators:
                self.iterators[shard] = self.client.get_shard_iterator(
                    StreamArn=self.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
            found.extend(as_event(record, self.arn) for record in self._read(shard))
        return found

    def _read(self, shard: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (iterator := self.iterators[shard]) is not None:
            page = self.client.get_records(ShardIterator=iterator)
            self.iterators[shard] = page.get("NextShardIterator")
            if not page["Records"]:
                break
            found.extend(page["Records"])
        return found


@dataclass
class Lane:
    """One shard for one event source mapping: in order, and stopped by what fails.

    ``not_before``: microseconds until which its next batch is late.
    """

    mapping: StreamMapping
    backlog: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0
    size: int = 0
    not_before: int = 0
    busy: bool = False
    discarded: list[dict[str, Any]] = field(default_factory=list)

    def deliver(self, deliver: Deliver, limit: int | None = None) -> bool:
        """Hand one batch to the function; False where there is none. What failed stays until its retries end."""
        batch = self.backlog[: limit or self.size or self.mapping.batch_size]
        if not batch:
            return False
        self.busy = True
        try:
            done = self._handled(batch, deliver)
        finally:
            self.busy = False
        self.backlog = self.backlog[done:]
        if done:
            # Progress: what failed after it has failed for the first time.
            self.failures = self.size = 0
        if done < len(batch):
            self._failed(len(batch))
        return True

    def _handled(self, batch: list[dict[str, Any]], deliver: Deliver) -> int:
        """How many records from the start of the batch were handled."""
        try:
            response = deliver(self.mapping.function, {"Records": batch}, self.failures + 1)
        except (Exception, Killed):
            return 0
        if not self.mapping.report_item_failures:
            return len(batch)
        failed = {entry.get("itemIdentifier") for entry in (response or {}).get("batchItemFailures") or ()}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        if not failed <= set(numbers):
            # An identifier that isn't in the batch: Lambda takes the whole batch for failed.
            return 0
        return next((position for position, number in enumerate(numbers) if number in failed), len(batch))

    def _failed(self, size: int) -> None:
        if self.mapping.bisect and size > 1:
            # Halves are tried until the record that fails is alone; splitting uses up no retry.
            self.size = max(1, size // 2)
            return
        self.failures += 1
        if self.mapping.max_retries is not None and self.failures > self.mapping.max_retries:
            # The first record of what is left is the one that failed; the on-failure queue would get it.
            self.discarded.append(self.backlog.pop(0))
            self.failures = self.size = 0


class Poller:
    """Follows a stream for one event source mapping.

    Args:
        read: gives what is new, oldest first.
        lanes: into how many shards the items are spread; an item's changes stay in order within its own.
    """

    def __init__(self, read: Callable[[], list[dict[str, Any]]], mapping: StreamMapping, lanes: int = 1) -> None:
        self.mapping = mapping
        self.lanes = [Lane(mapping) for _ in range(lanes)]
        self._read = read
        self._patterns = [compile_pattern(pattern) for pattern in mapping.filters]

    @property
    def backlog(self) -> list[dict[str, Any]]:
        """What waits for the function."""
        return [record for lane in self.lanes for record in lane.backlog]

    @property
    def discarded(self) -> list[dict[str, Any]]:
        """What the function failed at too often."""
        return [record for lane in self.lanes for record in lane.discarded]

    def fetch(self) -> list[tuple[Lane, int]]:
        """Read what is new: the lanes in which any of it is wanted, and how much."""
        before = [len(lane.backlog) for lane in self.lanes]
        for record in self._read():
            if not self._patterns or any(match(record) for match in self._patterns):
                self._lane_of(record).backlog.append(record)
        added = [(lane, len(lane.backlog) - count) for lane, count in zip(self.lanes, before, strict=True)]
        return [(lane, fresh) for lane, fresh in added if fresh]

    def _lane_of(self, record: dict[str, Any]) -> Lane:
        if len(self.lanes) == 1:
            return self.lanes[0]
        key = record["dynamodb"].get("Keys", {}).get("pk", {}).get("S", "")
        return self.lanes[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(self.lanes)]


def as_event(record: dict[str, Any], arn: str) -> dict[str, Any]:
    """A stream record as Lambda hands it over."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, dt.datetime):
        change["ApproximateCreationDateTime"] = created.timestamp()
    return {**record, "dynamodb": change, "eventSource": "aws:dynamodb", "eventSourceARN": arn}
