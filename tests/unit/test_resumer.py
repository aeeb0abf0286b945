"""The resumer counts and invokes, once per parent and batch; what it can't handle harms nothing else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from adapter.aws.items import to_item
from adapter.aws.store import DynamoStore
from adapter.engine import hosts
from adapter.errors import BadMessage, OtherVersion
from adapter.lambdas import resumer
from adapter.lambdas.aside import KEPT, Held, packed, unpacked
from adapter.protocol.ids import child_id, key_of
from adapter.protocol.messages import Cause, Resume, parse
from adapter.protocol.promises import Arming
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.lambdas import Context

CONTEXT = Context(aws_request_id="request", function_name="resumer", memory_limit_in_mb=512, timeout_s=60)


class Table:
    """The cloud's table and its Lambda service, as the resumer leaves them; nothing is driven on."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.store: DynamoStore = cloud._world.store
        self.numbers = itertools.count(1)
        self.sent: list[tuple[str, int, str]] = []
        cloud._world.sqs.meta.events.register("provide-client-params.sqs.SendMessage", self._send)

    def _send(self, params: dict[str, Any], **_: Any) -> None:
        self.sent.append((params["QueueUrl"].rpartition("-")[2], params["DelaySeconds"], params["MessageBody"]))

    def parent(self, name: str, **fields: Any) -> Record:
        """A function that is suspended, armed with a threshold of 1 unless the test says otherwise."""
        armed = {"threshold": 1, "epoch": 1, **fields}
        record = Record(id=name, fn="waiting", target=f"lambda-of-{name}", **armed)
        self.store.create(record)
        return record

    def settled(self, parent: str, ordinal: int, state: State = State.RESOLVED, **fields: Any) -> dict[str, Any]:
        """What the stream tells of a child that has just settled, as Lambda hands it over."""
        fields = {"wake": Wake.COUNTED, "reply_to": f"lambda-of-{parent}", **fields}
        child = Record(id=child_id(parent, ordinal), fn="step", target="lambda-of-step", args="[]", **fields)
        return self.change(child, replace(child, state=state, value="1", settled_at=5))

    def change(self, old: Record, new: Record) -> dict[str, Any]:
        number = next(self.numbers)
        pk, sk = key_of(new.id)
        return {
            "eventID": f"event-{number}",
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1767225600.0,
                "Keys": {"pk": {"S": pk}, "sk": {"N": str(sk)}},
                "NewImage": to_item(new),
                "OldImage": to_item(old),
                "SequenceNumber": f"{number:021d}",
                "SizeBytes": 200,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/promises/stream/1",
        }

    def handle(self, *records: dict[str, Any]) -> list[dict[str, Any]]:
        """The records that failed: each was put aside, as it came, and so acknowledged."""
        self.sent.clear()
        response = resumer.handler(json.loads(json.dumps({"Records": list(records)})), CONTEXT)
        assert response == {"batchItemFailures": []}
        return [unpacked(body).record for _, _, body in self.sent]

    def again(self, *bodies: str) -> list[str]:
        """The messages that stay in the queue."""
        self.sent.clear()
        records = [{"messageId": str(n), "body": body, "eventSource": "aws:sqs"} for n, body in enumerate(bodies)]
        answer = resumer.again({"Records": records}, CONTEXT)
        return [bodies[int(entry["itemIdentifier"])] for entry in answer["batchItemFailures"]]

    def queues(self) -> list[str]:
        """Where they were put."""
        return [queue for queue, _, _ in self.sent]

    def invoked(self) -> list[tuple[str, Resume]]:
        """What was invoked since the last look, in order."""
        found = [(one.function, parse(json.loads(one.payload))) for one in self.cloud.service.ready]
        self.cloud.service.ready.clear()
        return found  # type: ignore[return-value]

    def arrivals(self, name: str) -> int:
        record = self.store.read_promise(name)
        assert record is not None
        return record.arrivals

    def spoil(self, name: str) -> None:
        """Make every update of a parent fail."""
        self._set(name, {"S": "spoiled"})

    def mend(self, name: str) -> None:
        self._set(name, {"N": "0"})

    def _set(self, name: str, arrivals: dict[str, str]) -> None:
        pk, sk = key_of(name)
        self.store.client.update_item(
            TableName=self.cloud._world.table,
            Key={"pk": {"S": pk}, "sk": {"N": str(sk)}},
            UpdateExpression="SET arrivals = :arrivals",
            ExpressionAttributeValues={":arrivals": arrivals},
        )


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCloud]:
    """One cloud for all; each test has parents of its own."""
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def table(local: LocalCloud) -> Iterator[Table]:
    """Nothing invoked yet, nothing counted."""
    local.service.ready.clear()
    local.stats.reset()
    made = Table(local)
    yield made
    local._world.sqs.meta.events.unregister("provide-client-params.sqs.SendMessage", made._send)
    local.service.ready.clear()


