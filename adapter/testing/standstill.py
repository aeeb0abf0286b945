"""Whether a cloud still moves, and what it says when it can't: how each function stands, which invocations failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.operations import Tell
from adapter.errors import Paused, Stuck
from adapter.protocol.ids import parent_of, root_of
from adapter.protocol.promises import Kind, Record
from adapter.protocol.standing import Standing, named, standing
from adapter.testing.events import Event
from adapter.testing.simulated_aws.lambdas import Invocation

MAX_IDLE = 1_000
"""Moments in a row at which only schedules, and what they start, moved."""

MAX_LOOKS = 3
"""Of the watchdog at one function in a row, with nothing else done in between."""

LINES = 20
"""Functions, each with a line of its own; others are counted."""

_UNMOVED = frozenset({"looked", "sent on", "kept", "removed", "later"})
"""What is told of executions that don't move by it."""

_FAILED = ("failed", "killed", "lost")
_GOT_ON = ("suspended", "settled", "closed", "yielded", "retrying", "paused", "waking", "firing")


@dataclass
class Failures:
    """Of each Lambda, the invocations that have failed since one of them got on."""

    told: dict[str, list[str]] = field(default_factory=dict)

    def observe(self, what: str, function: str, detail: Mapping[str, Any]) -> None:
        if what in _FAILED:
            text = f"failed with {detail['error']}" if what == "failed" else f"was {what}"
            self.told.setdefault(detail.get("of", function), []).append(text)
        elif what in _GOT_ON:
            self.told.pop(function, None)

    def lines(self) -> list[str]:
        return [_line(name, texts) for name, texts in self.told.items()]


def _line(function: str, texts: Sequence[str]) -> str:
    last = texts[-1][:300]
    if len(texts) == 1:
        return f"an invocation of {function} {last}"
    return f"{len(texts)} invocations of {function} in a row came to nothing; the last {last}"


class Progress:
    """What has moved of late, what the watchdog looked at in vain, and what failed.

    Schedules go on for ever, and so do looks at what doesn't move: neither is progress of an execution.
    """

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()
        self.failures = Failures()
        self._moved: set[str] = set()
        self._idle = 0

    def begin(self) -> None:
        """From here on somebody waits for an execution."""
        self.looks.clear()
        self._idle = 0

    def begin_moment(self) -> None:
        self._moved.clear()

    def end_moment(self, promise: str) -> None:
        self._idle = 0 if root_of(promise) in self._moved else self._idle + 1

    def tell(self, told: Tell) -> None:
        """What the engine tells."""
        if told.what == "looked":
            self.looks[told.id] += 1
        elif told.what not in _UNMOVED:
            self.looks.clear()

    def observe(self, event: Event) -> None:
        """What every watcher hears of."""
        # An invocation that is made again may be lost again, for ever.
        if event.what not in _UNMOVED and event.what != "missed":
            self._moved.add(root_of(event.promise))
        self.failures.observe(event.what, event.function, event.detail)

    def is_over(self, records: Callable[[], Sequence[Record]], now: int) -> bool:
        """Whether nothing of what somebody waits for will move; ``records`` reads all that the table holds."""
        return self._idle > MAX_IDLE or self.looks_in_vain(records, now)

    def looks_in_vain(self, records: Callable[[], Sequence[Record]], now: int) -> bool:
        """The watchdog, which never gives up, finds nothing to mend, and time won't move anything either."""
        if max(self.looks.values(), default=0) <= MAX_LOOKS:
            return False
        promises = [record for record in records() if record.kind is not Kind.SCHEDULE]
        watched = [record for record in promises if record.due_at is not None and not record.over]
        if any(self.looks[record.id] <= MAX_LOOKS for record in watched):
            # Each root is looked at on its own, some of them once a day: the next look may mend it.
            return False
        pending = [record for record in promises if record.pending]
        asleep = any(record.expects is not None and record.wake_at is not None for record in pending)
        return not asleep and not any((record.deadline or 0) > now for record in pending)


def stuck(record: Record, records: Sequence[Record], now: int, failures: Failures, lost: Sequence[Invocation]) -> Stuck:
    """The error for whoever waits for ``record``; ``records`` is all that the table holds."""
    family = [one for one in records if root_of(one.id) == root_of(record.id)]
    paused = [one.paused for one in family if one.paused]
    if paused:
        return Paused("\n".join(paused))
    unsettled = [one for one in family if one.id == record.id or (one.kind is Kind.CALL and one.runnable)]
    lines = [f"{named(one)} {_stands(one, family, now).text}" for one in unsettled[:LINES]]
    if len(unsettled) > LINES:
        lines.append(f"and {len(unsettled) - LINES} more functions")
    lines += failures.lines()
    lines += [f"an invocation of {one.function} failed {one.attempt} times: {one.payload[:120]}" for one in lost]
    return Stuck("\n  ".join([f"{named(record)} can't move any more:", *lines]))


def _stands(own: Record, family: Sequence[Record], now: int) -> Standing:
    children = [one for one in family if parent_of(one.id) == own.id]
    return standing(own, sorted(children, key=lambda child: child.ordinal), now)
