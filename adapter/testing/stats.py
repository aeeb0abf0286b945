"""What runs cost (requests, units, dollars), and how often each function ran."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from adapter.engine.telling import loggable_id
from adapter.timeline.prices import (
    DOLLARS_PER_GIGABYTE_SECOND,
    DOLLARS_PER_INVOCATION,
    DOLLARS_PER_READ_UNIT,
    DOLLARS_PER_WRITE_UNIT,
)

# us-east-1, on demand, November 2026.
DOLLARS_PER_MESSAGE_REQUEST = 0.40e-6
MESSAGE_CHUNK = 64 * 1024
"""Bytes that SQS bills as one request, whether they are one message or a batch."""

MESSAGES_TOGETHER = 10
"""What SQS takes in one request."""

DOLLARS_PER_PUT = 5e-6
DOLLARS_PER_GET = 0.4e-6
DOLLARS_PER_LOG_BYTE = 0.50e-9

OVERHEAD_SECONDS = 0.03
"""What an invocation is taken to be billed for beside the user's own code: five calls of DynamoDB, SQS or Lambda. An
assumption, since nothing has run on AWS."""

OVERHEAD_CALLS = 5
CALL_SECONDS = 0.006
"""What each call beyond those five takes."""

SIDE_BY_SIDE = 32
"""Calls that a sandbox makes at a time."""

LOG_LINE_BYTES = 350
"""Of a line of the library's log, the promise's id and the function's name aside; CloudWatch adds 26 to each."""

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_READS = frozenset({"GetItem", "Query"})


class ByFunction(Counter[str]):
    """Counts by durable function, or by its name; 0 for one that never ran."""

    def __getitem__(self, key: Any) -> int:
        return super().__getitem__(getattr(key, "name", key))

    def __missing__(self, key: Any) -> int:
        return 0