def test_a_parent_is_counted_once_per_batch_and_resumed_once(table: Table) -> None:
    """One update and one invocation, however many of its children settled."""
    table.parent("once", threshold=3)
    assert table.handle(*(table.settled("once", n) for n in range(5))) == []
    assert table.arrivals("once") == 5
    assert table.cloud.stats.writes == 2  # The parent's creation, and its update.
    assert table.invoked() == [("lambda-of-once", Resume(id="once", cause=Cause.COUNTED))]


def test_each_parent_of_a_batch_is_counted_by_its_own(table: Table) -> None:
    """Their records may alternate."""
    for name in ("first", "second", "third"):
        table.parent(name, threshold=2)
    batch = [table.settled(name, n) for n in range(2) for name in ("first", "second")] + [table.settled("third", 0)]
    assert table.handle(*batch) == []
    assert [table.arrivals(name) for name in ("first", "second", "third")] == [2, 2, 1]
    assert [promise.id for _, promise in table.invoked()] == ["first", "second"]


def test_a_parent_that_needs_more_is_left_alone(table: Table) -> None:
    """Counted, not resumed."""
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
    assert table.invoked() == [(f"lambda-of-{name}", Resume(id=name, cause=Cause.COUNTED))]


def test_a_rejection_counts_like_a_value_where_it_is_not_asked_for(table: Table) -> None:
    """A gather that returns exceptions waits for all."""
    table.parent("collects", threshold=2)
    assert table.handle(table.settled("collects", 0, State.REJECTED)) == []
    assert (table.arrivals("collects"), table.invoked()) == (1, [])


def test_a_direct_wake_needs_no_write(table: Table) -> None:
    """The parent is invoked where it runs, and doesn't even have to be read."""
    record = table.settled("direct~4", 0, wake=Wake.DIRECT)
    assert table.handle(record) == []
    assert table.invoked() == [("lambda-of-direct~4", Resume(id="direct~4", cause=Cause.DIRECT))]
    assert (table.cloud.stats.writes, table.cloud.stats.reads) == (0, 0)


