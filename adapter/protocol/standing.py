"""How a promise stands, in words: settled, paused, running, lost, or waiting, and what it waits for. Pure.

`adapter.protocol.signs` decides; this module only finds the words. A record doesn't say whether a Lambda is at work on
it right now. So "running" also means that the function is about to be invoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from adapter.protocol import moves
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.outages import remedy, said
from adapter.protocol.records import BLOCK_FUNCTION, Kind, Record, State, Stored
from adapter.protocol.signs import (
    UNREAD,
    Deadlocked,
    Expired,
    Held,
    Lost,
    Over,
    Paused,
    Roots,
    Running,
    Unsettled,
    Verdict,
    Waiting,
    Why,
    verdict,
)
from adapter.protocol.times import DAY, EPOCH, HOUR, LATEST, MINUTE, SECOND, Instant, Span, datetime_of

NAMED = 3
"""A sentence names so many of the things that a function waits for."""

_ENDS = {
    State.RESOLVED: "resolved",
    State.REJECTED: "rejected",
    State.CANCELED: "cancelled",
    State.TIMEDOUT: "timed out",
}
_ASK = "durable show says more of its caller"
_MOVES = {
    Why.BEGINS: "is about to begin, runs, or is between two attempts",
    Why.RUNS: "runs",
    Why.HEARS: "is about to hear of it",
}


class Way(StrEnum):
    """How a promise stands."""

    SETTLED = "settled"
    PAUSED = "paused"
    RUNNING = "running"
    LOST = "lost"
    WAITING = "waiting"
    DEADLOCKED = "deadlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that a function waits for: another promise, or a time (``at``).

    ``what``: ``call``, ``external``, ``follow`` (then ``root`` is the other execution), ``timer`` or ``deadline``.
    """

    what: str
    id: str = ""
    fn: str = ""
    root: str = ""
    at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a promise stands; ``text`` says it in words.

    ``cleans_up``: it was cancelled, or timed out, and its clean-up hasn't ended.
    """

    verdict: Verdict
    text: str
    cleans_up: bool = False

    @property
    def way(self) -> Way:
        match self.verdict:
            case Over():
                return Way.SETTLED
            case Paused() | Held(long=True):
                return Way.PAUSED
            case Expired(late=False) | Running() | Held():
                return Way.RUNNING
            case Expired() | Lost():
                return Way.LOST
            case Waiting():
                return Way.WAITING
            case Deadlocked():
                return Way.DEADLOCKED
            case _:
                assert_never(self.verdict)

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The things that could move it."""
        if not isinstance(self.verdict, Waiting):
            return ()
        times = (("timer", self.verdict.timer), ("deadline", self.verdict.deadline))
        promises = (_wait(promise) for promise in self.verdict.promises)
        return (*promises, *(Wait(what=what, at=at) for what, at in times if at is not None))


def standing(
    own: Record, children: Sequence[Record], now: Instant, roots: Roots = UNREAD, moved: Moves = UNMOVED
) -> Standing:
    """How a promise stands at ``now``. The arguments are those of `adapter.protocol.signs.verdict`, and the moves."""
    found = verdict(own, children, now, roots)
    if isinstance(found, Over):
        return Standing(verdict=found, text=_settled(own, now))
    cleans_up = not own.pending
    lead = f"{_settled(own, now)}; cleans up: " if cleans_up else ""
    said = _function(own, found, now, moved) if own.kind is Kind.CALL else _promise(own, found, now)
    return Standing(verdict=found, text=lead + said, cleans_up=cleans_up)


def _function(own: Record, found: Unsettled, now: Instant, moved: Moves) -> str:
    match found:
        case Paused():
            return _paused(own)
        case Held():
            return _held(own, found, now, moved)
        case Expired():
            due = f"is about to time out: its deadline was {time_in_words(own.deadline or EPOCH, now)}"
            return f"{due}; {_remedy(own, now)}" if found.late else due
        case Running():
            return _moves(found, now) + _ends(own, now)
        case Lost():
            silent = f"but no news for {span(found.silence)}"
            return f"{_moves(found.expected, now)}; {silent}: {_remedy(own, now)}{_ends(own, now)}"
        case Waiting():
            return _waits(found, now)
        case Deadlocked():
            return (
                "waits for nothing that could settle: for an Event, a Lock or the like, which only its own code could"
                f" set; durable cancel {own.id} ends it"
            )
        case _:
            assert_never(found)


def _promise(own: Record, found: Unsettled, now: Instant) -> str:
    """Of what is no function."""
    if isinstance(found, Lost):
        return f"{_settles(own, found.expected, now)}; but no news for {span(found.silence)}: {_ASK}"
    return _settles(own, found, now) + (_ends(own, now) if isinstance(found, Waiting) else "")


def _settles(own: Record, found: Unsettled, now: Instant) -> str:
    match own.kind:
        case Kind.EXTERNAL:
            return f"to be settled from outside: durable resolve {own.id} JSON, a signed link, or resolve()"
        case Kind.SCHEDULE:
            return f"next occurs {time_in_words(own.wake_at or EPOCH, now)}"
        case Kind.DETACH:
            return f"starts the execution {own.root}"
        case Kind.FOLLOW if isinstance(found, Running):
            return _moves(found, now)
        case Kind.FOLLOW:
            return f"settles as the execution {own.root} does"
        case _:
            return "is run by its caller's Lambda"


