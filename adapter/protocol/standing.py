"""How a promise stands, from its records and the time: settled, paused, moving, or waiting for what can be named. Pure.

A record doesn't say whether a Lambda is at work on it at this moment. It does say what is to move its function, and
whether that has happened; so of a function that isn't waiting, "running" also means that it is about to be invoked.
The same signs tell the watchdog what to mend: what it would invoke again is never said to be waiting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from adapter.protocol.records import BLOCK_FUNCTION, Kind, Record, State, Stored, Wake
from adapter.protocol.times import LATEST, MINUTE, SECOND
from adapter.protocol.timing import QUIET

NAMED = 3
"""Of the things that a function waits for, so many are named in a sentence."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ENDS = {
    State.RESOLVED: "resolved",
    State.REJECTED: "rejected",
    State.CANCELED: "cancelled",
    State.TIMEDOUT: "timed out",
}


class Way(StrEnum):
    """How a promise stands."""

    SETTLED = "settled"
    PAUSED = "paused"
    RUNNING = "running"
    WAITING = "waiting"
    DEADLOCKED = "deadlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that is waited for: another promise, or a time (``at``, microseconds).

    ``what``: ``call``, ``external``, ``follow`` (then ``root`` is the other execution), ``timer`` or ``deadline``.
    """

    what: str
    id: str = ""
    fn: str = ""
    root: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a promise stands, ``text`` in words.

    ``waits``: what could move it. ``cleans_up``: it was settled from above, and its clean-up hasn't ended. ``quiet``:
    it isn't waiting, and yet there was no news for longer than any invocation runs; what was to move it may be lost.
    """

    way: Way
    text: str
    waits: tuple[Wait, ...] = ()
    cleans_up: bool = False
    quiet: bool = False


def standing(own: Record, children: Sequence[Record], now: int) -> Standing:
    """How a promise stands at ``now`` (microseconds). ``children``: a function's, read with or after its own record."""
    if own.kind is Kind.CALL and own.runnable:
        return _function(own, children, now)
    if not own.pending:
        return Standing(way=Way.SETTLED, text=_settled(own, now))
    match own.kind:
        case Kind.EXTERNAL:
            wait = Wait(what="external", id=own.id)
            text = f"to be settled from outside: durable resolve {own.id} JSON, a signed link, or resolve()"
            return Standing(way=Way.WAITING, text=text + _ends(own, now), waits=(wait, *_deadline(own)))
        case Kind.FOLLOW:
            wait = Wait(what="follow", id=own.id, root=own.root)
            text = f"settles as the execution {own.root} does"
            return Standing(way=Way.WAITING, text=text + _ends(own, now), waits=(wait, *_deadline(own)))
        case Kind.SCHEDULE:
            times = () if own.wake_at is None else (Wait(what="timer", at=own.wake_at),)
            return Standing(way=Way.WAITING, text=f"next occurs {time_in_words(own.wake_at or 0, now)}", waits=times)
        case _:
            quiet = now - own.created_at >= QUIET
            doing = f"starts the execution {own.root}" if own.kind is Kind.DETACH else "is run by its caller's Lambda"
            return Standing(way=Way.RUNNING, text=doing, quiet=quiet)


def _function(own: Record, children: Sequence[Record], now: int) -> Standing:
    cleans_up = not own.pending
    lead = f"{_settled(own, now)}; cleans up: " if cleans_up else ""
    if own.paused:
        return Standing(way=Way.PAUSED, text=lead + _paused(own), cleans_up=cleans_up)
    reason = _reason(own, children, now)
    if reason is not None:
        quiet = now - _latest(own, children) >= QUIET
        text = lead + (_lost(own, reason, now - _latest(own, children), now) if quiet else reason)
        return Standing(way=Way.RUNNING, text=text + _ends(own, now), cleans_up=cleans_up, quiet=quiet)
    waits = _waits(own, children)
    if not waits:
        text = (
            f"{lead}waits for nothing that could settle: for an Event, a Lock or the like, which only its own code"
            f" could set; durable cancel {own.id} ends it"
        )
        return Standing(way=Way.DEADLOCKED, text=text, cleans_up=cleans_up)
    return Standing(way=Way.WAITING, text=lead + _waiting(own, children, waits, now), waits=waits, cleans_up=cleans_up)


