"""What the commands change, each by a transition or an invocation of the protocol; each says what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import assert_never

from adapter.api import handles
from adapter.cli.reading import Reader
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.operations import Invoke
from adapter.errors import CallerError
from adapter.links.values import HttpError, described, read_value
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.signs import Deadlocked, Expired, Lost, Over, Paused, Running, Verdict, Waiting, Why
from adapter.protocol.standing import Way, named

WALKED = 1_000
"""Functions that one command looks at."""

_FROM_OUTSIDE = (Kind.CALL, Kind.EXTERNAL, Kind.FOLLOW)


class Unfit(CallerError):
    """What was asked for isn't done: the promise is of another kind, or its type is another. Nothing was written."""


def resume(host: EngineHost, promise: str, force: bool) -> Iterator[str]:
    """Invoke what is paused, or seems lost, among a function and those that it waits for.

    A crash in the middle leaves some of them uninvoked; the command may be given again. What may be at work is left
    alone, unless it is ``promise`` itself and ``force``: whatever of it isn't stored yet then runs twice.

    Raises:
        UnknownPromise: there is no such promise.
        Unfit: it isn't a function.
    """
    reader, waiting, walked = Reader(host), deque([promise]), 0
    while waiting and walked < WALKED:
        family = reader.family(waiting.popleft())
        own, stands = family.own, reader.stands(family)
        walked += 1
        if own.kind is not Kind.CALL:
            raise Unfit(f"{own.id} is no function, so nothing runs for it: {stands.text}")
        if (invoked := _invocation(stands.verdict, force and own.id == promise)) is not None:
            cause, why = invoked
            host.ports.perform(Invoke(own.target, Resume(id=own.id, cause=cause)))
            yield f"invoked {named(own)} in {own.target}, {why}"
        elif own.id == promise or stands.way is not Way.WAITING:
            yield f"not invoked: {named(own)} {stands.text}"
        waiting.extend(child.id for child in family.children if child.kind is Kind.CALL and child.runnable)
    if waiting:
        yield f"{len(waiting)} further functions were not looked at: resume them by their own ids"


def _invocation(found: Verdict, forced: bool) -> tuple[Cause, str] | None:
    """With which cause a function is to be invoked, and why; None where it is left alone.

    A check leaves alone what may be between two attempts, and makes good what was to start or follow a root.
    """
    match found:
        case Over():
            return None
        case Paused():
            return Cause.AGAIN, "which was paused"
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
        Unfit: it isn't JSON, or not of the promise's type, or such a promise isn't settled from outside.
    """
    # Opened: where its arguments can't be read for want of a cipher, an outcome mustn't be written in clear.
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


def _settled_from_outside(own: Record) -> Record:
    if own.kind in _FROM_OUTSIDE:
        return own
    remedy = "; unschedule(...) ends it" if own.kind is Kind.SCHEDULE else ", which its caller settles"
    raise Unfit(f"{own.id} was not settled: it is a promise of the kind {own.kind.value!r}{remedy}")
