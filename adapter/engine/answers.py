"""The answer to Lambda's caller about the roots that an event starts. Pure.

A gateway gets an HTTP response, an event source mapping gets the failed items of its batch, and any other caller gets
the root's id and state. A caller's mistake is raised where the platform keeps failed events, and is told where a caller
waits for the response.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from adapter.engine.events import Submission
from adapter.errors import CodecError, IdConflict, PayloadTooLarge
from adapter.protocol.records import Record

_STATUS: Mapping[type[Exception], HTTPStatus] = {
    # The draft of the header Idempotency-Key wants 422 where a key comes with another request.
    IdConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    CodecError: HTTPStatus.BAD_REQUEST,
    PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a submission: the root that stands, or why there is none."""

    submission: Submission
    outcome: Record | Exception


def of_root(root: Record) -> dict[str, Any]:
    return {"id": root.id, "state": root.state.value}


def of_http(started: Started, path: str = "") -> dict[str, Any]:
    """An HTTP response, as every gateway takes it: 202, or what was wrong with the request.

    ``path`` is that of the request; the root's address is below it, where an API has a route for that.

    Raises:
        Exception: what isn't the caller's mistake.
    """
    match started.outcome:
        case Record() as root:
            address = {"location": f"{path.rstrip('/')}/{quote(root.id, safe='')}"} if path else {}
            return _response(HTTPStatus.ACCEPTED, of_root(root), address)
        case Exception() as error if (status := _STATUS.get(type(error))) is not None:
            return _response(status, {"error": type(error).__name__, "message": str(error)})
        case error:
            raise error


def of_event(started: Sequence[Started]) -> dict[str, Any]:
    """The id and state of the root; of several, of the first, and ``roots`` has all. A batch's failed items are named.

    Raises:
        Exception: nothing was started; or something wasn't, of what is no batch. The platform makes all of it again,
            and what stands by then isn't started twice.
    """
    roots = [one.outcome for one in started if isinstance(one.outcome, Record)]
    failed = [one for one in started if isinstance(one.outcome, Exception)]
    if failed and not (roots and all(one.submission.source.is_polled for one in started)):
        # Also of a batch: a mapping that wasn't told to report single items would take it for handled.
        raise failed[0].outcome  # type: ignore[misc]
    answer = of_root(roots[0])
    if len(started) > 1:
        answer["roots"] = [of_root(root) for root in roots]
    if started[0].submission.source.is_polled:
        answer["batchItemFailures"] = [{"itemIdentifier": one.submission.item} for one in failed]
    return answer


def _response(status: HTTPStatus, body: Mapping[str, str], more: Mapping[str, str] | None = None) -> dict[str, Any]:
    # Nothing else: API Gateway takes a response with further keys for malformed.
    headers = {"content-type": "application/json", **(more or {})}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}
