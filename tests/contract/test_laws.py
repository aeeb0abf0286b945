"""The laws of a store by name, on every store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapter.engine.ports import Store
from adapter.errors import PayloadTooLarge
from adapter.protocol.ids import BUCKET, child_id
from adapter.protocol.promises import MAX_AWAITERS, Arming, Refusal, Refused
from adapter.protocol.records import Kind, Record, State, Wake
from tests.contract.strategies import RUNNABLE, SETTLED, any_record, created, texts, times
from tests.support.effort import effort

NewRoot = Callable[[], str]

# A fixture that lives longer than one example is what these tests want: a fresh id keeps examples apart.
drawn = settings(max_examples=effort(8, 40), suppress_health_check=[HealthCheck.function_scoped_fixture])

settlements = st.tuples(st.sampled_from(SETTLED), texts, times)


@drawn
@given(first=settlements, later=st.lists(settlements, max_size=4))
def test_first_settlement_wins_whatever_follows(
    store: Store, new_root: NewRoot, first: tuple[State, str, int], later: list[tuple[State, str, int]]
) -> None:
    """I1: the store refuses later settlements, tells what stands, and changes nothing."""
    root = new_root()
    store.create(Record(id=root))
    stands = store.settle(root, *first)
    assert isinstance(stands, Record)
    for settlement in later:
        assert store.settle(root, *settlement) == Refused(Refusal.SETTLED, stands)
        store.create(Record(id=root, args="other"))
        store.pause(root, "drift")
        store.close(root)
        stands = replace(stands, closed=True, paused=store.read_promise(root).paused)
    assert store.read_promise(root) == stands
    assert (stands.state, stands.value, stands.settled_at) == first


@drawn
@given(between=st.lists(st.sampled_from(["arm 1", "arm 2", "claim", "arrive", "pause"]), max_size=8))
@example(between=["arm 1", "arm 2"])
@example(between=["arm 2", "arm 1", "arm 2"])
def test_of_two_runs_that_loaded_the_same_epoch_at_most_one_arms(
    store: Store, new_root: NewRoot, between: list[str]
) -> None:
    """Other writes may come between their loading and their arming, and they may arm in either order."""
    root = new_root()
    store.create(Record(id=root))
    loaded, _ = store.read_function(root)
    assert loaded is not None

    def step(what: str) -> bool:
        if what.startswith("arm"):
            arming = Arming(epoch=loaded.epoch, arrivals=loaded.arrivals, threshold=int(what[-1]))
            return isinstance(store.arm(root, arming), Record)
        others = {
            "claim": lambda p: store.claim(p, "q"),
            "arrive": lambda p: store.arrive(p, 1),
            "pause": lambda p: store.pause(p, "?"),
        }
        others[what](root)
        return False

    assert sum(step(what) for what in between) <= 1


def test_a_run_that_was_overtaken_is_told_so(store: Store, root: str) -> None:
    """A claim moves the epoch: a run that loaded before it is superseded."""
    store.create(Record(id=root))
    claimed = store.claim(root, "q")
    assert isinstance(claimed, Record)
    assert store.arm(root, Arming(epoch=0, arrivals=0)) == Refused(Refusal.SUPERSEDED, claimed)


def test_a_run_that_missed_an_arrival_is_told_so(store: Store, root: str) -> None:
    """I3: the run must load again rather than wait for a settlement that has come already."""
    store.create(Record(id=root))
    moved = store.arrive(root, 1)
    assert isinstance(moved, Record)
    assert store.arm(root, Arming(epoch=0, arrivals=0, threshold=1)) == Refused(Refusal.MOVED, moved)


@pytest.mark.parametrize("state", [State.CANCELED, State.TIMEDOUT])
def test_a_run_that_missed_its_cancellation_is_told_so(store: Store, root: str, state: State) -> None:
    """The run armed as pending. It has to load again and clean up."""
    store.create(Record(id=root))
    cancelled = store.settle(root, state, "", 1)
    assert store.arm(root, Arming(epoch=0, arrivals=0)) == Refused(Refusal.MOVED, cancelled)


@pytest.mark.parametrize("state", [State.CANCELED, State.TIMEDOUT])
def test_a_cancelled_function_suspends_and_is_woken_until_it_is_closed(store: Store, root: str, state: State) -> None:
    """Its ``finally`` blocks may await durable calls. When they have ended, nothing moves it any more."""
    store.create(Record(id=root))
    store.settle(root, state, "", 1)
    armed = store.arm(root, Arming(epoch=0, arrivals=0, state=state, threshold=1))
    assert isinstance(armed, Record)
    assert armed.threshold == 1
    assert store.arrive(root, 1) == replace(armed, arrivals=1)
    claimed = store.claim(root, "q")
    assert claimed == replace(armed, arrivals=1, epoch=2, claimed_by="q", threshold=None)
    closed = store.close(root)
    assert closed == replace(claimed, closed=True)
    for refused in (
        store.arrive(root, 1),
        store.claim(root, "q"),
        store.pause(root, "?"),
        store.hold(root, "?", 1, 2),
        store.arm(root, Arming(epoch=2, arrivals=1, state=state)),
    ):
        assert refused == Refused(Refusal.SETTLED, closed)


def test_arming_clears_a_pause_and_what_an_earlier_arming_left(store: Store, root: str) -> None:
    """An arming says all of how a function waits."""
    store.create(Record(id=root))
    store.arm(root, Arming(epoch=0, arrivals=0, threshold=3, on_reject=True, wake_at=9))
    store.pause(root, "drift")
    again = store.arm(root, Arming(epoch=1, arrivals=0))
    assert again == Record(id=root, epoch=2)
    assert store.read_promise(root) == again


@pytest.mark.parametrize("promise", ["unknown-root", "unknown-root~0", "unknown-root~0.300"])
def test_nothing_can_be_done_to_a_promise_that_does_not_exist(store: Store, promise: str) -> None:
    """An update creates nothing."""
    unknown = Refused(Refusal.UNKNOWN, None)
    assert store.settle(promise, State.RESOLVED, "1", 1) == unknown
    assert store.claim(promise, "q") == unknown
    assert store.arm(promise, Arming(epoch=0, arrivals=0)) == unknown
    assert store.arrive(promise, 1) == unknown
    assert store.pause(promise, "?") == unknown
    assert store.hold(promise, "?", 1, 2) == unknown
    assert store.close(promise) == unknown
    assert store.read_promise(promise) is None
    assert store.read_function(promise) == (None, [])


def test_a_refused_create_is_told_what_stands(store: Store, root: str) -> None:
    """The caller compares it with what it wanted to create."""
    first = Record(id=root, fn="f", digest="1", seen="")
    assert store.create(first) == first
    assert store.create(replace(first, digest="2")) == Refused(Refusal.MOVED, first)
    assert store.read_promise(root) == first


def test_the_children_of_many_partitions_are_all_read_in_order(store: Store, root: str) -> None:
    """600 children of a root are in three partitions."""
    total = 600
    assert total > 2 * BUCKET
    store.create(Record(id=root, fn="own"))
    for ordinal in reversed(range(total)):
        store.create(Record(id=child_id(root, ordinal)))
    own, children = store.read_function(root)
    assert own == Record(id=root, fn="own")
    assert [child.ordinal for child in children] == list(range(total))
    for first in (BUCKET - 1, BUCKET, BUCKET + 1, total - 1, total, 3 * BUCKET):
        assert [child.ordinal for child in store.read_children(root, first)] == list(range(first, total))
    for first, last in ((3, 3), (BUCKET - 1, BUCKET), (5, 2 * BUCKET + 5), (total - 1, total), (total, total)):
        found = [child.ordinal for child in store.read_children(root, first, last)]
        assert found == list(range(first, min(last + 1, total)))


@pytest.mark.parametrize("total", [BUCKET - 1, BUCKET, BUCKET + 1])
def test_a_partition_may_be_just_full(store: Store, root: str, total: int) -> None:
    """The parent is a child this time, whose own record is in another partition."""
    parent = child_id(root, 0)
    store.create(Record(id=parent))
    for ordinal in range(total):
        store.create(Record(id=child_id(parent, ordinal)))
    own, children = store.read_function(parent)
    assert own == Record(id=parent)
    assert [child.ordinal for child in children] == list(range(total))


def test_a_root_is_loaded_with_its_children_and_nobody_elses(store: Store, root: str) -> None:
    """Roots whose ids begin alike, grandchildren and siblings' children stay apart."""
    mine = [child_id(root, 0), child_id(root, 1)]
    others = [f"{root}0", f"{root}.0", child_id(f"{root}.0", 0), child_id(mine[0], 0), child_id(mine[1], 0)]
    for promise in (root, *mine, *others):
        store.create(Record(id=promise))
    own, children = store.read_function(root)
    assert own is not None
    assert [own.id, *(child.id for child in children)] == [root, *mine]
    below, grandchildren = store.read_function(mine[1])
    assert below is not None
    assert [below.id, *(child.id for child in grandchildren)] == [mine[1], child_id(mine[1], 0)]


