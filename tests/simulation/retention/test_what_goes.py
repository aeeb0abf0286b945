"""The watchdog removes an execution that is over, after its retention; it leaves what a live run may still read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter import reject, resolve, schedule, schedules
from adapter.engine.operations import Create, Settle
from adapter.protocol.ids import BUCKET
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.timing import RETENTION, kept_until
from adapter.testing import LocalCloud
from tests.simulation.retention.functions import (
    DAY,
    LARGE,
    MONTH,
    asks_for_long,
    keeping,
    leaf,
    leaves,
    left,
    outer,
    tidies,
    waits,
)
from tests.support.laws import HOUR


def test_an_execution_goes_with_all_that_it_had_when_its_retention_is_over(kept: LocalCloud) -> None:
    """Its tree, its large values and its roots go with it. Until then all of it is there."""
    kept.run(outer)
    kept.drive()
    before = left(kept)
    assert len(before) == 16 + 2
    kept.advance(MONTH - HOUR)
    assert left(kept) == before
    kept.advance(2 * HOUR)
    assert left(kept) == []


def test_whatever_waits_for_longer_than_that_loses_nothing(kept: LocalCloud) -> None:
    """It goes on in a sandbox that has never seen it, from all that it had."""
    handle = waits.start(100)
    kept.advance(99 * DAY)
    for function in kept.service.functions.values():
        function.memory.clear()
    assert handle.result() == 2 + 3 + 4 + LARGE
    kept.advance(MONTH + 2 * HOUR)
    assert left(kept) == []


def test_what_still_cleans_up_is_kept_though_its_caller_is_long_over(fast: LocalCloud) -> None:
    """The caller's retention is over before its cancelled call is, which needs its own; then all of it goes."""
    assert fast.run(leaves, 50) == "left"
    fast.advance(MONTH + 10 * DAY)
    assert [record.fn.partition(":")[2] for record in fast.records()] == ["leaves", "tidies", "leaf"]
    assert fast.stats.bodies[leaf] == 1
    fast.advance(12 * DAY)
    assert fast.stats.bodies[leaf] == 2
    assert left(fast) == []


