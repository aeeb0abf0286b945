"""What tells that a function is alive, waiting, lost or over: one verdict, from its records and the time. Pure.

The watchdog invokes by this verdict, the command and `adapter.protocol.standing` put it into words, and a cloud that
stands still names its functions by it. So what the watchdog would invoke again is never said to be waiting.

Theory of operation. A record doesn't say whether a Lambda is at work on it at this moment. It does say what is to move
its function, and whether that has happened:

- A function *waits* if nothing has happened yet that would move it: the one child that it waits for is pending, or too
  few of the children that it is armed for have settled, and its timer is ahead.
- Otherwise it *runs*, or is about to be invoked: something has happened that moves it.
- It is *lost* if it should run and doesn't: there was no news for longer than any invocation runs (`QUIET`), and its
  timer, or the root that it follows, was ready for longer than a message is under way (`LATE`).

A function that follows another root depends on that root's record, too: a follower that isn't registered there hears of
nothing. `followed` names the roots, and `verdict` takes what was found of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from adapter.protocol.records import Kind, Record, Wake
from adapter.protocol.times import MINUTE
from adapter.protocol.timing import QUIET

LATE = 2 * MINUTE
"""What a time, or the settlement of another root, sets going is taken for lost later than this: it takes seconds."""

Roots = Mapping[str, Record | None]
"""What was found of roots, by id: None where there is none."""

UNREAD: Roots = MappingProxyType({})
"""Nobody looked."""


class Why(Enum):
    """Why a function, or the run that is to settle a promise, should be at work."""

    BEGINS = auto()
    """It has left no trace. Its first attempt is invoked or runs, or a further one will be: only its own Lambda knows
    the delays between attempts."""
    RUNS = auto()
    """A run took it over."""
    HEARS = auto()
    """It was settled from above, and hasn't heard of it."""
    STARTS = auto()
    """Its run has to start the root of ``by``, or to register ``by`` there."""
    STEP = auto()
    """Its run is at the inline step ``by``."""
    CALLED = auto()
    """Its run has created ``by``, and hasn't suspended since."""
    NEWS = auto()
    """``by`` has settled, and the run that hears of it hasn't suspended since."""
    ENOUGH = auto()
    """Of the children that it is armed for, enough have settled; ``by`` is the last of them."""
    ROOT = auto()
    """The root that ``by`` follows has settled; ``by`` is about to."""
    TIMER = auto()
    """Its timer fell due."""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing runs for it any more."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Its deadline is past, and it isn't settled. ``late``: whatever was to settle it hasn't."""

    late: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Its code drifted from its history. Any later run tries again: a settlement, a timer or a person begins one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """It is at work, or about to be. ``since`` (microseconds): when that which moves it was ready."""

    why: Why
    since: int
    by: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It should be at work, as ``expected``, and there was no news of it for ``silence`` (microseconds)."""

    expected: Running
    silence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing is to be done before one of these settles, or one of these times comes (microseconds).

    ``need``: so many of the promises have to settle; 0: it isn't known. Which of them the code awaits, no record says.
    """

    promises: Sequence[Record] = field(default=())
    need: int = 0
    timer: int | None = None
    deadline: int | None = None


@dataclass(frozen=True, slots=True)
class Deadlocked:
    """It waits for nothing that could settle, and for no time."""


Unsettled = Expired | Paused | Running | Lost | Waiting | Deadlocked
Verdict = Over | Unsettled


def followed(own: Record, children: Sequence[Record], now: int) -> tuple[str, ...]:
    """The roots whose records `verdict` depends on, each once. To be read after ``own`` and ``children`` were."""
    if _by_itself(own, now) is not None:
        return ()
    return tuple(dict.fromkeys(one.root for one in (own, *children) if one.pending and one.kind is Kind.FOLLOW))