def test_children_are_found_without_their_root(store: Store, root: str) -> None:
    """Reading tells what is there. The engine decides whether it makes sense."""
    child = Record(id=child_id(root, 0))
    store.create(child)
    assert store.read_function(root) == (None, [child])
    assert list(store.read_children(root)) == [child]


def test_a_reading_that_may_lag_brings_children_without_user_data(store: Store, root: str) -> None:
    """A removal reads thousands of them at a time, and a Lambda's memory doesn't hold what each took and gave."""
    child = Record(id=child_id(root, 0), kind=Kind.INLINE, args="[1]", state=State.RESOLVED, value="2", settled_at=5)
    store.create(Record(id=root, args="[3]", paused="drifted"))
    store.create(child)
    bare = replace(child, args="", value="")
    assert list(store.peek_children(root, None, True)) == [bare]
    own, children = store.peek_function(root, True)
    assert (own and own.paused, list(children)) == ("drifted", [bare])
    assert list(store.read_children(root)) == [child]


def test_children_that_fill_more_than_one_page_are_all_read(store: Store, root: str) -> None:
    """DynamoDB answers a query with at most a megabyte at a time."""
    wanted = [Record(id=child_id(root, ordinal), args="x" * 300_000) for ordinal in range(8)]
    for record in wanted:
        store.create(record)
    assert store.read_function(root) == (None, wanted)
    assert list(store.read_children(root, 5)) == wanted[5:]


