"""The commands that change something, by the protocol's transitions and invocations. Each says what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import assert_never

from adapter.api import handles
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.operations import Invoke, Pin
from adapter.errors import CallerError
from adapter.links.values import HttpError, described, read_value
from adapter.protocol.forks import INCOMPLETE
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.signs import Deadlocked, Expired, Held, Lost, Over, Paused, Running, Verdict, Waiting, Why
from adapter.protocol.standing import Way, named
from adapter.protocol.times import EPOCH
from adapter.steering.reading import WALKED, Reader

_FROM_OUTSIDE = (Kind.CALL, Kind.EXTERNAL, Kind.FOLLOW)


class Unfit(CallerError):
    """The command can't be done: the promise is of another kind, or has another type. Nothing was written."""


def resume(host: EngineHost, promise: str, force: bool, unpin: bool = False) -> Iterator[str]:
    """Invoke a function, and those that it waits for, if they are paused or seem lost.

    With ``unpin`` they follow the newest code from now on, wherever they are pinned to a version.

    If the command dies in the middle, it has not invoked some of them, and may be given again. A function that may be
    at work is left alone. With ``force``, ``promise`` itself is invoked all the same; steps of it that aren't stored
    yet may then run twice.

    Raises:
        UnknownPromise: there is no such promise.
        Unfit: it isn't a function.
    """
    reader, waiting, walked = Reader(host), deque([promise]), 0
    while waiting and walked < WALKED:
        family = reader.family(waiting.popleft())
        own, stands = family.own, reader.stands(family)
        walked += 1
        if unpin and own.unpinned:
            own = yield from _unpin(host, own)
        if own.kind is not Kind.CALL:
            raise Unfit(f"{own.id} is no function, so nothing runs for it: {stands.text}")
        if reader.is_incomplete(own) and not force:
            yield f"not invoked: {named(own)}; {INCOMPLETE}"
        elif (invoked := _invocation(stands.verdict, force and own.id == promise)) is not None:
            cause, why = invoked
            looked_at = host.now() if cause is Cause.CHECK else EPOCH
            message = Resume(id=own.id, cause=cause, since=own.created_at, looked_at=looked_at)
            if host.ports.perform(Invoke(own.target, message)):
                yield f"invoked {named(own)} in {own.target}, {why}"
            else:
                yield f"not invoked: {named(own)}; Lambda refuses to invoke {own.target}. It is tried again by itself"
        elif own.id == promise or stands.way is not Way.WAITING:
            yield f"not invoked: {named(own)} {stands.text}"
        waiting.extend(child.id for child in family.children if child.kind is Kind.CALL and child.runnable)
    if waiting:
        yield f"{len(waiting)} further functions were not looked at: resume them by their own ids"


def _unpin(host: EngineHost, own: Record) -> Generator[str, None, Record]:
    """Have a function follow the newest code. Died in between: it does, or the command is given again."""
    written: Written = host.ports.perform(Pin(own.id, own.target, own.unpinned, ""))
    if isinstance(written, Refused):
        return own if written.stands is None else written.stands
    yield f"{named(own)} goes on in {written.target}, not in {own.target} any more"
    return written


def _invocation(found: Verdict, forced: bool) -> tuple[Cause, str] | None:
    """The cause with which to invoke a function, and why; None if it is left alone.

    A run with the cause `CHECK` leaves alone a function that may be between two attempts. It also starts and follows
    roots again that its function has asked for.
    """
    match found:
        case Over():
            return None
        case Paused():
            return Cause.AGAIN, "which was paused"
        case Held():
            return Cause.AGAIN, "which could not be run"
        case Running(why=Why.BEGINS) | Lost(expected=Running(why=Why.BEGINS)) if forced:
            return Cause.AGAIN, "as was asked"
        case _ if forced:
            return Cause.CHECK, "as was asked"
        case Lost() | Expired(late=True):
            return Cause.CHECK, "which didn't move"
        case Expired() | Running() | Waiting() | Deadlocked():
            return None
        case _:
            assert_never(found)


def resolve(host: EngineHost, promise: str, text: str) -> str:
    """Settle with a JSON text, checked against the type that an external promise was made with.

    Raises:
        UnknownPromise: there is no such promise.
        AlreadySettled: it was settled before; says with what state.
        Unfit: the text isn't JSON, or not of the promise's type, or nobody outside may settle such a promise.
    """
    # The record is opened first. If its arguments need a cipher that isn't here, no outcome may be written in clear.
    own = _settled_from_outside(Reader(host).opened(promise))
    external = own.kind is Kind.EXTERNAL
    try:
        value = read_value(text, described(own) if external else {}, "the value")
    except HttpError as refusal:
        raise Unfit(f"{own.id} was not settled: {refusal}") from None
    handles.settle(own.id, State.RESOLVED, hosts.storable(value, f"the value for {own.id}"))
    said = f"{own.id} is resolved"
    return said if external else f"{said}; what a function returns has no type in the table, so it wasn't checked"


def reject(host: EngineHost, promise: str, message: str) -> str:
    """Settle with a RuntimeError of this message. Raises as `resolve` does."""
    handles.reject(_settled_from_outside(Reader(host).opened(promise)).id, message)
    return f"{promise} is rejected"


def cancel(host: EngineHost, promise: str) -> str:
    """Settle ``rejected_canceled``; a function then cleans up. Raises as `resolve` does."""
    own = Reader(host).family(promise).own
    handles.cancel(_settled_from_outside(own).id)
    return f"{promise} is cancelled" + ("; its function cleans up" if own.kind is Kind.CALL else "")


def rotate_keys(host: EngineHost, drop: bool) -> str:
    """Have another key sign envelopes. A crash leaves the old one or the new one."""
    host.ports.signer.rotate(drop=drop)
    others = "nothing that another key signed is good any more" if drop else "those before it stay good for 30 days"
    return f"another key signs from now on, in each sandbox within an hour; {others}"


def _settled_from_outside(own: Record) -> Record:
    if own.kind in _FROM_OUTSIDE:
        return own
    remedy = "; unschedule(...) ends it" if own.kind is Kind.SCHEDULE else ", which its caller settles"
    raise Unfit(f"{own.id} was not settled: it is a promise of the kind {own.kind.value!r}{remedy}")