def verdict(own: Record, children: Sequence[Record], now: int, roots: Roots = UNREAD) -> Verdict:
    """How a promise stands at ``now`` (microseconds).

    Args:
        children: a function's, all of them, read with or after its own record.
        roots: what was found of those that `followed` names. One that isn't in it couldn't be read: its followers are
            taken to be registered there.
    """
    if (certain := _by_itself(own, now)) is not None:
        return certain
    if own.kind is not Kind.CALL:
        return _of_a_promise(own, now, roots)
    moving = _moving(own, children, now, roots)
    return _waiting(own, children) if moving is None else _unless_lost(moving, last_news(own, children, now), now)


def last_news(own: Record, children: Sequence[Record], now: int) -> int:
    """When the function, or one of its children, was last seen to move (microseconds)."""
    times = [max(one.created_at, one.settled_at) for one in (own, *children)]
    if own.expects is None and own.wake_at is not None and own.wake_at <= now:
        # Claims have no time of their own: the run that claimed by this timer began when it fell due, or later.
        times.append(own.wake_at)
    return max(times)


def sleeps(own: Record, now: int) -> bool:
    """Whether only time moves the function, and later: a message or an entry of the index sees to that by itself."""
    return own.expects == -1 and own.wake_at is not None and own.wake_at > now


def _by_itself(own: Record, now: int) -> Over | Expired | Paused | None:
    """What its own record says, whatever there is beside it."""
    if own.over:
        return Over()
    if own.kind is not Kind.CALL:
        return None
    if own.pending and own.deadline is not None and own.deadline <= now:
        return Expired(late=own.deadline + LATE <= now)
    return Paused() if own.paused else None


def _unless_lost(moving: Running, news: int, now: int) -> Running | Lost:
    if now - news < QUIET or now - moving.since < LATE:
        return moving
    return Lost(expected=moving, silence=now - news)


def _moving(own: Record, children: Sequence[Record], now: int, roots: Roots) -> Running | None:
    """What moves a function, or has just done so; None where it waits."""
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
    if enough or (own.on_reject and sum(child.rejected for child in settled) > own.refusals):
        return _heard(own, settled, Why.ENOUGH)
    return None


def _dispatched(child: Record, roots: Roots) -> Running | None:
    """What a child needs that goes by a root of its own: its caller's run, or the root's settlement."""
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
    """Whether it waits for one child alone, whose settlement resumes it."""
    last = children[-1] if children else None
    if last is None or last.wake is not Wake.DIRECT or not last.pending:
        return False
    # What was called before a cancellation isn't waited for any more once that is heard of.
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
    awaited = [child for child in children if child.pending and child.wake is Wake.DIRECT]
    need = 0
    if own.expects is not None and own.expects >= 0:
        awaited += _counted(children, pending=True)
        need = own.expects - len(_counted(children, pending=False))
    # A timer that fired stays on the record; it is of no meaning unless the function is armed.
    timed = own.expects is not None and not (own.pending and own.wake_at == own.deadline)
    timer = own.wake_at if timed else None
    deadline = own.deadline if own.pending else None
    if not awaited and timer is None and deadline is None:
        return Deadlocked()
    return Waiting(promises=tuple(awaited), need=need, timer=timer, deadline=deadline)


def _counted(children: Sequence[Record], *, pending: bool) -> list[Record]:
    return [child for child in children if child.wake is Wake.COUNTED and child.pending is pending]


def _of_a_promise(own: Record, now: int, roots: Roots) -> Running | Lost | Waiting:
    """Of what is no function: a run of its caller settles it, a root, or the outside world."""
    if own.kind is Kind.SCHEDULE:
        return Waiting(timer=own.wake_at)
    step = Running(why=Why.STEP, since=own.created_at, by=own) if own.kind is Kind.INLINE else None
    moving = step or _dispatched(own, roots)
    if moving is None:
        return Waiting(promises=(own,), deadline=own.deadline)
    return _unless_lost(moving, own.created_at, now)