@pytest.mark.parametrize("state", [State.CANCELED, State.TIMEDOUT])
def test_a_canceled_function_is_resumed_itself(table: Table, state: State) -> None:
    """To clean up; and its parent, who awaits it, is counted."""
    name = f"cancels-{state}"
    table.parent(name)
    assert table.handle(table.settled(name, 0, state)) == []
    assert table.invoked() == [
        ("lambda-of-step", Resume(id=child_id(name, 0), cause=Cause.CANCEL)),
        (f"lambda-of-{name}", Resume(id=name, cause=Cause.COUNTED)),
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
    """An inline step: its parent ran it."""
    table.parent("inline")
    assert table.handle(table.settled("inline", 0, wake=None, kind=Kind.INLINE)) == []
    assert (table.arrivals("inline"), table.invoked()) == (0, [])


@pytest.mark.parametrize("state", [State.RESOLVED, State.REJECTED])
def test_a_parent_that_has_ended_is_not_resumed(table: Table, state: State) -> None:
    """The record is acknowledged, and the parent stays as it was."""
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
    """Its retention is over; a retry would find nothing either."""
    assert table.handle(table.settled("vanished", 0)) == []
    assert table.invoked() == []
    assert table.store.read_promise("vanished") is None


def poison(table: Table, name: str, **image: Any) -> dict[str, Any]:
    record = table.settled("poison", 0)
    record["dynamodb"]["NewImage"] |= image
    record["eventID"] = name
    return record


def poisons(table: Table) -> list[dict[str, Any]]:
    empty = table.settled("poison", 0)
    del empty["dynamodb"]["NewImage"]
    return [
        empty,
        poison(table, "still pending", state={"S": "pending"}),
        poison(table, "no state", state={}),
        poison(table, "an unknown state", state={"S": "running"}),
        poison(table, "a number for a state", state={"N": "1"}),
        poison(table, "no id", id={}),
        poison(table, "an id without an ordinal", id={"S": "poison~"}, wake={"S": "direct"}, reply_to={}),
    ]


@pytest.mark.parametrize("which", range(7))
def test_a_poison_record_fails_alone(table: Table, which: int) -> None:
    """Those before it, after it, and of the same parent are handled."""
    name = f"healthy-{which}"
    table.parent(name, threshold=2)
    poisoned = poisons(table)[which]
    assert table.handle(table.settled(name, 0), poisoned, table.settled(name, 1)) == [poisoned]
    assert table.arrivals(name) == 2
    assert [promise.id for _, promise in table.invoked()] == [name]


def test_a_batch_of_poison_alone_is_reported_record_by_record(table: Table) -> None:
    """And put aside for a person: no code of this version can ever handle it."""
    poisoned = poisons(table)
    assert table.handle(*poisoned) == poisoned
    assert set(table.queues()) == {"UnhandledRecords"}
    assert table.invoked() == []


def test_a_failing_parent_fails_all_of_its_records_and_no_others(table: Table) -> None:
    """None of them was counted, so none may be acknowledged."""
    table.parent("sick")
    table.spoil("sick")
    table.parent("well", threshold=2)
    sick = [table.settled("sick", n) for n in range(3)]
    well = [table.settled("well", n) for n in range(2)]
    assert table.handle(sick[0], well[0], sick[1], well[1], sick[2]) == sick
    assert table.queues() == ["RecordsAgain"] * 3
    assert table.arrivals("well") == 2
    assert [promise.id for _, promise in table.invoked()] == ["well"]


def test_records_that_failed_are_counted_when_they_come_again(table: Table) -> None:
    """I3: a wake is late, not lost."""
    table.parent("recovers", threshold=2)
    table.spoil("recovers")
    records = [table.settled("recovers", n) for n in range(2)]
    assert table.handle(*records) == records
    assert [delay for _, delay, _ in table.sent] == [5, 5]
    again = [body for _, _, body in table.sent]
    assert table.again(*again) == []
    assert [(queue, delay) for queue, delay, _ in table.sent] == [("RecordsAgain", 15)] * 2
    again = [body for _, _, body in table.sent]
    assert [unpacked(body).tries for body in again] == [2, 2]
    table.mend("recovers")
    assert table.again(*again) == []
    assert table.sent == []
    assert table.arrivals("recovers") == 2
    assert [promise.id for _, promise in table.invoked()] == ["recovers"]


def test_what_fails_for_a_day_waits_for_a_person(table: Table) -> None:
    """With the record in it."""
    table.parent("never", threshold=1)
    table.spoil("never")
    raw = table.settled("never", 0)
    now = table.cloud.clock()
    for since, queue in ((now - KEPT + 1, "RecordsAgain"), (now - KEPT, "UnhandledRecords")):
        assert table.again(packed(Held(record=raw, tries=90, since=since))) == []
        assert table.queues() == [queue]
        assert unpacked(table.sent[0][2]).record == raw
        assert unpacked(table.sent[0][2]).since == since


def test_what_cannot_be_put_aside_either_is_not_acknowledged(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream gives it again, for as long as it keeps it; others of its batch are handled."""
    table.parent("stays", threshold=1)
    table.spoil("stays")
    table.parent("goes on", threshold=1)
    records = [table.settled("stays", 0), table.settled("goes on", 0)]
    monkeypatch.setattr(hosts.current().ports.aside, "_again", "")
    answer = resumer.handler({"Records": records}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]}
    assert [promise.id for _, promise in table.invoked()] == ["goes on"]


def test_what_failed_for_want_of_patience_is_put_aside_in_the_time_that_is_left(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard waits ten seconds at most for AWS; a call that had no time left would fail at once."""
    table.parent("refused", threshold=1)
    table.spoil("refused")
    entered: list[Any] = []
    host = hosts.current()
    monkeypatch.setattr(host, "enter_invocation", lambda context, patience=None: entered.append(patience))
    monkeypatch.setattr(host.ports.aside, "put_aside", lambda text, again_in: entered.append("aside"))
    table.handle(table.settled("refused", 0))
    assert entered == [resumer.PATIENCE, None, "aside"]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"lambda-await":9,"record":{},"tries":1,"since":1,"why":""}'])
def test_a_message_that_is_none_of_ours_stays_in_its_queue(table: Table, body: str) -> None:
    """SQS puts it aside for a person in the end; those beside it are handled."""
    table.parent(f"beside {len(body)}", threshold=1)
    good = packed(Held(record=table.settled(f"beside {len(body)}", 0), tries=1, since=1))
    assert table.again(body, good) == [body]
    assert len(table.invoked()) == 1


def test_a_large_record_is_put_aside_without_what_no_resumer_reads(table: Table) -> None:
    """A message has 256 KiB."""
    raw = table.settled("large", 0)
    raw["dynamodb"]["NewImage"]["args"] = raw["dynamodb"]["OldImage"]["args"] = {"S": "x" * 150_000}
    kept = unpacked(packed(Held(record=raw))).record
    assert len(packed(Held(record=raw))) < 10_000
    assert resumer.settlement(DynamoDBRecord(kept)) == resumer.settlement(DynamoDBRecord(raw))


def test_parents_of_a_batch_are_woken_side_by_side(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred took 3.4 s one after the other. The pool gets all of them at once."""
    names = [f"wide-{n}" for n in range(100)]
    for name in names:
        table.parent(name, threshold=1)
    pool, sizes = hosts.current().ports.pool, []
    in_order = pool.map
    monkeypatch.setattr(pool, "map", lambda code, items: sizes.append(len(items)) or in_order(code, items))
    assert table.handle(*(table.settled(name, 0) for name in names)) == []
    assert max(sizes) == 100
    assert [promise.id for _, promise in table.invoked()] == names


def test_followers_of_a_root_are_settled_side_by_side(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions, each of them at once."""
    awaiters = frozenset(f"follower-{n}~0" for n in range(250))
    for awaiter in awaiters:
        table.store.create(Record(id=awaiter, kind=Kind.FOLLOW, root="followed", reply_to="durable"))
    root = Record(id="followed", fn="waiting", target="t", awaiters=awaiters)
    pool, sizes = hosts.current().ports.pool, []
    in_order = pool.map
    monkeypatch.setattr(pool, "map", lambda code, items: sizes.append(len(items)) or in_order(code, items))
    assert table.handle(table.change(root, replace(root, state=State.RESOLVED, value="1", settled_at=5))) == []
    assert [size for size in sizes if size] == [100, 100, 100, 100, 50, 50]
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


def test_a_record_of_the_stream_is_read_into_a_settlement(table: Table) -> None:
    """No payload in it."""
    raw = table.settled("read", 3, State.TIMEDOUT)
    one = resumer.settlement(DynamoDBRecord(raw))
    assert (one.id, one.parent, one.kind, one.target) == ("read~3", "read", "call", "lambda-of-step")
    assert (one.rejected, one.canceled, one.wake, one.reply_to) == (True, True, Wake.COUNTED, "lambda-of-read")


@pytest.mark.parametrize("wake", [{"S": "fast"}, {"N": "1"}, {"NULL": True}, {}])
def test_a_wake_that_is_unknown_here_is_put_aside(table: Table, wake: dict[str, Any]) -> None:
    """I3: a person sends it again, by then perhaps to code that knows it."""
    table.parent("waked")
    raw = table.settled("waked", 0)
    raw["dynamodb"]["NewImage"]["wake"] = wake
    assert table.handle(raw) == [raw]
    with pytest.raises(BadMessage, match=r"waked~0.*in an unknown way"):
        resumer.settlement(DynamoDBRecord(raw))


@pytest.mark.parametrize("version", [{"N": "2"}, {"N": "0"}, {"S": "1"}, None])
def test_a_record_of_another_version_comes_again_and_others_are_handled(
    table: Table, version: dict[str, str] | None
) -> None:
    """I3: whatever it may mean there, here it would be a lost wake."""
    name = f"mixed-{version}"
    table.parent(name, threshold=2)
    raw = table.settled(name, 0)
    if version is None:
        del raw["dynamodb"]["NewImage"]["v"]
    else:
        raw["dynamodb"]["NewImage"]["v"] = version
    own = table.settled(name, 1)
    assert table.handle(raw, own) == [raw]
    assert table.queues() == ["RecordsAgain"]
    assert (table.arrivals(name), table.invoked()) == (1, [])
    with pytest.raises(OtherVersion, match="format"):
        resumer.settlement(DynamoDBRecord(raw))
    # As it is once its version is the one that runs here.
    raw["dynamodb"]["NewImage"]["v"] = own["dynamodb"]["NewImage"]["v"]
    assert table.handle(raw) == []
    assert [promise.id for _, promise in table.invoked()] == [name]


def test_what_is_wrong_with_a_record_is_named(table: Table) -> None:
    """The message is what an operator finds in the log."""
    raw = table.settled("named", 0, State.PENDING)
    with pytest.raises(BadMessage, match=r"named~0.*'pending'"):
        resumer.settlement(DynamoDBRecord(raw))
    with pytest.raises(BadMessage, match="unknown item"):
        resumer.settlement(DynamoDBRecord({}))


def test_settlements_come_through_the_tables_own_stream(table: Table) -> None:
    """Through the template's filters, to this handler, which resumes the parent when it has what it needs."""
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