FULL = Record(
    id="replaced",
    kind=Kind.EXTERNAL,
    fn="fn",
    target="target",
    args='{"a":1}',
    digest="digest",
    state=State.CANCELED,
    value="value",
    created_at=1_767_225_600_000_001,
    settled_at=1_767_225_600_000_002,
    took=2,
    retries=1,
    by="by",
    by_parent=True,
    wake=Wake.DIRECT,
    prompted_by="prompted-by",
    reply_to="reply-to",
    unpinned="unpinned",
    fork="forked",
    seen="1,t2,c",
    epoch=3,
    claimed_by="claimed-by",
    arrivals=4,
    rejected_arrivals=1,
    threshold=5,
    expects=6,
    rejections=7,
    on_reject=True,
    wake_at=1_767_225_600_000_003,
    sent=True,
    due_at=1_767_225_600_000_004,
    deadline=1_767_225_600_000_005,
    retry="{}",
    root="root",
    detached_by="other~0",
    recurs="[]",
    reads="module:f",
    awaiters=frozenset({"a~0", "b~1"}),
    paused="paused",
    outage="missing",
    outage_at=14,
    retry_at=15,
    closed=True,
    closed_at=13,
    expires=1_767_225_601,
    objects=True,
    tags={"key": "värde"},
)


def test_the_full_record_differs_from_an_empty_one_in_every_field() -> None:
    """The round trip below then leaves out no field."""
    empty = Record(id="")
    assert [field.name for field in fields(Record) if getattr(FULL, field.name) == getattr(empty, field.name)] == []


@pytest.mark.parametrize("name", [field.name for field in fields(Record) if field.name != "id"])
def test_a_field_of_a_record_round_trips_alone(store: Store, root: str, name: str) -> None:
    """The store doesn't write an empty field, and reads it as it was."""
    record = replace(Record(id=root), **{name: getattr(FULL, name)})
    store.create(record)
    assert store.read_promise(root) == record


@drawn
@given(data=st.data())
def test_every_field_of_a_record_round_trips_through_the_table(
    store: Store, new_root: NewRoot, data: st.DataObject
) -> None:
    """Each way of reading returns it, for roots and for children."""
    root = new_root()
    record = data.draw(any_record([root, child_id(root, 0), child_id(child_id(root, 1), 700)]))
    assert store.create(record) == record
    assert store.read_promise(record.id) == record
    assert store.read_function(record.id) == (record, [])


