"""The stream of the template's table, through the template's own filters: what the resumer is handed, and what not.

Read by our poller, which reads as Lambda's event source mapping does; the records are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from adapter.aws.store import DynamoStore, to_item, to_record
from adapter.lambdas.resumer import settlement
from adapter.protocol.ids import SCHEDULE, child_id
from adapter.protocol.messages import Settlement
from adapter.protocol.promises import Arming, Refused
from adapter.protocol.records import Kind, Record, State, Wake, id_in
from adapter.templates.template import StreamMapping
from adapter.testing.simulated_aws.streams import Poller
from tests.contract.strategies import SETTLED
from tests.contract.tables import TABLES, Table

CLEANED_UP = [State.CANCELED, State.TIMEDOUT]


Records = list[dict[str, Any]]
Delivered = Callable[[], Records]


@pytest.fixture
def delivered(table: Table) -> Delivered:
    """What is new for the resumer, in the order in which it comes."""
    return following(table, table.mapping)


@pytest.fixture
def recorded(table: Table) -> Delivered:
    """What is new in the stream, filters aside."""
    return following(table, replace(table.mapping, filters=()))


def following(table: Table, mapping: StreamMapping) -> Delivered:
    """What tests before this one did to the table is passed over."""
    poller = Poller(table.stream().read, mapping)
    return lambda: drained(poller)


def drained(poller: Poller) -> Records:
    """All batches that there are, each handled at once."""
    records: Records = []

    def handle(function: str, event: dict[str, Any], attempt: int) -> None:
        assert len(event["Records"]) <= poller.mapping.batch_size
        records.extend(event["Records"])

    poller.fetch()
    while poller.lanes[0].deliver(handle):
        pass
    return records


def read(record: dict[str, Any]) -> Settlement:
    """As the resumer reads it."""
    return settlement(record)


@pytest.mark.parametrize("wake", Wake)
@pytest.mark.parametrize("state", SETTLED)
def test_a_settlement_that_a_parent_waits_for_is_delivered_with_all_that_the_resumer_needs(
    dynamo: DynamoStore, delivered: Delivered, root: str, state: State, wake: Wake
) -> None:
    """I3: a record tells the outcome, the wake, the parent and its Lambda."""
    child = Record(id=child_id(root, 0), target="callee", wake=wake, reply_to="caller")
    dynamo.create(child)
    dynamo.settle(child.id, state, '"v"', 1)
    (record,) = delivered()
    assert read(record) == Settlement(
        id=child.id,
        kind="call",
        target="callee",
        rejected=state is not State.RESOLVED,
        canceled=state in CLEANED_UP,
        wake=wake,
        reply_to="caller",
        state=state,
        value='"v"',
        settled_at=1,
    )


@pytest.mark.parametrize("kind", [Kind.EXTERNAL, Kind.FOLLOW])
def test_a_settlement_from_outside_is_delivered_to_whom_waits(
    dynamo: DynamoStore, delivered: Delivered, root: str, kind: Kind
) -> None:
    """Such a promise has no callee, and its parent waits all the same."""
    promise = child_id(root, 0)
    dynamo.create(Record(id=promise, kind=kind, wake=Wake.COUNTED, reply_to="caller"))
    dynamo.settle(promise, State.RESOLVED, "1", 1)
    assert [read(record).id for record in delivered()] == [promise]


@pytest.mark.parametrize("state", CLEANED_UP)
def test_a_call_that_was_settled_from_above_is_delivered_though_nobody_waits(
    dynamo: DynamoStore, delivered: Delivered, root: str, state: State
) -> None:
    """The callee has to clean up. A promise that isn't a call has no callee."""
    for promise, kind in ((root, Kind.CALL), (child_id(root, 0), Kind.EXTERNAL), (child_id(root, 1), Kind.FOLLOW)):
        dynamo.create(Record(id=promise, kind=kind, target="callee"))
        dynamo.settle(promise, state, "", 1)
    assert [(read(record).id, read(record).target) for record in delivered()] == [(root, "callee")]


@pytest.mark.parametrize("state", SETTLED)
def test_the_settlement_of_a_root_is_delivered_to_all_that_await_it(
    dynamo: DynamoStore, delivered: Delivered, root: str, state: State
) -> None:
    """The followers are in the record itself, all of them."""
    dynamo.create(Record(id=root, target="callee"))
    for follower in ("a~0", "b~1"):
        dynamo.register(root, follower)
    dynamo.settle(root, state, "1", 1)
    (record,) = delivered()
    assert sorted(read(record).awaiters) == ["a~0", "b~1"]


