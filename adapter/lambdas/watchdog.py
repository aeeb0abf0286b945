"""What looks at executions that don't move: an invocation that never came is made again. Pure: it yields operations.

What is over is looked at once more, when it was kept for long enough: see `adapter.lambdas.removal`.

A root is due to be looked at from its creation on, a cancelled function from its cancellation on: that is an entry of
the index, and costs no write of its own while the root makes progress. One look is at one function. What is wrong with
it is mended by an invocation, which is harmless where nothing was wrong; the functions that it waits for are looked at
in turn. What is wrong, `adapter.protocol.signs` tells.

By when. The first look comes 20 minutes after the root was created, or after a count or a timer last woke it. From then
on, as much time lies between two looks as the root hasn't moved: 20 minutes at least, a day at most. A look finds what
has been silent for 16 minutes. So what is lost, of a root or anywhere below it, is found within 16 minutes and the
time between two looks: 36 minutes where the root moved lately, a day and 16 minutes at most. To this come the minute of
a sweep, and a message for each level of the tree.

No look comes to what only sleeps, nor to what is below it, before it wakes. A function that left no trace refuses the
invocation as long as it may be between two attempts (`adapter.engine.run`): with endless attempts, for ever.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, assert_never

from adapter.engine.operations import (
    Invoke,
    Many,
    Now,
    Operation,
    PeekFunction,
    PeekPromise,
    Postpone,
    SendAt,
    Settle,
    Tell,
)
from adapter.engine.telling import What
from adapter.lambdas.removal import retire, retire_below
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Cause, Look, Resume, Timed
from adapter.protocol.promises import Firing
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.signs import (
    Deadlocked,
    Expired,
    Lost,
    Over,
    Paused,
    Running,
    Verdict,
    Waiting,
    followed,
    last_news,
    sleeps,
    verdict,
)
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
    return "not a function" if own.kind is not Kind.CALL else (yield from _mend(own, children, now, at))


def _mend(own: Record, children: Sequence[Record], now: int, at: int) -> Watching:
    found = yield from _judge(own, children, max(now, at))
    match found:
        case Expired():
            # Also of a function that can't even be loaded. The stream tells it, so that it cleans up.
            yield Settle(own.id, State.TIMEDOUT, "", guarded=True)
            return "expired"
        case Lost():
            yield Tell(What.MISSED, own.id, own.fn, {})
            yield Invoke(own.target, Resume(id=own.id, cause=Cause.CHECK))
        case Over() | Paused() | Running() | Waiting() | Deadlocked():
            pass
        case _:
            assert_never(found)
    for child in children:
        if child.kind is Kind.CALL and child.pending and now - child.created_at >= QUIET and not sleeps(child, now):
            yield SendAt(child.target, Look(id=child.id), now)
    # A look by way of the caller may come in the very moment of a timer, whose entry isn't a look's to move.
    if own.due_at == at != own.wake_at:
        yield Tell(What.LOOKED, own.id, own.fn, {})
        # Whether what is about to move it does is soon to be seen, however long it has waited for that.
        silence = 0 if isinstance(found, Running) else now - last_news(own, children, now)
        yield from _postpone(own, now, now + min(max(WATCH, silence), MAX_WATCH))
    return "looked"


def _judge(own: Record, children: Sequence[Record], now: int) -> Generator[Operation, Any, Verdict]:
    ids = followed(own, children, now)
    roots = (yield Many(tuple(PeekPromise(root) for root in ids))) if ids else ()
    return verdict(own, children, now, dict(zip(ids, roots, strict=True)))


def _postpone(own: Record, now: int, following: int) -> Generator[Operation, Any, None]:
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
