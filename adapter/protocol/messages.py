"""The envelopes that Lambdas send each other. Pure: plain dicts become frozen records, and back.

Every envelope carries the version of its format. Code that doesn't read the version refuses it by name, and never
guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapter.errors import BadMessage, OtherVersion
from adapter.protocol.ids import is_id, parent_of
from adapter.protocol.making import quickly_made
from adapter.protocol.promises import Firing
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.times import EPOCH, Instant
from adapter.protocol.timing import MIN_RETENTION

VERSION = 1
READABLE = frozenset({VERSION})
"""The versions of envelopes that this code reads: its own, and older ones that may still be on their way."""

MARK = "lambda-await"

_LARGEST = 2**63
"""No count and no time is larger; a table's number has no room for much more."""


class Cause(StrEnum):
    """Why a function is invoked again."""

    DIRECT = "direct"
    COUNTED = "counted"
    TIMER = "timer"
    CANCEL = "cancel"
    AGAIN = "again"
    CHECK = "check"

    @property
    def claims(self) -> bool:
        """Whether the function was armed. Then the run first claims the record."""
        return self in (Cause.COUNTED, Cause.TIMER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Run the promise from its beginning.

    ``attempt`` counts the attempts of a function that raises and is tried again. ``crashes`` counts the invocations
    that died more often than Lambda repeats one. ``since`` is when the promise was created: an attempt may come so late
    that a later execution has the id. With 0 it is meant for any promise that has the id.

    ``by``: another version of the Lambda has handed it on, and this was its request id. Its run is an attempt of that
    request.
    """

    id: str
    attempt: int = 1
    crashes: int = 0
    since: Instant = EPOCH
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Replay the promise's function, and go on.

    ``firing`` is the timer that sent this message, if one did. ``since`` is as of `Start`, if the sender knows it. The
    sweeper doesn't, but a firing is for the very time for which its function is armed. Nor does the resumer where it
    goes by a child's record alone: there ``called_at`` is when that child was created. ``looked_at`` is when somebody
    saw that the function doesn't move, and sent a `Cause.CHECK`; the function may have moved before the check comes.
    ``armed`` is the function's epoch when a `Cause.COUNTED` was sent: it may have been claimed before this one comes.
    ``long`` is how a run reads the function without a warm sandbox: it has made so many promises that it may have
    chapters.
    ``by`` is as of `Start`.
    """

    id: str
    cause: Cause
    firing: Firing | None = None
    crashes: int = 0
    since: Instant = EPOCH
    looked_at: Instant = EPOCH
    called_at: Instant = EPOCH
    armed: int | None = None
    long: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occur:
    """Start a schedule's occurrence, whose time has come. The engine's own Lambda handles it."""

    id: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Have the watchdog look at the promise: its deadline has come, or it hasn't moved for long.

    ``over``: the index says that it is over, and waits for its removal. The engine's own Lambda handles it, since it
    needs no user code.
    """

    id: str
    over: bool = False


Message = Start | Resume
Timed = Start | Resume | Occur | Look
"""What a timer may deliver."""


_CAUSES = frozenset(Cause)


def is_meant(own: Record, since: Instant, called_at: Instant) -> bool:
    """Whether a message with these times is for this record, and not for that of an earlier execution of its id.

    A function is created before what it calls, if by another clock. A later execution begins a day later at least.
    """
    return since in (EPOCH, own.created_at) and (not called_at or own.created_at < called_at + MIN_RETENTION // 2)


def to_event(message: Timed) -> dict[str, Any]:
    match message:
        case Start():
            body: dict[str, Any] = {
                "start": message.id,
                "attempt": message.attempt if message.attempt != 1 else None,
                "crashes": message.crashes or None,
                "since": message.since or None,
                "by": message.by or None,
            }
        case Resume():
            body = {
                "resume": message.id,
                "cause": message.cause.value,
                "crashes": message.crashes or None,
                "since": message.since or None,
                "looked_at": message.looked_at or None,
                "called_at": message.called_at or None,
                "armed": message.armed,
                "long": message.long or None,
                "by": message.by or None,
            }
            if message.firing is not None:
                body |= {"at": message.firing.at, "epoch": message.firing.epoch}
        case Look():
            body = {"look": message.id, "over": message.over or None}
        case Occur():
            body = {"occur": message.id, "at": message.at}
    return {MARK: VERSION, **{key: value for key, value in body.items() if value is not None}}


def is_envelope(event: object) -> bool:
    return isinstance(event, Mapping) and MARK in event


def parse(event: Mapping[str, Any]) -> Message:
    """Read an envelope that is for a durable function.

    Raises:
        OtherVersion: a version that this code doesn't read.
        BadMessage: a field is missing or of the wrong type.
    """
    message = parse_timed(event)
    if isinstance(message, Occur | Look):
        raise BadMessage("an envelope for the engine's own Lambda came to a function's")
    return message


def parse_timed(event: Mapping[str, Any]) -> Timed:
    """Read any envelope, one for the engine's own Lambda, too. Raises as `parse` does."""
    if not isinstance(event, Mapping):
        raise BadMessage(f"an envelope must be an object, got {type(event).__name__}")
    version = event.get(MARK)
    if type(version) is not int or version not in READABLE:
        got = type(version).__name__ if isinstance(version, str) else named(version)
        read = ", ".join(map(str, sorted(READABLE)))
        raise OtherVersion(f"this code reads envelopes of version {read}, got {got}: deploy one version everywhere")
    if "start" in event:
        attempt = _whole(event, "attempt", 1, least=1)
        return Start(id=_id(event, "start"), attempt=attempt, **_fate(event))
    if "look" in event:
        return Look(id=_id(event, "look"), over=_flag(event, "over"))
    if "occur" in event:
        return Occur(id=_id(event, "occur"), at=Instant(_whole(event, "at")))
    cause = _text(event, "cause")
    if cause not in _CAUSES:
        raise BadMessage(f"an envelope resumes for an unknown cause: {named(cause)}")
    firing = Firing(Instant(_whole(event, "at")), _whole(event, "epoch", -1)) if "at" in event else None
    times: dict[str, Any] = {name: Instant(_whole(event, name, EPOCH, least=0)) for name in ("looked_at", "called_at")}
    armed = _whole(event, "armed", least=0) if "armed" in event else None
    more = {"armed": armed, "long": _flag(event, "long"), **times, **_fate(event)}
    return Resume(id=_id(event, "resume"), cause=Cause(cause), firing=firing, **more)


def _fate(event: Mapping[str, Any]) -> dict[str, Any]:
    """What `Start` and `Resume` share."""
    crashes, since = _whole(event, "crashes", 0, least=0), _whole(event, "since", EPOCH, least=0)
    return {"crashes": crashes, "since": Instant(since), "by": _text(event, "by") if "by" in event else ""}


def named(value: object) -> str:
    """A value as an error's text shows it: a text, a bool or a small number as it is, anything else by its class."""
    if isinstance(value, str):
        return repr(value[:80])
    small = value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _LARGEST)
    return repr(value) if small else type(value).__name__


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise BadMessage(f"an envelope's {key!r} must be a string, got {type(value).__name__}")
    return value


def _flag(event: Mapping[str, Any], key: str) -> bool:
    value = event.get(key, False)
    if not isinstance(value, bool):
        raise BadMessage(f"an envelope's {key!r} must be true or false, got {type(value).__name__}")
    return value


def _id(event: Mapping[str, Any], key: str) -> str:
    promise = _text(event, key)
    if not is_id(promise):
        raise BadMessage(f"an envelope names {promise[:80]!r}, which can't be a promise's id")
    return promise


def _whole(event: Mapping[str, Any], key: str, default: int | None = None, least: int = -_LARGEST) -> int:
    value = event.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadMessage(f"an envelope's {key!r} must be an integer, got {type(value).__name__}")
    if not least <= value < _LARGEST:
        raise BadMessage(f"an envelope's {key!r} can't be {named(value)}: it is from {least} on, below 2**63")
    return value


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the table's stream says of a promise that has just settled."""

    id: str
    kind: str
    target: str
    rejected: bool
    canceled: bool
    wake: Wake | None
    reply_to: str
    state: State
    value: str = ""
    awaiters: tuple[str, ...] = ()
    created_at: Instant = EPOCH
    settled_at: Instant = EPOCH

    @property
    def parent(self) -> str | None:
        return parent_of(self.id)
