"""The laws of what time and other executions ask of a store: the index of what is due, schedules, followers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from adapter.engine.ports import Store
from adapter.protocol.ids import SCHEDULE, child_id
from adapter.protocol.promises import Arming, Firing, Refusal, Refused
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.timing import SCHEDULES, SHARDS, Due, shard_of

FOREVER = 2**53


def due(store: Store, promise: str, until: int = FOREVER) -> list[Due]:
    """The entries of one promise, whichever shard they are in."""
    return [entry for shard in SHARDS for page in store.due(shard, until) for entry in page if entry.id == promise]


def armed(store: Store, promise: str, at: int | None = 10) -> Record:
    """A function that is suspended until then."""
    store.create(Record(id=promise, target="f"))
    result = store.arm(promise, Arming(epoch=0, arrivals=0, wake_at=at, due_at=at))
    assert isinstance(result, Record)
    return result


def test_an_entry_says_all_that_the_sweeper_needs(store: Store, root: str) -> None:
    """The sweeper sends a message without reading the record."""
    store.create(Record(id=root, target="f", due_at=7, deadline=9))
    assert due(store, root) == [Due(id=root, target="f", at=7, deadline=9)]
    child = child_id(root, 0)
    armed(store, child)
    assert due(store, child) == [Due(id=child, target="f", at=10, wake_at=10)]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", [Kind.CALL, Kind.EXTERNAL])
@pytest.mark.parametrize("closed", [False, True])
def test_an_entry_says_whether_its_promise_is_over(
    store: Store, root: str, kind: Kind, state: State, closed: bool
) -> None:
    """The sweeper then has it removed, whatever it waited for before."""
    record = Record(id=root, kind=kind, state=state, closed=closed, target="f", wake_at=7, due_at=7)
    store.create(record)
    assert due(store, root) == [Due(id=root, target="f", at=7, wake_at=7, over=record.over, state=state)]
    assert due(store, root)[0].wakes is not record.over


def test_an_entry_says_all_that_a_list_of_executions_shows(store: Store, root: str) -> None:
    """A list goes by the function, the state and the times, and reads no record for them."""
    store.create(Record(id=root, fn="shop:checkout", target="f", created_at=5, due_at=7))
    assert due(store, root) == [Due(id=root, target="f", at=7, fn="shop:checkout", created_at=5)]
    store.settle(root, State.REJECTED, "{}", 6, 9)
    (entry,) = due(store, root)
    assert (entry.fn, entry.state, entry.created_at, entry.settled_at) == ("shop:checkout", State.REJECTED, 5, 6)


def test_what_is_due_later_is_not_among_what_is_due(store: Store, root: str) -> None:
    """An entry that is due exactly then counts as later: the windows of two sweeps don't overlap."""
    armed(store, root, at=10)
    assert due(store, root, until=10) == []
    assert [entry.at for entry in due(store, root, until=11)] == [10]


def test_an_entry_is_in_the_shard_of_its_promise(store: Store, root: str) -> None:
    """The sweeper reads each shard once."""
    armed(store, root)
    holding = [shard for shard in SHARDS if any(e.id == root for page in store.due(shard, FOREVER) for e in page)]
    assert holding == [shard_of(root)]


def test_entries_come_in_the_order_in_which_they_are_due(store: Store, root: str) -> None:
    """The index sorts by numbers, not by their digits."""
    times = [9, 100, 20, 3, 1_000]
    for at in times:
        store.create(Record(id=f"{SCHEDULE}{root}-{at}", kind=Kind.SCHEDULE, target="f", due_at=at))
    found = [entry for page in store.due(SCHEDULES, FOREVER) for entry in page if f"{root}-" in entry.id]
    assert [entry.at for entry in found] == sorted(times)


def test_a_record_that_waits_for_no_time_has_no_entry(store: Store, root: str) -> None:
    """The index is sparse: a sweep costs what is due."""
    armed(store, root, at=None)
    assert due(store, root) == []


@pytest.mark.parametrize(
    "ending",
    [
        lambda store, root: store.settle(root, State.RESOLVED, "1", 1),
        lambda store, root: store.settle(root, State.CANCELED, "", 1),
        lambda store, root: store.claim(root, "q"),
        lambda store, root: store.claim(root, "q", Firing(at=10)),
        lambda store, root: store.arm(root, Arming(epoch=1, arrivals=0)),
    ],
    ids=["settled", "cancelled", "claimed", "claimed by its firing", "armed without a time"],
)
def test_an_entry_vanishes_when_its_wait_has_ended(
    store: Store, root: str, ending: Callable[[Store, str], object]
) -> None:
    """The write that ends the wait removes it: no sweep sends a message for it any more."""
    armed(store, root)
    assert len(due(store, root)) == 1
    assert isinstance(ending(store, root), Record)
    assert due(store, root) == []


