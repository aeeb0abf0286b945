"""A timeline: rows, one for each promise, the parts of their bars, marks on them, and arrows between them.

A row stands behind its caller's, before the next of the caller's other promises. The parts of a row begin when it was
created, end when it ended, or now, and follow one another without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from adapter.protocol.records import Record, State
from adapter.protocol.standing import Way
from adapter.protocol.times import Instant, Span


class Part(StrEnum):
    """What a promise did for a while."""

    WAITING = "waiting"
    """It is to run: its message is on its way, or its Lambda is between two attempts."""
    RUNNING = "running"
    SUSPENDED = "suspended"
    """It waits for its own promises, or for a time, and nothing runs."""
    OUTSIDE = "outside"
    """It is settled from outside, or by another execution."""
    PAUSED = "paused"
    """Its code drifted from its history."""
    HELD = "held"
    """Its Lambda can't run it."""


class Sign(StrEnum):
    """What happened at one point of a bar."""

    TIMER = "timer"
    RETRY = "retry"
    KILLED = "killed"
    FAILED = "failed"
    PAUSED = "paused"
    HELD = "held"
    MISSED = "missed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a bar. ``attempt`` is counted from 1; 0: unknown. ``why`` it began, in a word or two."""

    part: Part
    begin: Instant
    end: Instant
    attempt: int = 0
    why: str = ""

    @property
    def length(self) -> Span:
        return self.end - self.begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened, or will (a time in the future)."""

    sign: Sign
    at: Instant
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How one promise went. ``begin`` and ``end`` are those of its parts; ``open``: it isn't over."""

    begin: Instant
    end: Instant
    open: bool
    segments: Sequence[Segment]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promise. ``depth`` levels below its execution's root, ``parent`` is the position of its caller's row."""

    record: Record
    depth: int
    parent: int | None
    course: Course
    way: Way
    stands: str
    dollars: float = 0.0
    unread: bool = False
    """Its own promises weren't read."""

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def failed(self) -> bool:
        """Whether somebody who looks for a failure looks for this."""
        bad = self.record.state in (State.REJECTED, State.TIMEDOUT)
        return bad or self.way in (Way.PAUSED, Way.LOST, Way.DEADLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The settlement of ``source`` moved ``target`` on, which ran again at ``end``."""

    source: str
    begin: Instant
    target: str
    end: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All that is shown. ``exact``: from happenings, and not only from what the table knows."""

    title: str
    now: Instant
    rows: Sequence[Row]
    arrows: Sequence[Arrow] = ()
    exact: bool = False
    left_out: int = 0
    logs: Mapping[str, str] = field(default_factory=dict)
    """Where CloudWatch has the log: ``region`` and ``group``, if they are known."""