@pytest.mark.parametrize("state", [State.RESOLVED, State.REJECTED])
def test_a_settlement_that_nobody_waits_for_is_dropped(
    dynamo: DynamoStore, delivered: Delivered, root: str, state: State
) -> None:
    """The filter drops a root's, and a forgotten child's: the stream invokes nothing, and nobody pays."""
    for promise in (root, child_id(root, 0)):
        dynamo.create(Record(id=promise, target="callee", reply_to="caller"))
        dynamo.settle(promise, state, "1", 1)
    assert delivered() == []


def test_a_settlement_whose_run_resumes_the_caller_is_not_delivered(
    dynamo: DynamoStore, delivered: Delivered, root: str
) -> None:
    """No resumer runs for it. Settled by anybody else, the same promise wakes its caller by the stream."""
    own, other = (Record(id=child_id(root, ordinal), wake=Wake.PROMPT, reply_to="caller") for ordinal in (0, 1))
    for child in (own, other):
        dynamo.create(child)
    dynamo.settle(own.id, State.RESOLVED, '"v"', 1, prompted_by="request")
    dynamo.settle(other.id, State.RESOLVED, '"v"', 1)
    (record,) = delivered()
    assert read(record).id == other.id


def test_a_call_is_asked_for_its_wake_until_it_settles(dynamo: DynamoStore, delivered: Delivered, root: str) -> None:
    """I3: either the settlement finds the question, or the caller finds the settlement."""
    early, late = (Record(id=child_id(root, ordinal), reply_to="caller") for ordinal in (0, 1))
    for child in (early, late):
        dynamo.create(child)
    dynamo.ask(early.id)
    dynamo.settle(early.id, State.RESOLVED, '"v"', 1)
    dynamo.settle(late.id, State.RESOLVED, '"w"', 1)
    refused = dynamo.ask(late.id)
    assert isinstance(refused, Refused)
    assert refused.stands is not None
    assert refused.stands.value == '"w"'
    (record,) = delivered()
    assert read(record).id == early.id


@pytest.mark.parametrize("wake", [None, *Wake])
def test_what_is_no_settlement_is_dropped(
    dynamo: DynamoStore, delivered: Delivered, root: str, wake: Wake | None
) -> None:
    """The filter drops creations, arrivals, claims, armings, pauses, registrations, finished steps and schedules."""
    dynamo.create(Record(id=root, target="callee", wake=wake))
    dynamo.arrive(root, 1)
    dynamo.claim(root, "q")
    dynamo.arm(root, Arming(epoch=1, arrivals=1, threshold=2, on_reject=True, wake_at=9, due_at=9))
    dynamo.pause(root, "drift")
    dynamo.register(root, "a~0")
    dynamo.create(Record(id=child_id(root, 0), kind=Kind.INLINE, state=State.RESOLVED, value="1", wake=wake))
    dynamo.create(Record(id=child_id(root, 1), kind=Kind.INLINE, state=State.REJECTED, value="1", wake=wake))
    dynamo.create(Record(id=f"{SCHEDULE}{root}", kind=Kind.SCHEDULE, target="f", due_at=5))
    dynamo.delete(f"{SCHEDULE}{root}")
    assert delivered() == []


@pytest.mark.parametrize("wake", [None, *Wake])
def test_what_happens_after_the_settlement_is_dropped(
    dynamo: DynamoStore, delivered: Delivered, root: str, wake: Wake | None
) -> None:
    """A cancelled function cleans up: the stream delivers its cancellation once, by the write that made it."""
    dynamo.create(Record(id=root, target="callee", wake=wake))
    dynamo.register(root, "a~0")
    dynamo.settle(root, State.CANCELED, "", 1)
    assert len(delivered()) == 1
    dynamo.settle(root, State.RESOLVED, "1", 2)
    dynamo.create(Record(id=root))
    dynamo.arrive(root, 1)
    dynamo.claim(root, "q")
    dynamo.arm(root, Arming(epoch=1, arrivals=1, state=State.CANCELED, threshold=2, wake_at=9, due_at=9))
    dynamo.pause(root, "drift")
    dynamo.close(root)
    assert delivered() == []


