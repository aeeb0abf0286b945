"""The envelopes that Lambdas send each other. Pure: plain dicts to and from records.

Every envelope carries the format's version; another version is refused by name, never guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapter.errors import BadMessage
from adapter.promises import Record, Wake, is_id, parent_of

VERSION = 1
MARK = "lambda-await"
MAX_INLINE_ARGS = 128 * 1024
"""Characters of arguments that travel in the envelope; the callee reads longer ones from its record."""


class Cause(StrEnum):
    """Why a function is invoked again."""

    DIRECT = "direct"
    COUNTED = "counted"
    TIMER = "timer"
    CANCEL = "cancel"
    AGAIN = "again"

    @property
    def claims(self) -> bool:
        """The function was armed; the run takes over by claiming."""
        return self in (Cause.COUNTED, Cause.TIMER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Run the promise for the first time. ``args`` None: read them from the record."""

    id: str
    fn: str
    target: str
    args: str | None
    created_at: int

    def record(self) -> Record:
        """The promise as it was created, which is what it still is unless this message comes twice."""
        return Record(id=self.id, fn=self.fn, target=self.target, args=self.args or "", created_at=self.created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Replay the promise's function, and go on."""

    id: str
    cause: Cause


Message = Start | Resume


def start_of(record: Record) -> Start:
    args = record.args if len(record.args) <= MAX_INLINE_ARGS else None
    return Start(id=record.id, fn=record.fn, target=record.target, args=args, created_at=record.created_at)


def to_event(message: Message) -> dict[str, Any]:
    match message:
        case Start():
            body: dict[str, Any] = {
                "start": message.id,
                "fn": message.fn,
                "target": message.target,
                "args": message.args,
                "created_at": message.created_at,
            }
        case Resume():
            body = {"resume": message.id, "cause": message.cause.value}
    return {MARK: VERSION, **body}


def is_envelope(event: object) -> bool:
    return isinstance(event, Mapping) and MARK in event


def parse(event: Mapping[str, Any]) -> Message:
    """Read an envelope.

    Raises:
        BadMessage: another version, or something missing or of the wrong type.
    """
    if event.get(MARK) != VERSION:
        raise BadMessage(
            f"this code reads envelopes of version {VERSION}, got {event.get(MARK)!r}: deploy it everywhere"
        )
    if "start" in event:
        args = event.get("args")
        return Start(
            id=_id(event, "start"),
            fn=_text(event, "fn"),
            target=_text(event, "target"),
            args=None if args is None else _text(event, "args"),
            created_at=_whole(event, "created_at"),
        )
    cause = _text(event, "cause")
    if cause not in set(Cause):
        raise BadMessage(f"an envelope resumes for an unknown cause: {cause!r}")
    return Resume(id=_id(event, "resume"), cause=Cause(cause))


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise BadMessage(f"an envelope's {key!r} must be a string, got {type(value).__name__}")
    return value


def _id(event: Mapping[str, Any], key: str) -> str:
    promise = _text(event, key)
    if not is_id(promise):
        raise BadMessage(f"an envelope names {promise[:80]!r}, which can't be a promise's id")
    return promise


def _whole(event: Mapping[str, Any], key: str) -> int:
    value = event.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadMessage(f"an envelope's {key!r} must be an integer, got {type(value).__name__}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the stream tells of a promise that has just settled."""

    id: str
    kind: str
    target: str
    rejected: bool
    canceled: bool
    wake: Wake | None
    reply_to: str

    @property
    def parent(self) -> str | None:
        return parent_of(self.id)
