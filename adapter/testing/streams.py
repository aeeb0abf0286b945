"""A table's stream, read as Lambda's event source mapping reads it: filters, batches, partial failures, retries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapter.testing.faults import Killed
from adapter.testing.filters import compile_pattern
from adapter.testing.template import StreamMapping

Deliver = Callable[[str, dict[str, Any], int], Any]
"""Calls a function with an event, at an attempt; returns its response, raises as it does."""


@dataclass
class Poller:
    """Follows every shard of a stream for one event source mapping."""

    client: Any
    arn: str
    mapping: StreamMapping
    iterators: dict[str, str | None] = field(default_factory=dict)
    backlog: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0
    size: int = 0
    discarded: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        patterns = [compile_pattern(pattern) for pattern in self.mapping.filters]
        self._patterns = patterns

    def fetch(self) -> int:
        """Read what is new in every shard; how many records of it are wanted."""
        before = len(self.backlog)
        shards = self.client.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"]
        for shard in (shard["ShardId"] for shard in shards):
            if shard not in self.iterators:
                self.iterators[shard] = self.client.get_shard_iterator(
                    StreamArn=self.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
            self._read(shard)
        return len(self.backlog) - before

    def _read(self, shard: str) -> None:
        while (iterator := self.iterators[shard]) is not None:
            page = self.client.get_records(ShardIterator=iterator)
            self.iterators[shard] = page.get("NextShardIterator")
            if not page["Records"]:
                return
            records = (as_event(record, self.arn) for record in page["Records"])
            self.backlog.extend(
                record for record in records if not self._patterns or any(match(record) for match in self._patterns)
            )

    def deliver(self, deliver: Deliver) -> bool:
        """Hand one batch to the function; False where there is none. What failed stays until its retries end."""
        batch = self.backlog[: self.size or self.mapping.batch_size]
        if not batch:
            return False
        done = self._handled(batch, deliver)
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


def as_event(record: dict[str, Any], arn: str) -> dict[str, Any]:
    """A stream record as Lambda hands it over."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, dt.datetime):
        change["ApproximateCreationDateTime"] = created.timestamp()
    return {**record, "dynamodb": change, "eventSource": "aws:dynamodb", "eventSourceARN": arn}
