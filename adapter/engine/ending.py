"""How a run ends; and how what a function started ends, when its code can't hear of it any more.

Pure: it yields operations. Every run of a function returns an `Ending`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from enum import StrEnum
from typing import Any

from adapter.codec.exceptions import encode_exception
from adapter.engine.operations import Close, Invoke, Operation, Settle, Tell
from adapter.engine.telling import What
from adapter.errors import FunctionCrashed
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.records import Kind, Record, State


class Ending(StrEnum):
    """What came of a run. The Lambda answers an envelope with it."""

    SETTLED = "settled"
    """The function is over, and its promise has its outcome."""

    SUSPENDED = "suspended"
    """The function waits; what it waits for resumes it."""

    YIELDED = "yielded"
    """A fresh invocation goes on, since this one had too little time left."""

    RETRYING = "retrying"
    """The function failed. A message begins its next attempt."""

    REFUSED = "refused"
    """There was nothing to do: the promise was over, another run had taken over, or an earlier execution was meant."""

    PAUSED = "paused"
    """The function's code drifted from its history."""

    CLOSED = "closed"
    """The function was settled from above, and has cleaned up."""

    HANDED_ON = "handed on"
    """The function is pinned to another version of the Lambda, which has the message now."""

    STUCK = "stuck"
    """The function waits for nothing that could settle, and for no time."""


Steps = Generator[Operation, Any, Ending]
"""A run, as the operations that it asks for."""


def go_on_afresh(own: Record, *, long: bool) -> Steps:
    """Go on in a fresh invocation. If this one dies before, Lambda's retry of it goes on just so.

    ``long``: the function may have chapters.
    """
    yield Invoke(own.target, Resume(id=own.id, cause=Cause.AGAIN, since=own.created_at, long=long))
    yield Tell(What.YIELDED, own.id, own.fn, {})
    return Ending.YIELDED


def end(children: Sequence[Record]) -> Generator[Operation, Any, None]:
    """Cancel the promises whose outcome no code will hear."""
    for child in children:
        if child.pending:
            yield Settle(child.id, State.CANCELED, "", guarded=child.kind is Kind.CALL, by_parent=True)


def crashed(own: Record, children: Sequence[Record]) -> Steps:
    """Settle a function whose Lambda died too often. Its children end first: nothing else would end them."""
    yield from end(children)
    if not own.pending:
        yield Close(own.id)
        return Ending.CLOSED
    error = FunctionCrashed(f"{own.fn} ({own.id}): its Lambda died, or failed outside of the function, too often")
    yield Settle(own.id, State.REJECTED, encode_exception(error))
    yield Tell(What.CRASHED, own.id, own.fn, {})
    return Ending.SETTLED
