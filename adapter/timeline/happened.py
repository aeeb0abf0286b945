"""What a `LocalCloud` tells of one promise, and the course that follows. Pure.

A cloud in which nothing takes time runs a whole tree at one instant. Each happening is therefore a microsecond later
than the one before, at least: the order is kept, and real lengths of time stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.telling import What
from adapter.protocol.records import Record
from adapter.protocol.times import NO_TIME, SECOND, Instant, Span
from adapter.timeline.model import Course, Mark, Part, Segment, Sign

KILLED, FAILED = "killed", "failed"
"""The words of what befalls an invocation. The engine can't tell them."""

KEPT = ("why", "attempt", "by", "at", "error")
"""The details that a timeline needs. Others hold whole executions, or arguments."""

TOLD = frozenset(
    {
        *(What.RUNNING, What.SUSPENDED, What.YIELDED, What.RETRYING, What.PAUSED, What.SETTLED, What.CLEANED_UP),
        *(What.CRASHED, What.HELD, What.STALLED, What.MISSED, What.WAKING, KILLED, FAILED),
    }
)
"""The words of all that a timeline shows."""

ENDS = frozenset({What.SETTLED, What.CRASHED, What.CLEANED_UP})


@dataclass(frozen=True, slots=True)
class Happened:
    """``at`` is later than of all before; ``clock`` is the time that the cloud had."""

    at: Instant
    clock: Instant
    what: str
    promise: str
    detail: Mapping[str, Any]


def in_order(told: Iterable[tuple[Instant, str, str, Mapping[str, Any]]]) -> list[Happened]:
    """Happenings as they were told: when, the word, the promise, and details."""
    found: list[Happened] = []
    last = Instant(-1)
    for clock, what, promise, detail in told:
        last = max(clock, last + Span(1))
        found.append(Happened(last, clock, what, promise, detail))
    return found


@dataclass(slots=True)
class Pen:
    """Draws a bar from left to right. A part that has no length leaves no segment."""

    begin: Instant
    end: Instant
    part: Part = Part.WAITING
    attempt: int = 0
    why: str = ""
    segments: list[Segment] = field(default_factory=list)

    def turn(self, at: Instant, part: Part, attempt: int = 0, why: str = "") -> None:
        """From ``at`` on it is another part. What lies outside of the bar is moved to its ends."""
        at = min(max(at, self.begin), self.end)
        if at > self.begin:
            one = Segment(part=self.part, begin=self.begin, end=at, attempt=self.attempt, why=self.why)
            self.segments.append(one)
        self.begin, self.part, self.attempt, self.why = at, part, attempt, why

    def close(self) -> tuple[Segment, ...]:
        self.turn(self.end, self.part)
        return tuple(self.segments)


_PARTS = {
    What.SUSPENDED: Part.SUSPENDED,
    What.YIELDED: Part.WAITING,
    What.RETRYING: Part.WAITING,
    What.PAUSED: Part.PAUSED,
    What.HELD: Part.HELD,
    What.STALLED: Part.HELD,
    KILLED: Part.WAITING,
    FAILED: Part.WAITING,
}
_SIGNS = {
    What.RETRYING: Sign.RETRY,
    What.PAUSED: Sign.PAUSED,
    What.HELD: Sign.HELD,
    What.STALLED: Sign.HELD,
    What.MISSED: Sign.MISSED,
    KILLED: Sign.KILLED,
    FAILED: Sign.FAILED,
}


def course_told(record: Record, created: Instant, told: Sequence[Happened], now: Instant) -> Course:
    """How a promise went that happenings tell of."""
    end = _end(record, told, now)
    begin = min(created, end)
    pen, marks = Pen(begin, end), []
    for one in told:
        if one.what == What.RUNNING:
            why = str(one.detail.get("why", ""))
            pen.turn(one.at, Part.RUNNING, int(one.detail.get("attempt", 0)), why)
            if why == "timer":
                marks.append(Mark(sign=Sign.TIMER, at=one.at, text="its timer resumed it"))
        elif (part := _PARTS.get(one.what)) is not None:
            pen.turn(one.at, part, why=_why(one))
        if (sign := _SIGNS.get(one.what)) is not None and begin <= one.at <= end:
            marks.append(Mark(sign=sign, at=one.at, text=_why(one)))
    return Course(begin=begin, end=end, open=not record.over, segments=pen.close(), marks=tuple(marks))


def _end(record: Record, told: Sequence[Happened], now: Instant) -> Instant:
    if not record.over:
        return max([now, *(one.at for one in told[-1:])])
    ended = record.ended_at
    # The write that settles it ends a little after the time that it stores.
    return max([ended, *(one.at for one in told if one.what in ENDS and NO_TIME <= one.clock - ended < SECOND)])


def _why(one: Happened) -> str:
    match one.what:
        case What.RETRYING:
            return f"attempt {one.detail.get('attempt', '?')} failed; another follows"
        case "killed":
            return f"its Lambda died, attempt {one.detail.get('attempt', '?')} of the invocation"
        case "failed":
            return f"its invocation failed: {one.detail.get('error', '')}"
        case What.SUSPENDED | What.YIELDED:
            return ""
        case _:
            return str(one.detail.get("why", ""))
