"""SQS queues, read as Lambda's event source mapping reads them, under the virtual clock."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from unittest.mock import patch

from adapter.protocol.times import EPOCH, MILLISECOND, NO_TIME, SECOND, Instant, Span
from adapter.templates.intrinsics import ACCOUNT, REGION
from adapter.templates.template import QueueMapping, QueueSpec
from adapter.testing.faults import Killed
from adapter.testing.simulated_aws.outages import Throttled, delay_of
from adapter.testing.simulated_aws.streams import Deliver
from adapter.testing.stats import MESSAGES_TOGETHER, Stats

MAX_DELAY_S = 900
MAX_EVENT_BYTES = 6_000_000
"""Of a synchronous invocation: a batch is handed over before it has more."""


class Queue(Protocol):
    """What an event source mapping calls on a queue. A message is one of SQS's ``ReceiveMessage``."""

    def next_at(self) -> Instant | None:
        """When its first message can be received."""
        ...

    def receive(self, most: int) -> list[dict[str, Any]]: ...
    def delete(self, message: dict[str, Any]) -> None: ...
    def release(self, message: dict[str, Any]) -> None:
        """Let it be received again at once."""
        ...


@contextmanager
def virtual_time(clock: Callable[[], Instant]) -> Iterator[None]:
    """Let moto count delays and visibility in virtual time, rather than by the real clock."""
    from moto.sqs import models

    with (
        patch.object(models, "unix_time_millis", lambda *_: clock() / MILLISECOND),
        patch.object(models, "unix_time", lambda *_: clock() / MILLISECOND / 1_000),
    ):
        yield


def create(client: Any, queues: tuple[QueueSpec, ...]) -> None:
    """Create the template's queues. Queues that take other queues' failures come first."""
    for queue in sorted(queues, key=lambda queue: queue.dead_letters is not None):
        attributes = {"VisibilityTimeout": str(queue.visibility_s), "MessageRetentionPeriod": str(queue.retention_s)}
        if queue.dead_letters is not None:
            redrive = {"deadLetterTargetArn": arn_of(queue.dead_letters), "maxReceiveCount": queue.max_receives}
            attributes["RedrivePolicy"] = json.dumps(redrive)
        client.create_queue(QueueName=queue.name, Attributes=attributes)


def count(client: Any, stats: Stats) -> None:
    """Count the messages that this client sends."""

    def remember(params: Any, context: Any, **_: Any) -> None:
        context["bodies"] = [entry["MessageBody"] for entry in params.get("Entries", [params])]

    def counted(context: Any, **_: Any) -> None:
        stats.count_messages(context["bodies"])

    for operation in ("SendMessage", "SendMessageBatch"):
        client.meta.events.register(f"before-parameter-build.sqs.{operation}", remember)
        client.meta.events.register(f"after-call.sqs.{operation}", counted)


