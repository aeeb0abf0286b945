"""A table's stream, read as Lambda's event source mapping reads it: filters, batches, partial failures, retries.

The mapping puts aside a record that is too old, or that the function fails at for too long: its on-failure queue hears
where the record was, and not what it was.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapter.protocol.times import EPOCH, SECOND, Instant, Span, span_of
from adapter.templates.intrinsics import ACCOUNT, REGION
from adapter.templates.template import StreamMapping
from adapter.testing.faults import Killed
from adapter.testing.simulated_aws.filters import compile_pattern
from adapter.testing.simulated_aws.outages import Throttled

Deliver = Callable[[str, dict[str, Any], int], Any]
"""Calls a function with an event, at this attempt. Returns its response, or raises its error."""

Send = Callable[[str, str], None]
"""Puts a text into a queue, by its name."""

FIRST_PAUSE, LONGEST_PAUSE = SECOND, 60 * SECOND
"""The pause before a batch that failed comes again. It doubles each time."""

RETENTION = 86_400 * SECOND
"""A stream keeps nothing for longer."""


SHARD = "shardId-00000001541626099285-f35f62ef"
"""What is told of where a record was: the one shard that moto has."""

WRITTEN_AT = "ApproximateCreationDateTime"


def _nowhere(queue: str, body: str) -> None:
    """Tells no queue."""


@dataclass
class TableStream:
    """The shards of a table's stream behind a client of DynamoDB Streams."""

    client: Any
    arn: str
    iterators: dict[str, str | None] = field(default_factory=dict)

    def read(self) -> list[dict[str, Any]]:
        """The new records, as Lambda hands them over, in the order of each shard."""
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
class MotoStream(TableStream):
    """A stream on moto, which has one shard, and tells how many records were ever in it."""

    taken: int = 0

    def read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while self.taken < self._written():
            page = self.client.get_records(ShardIterator=self._iterator())
            self.iterators[SHARD] = page["NextShardIterator"]
            self.taken += len(page["Records"])
            found.extend(as_event(record, self.arn) for record in page["Records"])
        return found

    def _written(self) -> int:
        """It is asked at each step of the cloud: a request would take longer than all the rest of the step."""
        from moto.dynamodb.models import dynamodb_backends

        table = dynamodb_backends[ACCOUNT][REGION].tables[self.arn.split("/")[1]]
        return 0 if table.stream_shard is None else len(table.stream_shard.items)

    def _iterator(self) -> str | None:
        if SHARD not in self.iterators:
            self.iterators[SHARD] = self.client.get_shard_iterator(
                StreamArn=self.arn, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        return self.iterators[SHARD]


@dataclass
class Lane:
    """One shard for one event source mapping. It keeps the order, and a record that fails stops it.

    ``not_before``: when a late batch comes; ``retry_at``: when a batch that failed comes again (microseconds).
    ``taken``: so many records the function is handling; ``read_at``: when the reader has those that wait.
    """

    mapping: StreamMapping
    clock: Callable[[], Instant] = lambda: EPOCH
    send: Send = _nowhere
    backlog: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0
    size: int = 0
    taken: int = 0
    read_at: Instant = EPOCH
    not_before: Instant = EPOCH
    retry_at: Instant = EPOCH
    busy: bool = False
    discarded: list[dict[str, Any]] = field(default_factory=list)
    _pause: Span = FIRST_PAUSE

    @property
    def ready_at(self) -> Instant:
        """When its next batch comes."""
        return max(self.not_before, self.retry_at)

    def deliver(self, deliver: Deliver, limit: int | None = None) -> bool:
        """Hand one batch to the function; False if there is none. Failed records stay until their retries end."""
        self._expire()
        batch = self.backlog[: limit or self.size or self.mapping.batch_size]
        if not batch:
            return False
        self.busy, self.taken = True, len(batch)
        try:
            done = self._handled(batch, deliver)
        except Throttled:
            self._put_off()
            return True
        finally:
            self.busy, self.taken = False, 0
        self.backlog = self.backlog[done:]
        if done:
            # There was progress, so the next record fails for the first time.
            self._begin()
        if done < len(batch):
            self._failed(len(batch) - done)
        return True

    def drop(self, position: int) -> None:
        """Put a record aside that is waiting, though the function could have handled it."""
        self._put_aside([self.backlog.pop(position)], "RetryAttemptsExhausted")

    def _put_aside(self, records: list[dict[str, Any]], condition: str) -> None:
        """The on-failure queue is told where they were, as Lambda tells it."""
        self.discarded.extend(records)
        if self.mapping.on_failure is not None:
            told = put_aside(records, self.mapping.function, condition, self.failures, self.clock())
            self.send(self.mapping.on_failure.rpartition(":")[2], json.dumps(told))

    def _expire(self) -> None:
        """Drop records that are too old for the mapping; and those that the stream itself keeps no longer."""
        age, now = self.mapping.max_record_age_s, self.clock()
        kept = RETENTION if age is None else min(age * SECOND, RETENTION)
        old = list(itertools.takewhile(lambda record: _written_at(record, now) < now - kept, self.backlog))
        if not old:
            return
        self.backlog = self.backlog[len(old) :]
        if age is not None:
            self._put_aside(old, "RecordAgeExceeded")
        else:
            self.discarded.extend(old)
        self._begin()

    def _handled(self, batch: list[dict[str, Any]], deliver: Deliver) -> int:
        """How many records from the start of the batch were handled."""
        try:
            response = deliver(self.mapping.function, {"Records": batch}, self.failures + 1)
        except Throttled:
            raise
        except (Exception, Killed):
            return 0
        if not self.mapping.report_item_failures:
            return len(batch)
        failed = {entry.get("itemIdentifier") for entry in (response or {}).get("batchItemFailures") or ()}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        if not failed <= set(numbers):
            # The identifier isn't in the batch, so Lambda takes the whole batch for failed.
            return 0
        return next((position for position, number in enumerate(numbers) if number in failed), len(batch))

    def _begin(self) -> None:
        self.failures = self.size = 0
        self.retry_at = EPOCH
        self._pause = FIRST_PAUSE

    def _put_off(self) -> None:
        """It comes again later. A throttled batch is no failure of the function's, and uses up no retry."""
        self.retry_at, self._pause = self.clock() + self._pause, min(2 * self._pause, LONGEST_PAUSE)

    def _failed(self, size: int) -> None:
        """``size``: how many records are to come again."""
        self._put_off()
        if self.mapping.bisect and size > 1:
            # Lambda halves the batch until the failing record is alone. Splitting uses up no retry.
            self.size = max(1, size // 2)
            return
        self.failures += 1
        if self.mapping.max_retries is not None and self.failures > self.mapping.max_retries:
            # The whole batch that came again and again, whichever record of it failed.
            failed, self.backlog = self.backlog[:size], self.backlog[size:]
            self._put_aside(failed, "RetryAttemptsExhausted")
            self._begin()


class Poller:
    """Follows a stream for one event source mapping.

    Args:
        read: gives the new records, oldest first.
        lanes: into how many shards the items are spread. Each shard has as many lanes as the mapping says; the records
            of one partition of the table stay in order.
        clock: gives the time in microseconds; without one, time stands still.
        send: how the on-failure queue is told.
    """

    def __init__(
        self,
        read: Callable[[], list[dict[str, Any]]],
        mapping: StreamMapping,
        lanes: int = 1,
        clock: Callable[[], Instant] | None = None,
        send: Send = _nowhere,
    ) -> None:
        self.mapping = mapping
        self.lanes = [
            Lane(mapping, clock or (lambda: EPOCH), send) for _ in range(lanes * mapping.parallelization_factor)
        ]
        self._clock = clock
        self._read = read
        self._patterns = [compile_pattern(pattern) for pattern in mapping.filters]

    @property
    def backlog(self) -> list[dict[str, Any]]:
        """The records that wait for the function."""
        return [record for lane in self.lanes for record in lane.backlog]

    @property
    def discarded(self) -> list[dict[str, Any]]:
        """The records that the function failed at too often."""
        return [record for lane in self.lanes for record in lane.discarded]

    def fetch(self) -> list[tuple[Lane, int]]:
        """Read the new records. Returns the lanes that want any of them, and how many."""
        before = [len(lane.backlog) for lane in self.lanes]
        for record in self._read():
            if not self._patterns or any(match(record) for match in self._patterns):
                self._lane_of(record).backlog.append(self._timed(record))
        added = [(lane, len(lane.backlog) - count) for lane, count in zip(self.lanes, before, strict=True)]
        return [(lane, fresh) for lane, fresh in added if fresh]

    def _timed(self, record: dict[str, Any]) -> dict[str, Any]:
        """With the virtual time at which it was written: emulators tell the real one, or none."""
        if self._clock is None:
            return record
        return {**record, "dynamodb": {**record["dynamodb"], WRITTEN_AT: self._clock() / SECOND}}

    def _lane_of(self, record: dict[str, Any]) -> Lane:
        if len(self.lanes) == 1:
            return self.lanes[0]
        key = record["dynamodb"].get("Keys", {}).get("pk", {}).get("S", "")
        return self.lanes[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(self.lanes)]


def as_event(record: dict[str, Any], arn: str) -> dict[str, Any]:
    """A stream record as Lambda hands it over."""
    change = dict(record["dynamodb"])
    created = change.get(WRITTEN_AT)
    if isinstance(created, dt.datetime):
        change[WRITTEN_AT] = created.timestamp()
    return {**record, "dynamodb": change, "eventSource": "aws:dynamodb", "eventSourceARN": arn}


def put_aside(
    records: list[dict[str, Any]], function: str, condition: str, attempts: int, now: Instant
) -> dict[str, Any]:
    """What Lambda's on-failure destination is told of stream records: where they were, and not what they were."""
    first, last = records[0], records[-1]
    return {
        "requestContext": {
            "requestId": f"aside-{first['dynamodb']['SequenceNumber']}",
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _text_of(now),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
            "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _text_of(_written_at(first, now)),
            "approximateArrivalOfLastRecord": _text_of(_written_at(last, now)),
            "batchSize": len(records),
            "streamArn": first.get("eventSourceARN", ""),
        },
    }


def _written_at(record: dict[str, Any], otherwise: Instant) -> Instant:
    written = record["dynamodb"].get(WRITTEN_AT)
    return EPOCH + span_of(written) if isinstance(written, float | int) else otherwise


def _text_of(at: Instant) -> str:
    return dt.datetime.fromtimestamp(at / SECOND, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
