"""What looks at executions that don't move: an invocation that never came is made again. Pure: it yields operations.

What is over is looked at once more, when it was kept for long enough: see `adapter.lambdas.removal`.

A root is due to be looked at from its creation on, a cancelled function from its cancellation on: that is an entry of
the index, and costs no write of its own while the root makes progress. One look is at one function. What is wrong with
it is mended by an invocation, which is harmless where nothing was wrong; the functions that it waits for are looked at
in turn. Between two looks at what doesn't move lies as much time as it hasn't moved.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from adapter.engine.operations import Invoke, Now, Operation, PeekFunction, PeekPromise, Postpone, SendAt, Settle, Tell
from adapter.engine.telling import What
from adapter.lambdas.removal import retire, retire_below
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Cause, Look, Resume, Timed
from adapter.protocol.promises import Firing
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.times import MINUTE
from adapter.protocol.timing import MAX_WATCH, QUIET, WATCH

Watching = Generator[Operation, Any, str]

SOON = 3 * MINUTE
"""What the index has at least so long before, its sweeper sends in time."""


def look(promise: str, at: int, retention: int | None) -> Watching:
    """Look at a function, at a time that was set for it (microseconds), or because its caller was looked at.

    The mending before the next look is written: whoever dies in between is sent again by the index.

    Args:
        retention: for how many microseconds an execution is kept that is over; None: for ever.
    """
    own, children = yield PeekFunction(promise)
    if own is None:
        return "unknown"
    now = yield Now()
    if own.over and own.due_at == at:
        return (yield from retire(own, children, now, retention))
    if own.over:
        return "over" if parent_of(own.id) is None else (yield from retire_below(own, children, now, at))
    if own.kind is not Kind.CALL:
        return "not a function"
    if own.pending and own.deadline is not None and own.deadline <= max(now, at):
        # Also of a function that can't even be loaded. The stream tells it, so that it cleans up.
        yield Settle(own.id, State.TIMEDOUT, "", guarded=True)
        return "expired"
    latest = max(own.created_at, own.settled_at, *(max(c.created_at, c.settled_at) for c in children), 0)
    if now - latest >= QUIET and not own.paused and (yield from _is_lost(own, children, now)):
        yield Tell(What.MISSED, own.id, own.fn, {})
        yield Invoke(own.target, Resume(id=own.id, cause=Cause.CHECK))
    for child in children:
        # What only time moves, and later, is in the index on its own account.
        asleep = child.expects == -1 and (child.wake_at or 0) > now
        if child.kind is Kind.CALL and child.pending and now - child.created_at >= QUIET and not asleep:
            yield SendAt(child.target, Look(id=child.id), now)
    # A look by way of the caller may come in the very moment of a timer, whose entry isn't a look's to move.
    if own.due_at == at != own.wake_at:
        yield Tell(What.LOOKED, own.id, own.fn, {})
        yield from _postpone(own, now, latest)
    return "looked"


def _is_lost(own: Record, children: Sequence[Record], now: int) -> Generator[Operation, Any, bool]:
    """Whether what was to move the function has happened, and hasn't moved it."""
    for child in children:
        if child.pending and child.kind is Kind.DETACH:
            return True
        if child.pending and child.kind is Kind.FOLLOW and not (yield from _is_registered(child)):
            return True
    if own.expects is None:
        # Not armed: it waits for one child, or it doesn't wait.
        last = children[-1] if children else None
        direct = last is not None and last.wake is Wake.DIRECT and last.pending
        # What was called before a cancellation isn't waited for any more once that is heard of.
        return not direct or (last is not None and not own.pending and last.created_at <= own.settled_at)
    if own.wake_at is not None and own.wake_at + 2 * MINUTE <= now:
        return True
    settled = [child for child in children if child.wake is Wake.COUNTED and not child.pending]
    enough = 0 <= own.expects <= len(settled)
    return enough or (own.on_reject and sum(child.rejected for child in settled) > own.refusals)


def _is_registered(link: Record) -> Generator[Operation, Any, bool]:
    root: Record | None = yield PeekPromise(link.root)
    return root is not None and root.pending and link.id in root.awaiters


def _postpone(own: Record, now: int, latest: int) -> Generator[Operation, Any, None]:
    following = now + min(max(WATCH, now - latest), MAX_WATCH)
    timed = own.wake_at if own.expects is not None else None
    if timed is None and own.pending:
        timed = own.deadline
    if timed is not None and now < timed < following:
        if timed - now >= SOON:
            following = timed
        else:
            timer: Timed = Resume(id=own.id, cause=Cause.TIMER, firing=Firing(timed))
            yield SendAt(own.target, Look(id=own.id) if timed == own.deadline else timer, timed)
    assert own.due_at is not None
    yield Postpone(own.id, own.due_at, following)