def test_a_record_with_every_field_round_trips(store: Store, root: str) -> None:
    """It has all fields at once."""
    record = replace(FULL, id=root)
    store.create(record)
    assert store.read_promise(root) == record


@pytest.mark.parametrize("state", SETTLED)
def test_a_step_may_be_created_with_its_outcome(store: Store, root: str, state: State) -> None:
    """An inline step is one write; its outcome stands as any other."""
    record = Record(id=root, kind=Kind.INLINE, state=state, value="1", settled_at=5)
    store.create(record)
    assert store.settle(root, State.RESOLVED, "2", 6) == Refused(Refusal.SETTLED, record)


@drawn
@given(data=st.data(), state=st.sampled_from(RUNNABLE))
def test_arrivals_only_ever_add(store: Store, new_root: NewRoot, data: st.DataObject, state: State) -> None:
    """Claims and armings may come between: the store forgets no arrival."""
    root = new_root()
    record = replace(data.draw(created([root])), state=State.PENDING, value="", settled_at=0)
    store.create(record)
    if state is not State.PENDING:
        store.settle(root, state, "", 1)
    counts = data.draw(st.lists(st.integers(1, 5), max_size=5))
    for count in counts:
        store.arrive(root, count)
        if data.draw(st.booleans()):
            store.claim(root, "q")
        stands = store.read_promise(root)
        assert stands is not None
        if data.draw(st.booleans()):
            store.arm(root, Arming(epoch=stands.epoch, arrivals=stands.arrivals, state=state, threshold=9))
    assert store.read_promise(root).arrivals == sum(counts)


@pytest.mark.parametrize("size", [330_001, 500_000])
def test_too_large_a_text_is_refused_and_nothing_is_written(store: Store, root: str, size: int) -> None:
    """The store refuses it before it writes."""
    with pytest.raises(PayloadTooLarge, match=str(size)):
        store.create(Record(id=root, args="x" * size))
    with pytest.raises(PayloadTooLarge, match=root):
        store.create(Record(id=root, args="x" * (size // 2), value="x" * (size - size // 2)))
    with pytest.raises(PayloadTooLarge):
        store.create(Record(id=root, args="é" * (size // 2 + 1)))
    assert store.read_promise(root) is None
    pending = Record(id=root)
    store.create(pending)
    with pytest.raises(PayloadTooLarge, match=root):
        store.settle(root, State.RESOLVED, "x" * size, 1)
    assert store.read_promise(root) == pending


def test_the_largest_text_is_stored(store: Store, root: str) -> None:
    """The text is exactly at the limit."""
    store.create(Record(id=root, args="x" * 330_000))
    other = child_id(root, 0)
    store.create(Record(id=other))
    assert isinstance(store.settle(other, State.RESOLVED, "é" * 165_000, 1), Record)
    assert store.read_promise(other).value == "é" * 165_000
    assert len(store.read_promise(root).args) == 330_000


def test_a_root_takes_only_so_many_followers_and_settles_all_the_same(store: Store, root: str) -> None:
    """At about 6,400 its item was full, and its own settlement failed for good. Who is registered stays registered."""
    full = frozenset(f"follower-{number}~0" for number in range(MAX_AWAITERS))
    store.create(Record(id=root, awaiters=full, args="x" * 160_000))
    refused = store.register(root, "one-more~0")
    assert isinstance(refused, Refused)
    assert refused.why is Refusal.FULL
    assert isinstance(store.register(root, "follower-7~0"), Record)
    settled = store.settle(root, State.RESOLVED, "y" * 160_000, 5)
    assert isinstance(settled, Record)
    assert settled.awaiters == full


def test_of_long_ids_a_root_takes_fewer(store: Store, root: str) -> None:
    """DynamoDB bounds the item in bytes."""
    long = [f"{number:02}{'n' * 500}~0.{'1' * 1_490}" for number in range(40)]
    store.create(Record(id=root))
    written = [store.register(root, awaiter) for awaiter in long]
    assert [isinstance(one, Record) for one in written] == [True] * 32 + [False] * 8
    assert {one.why for one in written if isinstance(one, Refused)} == {Refusal.FULL}
    assert isinstance(store.register(root, "short~0"), Record)