def _remedy(own: Record, now: Instant) -> str:
    when = "by way of its caller" if own.due_at is None else time_in_words(own.due_at, now)
    return f"the watchdog looks {when}, durable resume {own.id} invokes it now"


def _moves(running: Running, now: Instant) -> str:
    """Why a function isn't waiting."""
    by = "" if running.by is None else named(running.by)
    match running.why:
        case Why.STARTS:
            detached = running.by is not None and running.by.kind is Kind.DETACH
            return f"{'starts' if detached else 'is about to follow'} {by}"
        case Why.STEP:
            return f"runs {by}"
        case Why.CALLED:
            return f"runs: it has called {by}"
        case Why.NEWS:
            return f"runs: {_news(running, now)}"
        case Why.ENOUGH:
            return f"is about to be resumed: {_news(running, now)}"
        case Why.ROOT:
            return f"is about to hear that {by} has settled {_ago(running.since, now)}"
        case Why.TIMER:
            return f"is about to be resumed: a timer fell due {time_in_words(running.since, now)}"
        case Why.BEGINS | Why.RUNS | Why.HEARS:
            return _MOVES[running.why]
        case _:
            assert_never(running.why)


def _news(running: Running, now: Instant) -> str:
    if running.by is None:
        return "what it waited for has settled"
    return f"{named(running.by)} was {_ends_as(running.by)} {_ago(running.by.settled_at, now)}"


def _waits(waiting: Waiting, now: Instant) -> str:
    parts = []
    if waiting.promises:
        count = len(waiting.promises)
        shown = ", ".join(_awaited(promise) for promise in waiting.promises[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        # Fewer than all of them are needed.
        some = f"{waiting.need} of {count}: " if 0 < waiting.need < count else ""
        parts.append(f"waits for {some}{shown}{more}")
    if waiting.timer is not None:
        parts.append(f"{'or' if parts else 'sleeps'} until {time_in_words(waiting.timer, now)}")
    if not parts:
        return f"waits for its deadline: times out {time_in_words(waiting.deadline or EPOCH, now)}"
    return ", ".join(parts) + _times_out(waiting.deadline, now)


def _awaited(promise: Record) -> str:
    return named(promise) + (", to be settled from outside" if promise.kind is Kind.EXTERNAL else "")


def _wait(promise: Record) -> Wait:
    fn = promise.fn if promise.kind is not Kind.EXTERNAL else ""
    return Wait(what=promise.kind.value, id=promise.id, fn=fn, root=promise.root)


def named(record: Record) -> str:
    """A promise in a sentence: its function, if it has one, and its id."""
    if record.kind is Kind.EXTERNAL:
        return f"the promise {record.id}"
    if record.kind in (Kind.FOLLOW, Kind.DETACH):
        return f"the execution {record.root} ({record.id})"
    return f"{function_of(record.fn)} ({record.id})"


def function_of(fn: str) -> str:
    return "a block of a map" if fn == BLOCK_FUNCTION else fn or "a function"


def _settled(own: Record, now: Instant) -> str:
    took = span(own.settled_at - own.created_at)
    return f"{_ends_as(own)} {_ago(own.settled_at, now)}, after {took}"


def _ends_as(record: Record) -> str:
    return _ENDS.get(record.state, record.state.value)


def _paused(own: Record) -> str:
    why = "why is encrypted, and wasn't read" if isinstance(own.paused, Stored) else first_line(own.paused)
    return f"paused: {why}; deploy code that replays its history, then durable resume {own.id}"


def _held(own: Record, found: Held, now: Instant, moved: Moves) -> str:
    way = moved.way(own.target)
    since = f"{moves.named(own.target, way)} {said(found.why)} since {time_in_words(found.since, now)}"
    what_ends_it = remedy(found.why, (own.target, *way)[-1])
    return f"{'paused' if found.long else 'is tried again'}: its Lambda {since}; {what_ends_it}"


def first_line(text: str) -> str:
    """The first line of a drift, which shows no arguments: the lines below it do."""
    return next((line for line in text.splitlines() if line.strip()), "it doesn't say why").strip()


def _ends(own: Record, now: Instant) -> str:
    """The deadline, to be put behind another sentence."""
    return _times_out(own.deadline if own.pending else None, now)


def _times_out(deadline: Instant | None, now: Instant) -> str:
    return "" if deadline is None or deadline <= now else f"; times out {time_in_words(deadline, now)}"


def _ago(at: Instant, now: Instant) -> str:
    return f"{span(now - at)} ago" if now - at >= SECOND else "just now"


def time_in_words(at: Instant, now: Instant) -> str:
    """A time in UTC, and how far away it is."""
    if not 0 <= at < LATEST:
        return "at no time"
    clock = f"{datetime_of(at):%Y-%m-%d %H:%M:%S}Z"
    return f"{clock} (in {span(at - now)})" if at > now else f"{clock} ({_ago(at, now)})"


def span(length: Span) -> str:
    """A length of time in its largest unit: ``3 s``, ``12 min``, ``5 h``, ``3 d``."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if length >= 2 * unit:
            return f"{length // unit} {name}"
    return f"{max(0, length // SECOND)} s"
