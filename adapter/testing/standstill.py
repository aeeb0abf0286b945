"""Whether a cloud still moves; and if it can't, how each function stands, and which invocations failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.operations import Tell
from adapter.engine.telling import Progress, What
from adapter.errors import Paused, Stuck
from adapter.protocol import signs
from adapter.protocol.ids import parent_of, root_of
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.records import Kind, Record
from adapter.protocol.signs import followed
from adapter.protocol.standing import Standing, named, standing
from adapter.protocol.times import SECOND, Instant, Span
from adapter.testing.happenings import Happening
from adapter.testing.simulated_aws.lambdas import Invocation

DRIFTED = signs.Paused()
"""It won't go on by itself, unlike what is paused by an outage."""

MAX_IDLE = 1_000
"""Jumps of a second or more in a row at which only schedules, and the executions that they start, moved. Shorter ones
are calls under way, where these take time."""

MAX_LOOKS = 3
"""Looks of the watchdog at one function in a row, with nothing else done in between."""

LINES = 20
"""So many functions have a line of their own; the others are counted."""


@dataclass
class Failures:
    """For each Lambda, the invocations that have failed since one of them got on."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def observe(self, what: What | Happening, function: str, detail: Mapping[str, Any]) -> None:
        if what in _FAILURES:
            text = f"failed with {detail['error']}" if what is Happening.FAILED else f"was {what}"
            self.texts.setdefault(detail.get("of", function), []).append(text)
        elif what.progress is Progress.GOT_ON:
            self.texts.pop(function, None)

    def lines(self) -> list[str]:
        return [_line(name, texts) for name, texts in self.texts.items()]


_FAILURES = frozenset({Happening.FAILED, Happening.KILLED, Happening.LOST})


def _line(function: str, texts: Sequence[str]) -> str:
    last = texts[-1][:300]
    if len(texts) == 1:
        return f"an invocation of {function} {last}"
    return f"{len(texts)} invocations of {function} in a row came to nothing; the last {last}"


class Movement:
    """What moved recently, what the watchdog looked at in vain, and which invocations failed.

    Schedules go on for ever, and so do the watchdog's looks. Neither is progress of an execution.
    """

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()
        self.failures = Failures()
        self._moved: set[str] = set()
        self._idle = 0

    def begin(self) -> None:
        """A caller begins to wait for an execution."""
        self.looks.clear()
        self._idle = 0

    def begin_jump(self) -> None:
        self._moved.clear()

    def end_jump(self, promise: str, passed: Span) -> None:
        """So much time has passed, and what then moved is known."""
        if root_of(promise) in self._moved:
            self._idle = 0
        elif passed >= SECOND:
            self._idle += 1

    def tell(self, told: Tell) -> None:
        """Take an event of the engine."""
        if told.what is What.LOOKED:
            self.looks[told.id] += 1
        elif told.what.progress is not Progress.NONE:
            self.looks.clear()

    def observe(self, what: What | Happening, function: str, promise: str, detail: Mapping[str, Any]) -> None:
        """Take an event that every watcher hears of."""
        if what.progress > Progress.AGAIN:
            self._moved.add(root_of(promise))
        self.failures.observe(what, function, detail)

    def is_over(self, records: Callable[[], Sequence[Record]], now: Instant) -> bool:
        """Whether nothing that the caller waits for will move any more. ``records`` reads the whole table."""
        return self._idle > MAX_IDLE or self.looks_in_vain(records, now)

    def looks_in_vain(self, records: Callable[[], Sequence[Record]], now: Instant) -> bool:
        """Whether the watchdog, which never gives up, finds nothing lost, and time won't move anything either."""
        if max(self.looks.values(), default=0) <= MAX_LOOKS:
            return False
        promises = [record for record in records() if record.kind is not Kind.SCHEDULE]
        watched = [record for record in promises if record.due_at is not None and not record.over]
        if any(self.looks[record.id] <= MAX_LOOKS for record in watched):
            # The watchdog looks at each root by itself, at some only once a day: its next look may help.
            return False
        pending = [record for record in promises if record.pending]
        asleep = any(record.expects is not None and record.wake_at is not None for record in pending)
        return not asleep and not any((record.deadline or 0) > now for record in pending)


def stuck(
    record: Record,
    records: Sequence[Record],
    now: Instant,
    failures: Failures,
    lost: Sequence[Invocation],
    moved: Moves = UNMOVED,
) -> Stuck:
    """The error for the caller that waits for ``record``. ``records`` are all records of the table."""
    family = [one for one in records if root_of(one.id) == root_of(record.id)]
    unsettled = [one for one in family if one.id == record.id or (one.kind is Kind.CALL and one.runnable)]
    standings = _standings(unsettled, records, now, moved)
    paused = [one.paused for one, stands in zip(unsettled, standings, strict=True) if stands.verdict == DRIFTED]
    if paused:
        return Paused("\n".join(paused))
    lines = [f"{named(one)} {stands.text}" for one, stands in zip(unsettled[:LINES], standings, strict=False)]
    if len(unsettled) > LINES:
        lines.append(f"and {len(unsettled) - LINES} more functions")
    lines += failures.lines()
    lines += [f"an invocation of {one.function} failed {one.attempt} times: {one.payload[:120]}" for one in lost]
    return Stuck("\n  ".join([f"{named(record)} can't move any more:", *lines]))


def _standings(functions: Sequence[Record], records: Sequence[Record], now: Instant, moved: Moves) -> list[Standing]:
    by_id = {one.id: one for one in records}
    below: dict[str, list[Record]] = {}
    for one in sorted(records, key=lambda one: one.ordinal):
        below.setdefault(parent_of(one.id) or "", []).append(one)

    def stands(own: Record) -> Standing:
        children = below.get(own.id, [])
        roots = {root: by_id.get(root) for root in followed(own, children, now)}
        return standing(own, children, now, roots, moved)

    return [stands(own) for own in functions]