def arn_of(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def url_of(queue: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"


@dataclass
class MotoQueue:
    """A queue on moto."""

    client: Any
    name: str

    def next_at(self) -> Instant | None:
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[ACCOUNT][REGION].queues[self.name]
        moments = [max(message.delayed_until, message.visible_at + 1) for message in queue._messages]
        return Instant(round(min(moments) * MILLISECOND)) if moments else None

    def receive(self, most: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.receive_message(
            QueueUrl=url_of(self.name), MaxNumberOfMessages=most, MessageSystemAttributeNames=["All"]
        ).get("Messages", [])
        return found

    def delete(self, message: dict[str, Any]) -> None:
        self.client.delete_message(QueueUrl=url_of(self.name), ReceiptHandle=message["ReceiptHandle"])

    def release(self, message: dict[str, Any]) -> None:
        self.client.change_message_visibility(
            QueueUrl=url_of(self.name), ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )


@dataclass
class MemoryQueue:
    """A queue in memory. ``send`` puts a message that was received too often into another queue."""

    spec: QueueSpec
    clock: Callable[[], Instant]
    send: Callable[[str, str], None]
    _waiting: list[tuple[Instant, int, dict[str, Any]]] = field(default_factory=list)
    _taken: dict[str, tuple[Instant, int, dict[str, Any]]] = field(default_factory=dict)
    _count: int = 0

    def put(self, body: str, delay_s: int = 0) -> None:
        self._count += 1
        message = {
            "MessageId": f"{self.spec.name}-{self._count}",
            "ReceiptHandle": f"{self.spec.name}-{self._count}",
            "Body": body,
            "MD5OfBody": hashlib.md5(body.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest(),
            "Attributes": {"ApproximateReceiveCount": "0"},
        }
        heapq.heappush(self._waiting, (self.clock() + delay_s * SECOND, self._count, message))

    def next_at(self) -> Instant | None:
        moments = [at for at, _, _ in (*self._waiting[:1], *self._taken.values())]
        return min(moments, default=None)

    def receive(self, most: int) -> list[dict[str, Any]]:
        now = self.clock()
        for handle in [handle for handle, (at, _, _) in self._taken.items() if at <= now]:
            heapq.heappush(self._waiting, self._taken.pop(handle))
        found: list[dict[str, Any]] = []
        while self._waiting and self._waiting[0][0] <= now and len(found) < most:
            _, number, message = heapq.heappop(self._waiting)
            received = int(message["Attributes"]["ApproximateReceiveCount"]) + 1
            if self.spec.dead_letters is not None and received > self.spec.max_receives:
                self.send(self.spec.dead_letters, message["Body"])
                continue
            message = {**message, "Attributes": {"ApproximateReceiveCount": str(received)}}
            # Later than its timeout, as on moto: so a seed brings the same weather on both.
            visible_at = now + self.spec.visibility_s * SECOND + MILLISECOND
            self._taken[message["ReceiptHandle"]] = (visible_at, number, message)
            found.append(message)
        return found

    def delete(self, message: dict[str, Any]) -> None:
        self._taken.pop(message["ReceiptHandle"], None)

    def release(self, message: dict[str, Any]) -> None:
        if (taken := self._taken.pop(message["ReceiptHandle"], None)) is not None:
            _, number, standing = taken
            self._taken[message["ReceiptHandle"]] = (self.clock() + MILLISECOND, number, standing)

    def give_back(self, receipt: str) -> None:
        """Let it be received again at once."""
        if receipt in self._taken:
            _, number, message = self._taken.pop(receipt)
            heapq.heappush(self._waiting, (self.clock(), number, message))

    def bodies(self) -> list[str]:
        """The messages in it, for a test to look at."""
        return [message["Body"] for _, _, message in (*self._waiting, *self._taken.values())]


@dataclass(eq=False)
class Batch:
    """Messages that a mapping has received, to be handed over at ``ready_at``.

    No other can receive them ``until`` then. ``tries``: so often Lambda refused the batch.
    """

    until: Instant
    ready_at: Instant = EPOCH
    messages: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0

    def has_room_for(self, message: dict[str, Any]) -> bool:
        together = [*self.messages, message]
        return sum(len(each["Body"].encode("utf-8", "surrogatepass")) for each in together) <= MAX_EVENT_BYTES


@dataclass
class QueuePoller:
    """Follows one queue for one event source mapping.

    Without a batching window, what can be received is handed over at once, ten messages at most. With one, Lambda goes
    on to receive until the batch is full, or the window is over that began with its first message. Each answer of the
    queue, with ten messages at most, is a request. Requests without an answer aren't counted: an idle stack has them,
    too. With a ``delay`` it draws how long a batch is on its way.
    """

    queue: Queue
    mapping: QueueMapping
    stats: Stats
    clock: Callable[[], Instant]
    visibility_s: int
    busy: bool = False
    delay: Callable[[], Span] | None = None
    _batches: list[Batch] = field(default_factory=list)
    _open: Batch | None = None

    def next_at(self) -> Instant | None:
        """When it can receive a message, or hand over a batch."""
        moments = [self.queue.next_at(), *(batch.ready_at for batch in self._batches)]
        return min((at for at in moments if at is not None), default=None)

    def is_ready(self) -> bool:
        """Receive what the window, or its way, lets wait. Whether a batch can be handed over now."""
        if self._gathers:
            self._gather()
            return any(batch.ready_at <= self.clock() for batch in self._batches)
        return (at := self.next_at()) is not None and at <= self.clock()

    def deliver(self, deliver: Deliver, limit: int | None = None, again: bool = False) -> None:
        """Hand one batch to the function. Messages that it doesn't acknowledge come again after the queue's timeout.

        AWS puts batches together anew at each delivery; ``limit`` bounds this one. A standard queue delivers at least
        once: with ``again``, acknowledged messages come a second time.
        """
        batch = self._taken(limit)
        if batch is None:
            return
        try:
            failed = self._failed(batch.messages, deliver)
        except Throttled:
            self._hold(batch)
            return
        acknowledged = [message for message in batch.messages if message["MessageId"] not in failed]
        self.stats.count_deleted(len(acknowledged))
        for message in acknowledged:
            # Only once: copies of copies would never end.
            is_copied = again and message["Attributes"]["ApproximateReceiveCount"] == "1"
            (self.queue.release if is_copied else self.queue.delete)(message)

    @property
    def _gathers(self) -> bool:
        return bool(self.mapping.window_s) or self.delay is not None

    def _gather(self) -> None:
        while (at := self.queue.next_at()) is not None and at <= self.clock():
            if not (received := self._receive(MESSAGES_TOGETHER)):
                return
            for message in received:
                self._add(message)
            if not self.mapping.window_s:
                # Only what one request receives is on its way together.
                self._open = None

    def _add(self, message: dict[str, Any]) -> None:
        if self._open is not None and not self._open.has_room_for(message):
            self._close()
        if self._open is None:
            now = self.clock()
            until, ready = now + self.visibility_s * SECOND, now + self.mapping.window_s * SECOND
            self._open = Batch(until, ready_at=ready + (self.delay() if self.delay else NO_TIME))
            self._batches.append(self._open)
        self._open.messages.append(message)
        if len(self._open.messages) >= self.mapping.batch_size:
            self._close()

    def _close(self) -> None:
        """Its window is over, or it is full."""
        if self._open is not None:
            late = self.delay() if self.delay else NO_TIME
            self._open.ready_at = min(self._open.ready_at, self.clock() + late)
            self._open = None

    def _receive(self, most: int) -> list[dict[str, Any]]:
        received = self.queue.receive(most)
        if received:
            self.stats.count_received([message["Body"] for message in received])
        return received

    def _taken(self, limit: int | None) -> Batch | None:
        """A batch: one that was gathered or throttled, else a new one."""
        now = self.clock()
        ready = next((batch for batch in self._batches if batch.ready_at <= now), None)
        if ready is None:
            if self._gathers:
                return None
            received = self._receive(min(limit or self.mapping.batch_size, self.mapping.batch_size))
            return Batch(now + self.visibility_s * SECOND, messages=received) if received else None
        if ready is self._open:
            self._close()
        if limit is not None and not ready.tries and limit < len(ready.messages):
            taken = Batch(ready.until, messages=ready.messages[:limit])
            del ready.messages[:limit]
            return taken
        self._batches.remove(ready)
        return ready

    def _hold(self, batch: Batch) -> None:
        """Lambda tries what is throttled again as long as it has the messages. Then they come again by themselves."""
        batch.ready_at, batch.tries = self.clock() + delay_of(batch.tries) * SECOND, batch.tries + 1
        if batch.ready_at < batch.until:
            self._batches.append(batch)

    def _failed(self, received: list[dict[str, Any]], deliver: Deliver) -> set[str]:
        every = {message["MessageId"] for message in received}
        records = [self._record(message) for message in received]
        attempt = max(int(message["Attributes"]["ApproximateReceiveCount"]) for message in received)
        try:
            response = deliver(self.mapping.function, {"Records": records}, attempt)
        except Throttled:
            raise
        except (Exception, Killed):
            return every
        if not self.mapping.report_item_failures:
            return set()
        failed = {entry.get("itemIdentifier") for entry in (response or {}).get("batchItemFailures") or ()}
        # The identifier isn't in the batch, so Lambda takes the whole batch for failed.
        return failed if failed <= every else every

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn_of(self.mapping.queue),
            "awsRegion": REGION,
        }
