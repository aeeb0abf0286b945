"""Which root an event starts. Its id follows from the event's own, so a redelivery starts nothing new. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from adapter.protocol.ids import SCHEDULE


def identity_of(event: Any, request_id: str) -> str:
    """The id of the root that an event starts, made from the event's own identity."""
    found = [*_header_identity(event), *_source_identity(event)]
    text = found[0] if found else request_id
    # In this order: a lone surrogate isn't printable, and has no encoding.
    if text.isprintable() and "~" not in text and not text.startswith(SCHEDULE) and 0 < len(text.encode()) <= 256:
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _header_identity(event: Any) -> list[str]:
    headers = event.get("headers") if isinstance(event, dict) else None
    if not isinstance(headers, dict):
        return []
    texts = [(name, value) for name, value in headers.items() if isinstance(name, str) and isinstance(value, str)]
    return [value for name, value in texts if name.lower() == "idempotency-key" and value]


def _source_identity(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return []
    records = event.get("Records")
    if isinstance(records, list) and records and all(isinstance(r, dict) for r in records):
        found = [record.get("messageId") for record in records]
        return ["-".join(found)] if all(isinstance(one, str) and one for one in found) else []
    if isinstance(event.get("detail-type"), str) and isinstance(event.get("id"), str):
        return [event["id"]]
    return []
