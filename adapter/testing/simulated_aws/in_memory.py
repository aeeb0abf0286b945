"""The services in memory: a table with its stream and index, queues, and a Lambda service that is ours.

The clients of SQS and Lambda have only what the adapters of `adapter.aws` call.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from botocore.exceptions import ClientError

from adapter.aws.payloads import missing
from adapter.protocol.chapters import Chapter
from adapter.protocol.records import Record
from adapter.protocol.times import EPOCH, Instant
from adapter.templates.template import Template
from adapter.testing.simulated_aws.handing import HandedOver, HandingInvoker, TrustingSignatures
from adapter.testing.simulated_aws.lambdas import Unwritten, environment
from adapter.testing.simulated_aws.memory import MemoryStore
from adapter.testing.simulated_aws.outages import InvokeRefused
from adapter.testing.simulated_aws.queues import MemoryQueue, QueuePoller
from adapter.testing.simulated_aws.streams import Poller
from adapter.testing.simulated_aws.world import ENVIRONMENT, only_table, promises_table
from adapter.testing.stats import Stats

Invoked = Callable[[str, str | Unwritten], None]
"""Takes an asynchronous invocation: the function's name, and its event."""


class Services:
    """Queues, buckets and Lambda in memory."""

    def __init__(self, template: Template, stats: Stats, invoked: Invoked, clock: Callable[[], Instant]) -> None:
        self._queues = {spec.name: MemoryQueue(spec, clock, self._move) for spec in template.queues}
        self.buckets = {name: MemoryBucket(clock) for name in template.buckets}
        self.sqs = _Sqs(self._queues, stats)
        self.lambda_client = _Lambda(invoked)
        self.queues = [
            QueuePoller(self._queues[mapping.queue], mapping, stats, clock, template.visibility(mapping.queue))
            for mapping in template.queue_mappings
        ]

    def send(self, queue: str, body: str) -> None:
        """Send a message as another service does, at the price of a request."""
        self.sqs.send_message(QueueUrl=queue, MessageBody=body)

    def _move(self, queue: str, body: str) -> None:
        """Move a message that was received too often, as SQS does, at no price."""
        self._queues[queue].put(body)

    def bucket(self, name: str) -> MemoryBucket:
        return self.buckets[name]

    def objects(self) -> dict[str, str]:
        """Everything in the buckets, by key."""
        return {key: text for bucket in self.buckets.values() for key, text in bucket.objects.items()}


class MemoryWorld(Services):
    """The counterpart of `adapter.testing.simulated_aws.world.World`, in memory."""

    make_invoker = HandingInvoker
    make_signatures = TrustingSignatures

    def __init__(
        self,
        template: Template,
        stats: Stats,
        invoked: Invoked,
        clock: Callable[[], Instant],
        lanes: int = 1,
        lags: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(template, stats, invoked, clock)
        self._stack = ExitStack()
        self.table = only_table(template)
        self.store = MemoryStore(stats, clock, lags, promises_table(template).expires)
        self.time_to_live, self.expire = self.store.time_to_live, self.store.expire
        self.streams = _Streams(self.store.changes)
        self._notes: defaultdict[str, MemoryNote] = defaultdict(MemoryNote)
        self.pollers = [
            Poller(_Tail(self.store.changes).read, mapping, lanes, clock, self.send) for mapping in template.mappings
        ]

    def open(self) -> None:
        # User code may make clients of its own, and they must not reach an AWS account.
        self._stack.enter_context(environment({k: v for k, v in ENVIRONMENT.items() if k not in os.environ}))

    def close(self) -> None:
        self._stack.close()

    def note(self, partition: str) -> MemoryNote:
        """A text beside the promises."""
        return self._notes[partition]

    def due_minutes(self) -> list[int]:
        return self.store.due_minutes()

    def has_schedules(self) -> bool:
        return self.store.has_schedules()

    def chapters(self) -> Sequence[Chapter]:
        return self.store.chapters()

    def records(self) -> list[Record]:
        return sorted(self.store.records(), key=lambda record: record.id)


class MemoryNote:
    """`adapter.aws.notes.Note` in memory."""

    def __init__(self) -> None:
        self._text: str | None = None

    def read(self) -> str | None:
        return self._text

    def write(self, text: str, was: str | None) -> bool:
        written = self._text == was
        self._text = text if written else self._text
        return written


class MemoryBucket:
    """`adapter.engine.ports.Payloads` on a dict."""

    def __init__(self, clock: Callable[[], Instant] = lambda: EPOCH) -> None:
        self.objects: dict[str, str] = {}
        self._clock = clock
        self._put_at: dict[str, Instant] = {}

    def put(self, key: str, text: str) -> None:
        self.objects[key] = text
        self._put_at[key] = self._clock()

    def get(self, key: str) -> str:
        if key not in self.objects:
            raise missing(key)
        return self.objects[key]

    def copy(self, key: str, to: str) -> None:
        self.put(to, self.get(key))

    def clear(self, prefix: str, before: Instant) -> None:
        for key in [key for key in self.objects if key.startswith(prefix) and self._put_at[key] < before]:
            del self.objects[key]


class _Tail:
    """Reads the new elements of a list that only grows."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        self._changes = changes
        self._read = 0

    def read(self) -> list[dict[str, Any]]:
        found = self._changes[self._read :]
        self._read = len(self._changes)
        return found


class _Sqs:
    def __init__(self, queues: dict[str, MemoryQueue], stats: Stats) -> None:
        self._queues = queues
        self._stats = stats

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0) -> None:  # noqa: N803
        self._stats.count_messages([MessageBody])
        self._queue(QueueUrl).put(MessageBody, DelaySeconds)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self._stats.count_messages([entry["MessageBody"] for entry in Entries])
        for entry in Entries:
            self._queue(QueueUrl).put(entry["MessageBody"], entry["DelaySeconds"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, VisibilityTimeout: int) -> dict[str, Any]:  # noqa: N803
        return {"Messages": self._queue(QueueUrl).receive(MaxNumberOfMessages)}

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        self._queue(QueueUrl).give_back(ReceiptHandle)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        self._queue(QueueUrl).delete({"ReceiptHandle": ReceiptHandle})

    def _queue(self, url: str) -> MemoryQueue:
        return self._queues[url.rsplit("/", 1)[-1]]


class _Streams:
    """As small as `adapter.aws.aside` needs it."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        self._changes = changes

    def get_shard_iterator(self, *, SequenceNumber: str, **_: str) -> dict[str, str]:  # noqa: N803
        return {"ShardIterator": SequenceNumber}

    def get_records(self, *, ShardIterator: str) -> dict[str, Any]:  # noqa: N803
        return {"Records": self._changes[int(ShardIterator) - 1 :]}


_ACCEPTED = {"StatusCode": 202, "Payload": io.BytesIO()}


class _Lambda:
    def __init__(self, invoked: Invoked) -> None:
        self._invoked = invoked

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes | HandedOver) -> dict[str, Any]:  # noqa: N803
        try:
            self._invoked(FunctionName, Payload.decode() if isinstance(Payload, bytes) else Payload)
        except InvokeRefused as refused:
            error = {"Error": {"Code": refused.code, "Message": refused.message}}
            raise ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": refused.status}}, "Invoke") from None
        return _ACCEPTED
