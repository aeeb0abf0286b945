"""A value from outside is checked against the type of its promise. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from adapter.codec import checking
from adapter.errors import CallerError
from adapter.protocol.records import Record, check_payload


class HttpError(Exception):
    """The request is refused, with an HTTP status and a sentence for the sender."""

    def __init__(self, status: HTTPStatus, text: str, **more: Any) -> None:
        super().__init__(text)
        self.status = status
        self.more = more


def described(record: Record) -> Any:
    """The JSON Schema of the value that an external promise expects; empty if anything fits."""
    return checking.stored(record.args)


def read_value(body: str, schema: Any, what: str = "the body") -> str:
    """The JSON text as the promise keeps it.

    Raises:
        HttpError: it is too large, not JSON, or not of the promise's type.
    """
    try:
        value = json.loads(body, parse_constant=_no_constant)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        raise HttpError(HTTPStatus.BAD_REQUEST, f"{what} must be one JSON value") from None
    if checking.nested_too_deep(value):
        raise HttpError(HTTPStatus.BAD_REQUEST, f"{what} is nested deeper than {checking.MAX_NESTING} levels")
    if found := checking.problems(schema, value):
        raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(found), expects=schema)
    try:
        return check_payload(text, what)
    except CallerError as large:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(large)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} isn't JSON")
