"""Whether a function is alive, waiting, lost or over: one verdict, from its records and the time. Pure.

The watchdog invokes by this verdict, `adapter.protocol.standing` puts it into words for the command ``durable``, and a
`LocalCloud` that stands still describes its functions by it. So they never call a function waiting that the watchdog
would invoke again.

Theory of operation. A record doesn't say whether a Lambda is at work on it right now. It does say what will move its
function on (a settlement, a timer), and whether that has happened:

- A function *waits* as long as nothing has happened that would move it. The one child that it waits for is pending, or
  too few of the children that it is armed for have settled, and its timer is ahead.
- Otherwise it *runs*, or is about to be invoked: something has happened that moves it.
- It is *lost* if it should run and doesn't. There was no news for longer than any invocation runs (`QUIET`); and its
  timer fell due, or the root that it follows settled, longer ago than a message takes (`LATE`).

A function that follows another root depends on that root's record, too: a root resumes only the followers that are
registered there. `followed` names the roots, and `verdict` takes their records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from types import MappingProxyType

from adapter.protocol.outages import LONG, is_out
from adapter.protocol.records import Kind, Record, Wake
from adapter.protocol.times import HOUR, MINUTE, Instant, Span
from adapter.protocol.timing import QUIET, WATCH

LATE = 2 * MINUTE
"""A timer's message, or the news of another root's settlement, takes seconds; after this long it counts as lost."""

QUEUED = 6 * HOUR
"""For so long Lambda keeps an event that it throttles."""

BACKLOG = 10
"""So many functions that left no trace may be a queue. Fewer are invoked again: that makes no queue much longer."""

TOGETHER = 10 * MINUTE
"""Calls of so long a time stand in one queue, in no order: Lambda tries each again after up to five minutes."""

Roots = Mapping[str, Record | None]
"""The records of roots by id; None where a root doesn't exist."""

UNREAD: Roots = MappingProxyType({})
"""For a verdict without any root's record."""


class Why(Enum):
    """Why a function should be at work, or the run that has to settle a promise."""

    BEGINS = auto()
    """It has left no trace. Its first attempt runs or is about to, or it is between two attempts: only its own Lambda
    knows the delays between attempts."""
    RUNS = auto()
    """A run took it over."""
    HEARS = auto()
    """It was cancelled, or timed out, and hasn't heard of that."""
    STARTS = auto()
    """Its run has to start the root that ``by`` follows, or to register ``by`` there."""
    STEP = auto()
    """Its run is at the inline step ``by``."""
    CALLED = auto()
    """Its run has created ``by``, and hasn't suspended since."""
    NEWS = auto()
    """``by`` has settled, and the run that hears of it hasn't suspended since."""
    ENOUGH = auto()
    """Of the children that it is armed for, enough have settled; ``by`` is the last of them."""
    ROOT = auto()
    """The root that ``by`` follows has settled, and ``by`` is about to settle."""
    TIMER = auto()
    """Its timer fell due."""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing runs for it any more."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Its deadline is past, and it isn't settled. ``late``: a message should have settled it by now."""

    late: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Its code drifted from its history. The next run tries again: a settlement, a timer or a person starts one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Its Lambda can't run it, for a reason that has nothing to do with it; it is tried again by itself.

    ``why`` (see `adapter.protocol.outages`), ``since`` when. ``long``: a person has to know.
    """

    why: str
    since: Instant
    long: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """It is at work, or about to be. ``since`` is when the thing that moves it happened."""

    why: Why
    since: Instant
    by: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It should be at work, as ``expected`` says, and there was no news of it for ``silence``."""

    expected: Running
    silence: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """It waits until one of these promises settles, or one of these times comes.

    ``need`` is how many of the promises have to settle; 0 if that isn't known. No record says which of them the code
    awaits.
    """

    promises: Sequence[Record] = field(default=())
    need: int = 0
    timer: Instant | None = None
    deadline: Instant | None = None


@dataclass(frozen=True, slots=True)
class Deadlocked:
    """It waits for no promise that could settle, and for no time."""