# Why a function isn't waiting.


def _reason(own: Record, children: Sequence[Record], now: int) -> str | None:
    """What moves it now, or has just done so; None where it waits."""
    if own.pending and own.deadline is not None and own.deadline <= now:
        return f"is about to time out: its deadline was {time_in_words(own.deadline, now)}"
    if own.expects is None:
        return None if _direct(own, children) else _unarmed(own, children, now)
    if own.wake_at is not None and own.wake_at <= now:
        return f"is about to be resumed: a timer fell due {time_in_words(own.wake_at, now)}"
    settled = _counted(children, pending=False)
    enough = 0 <= own.expects <= len(settled)
    if enough or (own.on_reject and sum(child.rejected for child in settled) > own.refusals):
        return f"is about to be resumed: {_news(settled, now)}"
    return None


def _direct(own: Record, children: Sequence[Record]) -> bool:
    """Whether it waits for one child alone, whose settlement resumes it."""
    last = children[-1] if children else None
    if last is None or last.wake is not Wake.DIRECT or not last.pending:
        return False
    # What was called before a cancellation isn't waited for any more once that is heard of.
    return own.pending or last.created_at > own.settled_at


def _unarmed(own: Record, children: Sequence[Record], now: int) -> str:
    if not own.pending and all(child.created_at <= own.settled_at for child in children):
        return "is about to hear of it"
    if not children:
        return "runs" if own.epoch else "is about to begin, runs, or is between two attempts"
    for child in reversed(children):
        if child.pending and child.kind in (Kind.INLINE, Kind.DETACH):
            return f"runs {named(child)}"
    settled = [child for child in children if not child.pending]
    return f"runs: {_news(settled, now)}" if settled else f"runs: it has called {named(children[-1])}"


def _news(settled: Sequence[Record], now: int) -> str:
    if not settled:
        return "what it waited for has settled"
    last = max(settled, key=lambda child: child.settled_at)
    return f"{named(last)} was {_ends_as(last)} {_ago(last.settled_at, now)}"


def _lost(own: Record, reason: str, silence: int, now: int) -> str:
    when = "by way of its caller" if own.due_at is None else time_in_words(own.due_at, now)
    silent = f"but no news for {span(silence)}"
    return f"{reason}; {silent}: the watchdog looks {when}, durable resume {own.id} invokes it now"


def _latest(own: Record, children: Sequence[Record]) -> int:
    return max(own.created_at, own.settled_at, *(max(c.created_at, c.settled_at) for c in children), 0)


# What it waits for.


def _waits(own: Record, children: Sequence[Record]) -> tuple[Wait, ...]:
    awaited = [child for child in children if child.pending and child.wake is Wake.DIRECT]
    if own.expects is not None and own.expects >= 0:
        # Those that only may be: which of them the code awaits, no record says.
        awaited += _counted(children, pending=True)
    waits = [_wait(child) for child in awaited]
    # A timer that fired stays on the record; it is of no meaning unless the function is armed.
    if own.expects is not None and own.wake_at is not None and not (own.pending and own.wake_at == own.deadline):
        waits.append(Wait(what="timer", at=own.wake_at))
    return (*waits, *_deadline(own))


def _wait(child: Record) -> Wait:
    what = child.kind.value
    return Wait(what=what, id=child.id, fn="" if child.kind is Kind.EXTERNAL else child.fn, root=child.root)


def _deadline(own: Record) -> tuple[Wait, ...]:
    return (Wait(what="deadline", at=own.deadline),) if own.pending and own.deadline is not None else ()