def test_a_cancelled_root_is_kept_from_the_end_of_its_clean_up_on(fast: LocalCloud) -> None:
    """Its outcome was settled long before."""
    handle = tidies.start(100)
    fast.advance(DAY)
    handle.cancel()
    fast.advance(99 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(2 * DAY)
    assert fast.stats.bodies[leaf] == 2
    fast.advance(MONTH - 3 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(4 * DAY)
    assert left(fast) == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_time_that_it_waited_for_in_vain_does_not_keep_it(kept: LocalCloud, cancelled: bool) -> None:
    """A timer would have woken it at the very time at which its retention is over."""
    then = (kept_until("asks", 0, RETENTION) or 0) // 1_000_000
    handle = asks_for_long.with_options(id="asks").start(then)
    kept.drive()
    if cancelled:
        handle.cancel()
    else:
        resolve(f"{handle.id}~0", "yes")
    kept.drive()
    assert handle.status() is (State.CANCELED if cancelled else State.RESOLVED)
    assert {record.wake_at == record.due_at for record in kept.records() if record.id == "asks"} == {True}
    kept.advance(MONTH + 2 * HOUR)
    assert left(kept) == []


def test_a_longer_retention_counts_from_the_end_of_a_clean_up(
    fast: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancellation may be as long ago as the retention."""
    handle = tidies.start(50)
    fast.advance(DAY)
    handle.cancel()
    fast.advance(50 * DAY + 60)
    keeping(monkeypatch, fast, "60")
    fast.advance(59 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(2 * DAY)
    assert left(fast) == []


def test_what_was_cleaned_up_within_the_last_day_keeps_its_tree(fast: LocalCloud) -> None:
    """A run that read it may be under way still; the retention of the root is long over."""
    cleaned = replace(ENDED, id="ended~0", state=State.CANCELED, due_at=None, closed=True)
    made(fast, replace(ENDED, due_at=fast.clock() + HOUR * 1_000_000))
    made(fast, replace(cleaned, closed_at=fast.clock()))
    fast.advance(2 * HOUR)
    assert left(fast) == ["ended", "ended~0"]
    fast.advance(DAY)
    assert left(fast) == []


def made(cloud: LocalCloud, *records: Record) -> None:
    """Written as they are; nobody runs them."""
    for record in records:
        cloud._host.ports.perform(Create(record))


ENDED = Record(
    id="ended", fn="?", target="?", state=State.RESOLVED, value="1", created_at=1, settled_at=1, due_at=RETENTION + 1
)


@pytest.mark.parametrize("kind", [Kind.FOLLOW, Kind.DETACH])
def test_a_root_stays_as_long_as_somebody_has_not_heard_of_it(fast: LocalCloud, kind: Kind) -> None:
    """Otherwise a follower would never settle, and a promise to detach would start the root once more."""
    root = (
        replace(ENDED, awaiters=frozenset({"other~0"}))
        if kind is Kind.FOLLOW
        else replace(ENDED, detached_by="other~0")
    )
    made(fast, root, Record(id="other", fn="?"), Record(id="other~0", kind=kind, root="ended"))
    fast.advance(10 * DAY)
    assert "ended" in left(fast)
    fast._host.ports.perform(Settle("other~0", State.RESOLVED, "1"))
    fast.advance(2 * DAY)
    assert left(fast) == ["other", "other~0"]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", Kind)
def test_only_what_is_over_goes(fast: LocalCloud, kind: Kind, state: State) -> None:
    """A function that has yet to clean up keeps its root. A pending promise that no code will hear of is ended."""
    below = Record(id="ended~0", kind=kind, fn="?", target="?", state=state, created_at=2)
    made(fast, ENDED, below)
    fast.advance(HOUR)
    assert left(fast) == (["ended", "ended~0"] if not below.over else [])
    fast.advance(10 * DAY)
    stays = kind is Kind.CALL and state in (State.CANCELED, State.TIMEDOUT)
    assert left(fast) == (["ended", "ended~0"] if stays else [])


@pytest.mark.parametrize("error", [None, "no"])
def test_what_a_function_called_ends_when_that_is_settled_from_outside(fast: LocalCloud, error: str | None) -> None:
    """No code hears of it any more. Its clean-up runs, and then all of it goes."""
    handle = leaves.start(50)
    fast.advance(10)
    resolve(handle.id, "in its place") if error is None else reject(handle.id, error)
    fast.advance(DAY)
    tidying = fast.peek(f"{handle.id}~0")
    assert tidying is not None
    assert tidying.state is State.CANCELED
    fast.advance(48 * DAY)
    assert handle.status() in (State.RESOLVED, State.REJECTED)
    fast.advance(DAY)
    assert fast.stats.bodies[leaf] == 2
    fast.advance(3 * DAY)
    assert left(fast) == []


def test_a_record_behind_a_gap_goes_too(fast: LocalCloud) -> None:
    """A run died for good while it created many side by side: whole partitions may begin late, and end early."""
    ordinals = [0, 7, BUCKET + 3, 2 * BUCKET, 2 * BUCKET + 200, 3 * BUCKET + 9]
    made(fast, ENDED, *(replace(ENDED, id=f"ended~{ordinal}", due_at=None) for ordinal in ordinals))
    fast.advance(DAY)
    assert left(fast) == []


def test_a_schedule_stays_and_its_occurrences_go(fast: LocalCloud) -> None:
    """Each occurrence goes in its time."""
    schedule("daily", "0 3 * * *", leaf, 1)
    fast.advance(MONTH + 10 * DAY)
    assert len(schedules()) == 1
    assert len(left(fast)) == 1 + 30
    assert "schedule:daily" in left(fast)
