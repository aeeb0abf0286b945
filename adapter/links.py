"""Signed links: people and other systems settle a promise by HTTP, without access to the table.

A token names one promise and a time until which it is good, under a key that only the stack knows. Whoever holds it may
see the promise's state and settle it, once: the table's first settlement stands, so a token needs no record of its own.
A GET never settles: mail scanners and chat clients follow links.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import os
from http import HTTPStatus
from typing import Any

from adapter import handles, schemas
from adapter.errors import BadMessage, CallerError, ConfigurationError, NotDurable
from adapter.execution import Execution
from adapter.ids import is_id
from adapter.loop import MICROSECOND
from adapter.pages import page, said
from adapter.promises import Kind, Record, Refused, State, check_payload
from adapter.steps import current

VERSION = "v1"
MAX_BODY = 160 * 1024
"""Bytes: what a promise can hold."""


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
"""The page runs nothing, loads nothing, and is shown in no other site's frame."""


class Refusal(Exception):
    """The request isn't carried out: an HTTP status and a sentence for whoever sent it."""

    def __init__(self, status: HTTPStatus, text: str, **more: Any) -> None:
        super().__init__(text)
        self.status = status
        self.more = more


def link(promise: str, *, expires_in: float, url: str | None = None) -> str:
    """A link by which whoever holds it can settle a promise, until it expires.

    Call it in a plain ``def`` step or from outside; in the body of an async durable function as ``await run(link, …)``,
    which records it: the key may be another one at the next replay. A step that is run again after a crash, or retried,
    makes the same link again.

    Args:
        promise: its id, that of ``promise(...)`` for instance.
        expires_in: seconds from now on; in a step, from the time at which the step was called.
        url: of the Lambda whose handler is ``adapter.links.handler``; by default ``DURABLE_LINK_URL``.

    Raises:
        BadMessage: no promise can have this id.
        ConfigurationError: there is no key (``DURABLE_LINK_SECRET``, ``DURABLE_LINK_SECRET_ARN``), or no URL.
        NotDurable: in the body of an async durable function.
    """
    scope = current.get()
    if isinstance(scope, Execution):
        raise NotDurable("link(...) in the body of a durable function isn't recorded: write await run(link, ...)")
    if not isinstance(promise, str) or not is_id(promise):
        raise BadMessage(f"{promise!r} can't be a promise's id: give link(...) the promise's .id")
    if not (isinstance(expires_in, int | float) and math.isfinite(expires_in) and expires_in > 0):
        raise ConfigurationError(f"expires_in is a positive number of seconds, got {expires_in!r}")
    base = url or os.environ.get("DURABLE_LINK_URL")
    if not base:
        raise ConfigurationError("set DURABLE_LINK_URL to the URL of the Lambda with the handler adapter.links.handler")
    now = handles.host().now() if scope is None else scope.now()
    # Rounded up: no link is born expired.
    expires = -(-now // MICROSECOND) + math.ceil(expires_in)
    return f"{base.rstrip('/')}/?token={sign(promise, expires, secret())}"


def sign(promise: str, expires: int, key: bytes) -> str:
    """The token for a promise, good until ``expires`` (seconds since the epoch)."""
    claims = _text(json.dumps([promise, expires], separators=(",", ":")).encode())
    return f"{VERSION}.{claims}.{_text(_mac(claims, key))}"


def verify(token: str, key: bytes) -> tuple[str, int]:
    """The promise and expiry of a token.

    Raises:
        BadMessage: this key didn't sign it.
    """
    version, _, rest = token.partition(".")
    claims, _, mac = rest.partition(".")
    # The whole token is compared: another spelling of the same bytes isn't the same token.
    ours = token.isascii() and version == VERSION
    if not ours or not hmac.compare_digest(mac.encode(), _text(_mac(claims, key)).encode()):
        raise BadMessage("the token isn't one of ours")
    promise, expires = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return promise, expires


def _mac(claims: str, key: bytes) -> bytes:
    return hmac.new(key, f"lambda-await link {VERSION}\0{claims}".encode(), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def secret() -> bytes:
    """The key, from the environment or from Secrets Manager, where it is read once per sandbox and few minutes."""
    text = os.environ.get("DURABLE_LINK_SECRET")
    arn = os.environ.get("DURABLE_LINK_SECRET_ARN")
    if not text and arn:
        from aws_lambda_powertools.utilities import parameters

        text = str(parameters.get_secret(arn, max_age=300))
    if not text or len(text) < 32:
        raise ConfigurationError(
            "links need a key of at least 32 characters: set DURABLE_LINK_SECRET_ARN, or DURABLE_LINK_SECRET"
        )
    return text.encode()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for a Function URL: GET shows a promise, POST settles it with the JSON value in the body.

    A crash before the settlement leaves the promise as it was; the same POST may be sent again. After one that came
    later, the same POST is told that the promise is settled (409). Neither token nor body is ever logged.
    """
    try:
        return _answer(HTTPStatus.OK, *_handled(event))
    except Refusal as refusal:
        return _answer(refusal.status, {"error": str(refusal), **refusal.more})


def _handled(event: dict[str, Any]) -> tuple[Any, str | None]:
    token = _said(_part(event, "queryStringParameters"), "token")
    record = _promise(token)
    method = _said(_part(event, "requestContext", "http"), "method").upper()
    description = described(record)
    wants_page = "text/html" in _header(event, "accept")
    if method == "GET":
        state = {"state": record.state.value, "expects": description}
        return state, page(token, description, record.pending) if wants_page else None
    if method != "POST":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "GET shows the promise, POST settles it")
    if not record.pending:
        raise _settled(record)
    written = handles.host().settle(record.id, State.RESOLVED, read_value(_body(event), description))
    if isinstance(written, Refused):
        raise _settled(written.stands or record)
    return {"state": written.state.value}, said("Thank you", "Your answer is kept.") if wants_page else None


def _promise(token: str) -> Record:
    try:
        promise, expires = verify(token, secret())
    except BadMessage as forged:
        raise Refusal(HTTPStatus.FORBIDDEN, str(forged)) from None
    host = handles.host()
    if host.now() // MICROSECOND >= expires:
        raise Refusal(HTTPStatus.GONE, "the link has expired; ask for a new one")
    record = host.get(promise)
    if record is None or record.kind is not Kind.EXTERNAL:
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no promise that could be settled by this link")
    return record


def _settled(record: Record) -> Refusal:
    return Refusal(HTTPStatus.CONFLICT, "it was settled before", state=record.state.value)


def described(record: Record) -> Any:
    """What an external promise expects, as `adapter.schemas` describes it; empty where anything goes."""
    try:
        description = json.loads(record.args or "{}")
    except (ValueError, RecursionError):
        return {}
    # What isn't of this version's writing is left open, as a type that it couldn't describe is.
    return {} if schemas.nested_too_deep(description) else description


def read_value(body: str, description: Any, what: str = "the body") -> str:
    """A JSON text as the promise keeps it.

    Raises:
        Refusal: it is too large, not JSON, or not of the promise's type.
    """
    try:
        value = json.loads(body, parse_constant=_no_constant)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{what} must be one JSON value") from None
    if schemas.nested_too_deep(value):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{what} is nested deeper than {schemas.MAX_NESTING} levels")
    if found := list(schemas.problems(description, value)):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(found[:5]), expects=description)
    try:
        return check_payload(text, what)
    except CallerError as large:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(large)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} isn't JSON")


def _body(event: dict[str, Any]) -> str:
    body = event.get("body")
    text = body if isinstance(body, str) else ""
    if len(text) > 2 * MAX_BODY:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BODY} bytes")
    try:
        text = base64.b64decode(text, validate=True).decode() if event.get("isBase64Encoded") else text
        # A browser's form has one field; curl calls any body a form. No JSON value begins like the field.
        if text.startswith("value=") and "application/x-www-form-urlencoded" in _header(event, "content-type"):
            from urllib.parse import unquote_plus

            text = unquote_plus(text.removeprefix("value="), errors="strict")
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body must be UTF-8") from None
    return text


def _header(event: dict[str, Any], name: str) -> str:
    return _said(_part(event, "headers"), name).lower()


def _said(part: dict[str, Any], name: str) -> str:
    found = part.get(name)
    return found if isinstance(found, str) else ""


def _part(event: Any, *names: str) -> dict[str, Any]:
    """An object within the event; empty where there is none, or something else."""
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
