"""The crash table, walked: a Lambda dies once, before or after each single call to the outside that a program makes.

Whichever Lambda that is: the function's own, the resumer, the sweeper, the timers', the one that buries dead letters.
`tests/faults/crashes/test_crash_table.py` names the calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapter.engine.operations import (
    Arm,
    Arrive,
    Ask,
    Claim,
    Close,
    Create,
    Delete,
    Hold,
    Invoke,
    Many,
    Now,
    Pause,
    PeekChapters,
    PeekFunction,
    Pin,
    Postpone,
    ReadChapters,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    Register,
    Remaining,
    RemoveChapter,
    RunCode,
    RunLeft,
    SendAt,
    SendBatch,
    Settle,
    Sleep,
    WriteChapter,
)
from adapter.testing.faults import Kill
from adapter.testing.hosting import GetPayload, PutPayload
from tests.faults.crashes.plays import PLAYS, play
from tests.support.effort import effort

READS = (
    ReadPromise,
    PeekFunction,
    ReadFunction,
    ReadChildren,
    ReadChapters,
    PeekChapters,
    Now,
    Remaining,
    Sleep,
    GetPayload,
)
"""Deaths around a read are those around the write before it or after it."""


def is_point(operation: object) -> bool:
    """A list of operations is its parts; but code that runs side by side is one call."""
    if isinstance(operation, Many):
        return all(isinstance(one, RunCode) for one in operation.operations)
    return not isinstance(operation, READS)


@dataclass
class Nth(Kill):
    """Any Lambda, at its ``left``-th call of any kind; remembers what that was."""

    left: int = 0
    met: list[type[Any]] = field(default_factory=list)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        if when != self.when or not is_point(operation):
            return False
        self.left -= 1
        if self.left != 0:
            return False
        self.met.append(type(operation))
        return True


STRIDE = effort(2, 1)
"""A death after a call leaves what a death before the next one leaves: `make test` plays one of the two."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", PLAYS)
def test_a_death_at_any_point_changes_no_outcome_and_leaves_nothing_open(name: str, when: str) -> None:
    """The test kills at one point after the other, until there is none left: each time between two other calls."""
    points: Counter[str] = Counter()
    while True:
        call = points.total() * STRIDE + 1
        kill = Nth("", object, when, left=call)
        outcome = play(name, kill)
        assert outcome == PLAYS[name].outcome, f"died {when} call {call}: {kill.met}"
        if not kill.met:
            break
        points[kill.met[0].__name__] += 1
    assert points.total() * STRIDE >= 5


WRITES = (
    Arm,
    Arrive,
    Ask,
    Claim,
    Close,
    Create,
    Delete,
    Hold,
    Invoke,
    Pause,
    Pin,
    Postpone,
    PutPayload,
    Register,
    RemoveChapter,
    RunCode,
    RunLeft,
    SendAt,
    SendBatch,
    Settle,
    WriteChapter,
)


def test_every_kind_of_call_is_among_the_points() -> None:
    """Each operation is one that isn't a read, nor a list of others."""
    watch = Watch("", object, "before")
    for name in PLAYS:
        play(name, watch)
    assert {kind.__name__ for kind in WRITES} <= watch.seen


@dataclass
class Watch(Kill):
    """Kills nothing."""

    seen: set[str] = field(default_factory=set)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        self.seen.add(type(operation).__name__)
        return False