Unsettled = Expired | Paused | Held | Running | Lost | Waiting | Deadlocked
Verdict = Over | Unsettled


def followed(own: Record, children: Sequence[Record], now: Instant) -> tuple[str, ...]:
    """The roots whose records `verdict` depends on, each once. Read them after ``own`` and ``children``."""
    if _by_itself(own, now) is not None:
        return ()
    return tuple(dict.fromkeys(one.root for one in (own, *children) if one.pending and one.kind is Kind.FOLLOW))


def verdict(own: Record, children: Sequence[Record], now: Instant, roots: Roots = UNREAD) -> Verdict:
    """How a promise stands at ``now``.

    Args:
        children: all children of a function, read with its own record or after it.
        roots: the records of the roots that `followed` names. If one is missing here, it couldn't be read, and its
            followers are taken to be registered.
    """
    if (certain := _by_itself(own, now)) is not None:
        return certain
    if own.kind is not Kind.CALL:
        return _of_a_promise(own, now, roots)
    moving = _moving(own, children, now, roots)
    return _waiting(own, children) if moving is None else _unless_lost(moving, last_news(own, children, now), now)


def last_news(own: Record, children: Sequence[Record], now: Instant) -> Instant:
    """When the function, or one of its children, was last seen to move."""
    times = [max(one.created_at, one.settled_at) for one in (own, *children)]
    if own.expects is None and own.wake_at is not None and own.wake_at <= now:
        # A claim records no time. The run that claimed by this timer began when the timer fell due, or later.
        times.append(own.wake_at)
    if own.retry_at <= now:
        times.append(own.retry_at)
    return max(times)


def sleeps(own: Record, now: Instant) -> bool:
    """Whether only time moves the function, and later. A message or an entry of the index will resume it then."""
    return own.expects == -1 and own.wake_at is not None and own.wake_at > now