def test_a_stream_record_has_both_images_as_stored(dynamo: DynamoStore, recorded: Delivered, root: str) -> None:
    """The filters look at both; a value that only looks alike in one of them would be a lost wake."""
    before = Record(
        id=root, target="f", wake=Wake.COUNTED, epoch=2, on_reject=True, awaiters=frozenset({"a~0"}), tags={"å": "1"}
    )
    dynamo.create(before)
    after = dynamo.settle(root, State.REJECTED, "x" * 300_000, 7)
    assert isinstance(after, Record)
    created, settled = recorded()
    assert created["eventName"] == "INSERT"
    assert "OldImage" not in created["dynamodb"]
    assert created["dynamodb"]["NewImage"] == settled["dynamodb"]["OldImage"] == to_item(before)
    assert settled["eventName"] == "MODIFY"
    assert to_record(settled["dynamodb"]["NewImage"]) == after
    assert settled["dynamodb"]["Keys"] == {"pk": {"S": root}, "sk": {"N": "-1"}}


def test_the_changes_of_an_item_come_in_order(dynamo: DynamoStore, recorded: Delivered, root: str) -> None:
    """Each old image is the new image of the record before. The last one is as stored."""
    promises = [root, child_id(root, 0), child_id(root, 1)]
    for promise in promises:
        dynamo.create(Record(id=promise, target="f"))
    for number in range(10):
        for promise in promises:
            dynamo.arrive(promise, 1)
            dynamo.arm(promise, Arming(epoch=number, arrivals=number + 1, threshold=number + 2))
    for promise in promises:
        dynamo.settle(promise, State.RESOLVED, "1", 1)
    records = recorded()
    for promise in promises:
        changes = [one["dynamodb"] for one in records if id_in(one["dynamodb"]["NewImage"]) == promise]
        assert len(changes) == 22
        assert [change.get("OldImage") for change in changes] == [None, *(c["NewImage"] for c in changes[:-1])]
        assert to_record(changes[-1]["NewImage"]) == dynamo.read_promise(promise)


def test_every_settlement_is_delivered_once_over_all_batches(
    dynamo: DynamoStore, delivered: Delivered, root: str
) -> None:
    """Without a fault none comes twice, neither now nor when the poller reads on."""
    promises = [child_id(root, number) for number in range(120)]
    for promise in promises:
        dynamo.create(Record(id=promise, wake=Wake.COUNTED))
    for promise in promises:
        dynamo.settle(promise, State.RESOLVED, "1", 1)
    assert [read(record).id for record in delivered()] == promises
    assert delivered() == []
    late = child_id(root, 999)
    dynamo.create(Record(id=late, wake=Wake.DIRECT, reply_to="caller"))
    dynamo.settle(late, State.RESOLVED, "1", 1)
    assert [read(record).id for record in delivered()] == [late]


def test_of_many_settlements_of_one_promise_one_is_delivered(
    dynamo: DynamoStore, delivered: Delivered, root: str
) -> None:
    """I2: a refused write leaves no trace in the stream."""
    dynamo.create(Record(id=root, wake=Wake.DIRECT, reply_to="caller"))
    for number in range(5):
        dynamo.settle(root, SETTLED[number % 4], str(number), number + 1)
    assert [(read(record).state, read(record).value) for record in delivered()] == [(SETTLED[0], "0")]


def test_no_record_has_the_identity_of_another(dynamo: DynamoStore, recorded: Delivered, root: str) -> None:
    """A partial batch response names the record that failed by its sequence number."""
    for number in range(50):
        dynamo.create(Record(id=child_id(root, number)))
    changes = recorded()
    numbers = [one["dynamodb"]["SequenceNumber"] for one in changes]
    assert len(set(numbers)) == len({one["eventID"] for one in changes}) == 50
    assert numbers == sorted(numbers, key=int)


@pytest.mark.parametrize("table", [engine for engine in TABLES if engine != "moto"], indirect=True)
def test_settlements_by_many_threads_are_each_delivered_once(
    dynamo: DynamoStore, delivered: Delivered, root: str
) -> None:
    """Each record carries the value that stands. moto isn't atomic under threads."""
    promises = [child_id(root, number) for number in range(32)]
    for promise in promises:
        dynamo.create(Record(id=promise, wake=Wake.COUNTED))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: dynamo.settle(promises[n // 4], State.RESOLVED, str(n), 1), range(128)))
    settled = [read(record) for record in delivered()]
    assert sorted(one.id for one in settled) == sorted(promises)
    assert {one.id: one.value for one in settled} == {one.id: one.value for one in dynamo.read_children(root)}
