"""The resumer counts arrivals and resumes the functions that wait for them, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.engine import hosts
from adapter.protocol.ids import child_id
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.promises import Arming
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.times import MINUTE
from tests.unit.resumer.table import Table


def test_a_parent_is_counted_once_per_batch_and_resumed_once(table: Table) -> None:
    """The resumer makes one update and one invocation, however many children of the parent settled."""
    table.parent("once", threshold=3)
    assert table.handle(*(table.settled("once", n) for n in range(5))) == []
    assert table.arrivals("once") == 5
    assert table.cloud.stats.writes == 2  # The parent's creation, and its update.
    assert table.invoked() == [("lambda-of-once", Resume(id="once", cause=Cause.COUNTED, armed=1))]


def test_each_parent_of_a_batch_is_counted_by_its_own(table: Table) -> None:
    """Their records may alternate."""
    for name in ("first", "second", "third"):
        table.parent(name, threshold=2)
    batch = [table.settled(name, n) for n in range(2) for name in ("first", "second")] + [table.settled("third", 0)]
    assert table.handle(*batch) == []
    assert [table.arrivals(name) for name in ("first", "second", "third")] == [2, 2, 1]
    assert [promise.id for _, promise in table.invoked()] == ["first", "second"]


def test_a_parent_that_needs_more_is_left_alone(table: Table) -> None:
    """The resumer counts it, and doesn't resume it."""
    table.parent("patient", threshold=3)
    assert table.handle(table.settled("patient", 0), table.settled("patient", 1)) == []
    assert (table.arrivals("patient"), table.invoked()) == (2, [])
    assert table.handle(table.settled("patient", 2)) == []
    assert (table.arrivals("patient"), len(table.invoked())) == (3, 1)


def test_a_parent_that_is_running_is_counted_and_not_resumed(table: Table) -> None:
    """It has no threshold: when it arms it finds the arrivals moved."""
    table.parent("running", threshold=None)
    assert table.handle(table.settled("running", 0)) == []
    assert (table.arrivals("running"), table.invoked()) == (1, [])


@pytest.mark.parametrize("state", [State.REJECTED, State.CANCELED, State.TIMEDOUT])
def test_a_rejection_wakes_at_once_where_that_is_asked_for(table: Table, state: State) -> None:
    """A gather of many fails at its first failure."""
    name = f"fails-fast-{state}"
    table.parent(name, threshold=9, on_reject=True)
    assert table.handle(table.settled(name, 0)) == []
    assert table.invoked() == []
    assert table.handle(table.settled(name, 1, state, kind=Kind.EXTERNAL)) == []
    assert table.invoked() == [(f"lambda-of-{name}", Resume(id=name, cause=Cause.COUNTED, armed=1))]


def test_a_rejection_counts_like_a_value_where_it_is_not_asked_for(table: Table) -> None:
    """A gather that returns exceptions waits for all."""
    table.parent("collects", threshold=2)
    assert table.handle(table.settled("collects", 0, State.REJECTED)) == []
    assert (table.arrivals("collects"), table.invoked()) == (1, [])


def test_a_direct_wake_needs_no_write(table: Table) -> None:
    """The resumer invokes the parent where it runs, and doesn't even read it."""
    record = table.settled("direct~4", 0, wake=Wake.DIRECT)
    assert table.handle(record) == []
    assert table.invoked() == [("lambda-of-direct~4", Resume(id="direct~4", cause=Cause.DIRECT))]
    assert (table.cloud.stats.writes, table.cloud.stats.reads) == (0, 0)


@pytest.mark.parametrize("state", [State.CANCELED, State.TIMEDOUT])
def test_a_canceled_function_is_resumed_itself(table: Table, state: State) -> None:
    """It has to clean up. The resumer also counts its parent, which awaits it."""
    name = f"cancels-{state}"
    table.parent(name)
    assert table.handle(table.settled(name, 0, state)) == []
    assert table.invoked() == [
        ("lambda-of-step", Resume(id=child_id(name, 0), cause=Cause.CANCEL)),
        (f"lambda-of-{name}", Resume(id=name, cause=Cause.COUNTED, armed=1)),
    ]


def test_a_canceled_root_is_resumed_itself(table: Table) -> None:
    """It has no parent."""
    root = Record(id="canceled-root", fn="waiting", target="lambda-of-root")
    assert table.handle(table.change(root, replace(root, state=State.CANCELED, settled_at=1))) == []
    assert table.invoked() == [("lambda-of-root", Resume(id="canceled-root", cause=Cause.CANCEL))]


@pytest.mark.parametrize("kind", [Kind.EXTERNAL, Kind.INLINE])
def test_what_is_canceled_and_is_no_function_has_nothing_to_clean_up(table: Table, kind: Kind) -> None:
    """Only its parent hears of it."""
    table.parent(f"outside-{kind}")
    assert table.handle(table.settled(f"outside-{kind}", 0, State.CANCELED, kind=kind)) == []
    assert [promise.id for _, promise in table.invoked()] == [f"outside-{kind}"]


def test_a_settlement_that_wakes_nobody_is_acknowledged(table: Table) -> None:
    """The parent ran this inline step itself."""
    table.parent("inline")
    assert table.handle(table.settled("inline", 0, wake=None, kind=Kind.INLINE)) == []
    assert (table.arrivals("inline"), table.invoked()) == (0, [])