def may_be_queued(own: Record, siblings: Sequence[Record], now: Instant) -> bool:
    """Whether the event that begins a function may wait in Lambda's queue, though the function seems lost.

    Lambda keeps what it throttles, and the table tells nothing of it. To invoke it again would make the queue longer,
    and the function would run twice. It looks so where the function has many siblings in its Lambda, called at the
    same time: either they settle one after the other, or not one of them has. In the second case they may all be lost
    instead, so at each look one of them counts as lost, another one each time. After six hours Lambda keeps nothing.

    Args:
        siblings: all children of its parent.
    """
    since = now - own.created_at
    called = [one for one in siblings if one.kind is Kind.CALL and one.target == own.target]
    together = [one for one in called if abs(one.created_at - own.created_at) <= TOGETHER]
    silent = [one for one in together if one.pending and not one.epoch and one.expects is None]
    if since >= QUEUED or len(silent) < BACKLOG:
        return False
    if any(not one.pending and one.created_at - own.created_at > TOGETHER for one in called):
        # A later one came through.
        return False
    moved = sorted(one.settled_at for one in together if not one.pending and one.settled_at > own.created_at)
    if moved:
        # Lambda empties its queue without such a pause.
        return all(after - before < QUIET for before, after in pairwise([*moved, now]))
    return own.id != silent[since // WATCH % len(silent)].id


def _by_itself(own: Record, now: Instant) -> Over | Expired | Paused | Held | None:
    """The verdict that its own record gives, whatever the others say; None where those matter."""
    if own.over:
        return Over()
    if own.kind is not Kind.CALL:
        return None
    if own.pending and own.deadline is not None and own.deadline <= now:
        return Expired(late=own.deadline + LATE <= now)
    if own.paused:
        return Paused()
    if is_out(own, now):
        return Held(why=own.outage, since=own.outage_at, long=now - own.outage_at >= LONG)
    return None


def _unless_lost(moving: Running, news: Instant, now: Instant) -> Running | Lost:
    if now - news < QUIET or now - moving.since < LATE:
        return moving
    return Lost(expected=moving, silence=now - news)


def _moving(own: Record, children: Sequence[Record], now: Instant, roots: Roots) -> Running | None:
    """Why a function moves, or is about to; None where it waits."""
    if not own.pending and own.expects is None and all(child.created_at <= own.settled_at for child in children):
        return Running(why=Why.HEARS, since=own.settled_at)
    for child in children:
        if (dispatched := _dispatched(child, roots)) is not None:
            return dispatched
    if own.expects is None:
        return None if _is_direct(own, children) else _at_work(own, children)
    if own.wake_at is not None and own.wake_at <= now:
        return Running(why=Why.TIMER, since=own.wake_at)
    settled = _counted(children, pending=False)
    enough = 0 <= own.expects <= len(settled)
    if enough or (own.on_reject and sum(child.rejected for child in settled) > own.rejections):
        return _heard(own, settled, Why.ENOUGH)
    return None


def _dispatched(child: Record, roots: Roots) -> Running | None:
    """What a child that follows or detaches a root needs: its caller's run, or the root's settlement."""
    if not child.pending or child.kind not in (Kind.DETACH, Kind.FOLLOW):
        return None
    if child.kind is Kind.DETACH:
        return Running(why=Why.STARTS, since=child.created_at, by=child)
    if child.root not in roots:
        return None
    root = roots[child.root]
    if root is None or child.id not in root.awaiters:
        return Running(why=Why.STARTS, since=child.created_at, by=child)
    return None if root.pending else Running(why=Why.ROOT, since=root.settled_at, by=child)


def _is_direct(own: Record, children: Sequence[Record]) -> bool:
    """Whether the function waits for one child alone, whose settlement resumes it."""
    last = children[-1] if children else None
    if last is None or last.wake is None or not last.wake.alone or not last.pending:
        return False
    # A function that has heard of its cancellation doesn't wait for its earlier calls any more.
    return own.pending or last.created_at > own.settled_at


def _at_work(own: Record, children: Sequence[Record]) -> Running:
    """It isn't armed, and waits for no single child."""
    if not children:
        return Running(why=Why.RUNS if own.epoch else Why.BEGINS, since=own.created_at)
    for child in reversed(children):
        if child.pending and child.kind is Kind.INLINE:
            return Running(why=Why.STEP, since=child.created_at, by=child)
    settled = [child for child in children if not child.pending]
    if settled:
        return _heard(own, settled, Why.NEWS)
    return Running(why=Why.CALLED, since=children[-1].created_at, by=children[-1])


def _heard(own: Record, settled: Sequence[Record], why: Why) -> Running:
    last = max(settled, key=lambda child: child.settled_at, default=None)
    return Running(why=why, since=own.created_at if last is None else last.settled_at, by=last)


def _waiting(own: Record, children: Sequence[Record]) -> Waiting | Deadlocked:
    awaited = [child for child in children if child.pending and child.wake is not None and child.wake.alone]
    need = 0
    if own.expects is not None and own.expects >= 0:
        awaited += _counted(children, pending=True)
        need = own.expects - len(_counted(children, pending=False))
    # A timer that fired stays on the record. It means nothing unless the function is armed.
    timed = own.expects is not None and not (own.pending and own.wake_at == own.deadline)
    timer = own.wake_at if timed else None
    deadline = own.deadline if own.pending else None
    if not awaited and timer is None and deadline is None:
        return Deadlocked()
    return Waiting(promises=tuple(awaited), need=need, timer=timer, deadline=deadline)


def _counted(children: Sequence[Record], *, pending: bool) -> list[Record]:
    return [child for child in children if child.wake is Wake.COUNTED and child.pending is pending]


def _of_a_promise(own: Record, now: Instant, roots: Roots) -> Running | Lost | Waiting:
    """The verdict on a promise that is no function: its caller's run, a root, or the outside world settles it."""
    if own.kind is Kind.SCHEDULE:
        return Waiting(timer=own.wake_at)
    step = Running(why=Why.STEP, since=own.created_at, by=own) if own.kind is Kind.INLINE else None
    moving = step or _dispatched(own, roots)
    if moving is None:
        return Waiting(promises=(own,), deadline=own.deadline)
    return _unless_lost(moving, own.created_at, now)
