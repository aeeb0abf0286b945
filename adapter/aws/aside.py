"""Queues for stream records that were put aside: one for what comes again, one for what waits for a person."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from typing import Any

from adapter.errors import ConfigurationError

TOGETHER = 10
"""Messages of one request."""

HIDDEN = 120
"""Seconds for which nobody else receives what a command looks at."""


class SqsAside:
    """`adapter.engine.ports.Aside` over boto3's clients of SQS and of DynamoDB Streams.

    Args:
        again: the URL of the queue from which records come again; empty: there is none.
        unhandled: the URL of the queue of what waits for a person; empty: there is none.
        sqs, streams: make the clients, when they are needed: most Lambdas never put anything aside.
    """

    def __init__(self, again: str, unhandled: str, sqs: Callable[[], Any], streams: Callable[[], Any]) -> None:
        self._make = sqs
        self._again = again
        self._unhandled = unhandled
        self._streams = streams

    @functools.cached_property
    def client(self) -> Any:
        return self._make()

    def put_aside(self, text: str, again_in: int | None) -> None:
        queue = self._url(self._unhandled if again_in is None else self._again)
        self.client.send_message(QueueUrl=queue, MessageBody=text, DelaySeconds=again_in or 0)

    def unhandled(self) -> Iterator[tuple[str, str]]:
        queue, seen = self._url(self._unhandled), set[str]()
        while True:
            found = self.client.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=TOGETHER, VisibilityTimeout=HIDDEN
            ).get("Messages", [])
            fresh = [message for message in found if message["MessageId"] not in seen]
            if not fresh:
                return
            for message in fresh:
                seen.add(message["MessageId"])
                yield message["ReceiptHandle"], message["Body"]

    def give_back(self, receipt: str) -> None:
        self.client.change_message_visibility(
            QueueUrl=self._url(self._unhandled), ReceiptHandle=receipt, VisibilityTimeout=0
        )

    def forget(self, receipt: str) -> None:
        self.client.delete_message(QueueUrl=self._url(self._unhandled), ReceiptHandle=receipt)

    def reread(self, stream: str, shard: str, first: str, last: str) -> list[dict[str, Any]]:
        client, found = self._streams(), list[dict[str, Any]]()
        iterator = self._iterator(client, stream, shard, first)
        while iterator is not None:
            page = client.get_records(ShardIterator=iterator)
            wanted = [one for one in page["Records"] if int(one["dynamodb"]["SequenceNumber"]) <= int(last)]
            found += [_as_lambda_has_it(one) for one in wanted]
            beyond = len(wanted) < len(page["Records"]) or not page["Records"]
            iterator = None if beyond else page.get("NextShardIterator")
        return found

    def _iterator(self, client: Any, stream: str, shard: str, first: str) -> str | None:
        try:
            made: str = client.get_shard_iterator(
                StreamArn=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=first
            )["ShardIterator"]
            return made
        except (client.exceptions.TrimmedDataAccessException, client.exceptions.ResourceNotFoundException):
            # The stream keeps a day, and so it does a shard.
            return None

    def _url(self, url: str) -> str:
        if not url:
            raise ConfigurationError(
                "set DURABLE_AGAIN and DURABLE_UNHANDLED to the URLs of the queues RecordsAgain and UnhandledRecords"
            )
        return url


def _as_lambda_has_it(record: dict[str, Any]) -> dict[str, Any]:
    """boto3 makes a datetime of what is a number in an event."""
    change = record["dynamodb"]
    written = change.get("ApproximateCreationDateTime")
    if not isinstance(written, dt.datetime):
        return record
    return {**record, "dynamodb": {**change, "ApproximateCreationDateTime": written.timestamp()}}