@pytest.mark.parametrize(
    "between",
    [
        lambda store, root: store.arrive(root, 1),
        lambda store, root: store.pause(root, "drift"),
        lambda store, root: store.register(root, "other~0"),
        lambda store, root: store.arm(root, Arming(epoch=0, arrivals=0, due_at=99)),
        lambda store, root: store.claim(root, "q", Firing(at=9)),
    ],
    ids=["arrival", "pause", "follower", "overtaken arming", "firing of another timer"],
)
def test_an_entry_stays_as_long_as_its_function_waits(
    store: Store, root: str, between: Callable[[Store, str], object]
) -> None:
    """I3: whatever else happens, time will wake it."""
    armed(store, root)
    before = due(store, root)
    between(store, root)
    assert due(store, root) == before


def test_an_entry_moves_when_its_function_waits_for_another_time(store: Store, root: str) -> None:
    """A function has one entry at most."""
    armed(store, root)
    store.arm(root, Arming(epoch=1, arrivals=0, wake_at=77, due_at=77))
    assert [entry.at for entry in due(store, root)] == [77]


def test_a_look_moves_only_the_entry_that_was_looked_at(store: Store, root: str) -> None:
    """A run that has been here meanwhile has set the time for which it waits."""
    armed(store, root)
    (entry,) = due(store, root)
    refused = store.postpone(root, entry.at + 1, 99)
    assert isinstance(refused, Refused)
    assert refused.why is Refusal.MOVED
    assert due(store, root) == [entry]
    store.postpone(root, entry.at, 99)
    assert [entry.at for entry in due(store, root)] == [99]


def test_entries_that_fill_more_than_one_page_are_all_found(store: Store, root: str) -> None:
    """DynamoDB answers a query with at most a megabyte at a time."""
    names = [f"{SCHEDULE}{root}-{number}" for number in range(12)]
    for number, name in enumerate(names):
        store.create(Record(id=name, kind=Kind.SCHEDULE, target="x" * 100_000, due_at=100 + number))
    found = [entry.id for page in store.due(SCHEDULES, FOREVER) for entry in page]
    assert [name for name in found if name in names] == names
    for name in names:
        store.delete(name)


def test_a_schedule_that_is_deleted_is_gone(store: Store, root: str) -> None:
    """The table and the index have it no more. A second delete is told that there was none."""
    schedule = Record(id=f"{SCHEDULE}{root}", kind=Kind.SCHEDULE, target="f", due_at=5, recurs="[]")
    store.create(schedule)
    assert store.delete(schedule.id) == schedule
    assert store.read_promise(schedule.id) is None
    assert due(store, schedule.id) == []
    assert store.delete(schedule.id) is None
    assert store.create(schedule) == schedule


def test_every_follower_that_registered_is_on_the_record_once(store: Store, root: str) -> None:
    """A retry registers again, and changes nothing."""
    store.create(Record(id=root))
    for follower in ("a~0", "b~1", "a~0"):
        assert isinstance(store.register(root, follower), Record)
    assert store.read_promise(root) == Record(id=root, awaiters=frozenset({"a~0", "b~1"}))
    settled = store.settle(root, State.RESOLVED, "1", 1)
    assert isinstance(settled, Record)
    assert settled.awaiters == {"a~0", "b~1"}


@pytest.mark.parametrize("state", [State.RESOLVED, State.REJECTED, State.CANCELED, State.TIMEDOUT])
def test_a_follower_of_what_has_settled_is_told_the_outcome(store: Store, root: str, state: State) -> None:
    """It settles by that outcome, since the settled root wakes no follower any more."""
    store.create(Record(id=root))
    settled = store.settle(root, state, "1", 1)
    assert store.register(root, "a~0") == Refused(Refusal.SETTLED, settled)
    assert store.register(f"{root}-unknown", "a~0") == Refused(Refusal.UNKNOWN, None)
    assert store.read_promise(root) == settled


def test_a_firing_claims_only_what_it_was_set_for(store: Store, root: str) -> None:
    """It also claims what its sender is still on its way to arm."""
    record = armed(store, root, at=10)
    assert store.claim(root, "q", Firing(at=9)) == Refused(Refusal.SUPERSEDED, record)
    assert store.claim(root, "q", Firing(at=9, epoch=0)) == Refused(Refusal.SUPERSEDED, record)
    claimed = store.claim(root, "q", Firing(at=9, epoch=1))
    assert claimed == replace(record, epoch=2, claimed_by="q", due_at=None)
    assert store.claim(root, "q", Firing(at=10)) == replace(claimed, epoch=3)
