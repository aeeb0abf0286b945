"""The Function URL's handler: people and other systems settle a promise by HTTP, without access to the table.

A GET never settles a promise: mail scanners and chat clients follow links.
"""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

from adapter.engine import hosts
from adapter.errors import BadMessage
from adapter.links.pages import page, said
from adapter.links.tokens import keys, verify
from adapter.links.values import HttpError, described, read_value
from adapter.protocol.promises import Refused
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import SECOND

MAX_BODY = 160 * 1024
"""Bytes of a body: a promise can hold so many."""


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
"""The page runs nothing, loads nothing, and is shown in no other site's frame."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for a Function URL: GET shows a promise, POST settles it with the JSON value in the body.

    If the Lambda dies before it settles the promise, the promise stays as it was, and the sender can repeat the POST.
    If it dies after that, a repeated POST is told that the promise is settled (409). Neither token nor body is ever
    logged.
    """
    try:
        hosts.current().enter_invocation(context)
        return _answer(HTTPStatus.OK, *_handled(event))
    except HttpError as refusal:
        return _answer(refusal.status, {"error": str(refusal), **refusal.more})


def _handled(event: dict[str, Any]) -> tuple[Any, str | None]:
    token = _said(_part(event, "queryStringParameters"), "token")
    record = _promise(token)
    method = _said(_part(event, "requestContext", "http"), "method").upper()
    schema = described(record)
    wants_page = "text/html" in _header(event, "accept")
    if method == "GET":
        state = {"state": record.state.value, "expects": schema}
        return state, page(token, schema, record.pending) if wants_page else None
    if method != "POST":
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "GET shows the promise, POST settles it")
    if not record.pending:
        raise _settled(record)
    written = hosts.current().settle(record.id, State.RESOLVED, read_value(_body(event), schema))
    if isinstance(written, Refused):
        raise _settled(written.stands or record)
    return {"state": written.state.value}, said("Thank you", "Your answer is kept.") if wants_page else None


def _promise(token: str) -> Record:
    try:
        promise, expires = verify(token, *keys())
    except BadMessage as forged:
        raise HttpError(HTTPStatus.FORBIDDEN, str(forged)) from None
    host = hosts.current()
    if host.now() // SECOND >= expires:
        raise HttpError(HTTPStatus.GONE, "the link has expired; ask for a new one")
    record = host.read_promise(promise)
    if record is None or record.kind is not Kind.EXTERNAL:
        raise HttpError(HTTPStatus.NOT_FOUND, "there is no promise that could be settled by this link")
    return record


def _settled(record: Record) -> HttpError:
    return HttpError(HTTPStatus.CONFLICT, "it was settled before", state=record.state.value)


def _body(event: dict[str, Any]) -> str:
    body = event.get("body")
    text = body if isinstance(body, str) else ""
    if len(text) > 2 * MAX_BODY:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BODY} bytes")
    try:
        text = base64.b64decode(text, validate=True).decode() if event.get("isBase64Encoded") else text
        # A browser's form has one field, and curl calls any body a form. No JSON value begins like the field.
        if text.startswith("value=") and "application/x-www-form-urlencoded" in _header(event, "content-type"):
            from urllib.parse import unquote_plus

            text = unquote_plus(text.removeprefix("value="), errors="strict")
    except ValueError:
        raise HttpError(HTTPStatus.BAD_REQUEST, "the body must be UTF-8") from None
    return text


def _header(event: dict[str, Any], name: str) -> str:
    return _said(_part(event, "headers"), name).lower()


def _said(part: dict[str, Any], name: str) -> str:
    found = part.get(name)
    return found if isinstance(found, str) else ""


def _part(event: Any, *names: str) -> dict[str, Any]:
    """An object within the event. It is empty if there is none, or something else."""
    for name in names:
        event = event.get(name) if isinstance(event, dict) else None
    return event if isinstance(event, dict) else {}


def _answer(status: HTTPStatus, content: Any, html: str | None = None) -> dict[str, Any]:
    return {
        "statusCode": status.value,
        "headers": {
            "content-type": "application/json" if html is None else "text/html; charset=utf-8",
            "cache-control": "no-store",
            # The token is in the address: no other site may learn it.
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "content-security-policy": _POLICY,
        },
        "body": json.dumps(content) if html is None else html,
    }
