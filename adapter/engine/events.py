"""What an event is to the engine: one or several *submissions*, each of which starts one root. Pure.

A submission's root follows from its function, its source and its identity. So whatever comes again starts nothing new:
Lambda's retry, a second delivery, a batch that AWS put together otherwise. The identity is AWS's own where there is
one, since no sender can choose that. Of an HTTP request it is the caller's ``Idempotency-Key``. Two submissions that
share an identity are compared by what a second delivery doesn't change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapter.errors import CodecError
from adapter.protocol.ids import event_id


class Source(StrEnum):
    """Where an event comes from; the word in its root's id."""

    HTTP = "http"
    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    SNS = "sns"
    S3 = "s3"
    EVENTBRIDGE = "eventbridge"
    REQUEST = "request"
    """An event without an identity of its own goes by Lambda's request id, which only a retry of Lambda's repeats."""

    @property
    def is_polled(self) -> bool:
        """An event source mapping brings it, in batches, and brings it again under another request id."""
        return self in (Source.SQS, Source.KINESIS, Source.DYNAMODB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What starts one root: ``argument`` is its function's argument.

    ``content``: what stays the same whenever it comes again. ``item``: how the answer to a batch names it.
    """

    source: Source
    identity: tuple[str, ...]
    argument: Any
    content: Any
    item: str = ""

    def root(self, fn: str) -> str:
        """The id of the root that it starts of a function."""
        return event_id(fn, self.source, *self.identity)

    def by(self, request_id: str) -> str:
        """What its root knows its creator by: the same at each delivery of a batch, and at each retry of Lambda's.

        Who finds a root that it created itself invokes it: the attempt that created it may have died before it did.
        """
        return self.source.value if self.source.is_polled else request_id

    def fingerprint(self) -> str:
        """``content`` as a text.

        Raises:
            CodecError: it isn't JSON.
        """
        try:
            return json.dumps(self.content, sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            # Lambda itself hands over nothing else.
            unreadable = "an event is JSON, no deeper than the interpreter's stack"
            raise CodecError(unreadable, unreadable) from None


def submissions(event: Any, request_id: str) -> tuple[Submission, ...]:
    """The submissions that start roots: one for each record of a batch, or the event as a whole."""
    if not isinstance(event, Mapping):
        return (_by_request(event, request_id),)
    return _by_key(event) or _by_records(event) or _by_rule(event) or (_by_request(event, request_id),)


def is_http(event: Any) -> bool:
    """Whether a gateway, a function URL or a load balancer waits for an HTTP response to it."""
    context = event.get("requestContext") if isinstance(event, Mapping) else None
    if not isinstance(context, Mapping):
        return False
    return any(isinstance(context.get(key), Mapping) for key in ("http", "elb")) or "httpMethod" in event


def path_of(event: Mapping[str, Any]) -> str:
    """The path of an HTTP request, with the stage if it has one; empty if the event doesn't say."""
    # HTTP APIs and function URLs; REST APIs; load balancers.
    return _text(event, "rawPath") or _text(event, "requestContext", "path") or _text(event, "path")


def _by_request(event: Any, request_id: str) -> Submission:
    return Submission(source=Source.REQUEST, identity=(request_id,), argument=event, content=event)


KEY = "idempotency-key"

_OF_THE_WAY = frozenset({"headers", "multiValueHeaders", "cookies", "requestContext"})
"""What differs between an HTTP request and the same one sent again: traces, addresses, times."""


def _by_key(event: Mapping[str, Any]) -> tuple[Submission, ...]:
    keys = _header(event.get("headers")) or _header(event.get("multiValueHeaders"))
    if not keys:
        return ()
    method = _text(event, "requestContext", "http", "method")
    asked = {str(name): value for name, value in event.items() if name not in _OF_THE_WAY}
    return (Submission(source=Source.HTTP, identity=(keys[0],), argument=event, content=[method, asked]),)


def _header(headers: Any) -> list[str]:
    """The values of the header, the empty ones aside."""
    if not isinstance(headers, Mapping):
        return []
    found = [value for name, value in headers.items() if isinstance(name, str) and name.lower() == KEY]
    every = [one for value in found for one in (value if isinstance(value, list) else [value])]
    return [one for one in every if isinstance(one, str) and one]


def _by_rule(event: Mapping[str, Any]) -> tuple[Submission, ...]:
    """An event of EventBridge. A replay of an archive should handle its events anew."""
    if not isinstance(event.get("detail-type"), str) or not _text(event, "id"):
        return ()
    identity = tuple(_text(event, name) for name in ("id", "source", "account", "region", "replay-name"))
    return (Submission(source=Source.EVENTBRIDGE, identity=identity, argument=event, content=event),)


# Records.


def _by_records(event: Mapping[str, Any]) -> tuple[Submission, ...]:
    """One for each record of the sources below; none where any record isn't of one of them."""
    records = event.get("Records")
    if not isinstance(records, list):
        return ()
    found = [_of_record(record) for record in records]
    return tuple(one for one in found if one is not None) if all(found) else ()


def _of_record(record: Any) -> Submission | None:
    if not isinstance(record, Mapping):
        return None
    # SQS if the record doesn't say: a person who calls a handler by hand leaves it out.
    named = record.get("eventSource", record.get("EventSource", "aws:sqs"))
    reader = _READERS.get(named) if isinstance(named, str) else None
    return None if reader is None else reader(record)


def _sqs(record: Mapping[str, Any]) -> Submission | None:
    # Receipt handle, count and times are of one delivery.
    name = _text(record, "messageId")
    return _submission(Source.SQS, record, (name,), record.get("body"), name)


def _kinesis(record: Mapping[str, Any]) -> Submission | None:
    number = _text(record, "kinesis", "sequenceNumber")
    return _submission(Source.KINESIS, record, (_text(record, "eventID"),), _part(record, "kinesis", "data"), number)


def _dynamodb(record: Mapping[str, Any]) -> Submission | None:
    number = _text(record, "dynamodb", "SequenceNumber")
    identity = _text(record, "eventID"), _text(record, "eventSourceARN")
    return _submission(Source.DYNAMODB, record, identity, _part(record, "dynamodb", "Keys"), number)


def _sns(record: Mapping[str, Any]) -> Submission | None:
    return _submission(Source.SNS, record, (_text(record, "Sns", "MessageId"),), _part(record, "Sns", "Message"))


def _s3(record: Mapping[str, Any]) -> Submission | None:
    one = _part(record, "s3", "object")
    bucket, version = _text(record, "s3", "bucket", "name"), _text(one, "versionId")
    sequencer = _text(one, "sequencer")
    if not bucket or not sequencer:
        return None
    identity = _text(one, "key"), bucket, sequencer, _text(record, "eventName"), version
    return _submission(Source.S3, record, identity, _text(one, "eTag"))


def _submission(
    source: Source, record: Mapping[str, Any], identity: tuple[str, ...], content: Any, item: str = ""
) -> Submission | None:
    """None where the record has no identity, or, of a batch, no name to report it by."""
    if not identity[0] or (source.is_polled and not item):
        return None
    # As the source would hand over a batch of one: code that was written for its batches reads it.
    argument = {"Records": [record]}
    return Submission(source=source, identity=identity, argument=argument, content=content, item=item)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Submission | None]] = {
    "aws:sqs": _sqs,
    "aws:kinesis": _kinesis,
    "aws:dynamodb": _dynamodb,
    "aws:sns": _sns,
    "aws:s3": _s3,
}


def _part(data: Any, *path: str) -> Any:
    """What is at a path of objects within objects; None where there is nothing."""
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _text(data: Any, *path: str) -> str:
    """The text at such a path; empty where there is none."""
    found = _part(data, *path)
    return found if isinstance(found, str) else ""