def _counted(children: Sequence[Record], *, pending: bool) -> list[Record]:
    return [child for child in children if child.wake is Wake.COUNTED and child.pending is pending]


def _waiting(own: Record, children: Sequence[Record], waits: Sequence[Wait], now: int) -> str:
    promises = [wait for wait in waits if wait.id]
    parts = []
    if promises:
        shown = ", ".join(_named(wait) for wait in promises[:NAMED])
        more = f" and {len(promises) - NAMED} more" if len(promises) > NAMED else ""
        parts.append(f"waits for {_how_many(own, children, len(promises))}{shown}{more}")
    times = [wait.at for wait in waits if wait.what == "timer" and wait.at is not None]
    if times:
        parts.append(f"{'or' if parts else 'sleeps'} until {time_in_words(times[0], now)}")
    if not parts:
        return f"waits for its deadline: times out {time_in_words(own.deadline or 0, now)}"
    return ", ".join(parts) + _ends(own, now)


def _how_many(own: Record, children: Sequence[Record], candidates: int) -> str:
    """Where fewer than all of them would do."""
    if own.expects is None or own.expects < 0 or candidates < 2:
        return ""
    missing = own.expects - len(_counted(children, pending=False))
    return f"{missing} of {candidates}: " if 0 < missing < candidates else ""


# Words.


def named(record: Record) -> str:
    """A promise in a sentence: its function, if it has one, and its id."""
    if record.kind is Kind.EXTERNAL:
        return f"the promise {record.id}"
    if record.kind in (Kind.FOLLOW, Kind.DETACH):
        return f"the execution {record.root} ({record.id})"
    return f"{function_of(record.fn)} ({record.id})"


def _named(wait: Wait) -> str:
    if wait.what == "external":
        return f"the promise {wait.id}, to be settled from outside"
    if wait.what == "follow":
        return f"the execution {wait.root} ({wait.id})"
    return f"{function_of(wait.fn)} ({wait.id})"


def function_of(fn: str) -> str:
    return "a block of a map" if fn == BLOCK_FUNCTION else fn or "a function"


def _settled(own: Record, now: int) -> str:
    took = span(max(0, own.settled_at - own.created_at))
    return f"{_ends_as(own)} {_ago(own.settled_at, now)}, after {took}"


def _ends_as(record: Record) -> str:
    return _ENDS.get(record.state, record.state.value)


def _paused(own: Record) -> str:
    why = "why is encrypted, and wasn't read" if isinstance(own.paused, Stored) else first_line(own.paused)
    return f"paused: {why}; deploy code that replays its history, then durable resume {own.id}"


def first_line(text: str) -> str:
    """Of a drift: what it is, without the arguments, which the lines below show."""
    return next((line for line in text.splitlines() if line.strip()), "it doesn't say why").strip()


def _ends(own: Record, now: int) -> str:
    """The deadline, behind whatever is said first."""
    if not own.pending or own.deadline is None or own.deadline <= now:
        return ""
    return f"; times out {time_in_words(own.deadline, now)}"


def _ago(at: int, now: int) -> str:
    return f"{span(now - at)} ago" if now - at >= SECOND else "just now"


def time_in_words(at: int, now: int) -> str:
    """A time in UTC, and how far away it is."""
    if not 0 <= at < LATEST:
        return "at no time"
    clock = f"{_EPOCH + dt.timedelta(microseconds=at):%Y-%m-%d %H:%M:%S}Z"
    return f"{clock} (in {span(at - now)})" if at > now else f"{clock} ({_ago(at, now)})"


def span(microseconds: int) -> str:
    """A length of time in its largest unit: ``3 s``, ``12 min``, ``5 h``, ``3 d``."""
    for unit, name in ((1440 * MINUTE, "d"), (60 * MINUTE, "h"), (MINUTE, "min")):
        if microseconds >= 2 * unit:
            return f"{microseconds // unit} {name}"
    return f"{max(0, microseconds) // SECOND} s"
