"""The watchdog looks at executions that don't move, and makes a lost invocation again. Pure: it yields operations.

After an execution's retention the watchdog looks once more, and removes it: see `adapter.lambdas.removal`.

The index has an entry for a root from its creation on, and for a cancelled function from its cancellation on. The entry
costs no write of its own while the root makes progress. One look is at one function. `adapter.protocol.signs` says
whether the function is lost. If so, the watchdog invokes it, which does no harm if it wasn't. Then it looks at the
functions that this one waits for.

How soon. The first look comes 20 minutes after the root was created, or after a count or a timer last woke it. The next
look comes after as much time as the root hasn't moved: at least 20 minutes, at most a day. A look finds a function that
has been silent for 16 minutes. So the watchdog finds a lost invocation, of a root or anywhere below it, within 16
minutes and the time between two looks. That is 36 minutes if the root moved lately, and at most a day and 16 minutes; a
sweep adds a minute, and each level of the tree adds a message, for which its queue's batch takes 20 seconds.

The watchdog doesn't look at a function that only sleeps, nor below it, before it wakes.

A function that left no trace is found later, in two cases. It refuses the watchdog's invocation as long as it may be
between two attempts: for their delays, five minutes, and as many times its Lambda's timeout as it has attempts
(`adapter.engine.run`). With three attempts of 15 minutes these are 50 minutes, and looks come after 20, 40 and 80. And
where ten or more siblings left no trace, Lambda may be throttled: the watchdog holds back, for six hours at most
(`adapter.protocol.signs.may_be_queued`).
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
    batched,
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
    Held,
    Lost,
    Over,
    Paused,
    Running,
    Verdict,
    Waiting,
    Why,
    followed,
    last_news,
    may_be_queued,
    sleeps,
    verdict,
)
from adapter.protocol.times import NO_TIME, Instant, Span
from adapter.protocol.timing import MAX_WATCH, QUIET, SOON, WATCH, entry

Watching = Generator[Operation, Any, str]


def look(promise: str, at: Instant, retention: Span | None, over: bool = False) -> Watching:
    """Look at a function: its time ``at`` has come (microseconds), or the watchdog has looked at its caller.

    The watchdog invokes before it writes the next look: if it dies in between, the index sends this look again.

    Args:
        retention: for how long an execution is kept that is over; None: for ever.
        over: the index says that it is over. Then reads may lag: see `adapter.lambdas.removal`.
    """
    own, children = yield PeekFunction(promise, lagging=over)
    if over and (own is None or not own.over):
        # It is another one's by now, or the answer is older than the index.
        own, children = yield PeekFunction(promise)
    if own is None:
        return "unknown"
    now = yield Now()
    if own.over and own.due_at == at:
        return (yield from retire(own, children, now, retention))
    if own.over:
        return "over" if parent_of(own.id) is None else (yield from retire_below(own, children, now, at))
    return "not a function" if own.kind is not Kind.CALL else (yield from _mend(own, children, now, at))


def _mend(own: Record, children: Sequence[Record], now: Instant, at: Instant) -> Watching:
    found = yield from _judge(own, children, max(now, at))
    match found:
        case Expired():
            # Its code may not even load. If it does, the resumer invokes it, and it cleans up.
            yield Settle(own.id, State.TIMEDOUT, "", guarded=True)
            return "expired"
        case Lost() if (yield from _is_queued(own, found, now)):
            pass
        case Lost():
            yield Tell(What.MISSED, own.id, own.fn, {})
            yield Invoke(own.target, Resume(id=own.id, cause=Cause.CHECK, since=own.created_at, looked_at=now))
        case Over() | Paused() | Held() | Running() | Waiting() | Deadlocked():
            pass
        case _:
            assert_never(found)
    calls = [one for one in children if one.kind is Kind.CALL and one.pending and now - one.created_at >= QUIET]
    looks = [SendAt(call.target, Look(id=call.id), now, upkeep=True) for call in calls if not sleeps(call, now)]
    if looks:
        yield batched(looks)
    # A look that came by way of the caller may coincide with a timer. It must not move the timer's entry.
    if own.due_at == at != own.wake_at:
        yield Tell(What.LOOKED, own.id, own.fn, {})
        # It is about to move, so look again soon, however long it has waited for that.
        silence = NO_TIME if isinstance(found, Running) else now - last_news(own, children, now)
        yield from _postpone(own, now, now + min(max(WATCH, silence), MAX_WATCH))
    return "looked"


def _is_queued(own: Record, found: Lost, now: Instant) -> Generator[Operation, Any, bool]:
    parent = parent_of(own.id)
    if parent is None or found.expected.why is not Why.BEGINS:
        return False
    _, siblings = yield PeekFunction(parent)
    return may_be_queued(own, siblings, now)


def _judge(own: Record, children: Sequence[Record], now: Instant) -> Generator[Operation, Any, Verdict]:
    ids = followed(own, children, now)
    roots = (yield Many(tuple(PeekPromise(root) for root in ids))) if ids else ()
    return verdict(own, children, now, dict(zip(ids, roots, strict=True)))


def _postpone(own: Record, now: Instant, following: Instant) -> Generator[Operation, Any, None]:
    assert own.due_at is not None
    timer_at = own.wake_at if own.expects is not None else None
    deadline = own.deadline if own.pending else None
    # What was due before this look isn't the look's: a message for it is on its way, or is kept.
    timed = min((one for one in (timer_at, deadline) if one is not None and one > own.due_at), default=None)
    if timed is not None and timed >= now + SOON:
        following = entry(following, timed)
    elif timed is not None:
        # The entry that led to this look stood in place of the timer's, which may be due by now: nobody else sends it.
        timer: Timed = Resume(id=own.id, cause=Cause.TIMER, firing=Firing(timed), since=own.created_at)
        yield SendAt(own.target, Look(id=own.id) if timed == own.deadline else timer, timed)
    yield Postpone(own.id, own.due_at, following)
