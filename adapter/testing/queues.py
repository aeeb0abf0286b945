"""SQS queues, read as Lambda's event source mapping reads them, on moto under the virtual clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from moto.sqs import models as moto_sqs

from adapter.testing.faults import Killed
from adapter.testing.intrinsics import ACCOUNT, REGION
from adapter.testing.streams import Deliver
from adapter.testing.template import QueueMapping, QueueSpec

MILLISECOND = 1_000
"""In microseconds."""


@contextmanager
def virtual_time(clock: Callable[[], int]) -> Iterator[None]:
    """moto counts delays and visibility by the real clock, which stands still in comparison."""
    with (
        patch.object(moto_sqs, "unix_time_millis", lambda *_: clock() / MILLISECOND),
        patch.object(moto_sqs, "unix_time", lambda *_: clock() / MILLISECOND / 1_000),
    ):
        yield


def create(client: Any, queues: tuple[QueueSpec, ...]) -> None:
    """Create the template's queues; those that others put their failures into come first."""
    for queue in sorted(queues, key=lambda queue: queue.dead_letters is not None):
        attributes = {"VisibilityTimeout": str(queue.visibility_s), "MessageRetentionPeriod": str(queue.retention_s)}
        if queue.dead_letters is not None:
            redrive = {"deadLetterTargetArn": arn_of(queue.dead_letters), "maxReceiveCount": queue.max_receives}
            attributes["RedrivePolicy"] = json.dumps(redrive)
        client.create_queue(QueueName=queue.name, Attributes=attributes)


def arn_of(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def url_of(queue: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"


@dataclass
class QueuePoller:
    """Follows one queue for one event source mapping."""

    client: Any
    mapping: QueueMapping

    def next_at(self) -> int | None:
        """When its first message can be received: microseconds."""
        queue = moto_sqs.sqs_backends[ACCOUNT][REGION].queues[self.mapping.queue]
        moments = [max(message.delayed_until, message.visible_at + 1) for message in queue._messages]
        return round(min(moments) * MILLISECOND) if moments else None

    def deliver(self, deliver: Deliver) -> None:
        """Hand one batch to the function; what it doesn't acknowledge comes again after the queue's timeout."""
        url = url_of(self.mapping.queue)
        received = self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=self.mapping.batch_size, MessageSystemAttributeNames=["All"]
        ).get("Messages", [])
        if not received:
            return
        failed = self._failed(received, deliver)
        for message in received:
            if message["MessageId"] not in failed:
                self.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _failed(self, received: list[dict[str, Any]], deliver: Deliver) -> set[str]:
        every = {message["MessageId"] for message in received}
        records = [self._record(message) for message in received]
        attempt = max(int(message["Attributes"]["ApproximateReceiveCount"]) for message in received)
        try:
            response = deliver(self.mapping.function, {"Records": records}, attempt)
        except (Exception, Killed):
            return every
        if not self.mapping.report_item_failures:
            return set()
        failed = {entry.get("itemIdentifier") for entry in (response or {}).get("batchItemFailures") or ()}
        # An identifier that isn't in the batch: Lambda takes the whole batch for failed.
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