class Stats:
    """Counts since the cloud began, or since `reset`. Reads that the test itself makes aren't counted."""

    def __init__(self) -> None:
        self.metered = True
        self.reset()

    def reset(self) -> None:
        """Start counting afresh."""
        self.writes = 0
        self.reads = 0
        self.write_units = 0
        self.read_units = 0.0
        self.index_units = 0
        self.invocations = 0
        self.gigabyte_seconds = 0.0
        self.messages = 0
        self.message_requests = 0
        self.log_bytes = 0
        self.puts = 0
        self.gets = 0
        self.bodies = ByFunction()
        self.resumes = ByFunction()

    @property
    def bill(self) -> dict[str, float]:
        """The dollars for each thing that AWS bills, storage aside."""
        return {
            "table writes": self.write_units * DOLLARS_PER_WRITE_UNIT,
            "index writes": self.index_units * DOLLARS_PER_WRITE_UNIT,
            "reads": self.read_units * DOLLARS_PER_READ_UNIT,
            "invocations": self.invocations * DOLLARS_PER_INVOCATION,
            "compute": self.gigabyte_seconds * DOLLARS_PER_GIGABYTE_SECOND,
            "queues": self.message_requests * DOLLARS_PER_MESSAGE_REQUEST,
            "objects": self.puts * DOLLARS_PER_PUT + self.gets * DOLLARS_PER_GET,
            "logs": self.log_bytes * DOLLARS_PER_LOG_BYTE,
        }

    @property
    def dollars(self) -> float:
        """All of the bill. Invocations are taken to last 30 ms, longer with many calls or `LocalCloud.elapse`; with
        latencies, as long as they do.
        """
        return sum(self.bill.values())

    def __repr__(self) -> str:
        return f"<Stats {self.writes} writes, {self.reads} reads, {self.invocations} invocations, ${self.dollars:.7f}>"

    def count_request(self, operation: str, parameters: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        """One request to DynamoDB, by its parameters and its parsed response. A refused write costs one, too.

        A query that leaves attributes out is billed for them, too; what they take isn't known here.
        """
        if operation in WRITES:
            self.count_write(item_size(parsed.get("Attributes") or parameters.get("Item") or {}))
        elif operation in _READS:
            items = parsed.get("Items") or [parsed.get("Item") or {}]
            self.count_read(sum(item_size(item) for item in items), parameters.get("ConsistentRead", False))

    def count_messages(self, bodies: Sequence[str]) -> None:
        """One request that sends these."""
        self.messages += len(bodies)
        self.message_requests += _chunks(bodies)

    def count_received(self, bodies: Sequence[str]) -> None:
        """One request by which an event source mapping receives these."""
        self.message_requests += _chunks(bodies)

    def count_deleted(self, messages: int) -> None:
        """An event source mapping deletes so many messages of one batch, ten in each request."""
        self.message_requests += math.ceil(messages / MESSAGES_TOGETHER)

    def count_write(self, size: int) -> None:
        """One write of an item of so many bytes."""
        if self.metered:
            self.writes += 1
            self.write_units += max(1, math.ceil(size / 1024))

    def count_change(self, old: Mapping[str, Any], new: Mapping[str, Any], projected: Collection[str]) -> None:
        """What a change of an item costs in the index: each of its entries that is removed, put or changed.

        Args:
            projected: the names of the attributes that an entry has, its keys included.
        """
        if "due_at" not in old and "due_at" not in new:
            return
        before, after = _entry(old, projected), _entry(new, projected)
        if before == after or not self.metered:
            return
        moved = before.get("due_at") != after.get("due_at") or before.get("due_shard") != after.get("due_shard")
        sizes = [item_size(before), item_size(after)] if moved else [max(item_size(before), item_size(after))]
        self.index_units += sum(math.ceil(size / 1024) for size in sizes)

    def count_invocation(self, memory_mb: int, seconds: float = OVERHEAD_SECONDS) -> None:
        """One attempt of an invocation, the code that the user's functions run aside."""
        self.invocations += 1
        self.count_seconds(seconds, memory_mb)

    def count_seconds(self, seconds: float, memory_mb: int) -> None:
        """An invocation ran for so long."""
        self.gigabyte_seconds += seconds * memory_mb / 1024

    def count_calls(self, calls: int, memory_mb: int) -> None:
        """An invocation made so many calls, one after the other."""
        self.count_seconds(max(0, calls - OVERHEAD_CALLS) * CALL_SECONDS, memory_mb)

    def count_line(self, promise: str, fn: str) -> None:
        """One line of the library's log."""
        self.log_bytes += LOG_LINE_BYTES + len(loggable_id(promise)) + len(fn)

    def count_read(self, size: int, consistent: bool) -> None:
        """One read of so many bytes. What needn't be consistent costs half; an index's reads never are."""
        if self.metered:
            self.reads += 1
            self.read_units += max(1, math.ceil(size / 4096)) * (1 if consistent else 0.5)


def _chunks(bodies: Sequence[str]) -> int:
    return max(1, math.ceil(sum(len(body.encode("utf-8", "surrogatepass")) for body in bodies) / MESSAGE_CHUNK))


def _entry(item: Mapping[str, Any], projected: Collection[str]) -> dict[str, Any]:
    """The entry that an item has in the index; empty where it has none."""
    if "due_at" not in item or "due_shard" not in item:
        return {}
    return {name: typed for name, typed in item.items() if name in projected}


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them: names and values."""
    # Each write of the memory engine comes here, with a dozen texts and numbers: one text is measured faster.
    texts, size = [*item], 0
    for typed in item.values():
        if (text := typed.get("S")) is not None:
            texts.append(text)
        elif (number := typed.get("N")) is not None:
            size += len(number) // 2 + 2
        elif (several := typed.get("SS")) is not None:
            texts += several
        elif (raw := typed.get("B")) is not None:
            size += len(raw)
        else:
            size += 1
    return size + _bytes("".join(texts))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