@pytest.mark.parametrize("state", [State.RESOLVED, State.REJECTED])
def test_a_parent_that_has_ended_is_not_resumed(table: Table, state: State) -> None:
    """The resumer acknowledges the record, and the parent stays as it was."""
    ended = table.parent(f"ended-{state}", state=state, settled_at=1)
    assert table.handle(table.settled(ended.id, 0)) == []
    assert table.store.read_promise(ended.id) == ended
    assert table.invoked() == []


def test_a_parent_that_was_canceled_is_resumed_until_it_has_cleaned_up(table: Table) -> None:
    """Its ``finally`` blocks may await."""
    table.parent("cleans-up", state=State.CANCELED, settled_at=1)
    assert table.handle(table.settled("cleans-up", 0)) == []
    assert len(table.invoked()) == 1
    table.store.close("cleans-up")
    assert table.handle(table.settled("cleans-up", 1)) == []
    assert (table.arrivals("cleans-up"), table.invoked()) == (1, [])


def test_a_parent_that_does_not_exist_is_no_failure(table: Table) -> None:
    """Its retention is over. A retry would find nothing either."""
    assert table.handle(table.settled("vanished", 0)) == []
    assert table.invoked() == []
    assert table.store.read_promise("vanished") is None


def test_parents_of_a_batch_are_woken_side_by_side(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred took 3.4 s one after the other. The pool gets all of them at once."""
    names = [f"wide-{n}" for n in range(100)]
    for name in names:
        table.parent(name, threshold=1)
    kind, sizes = type(hosts.current().ports.pool), []
    in_order = kind.map
    monkeypatch.setattr(kind, "map", lambda pool, code, items: sizes.append(len(items)) or in_order(pool, code, items))
    assert table.handle(*(table.settled(name, 0) for name in names)) == []
    assert max(sizes) == 100
    assert [promise.id for _, promise in table.invoked()] == names


def test_a_root_that_is_told_again_late_settles_no_later_executions_follower(table: Table) -> None:
    """A person may send its stream record again two weeks later, when its id has another execution."""
    root = Record(id="followed", fn="waiting", target="t", awaiters=frozenset({"early~0", "late~0"}))
    for awaiter, created_at in (("early~0", 5 * MINUTE), ("late~0", 20 * MINUTE)):
        table.store.create(Record(id=awaiter, kind=Kind.FOLLOW, root="followed", created_at=created_at))
    settled = replace(root, state=State.RESOLVED, value="1", settled_at=10 * MINUTE)
    assert table.handle(table.change(root, settled)) == []
    found = [table.store.read_promise(name) for name in ("early~0", "late~0")]
    assert [one.state for one in found if one is not None] == [State.RESOLVED, State.PENDING]


def test_followers_of_a_root_are_settled_side_by_side(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resumer settles them in portions, each at once."""
    awaiters = frozenset(f"follower-{n}~0" for n in range(150))
    for awaiter in awaiters:
        table.store.create(Record(id=awaiter, kind=Kind.FOLLOW, root="followed", reply_to="durable"))
    root = Record(id="followed", fn="waiting", target="t", awaiters=awaiters)
    kind, sizes = type(hosts.current().ports.pool), []
    in_order = kind.map
    monkeypatch.setattr(kind, "map", lambda pool, code, items: sizes.append(len(items)) or in_order(pool, code, items))
    assert table.handle(table.change(root, replace(root, state=State.RESOLVED, value="1", settled_at=5))) == []
    assert [size for size in sizes if size] == [100, 100, 50, 50]
    found = [table.store.read_promise(awaiter) for awaiter in awaiters]
    assert {one.state for one in found if one is not None} == {State.RESOLVED}


def test_a_batch_that_comes_twice_counts_twice_and_wakes_in_vain(table: Table) -> None:
    """Too many arrivals harm nobody; too few would lose a wake."""
    table.parent("twice", threshold=2)
    records = [table.settled("twice", n) for n in range(2)]
    assert table.handle(*records) == []
    assert table.handle(*records) == []
    assert table.arrivals("twice") == 4
    assert len(table.invoked()) == 2


def test_settlements_come_through_the_tables_own_stream(table: Table) -> None:
    """They pass the template's filters to this handler, which resumes the parent."""
    children = [child_id("streamed", ordinal) for ordinal in range(3)]
    table.store.create(Record(id="streamed", fn="test_resumer:unknown", target="durable"))
    for child in children:
        table.store.create(Record(id=child, kind=Kind.EXTERNAL, wake=Wake.COUNTED, reply_to="durable"))
    table.store.arm("streamed", Arming(epoch=0, arrivals=0, threshold=3))
    woken: list[str] = []
    table.cloud.watchers.append(lambda event: woken.append(event.promise) if event.what == "waking" else None)
    for settled, child in enumerate(children):
        assert (table.arrivals("streamed"), woken) == (settled, [])
        table.store.settle(child, State.RESOLVED, "1", 5)
        table.cloud.drive()
    assert (table.arrivals("streamed"), woken) == (3, ["streamed"])
