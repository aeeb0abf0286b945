"""A Lambda that says how an execution stands, for a route ``GET …/{id}`` of an HTTP API. It reads, and changes nothing.

Who may ask is for the API to say: whoever may, and knows an execution's id, reads its result.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from adapter.codec.exceptions import decode_exception
from adapter.engine import hosts
from adapter.errors import RemoteError
from adapter.protocol.ids import is_id, parent_of
from adapter.protocol.records import Kind, Record, State


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: 200 with the id and the state, and with the value or the error once it has settled; or 404.

    Steps, promises and schedules aren't executions: of these it says nothing.
    """
    hosts.current().enter_invocation(context)
    path = event.get("pathParameters")
    asked = path.get("id") if isinstance(path, dict) else None
    # Some gateways hand over a part of a path as it was sent. An id that says the same both ways is looked for once.
    ids = dict.fromkeys((asked, unquote(asked))) if isinstance(asked, str) else ()
    record = next((found for one in ids if (found := _execution(one)) is not None), None)
    if record is None:
        return _answer(HTTPStatus.NOT_FOUND, {"error": "UnknownPromise", "message": "there is no such execution"})
    return _answer(HTTPStatus.OK, {"id": record.id, "state": record.state.value, **_outcome(record)})


def _execution(promise: str) -> Record | None:
    if not is_id(promise) or parent_of(promise) is not None:
        return None
    record = hosts.current().read_promise(promise)
    return record if record is not None and record.kind is Kind.CALL else None


def _outcome(record: Record) -> dict[str, Any]:
    if record.pending:
        return {}
    if record.state is State.RESOLVED:
        return {"value": json.loads(record.value)}
    if not record.value:
        return {"error": {"type": record.state.value, "message": ""}}
    error = decode_exception(record.value)
    name = error.class_name if isinstance(error, RemoteError) else type(error).__qualname__
    return {"error": {"type": name, "message": str(error)}}


def _answer(status: HTTPStatus, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}
