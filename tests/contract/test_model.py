"""A store does to a table exactly what the pure transitions do to records, whatever comes in whatever order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapter.aws import items, partitions
from adapter.engine.ports import Store
from adapter.protocol import ids
from adapter.protocol.ids import child_id
from adapter.protocol.promises import Arming, Firing
from adapter.protocol.records import Record, State
from adapter.protocol.timing import shard_of
from tests.contract.stores import STORES, ModelStore
from tests.contract.strategies import RUNNABLE, SETTLED, counts, created, texts, times
from tests.support.effort import effort

_examples = itertools.count()

instants = st.integers(1, 3)
"""So few that a firing often meets what is armed."""


class Agreement(RuleBasedStateMachine):
    """The same operations on the store and on the model: the same answer after each, and the same records."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.model = ModelStore()
        self.root = f"example-{next(_examples)}"

    def family(self) -> list[str]:
        """The root, its children, their children; each parent's next child is the only one that doesn't exist yet."""
        parents = [self.root, child_id(self.root, 0), child_id(self.root, 3)]
        return [self.root, *(child_id(p, n) for p in parents for n in range(len(self.below_of(p)) + 1))]

    def below_of(self, promise: str) -> list[Record]:
        """All that has this parent, also what an earlier execution of the id left."""
        return [record for record in self.model.records.values() if ids.parent_of(record.id) == promise]

    def expires(self, data: st.DataObject, promise: str) -> int | None:
        """Mostly as its record says."""
        stands = self.model.read_promise(promise)
        return data.draw(st.just(stands.expires if stands else None) | st.sampled_from([None, 1, 2**32]))

    def one(self, data: st.DataObject) -> str:
        """Mostly one that exists."""
        known = list(self.model.records)
        return data.draw(st.sampled_from(known) | st.sampled_from(self.family()) if known else st.just(self.root))

    def both(self, operation: str, *args: object) -> None:
        assert getattr(self.store, operation)(*args) == getattr(self.model, operation)(*args)

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """The first record of an id stands."""
        record = data.draw(created(self.family()))
        # What is in the index has a target: it is where time's message goes.
        self.both("create", replace(record, target=record.target or "f"))

    @rule(
        data=st.data(),
        state=st.sampled_from(SETTLED),
        value=texts,
        at=times,
        due_at=st.none() | instants,
        flags=st.tuples(st.booleans(), st.booleans(), st.sampled_from(["", "request"])),
    )
    def settle(
        self, data: st.DataObject, state: State, value: str, at: int, due_at: int | None, flags: tuple[bool, bool, str]
    ) -> None:
        """The first settlement stands."""
        self.both("settle", self.one(data), state, value, at, due_at, *flags)

    @rule(
        data=st.data(),
        by=st.sampled_from(["request", "another"]),
        firing=st.none() | st.builds(Firing, instants, st.integers(-1, 2)),
        armed=st.none() | st.integers(0, 2),
    )
    def claim(self, data: st.DataObject, by: str, firing: Firing | None, armed: int | None) -> None:
        """A run takes over, by a count or by a timer."""
        self.both("claim", self.one(data), by, firing, None, armed)

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        """A caller that has watched it suspends."""
        self.both("ask", self.one(data))

    @rule(data=st.data(), awaiter=st.sampled_from(["a~0", "b~1"]))
    def register(self, data: st.DataObject, awaiter: str) -> None:
        """A follower waits for it."""
        self.both("register", self.one(data), awaiter)

    @rule(data=st.data())
    def mark_objects(self, data: st.DataObject) -> None:
        """An object of its execution is about to be put."""
        self.both("mark_objects", self.one(data))

    @rule(data=st.data(), off=st.sampled_from([0, 0, 0, 1, -1]), threshold=st.none() | counts, on_reject=st.booleans())
    def arm(self, data: st.DataObject, off: int, threshold: int | None, on_reject: bool) -> None:
        """A run suspends, knowing what stands or something older."""
        promise = self.one(data)
        stands = self.model.read_promise(promise) or Record(id=promise)
        states = st.sampled_from(RUNNABLE)
        arming = Arming(
            epoch=max(0, stands.epoch + off),
            arrivals=data.draw(st.just(stands.arrivals) | counts),
            rejected_arrivals=data.draw(st.just(stands.rejected_arrivals) | counts),
            made_up=data.draw(st.sampled_from([0, 0, 1, 3])),
            state=data.draw(st.just(stands.state) | states if stands.state in RUNNABLE else states),
            threshold=threshold,
            on_reject=on_reject,
            wake_at=data.draw(st.none() | instants | times),
            sent=data.draw(st.booleans()),
            due_at=data.draw(st.none() | instants | times),
        )
        self.both("arm", promise, arming)

    @rule(data=st.data(), count=counts)
    def arrive(self, data: st.DataObject, count: int) -> None:
        """Settlements are counted, and how many of them are rejections."""
        self.both("arrive", self.one(data), count, data.draw(st.integers(0, count)))

    @rule(data=st.data(), why=texts)
    def pause(self, data: st.DataObject, why: str) -> None:
        """The replay drifted."""
        self.both("pause", self.one(data), why)

    @rule(data=st.data(), why=texts, since=times, retry_at=times)
    def hold(self, data: st.DataObject, why: str, since: int, retry_at: int) -> None:
        """Its Lambda can't run it, or can again."""
        self.both("hold", self.one(data), why, since, retry_at)

    @rule(data=st.data(), to=texts, unpinned=texts)
    def pin(self, data: st.DataObject, to: str, unpinned: str) -> None:
        """It goes by another name of its Lambda, if it goes by the one that is known."""
        promise = self.one(data)
        stands = self.model.read_promise(promise) or Record(id=promise)
        self.both("pin", promise, data.draw(st.just(stands.target) | texts), to, unpinned)

    @precondition(lambda self: any(not record.pending for record in self.model.records.values()))
    @rule(data=st.data(), at=times)
    def close(self, data: st.DataObject, at: int) -> None:
        """A cancelled function has cleaned up; nobody closes a pending one."""
        settled = [promise for promise, record in self.model.records.items() if not record.pending]
        unknown = f"{self.root}-unknown"
        self.both("close", data.draw(st.sampled_from([*settled, unknown])), data.draw(st.none() | instants | times), at)

    @rule(data=st.data(), off=st.sampled_from([0, 0, 1]))
    def remove(self, data: st.DataObject, off: int) -> None:
        """Only what is over, and what is meant. From the last child on: what is read has whole partitions before it."""
        promise = self.one(data)
        stands = self.model.read_promise(promise)
        parent = ids.parent_of(promise)
        later = parent is not None and any(c.ordinal > ids.ordinal_of(promise) for c in self.below_of(parent))
        self.both("remove", promise, (stands.created_at if stands else 0) + (1 if later else off))
        if promise not in self.model.records:
            assert self.store.read_promise(promise) is None

    @rule(data=st.data())
    def below(self, data: st.DataObject) -> None:
        """All of them, and with the record itself."""
        promise = self.one(data)
        expires = self.expires(data, promise)
        assert list(self.store.peek_children(promise, expires)) == list(self.model.peek_children(promise, expires))
        own, found = self.store.peek_function(promise)
        wanted, children = self.model.peek_function(promise)
        assert (own, list(found)) == (wanted, list(children))

    @rule(data=st.data(), first=st.integers(0, 6), last=st.none() | st.integers(0, 6))
    def children(self, data: st.DataObject, first: int, last: int | None) -> None:
        """From an ordinal on, in order; all of them, or to another ordinal."""
        promise = self.one(data)
        if last is None or first <= last:
            expires = self.expires(data, promise)
            found = self.store.read_children(promise, first, last, expires)
            assert list(found) == list(self.model.read_children(promise, first, last, expires))

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        """A record and those of its children."""
        promise = self.one(data)
        own, found = self.store.read_function(promise)
        wanted, children = self.model.read_function(promise)
        assert (own, list(found)) == (wanted, list(children))

    @rule(data=st.data(), until=instants | times)
    def due(self, data: st.DataObject, until: int) -> None:
        """What time has to wake, of all that is in one shard."""
        shard = shard_of(self.one(data))
        found = [entry for page in self.store.due(shard, until) for entry in page if entry.id in self.model.records]
        assert [entry.at for entry in found] == sorted(entry.at for entry in found)
        assert set(found) == {entry for page in self.model.due(shard, until) for entry in page}
        assert len(found) == len(set(found))

    @invariant()
    def the_family_is_the_same(self) -> None:
        """Every record, after every step: a refusal has written nothing."""
        for promise, record in getattr(self, "model", ModelStore()).records.items():
            assert self.store.read_promise(promise) == record

    def teardown(self) -> None:
        # moto's queries get slower with each item in the table.
        client = getattr(self.store, "client", None)
        for promise in getattr(self, "model", ModelStore()).records if client else ():
            client.delete_item(TableName=self.store._table, Key=items.key(promise))


@pytest.fixture(scope="module")
def small_buckets() -> Iterator[None]:
    """Two children per partition, so that few children cross borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "BUCKET", 2)
        patch.setattr(partitions, "BUCKET", 2)
        yield


@pytest.mark.usefixtures("small_buckets")
@pytest.mark.parametrize("name", STORES)
def test_a_store_agrees_with_the_pure_transitions_after_every_step(name: str) -> None:
    """Hypothesis draws histories of all writes to records, and of all reads."""
    with STORES[name]() as store:
        machine = type("Agreement", (Agreement,), {"store": store})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=effort(10, 60),
                stateful_step_count=20,
                suppress_health_check=list(HealthCheck),
            ),
        )
