"""How a promise went as far as the table knows: from its record and those of its own promises. Pure.

The table knows when each promise was created and settled, how long the run worked that settled it, and, by the leaders
of turns, which settlements its caller had heard of when it went on. It doesn't know when a run began that only
suspended: such a run is shown from the first thing that it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapter.protocol.records import Kind, Record, State
from adapter.protocol.signs import Held, Lost, Paused, Running, Verdict
from adapter.protocol.times import EPOCH, Instant
from adapter.timeline.happened import Pen
from adapter.timeline.model import Arrow, Course, Mark, Part, Sign

_OUTSIDE = (Kind.EXTERNAL, Kind.FOLLOW, Kind.DETACH, Kind.SCHEDULE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a function: what moved it, when, and from the first thing that it wrote to the last.

    ``by`` is the promise whose settlement it heard of last; none where that was a timer, or the beginning.
    """

    moved: Instant
    begin: Instant
    end: Instant
    by: Record | None = None
    timer: bool = False


def course_known(own: Record, children: Sequence[Record], verdict: Verdict, now: Instant) -> Course:
    """How it went, and how it stands."""
    end = max(own.ended_at, own.created_at) if own.over else max(now, own.created_at)
    begin = min(own.created_at, end)
    if own.kind is Kind.INLINE:
        begin = min(begin, end - own.took)
    first = Part.RUNNING if own.kind is Kind.INLINE else Part.OUTSIDE if own.kind in _OUTSIDE else Part.WAITING
    pen = Pen(begin, end, first)
    if own.kind is Kind.CALL:
        _draw(pen, own, [*turns_of(own, children)], verdict)
    return Course(begin=begin, end=end, open=not own.over, segments=pen.close(), marks=tuple(_marks(own, children)))


def _draw(pen: Pen, own: Record, turns: Sequence[Turn], verdict: Verdict) -> None:
    for number, turn in enumerate(turns):
        if number:
            pen.turn(turn.moved, Part.WAITING)
        pen.turn(turn.begin, Part.RUNNING)
        pen.turn(turn.end, Part.SUSPENDED)
    if own.settled_at and own.took:
        pen.turn(own.settled_at - own.took, Part.RUNNING, own.retries + 1)
    if own.settled_at and own.closed_at:
        pen.turn(own.settled_at, Part.RUNNING, why="cleans up")
    match verdict:
        case Paused():
            pen.turn(pen.begin, Part.PAUSED)
        case Held():
            pen.turn(verdict.since, Part.HELD, why=verdict.why)
        case Running() if turns:
            pen.turn(verdict.since, Part.RUNNING)
        case Lost() if turns:
            pen.turn(verdict.expected.since, Part.WAITING, why="no news of it")
        case _:
            pass


def turns_of(own: Record, children: Sequence[Record]) -> Iterator[Turn]:
    """The turns of a function that wrote something, and the last one, in which it settled."""
    by_ordinal = {child.ordinal: child for child in children}
    ordered = [by_ordinal[ordinal] for ordinal in sorted(by_ordinal)]
    heard: set[int] = set()
    turn: list[Record] = []
    for child in ordered:
        if child.seen is not None and turn:
            yield _turn(turn, by_ordinal, heard)
            turn = []
        turn.append(child)
    if turn:
        yield _turn(turn, by_ordinal, heard)
    rest = [one for one in ordered if one.ordinal not in heard and 0 < one.settled_at <= own.settled_at]
    if ordered and own.settled_at:
        last = max(rest, key=lambda one: one.settled_at, default=None)
        moved = last.settled_at if last is not None and last.kind is not Kind.INLINE else own.settled_at - own.took
        yield Turn(moved=moved, begin=own.settled_at - own.took, end=own.settled_at, by=last)


def _turn(turn: Sequence[Record], by_ordinal: dict[int, Record], heard: set[int]) -> Turn:
    tokens = (turn[0].seen or "").split(",")
    ordinals = {int(token) for token in tokens if token.isdecimal()}
    heard |= ordinals
    seen = [by_ordinal[ordinal] for ordinal in ordinals if ordinal in by_ordinal]
    last = max(seen, key=lambda one: one.settled_at, default=None)
    begin = min(one.created_at - one.took if one.kind is Kind.INLINE else one.created_at for one in turn)
    end = max(max(one.created_at, one.settled_at if one.kind is Kind.INLINE else EPOCH) for one in turn)
    timer = tokens[-1].startswith("t")
    # Whatever it heard of before the timer didn't make it write anything.
    by = None if timer else last
    return Turn(moved=begin if by is None else min(by.settled_at, begin), begin=begin, end=end, by=by, timer=timer)


def arrows_known(own: Record, children: Sequence[Record]) -> Iterator[Arrow]:
    """Which settlements moved a function on. A step of its own doesn't: its run goes on with it."""
    for turn in turns_of(own, children):
        by = turn.by
        if by is not None and by.kind is not Kind.INLINE:
            yield Arrow(source=by.id, begin=by.settled_at, target=own.id, end=max(turn.begin, by.settled_at))


def _marks(own: Record, children: Sequence[Record]) -> Iterator[Mark]:
    if own.retries:
        times = "attempt" if own.retries == 1 else "attempts"
        text = f"{own.retries} {times} came to nothing before"
        yield Mark(sign=Sign.RETRY, at=own.settled_at - own.took, text=text)
    for turn in turns_of(own, children) if children else ():
        if turn.timer:
            yield Mark(sign=Sign.TIMER, at=turn.begin, text="a timer fell due")
    yield from marks_of(own)


def marks_of(own: Record) -> Iterator[Mark]:
    """The marks that a record has, whatever else is known."""
    if own.state is State.CANCELED:
        yield Mark(sign=Sign.CANCELLED, at=own.settled_at, text="cancelled" + (" by its caller" * own.by_parent))
    if own.state is State.TIMEDOUT:
        yield Mark(sign=Sign.TIMED_OUT, at=own.settled_at, text="its deadline was past")
    if own.pending and own.wake_at is not None:
        yield Mark(sign=Sign.TIMER, at=own.wake_at, text="its timer")
    if own.pending and own.deadline is not None:
        yield Mark(sign=Sign.DEADLINE, at=own.deadline, text="its deadline")
