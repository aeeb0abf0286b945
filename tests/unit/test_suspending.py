"""What a run makes up for when it suspends: settlements that the resumer should have counted, and no others."""

from __future__ import annotations

import pytest

from adapter.engine.suspending import OVERDUE, missed
from adapter.protocol.ids import child_id
from adapter.protocol.records import Record, State, Wake
from adapter.replay.known import Known

NOW = 1_000_000_000_000_000


def settled(ordinal: int, ago: int, wake: Wake | None = Wake.COUNTED) -> Record:
    return Record(id=child_id("r", ordinal), state=State.RESOLVED, settled_at=NOW - ago, wake=wake)


@pytest.mark.parametrize(("arrivals", "missing"), [(0, 3), (1, 2), (3, 0), (5, 0)])
def test_what_settled_long_ago_and_was_not_counted_is_missing(arrivals: int, missing: int) -> None:
    """The count doesn't say which of them it was."""
    children = [settled(n, OVERDUE + n) for n in range(3)]
    assert missed(Record(id="r", arrivals=arrivals), Known(children), NOW) == missing


def test_what_settled_just_now_is_not_missing() -> None:
    """Its record is about to be counted."""
    children = [settled(0, OVERDUE), settled(1, OVERDUE - 1), settled(2, 0)]
    assert missed(Record(id="r"), Known(children), NOW) == 1
    assert missed(Record(id="r", arrivals=1), Known(children), NOW) == 0


def test_only_counted_settlements_are_ever_missing() -> None:
    """A child that resumes its parent directly, and one that is pending, move no count."""
    children = [
        settled(0, OVERDUE, Wake.DIRECT),
        settled(1, OVERDUE, None),
        Record(id="r~2", wake=Wake.COUNTED),
    ]
    assert missed(Record(id="r"), Known(children), NOW) == 0
