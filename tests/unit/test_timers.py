"""The sweeps' windows leave no gap: each entry is sent once, and an overdue one again, less and less often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE
from adapter.protocol.timing import HORIZON, SHARDS, SOON, WATCH, indexed, is_far, next_sweep, shard_of, wanted

times = st.integers(0, 2**52)
minutes = st.integers(0, 2**26).map(lambda number: number * MINUTE)


@given(at=times)
def test_an_entry_is_sent_once_before_it_is_due(at: int) -> None:
    """The one sweep sends it in whose window it lies, one to two minutes before."""
    this = at // MINUTE * MINUTE
    around = [this + offset * MINUTE for offset in range(-20, 1)]
    assert [minute for minute in around if wanted(at, minute)] == [this - MINUTE]


@given(at=times)
def test_an_overdue_entry_is_sent_again_soon_and_then_now_and_then(at: int) -> None:
    """Its message may be lost, or its function can't run. An outage may be long."""
    this = at // MINUTE * MINUTE
    late = [offset for offset in range(1, 70) if wanted(at, this + offset * MINUTE)]
    assert late == [2, 4, 8, 16, 32, 48, 64]


@given(at=times, after=minutes)
def test_the_next_sweep_is_the_first_that_sends(at: int, after: int) -> None:
    """No sweep in between sends it."""
    found = next_sweep(at, after)
    assert found > after
    assert wanted(at, found)
    between = range(after + MINUTE, min(found, after + 200 * MINUTE), MINUTE)
    assert not any(wanted(at, minute) for minute in between)


@given(now=times, ahead=st.integers(0, 10 * HORIZON))
def test_only_what_a_message_cannot_wait_for_is_far(now: int, ahead: int) -> None:
    """A far entry has its sweep still before it."""
    assert is_far(now + ahead, now) is (ahead > HORIZON)
    if is_far(now + ahead, now):
        assert next_sweep(now + ahead, now // MINUTE * MINUTE) > now


@given(promise=st.text())
def test_every_id_has_a_shard(promise: str) -> None:
    """It has the same one each time."""
    assert shard_of(promise) in SHARDS


@pytest.mark.parametrize(
    ("deadline", "due_at"),
    [
        (None, 1 + WATCH),
        (WATCH, WATCH),
        # A look may come some seconds late: it gives way to a deadline soon after it.
        (2 + WATCH, 2 + WATCH),
        (WATCH + SOON, WATCH + SOON),
        (1 + WATCH + SOON, 1 + WATCH),
        # A near one has a message. The look comes a minute later, should it not have been sent.
        (HORIZON, HORIZON + MINUTE),
    ],
)
def test_a_root_is_indexed_to_be_looked_at_or_by_a_deadline(deadline: int | None, due_at: int) -> None:
    """A root has no parent that would miss it."""
    assert indexed(Record(id="r", created_at=1, deadline=deadline)).due_at == due_at
