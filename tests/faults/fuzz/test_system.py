"""Bad input in the whole system: every message ends, whoever is not concerned goes on, what is stored stays (I6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.sqs.models import sqs_backends

from adapter import attach, durable, promise, resolve, run
from adapter.aws.keys import PARTITION
from adapter.aws.store import to_item
from adapter.codec import encode
from adapter.engine import hosts
from adapter.errors import CodecError, Paused
from adapter.lambdas.aside import unpacked
from adapter.protocol.ids import key_of
from adapter.protocol.messages import MARK, VERSION, Cause, Resume, Start
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.templates.intrinsics import ACCOUNT, REGION
from adapter.testing import LocalCloud
from tests.faults.fuzz.entries import Model
from tests.faults.fuzz.strategies import quick
from tests.support.envelopes import sent, signed

HOUR = 3_600


@durable(name="fuzz:step")
def step(value: int) -> int:
    return value


@durable(name="fuzz:steps")
async def steps(value: int) -> int:
    return await step(value) + await step(1)


@durable(name="fuzz:races")
async def races() -> int:
    first, second = step(1), step(2)
    await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(60)
    return await step(3) + await first + await second


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    """On moto: a hand reaches into the table and the queues by AWS's own clients."""
    with LocalCloud(engine="moto") as cloud:
        yield cloud


@pytest.fixture
def table(cloud: LocalCloud) -> Table:
    return Table(cloud)


class Table:
    """What a hand can do to the cloud's table and queues."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.client = cloud._world.store.client
        self.name = cloud._world.table

    def put(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.name, Item=item)

    def set(self, promise: str, **values: Any) -> None:
        pk, sk = key_of(promise)
        self.client.update_item(
            TableName=self.name,
            Key={"pk": {"S": pk}, "sk": {"N": str(sk)}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.scan(TableName=self.name, ConsistentRead=True)["Items"]
        return sorted((item for item in found if item["pk"]["S"] != PARTITION), key=repr)

    def bodies(self, queue: str) -> list[str]:
        return sorted(message.body for message in sqs_backends[ACCOUNT][REGION].queues[queue]._messages)


def mapped(table: Table, handler: str) -> tuple[str, str]:
    """The queue that triggers a handler, and where its poison goes."""
    functions = {spec.name for spec in table.cloud.template.functions if spec.handler == handler}
    (queue,) = [m.queue for m in table.cloud.template.queue_mappings if m.function in functions]
    (spec,) = [spec for spec in table.cloud.template.queues if spec.name == queue]
    assert spec.dead_letters is not None
    return queue, spec.dead_letters


POISON = [
    "null",
    "[" * 50_000,
    '{"target": "durable", "at": 1e400, "message": {}}',
    json.dumps({"target": "durable", "at": 10**18, "message": {MARK: VERSION, "start": "waiting"}}),
    json.dumps({"target": "durable", "at": 1, "message": {MARK: 2, "start": "waiting"}}),
    json.dumps({"target": "durable", "at": 1, "message": {MARK: VERSION, "resume": "waiting", "cause": "mood"}}),
    json.dumps({"requestPayload": {MARK: VERSION, "start": "waiting", "crashes": -5}}),
]


def poisonous(cloud: LocalCloud, body: str) -> str:
    """With its envelope signed, if it has one: what it says is what is wrong with it."""
    if "lambda-await" not in body:
        return body
    parts = json.loads(body).items()
    return json.dumps({name: signed(cloud, part) if isinstance(part, dict) else part for name, part in parts})


@pytest.mark.parametrize(
    "handler",
    [f"adapter.lambdas.{name}" for name in ("sweeper.fire", "sweeper.tend", "deadletters.handler")],
)
def test_a_poison_message_ends_in_the_queue_of_what_nobody_could_handle(table: Table, handler: str) -> None:
    """SQS puts it there after ten receives, for a person to look at. It holds up no other timers."""
    queue, unhandled = mapped(table, handler)
    table.put(to_item(Record(id="waiting", fn="fuzz:step", target="durable", args='{"value": 1}')))
    before = table.items()
    poison = [poisonous(table.cloud, body) for body in POISON]
    for body in poison:
        table.cloud._world.send(queue, body)
    table.cloud.advance(3 * HOUR)
    assert table.bodies(queue) == []
    assert table.bodies(unhandled) == sorted(poison)
    assert table.items() == before
    assert table.cloud.run(races) == 6


BAD_ENVELOPES: list[dict[str, Any]] = [
    {MARK: VERSION, "resume": "known", "cause": "timer", "at": 10**30},
    {MARK: VERSION, "resume": "known", "cause": "mood"},
    {MARK: VERSION, "start": "known", "attempt": "1"},
    {MARK: VERSION + 1, "start": "known"},
    {MARK: VERSION, "start": "known~x"},
    {MARK: VERSION, "start": "nobody"},
    {MARK: VERSION, "look": "known"},
]


@pytest.mark.parametrize("envelope", BAD_ENVELOPES, ids=range(len(BAD_ENVELOPES)))
def test_a_bad_envelope_of_a_known_promise_ends(table: Table, envelope: dict[str, Any]) -> None:
    """Lambda tries it as often as any invocation, and puts it aside. The promise is as it was, and still runs."""
    table.put(to_item(Record(id="known", fn="fuzz:step", target="durable", args='{"value": 4}')))
    before = table.items()
    sent(table.cloud, "durable", envelope)
    table.cloud.advance(12 * HOUR)
    assert table.cloud._next_at() is None
    assert table.items() == before
    sent(table.cloud, "durable", {MARK: VERSION, "start": "known"})
    assert attach("known").result() == 4


def test_a_change_that_no_resumer_can_read_does_not_block_its_shard(table: Table) -> None:
    """The resumer puts it aside for a person. The records before and after it wake their parents."""
    bad = to_item(Record(id="parent~0", kind=Kind.EXTERNAL, wake=Wake.DIRECT, reply_to="durable"))
    table.put({**bad, "wake": {"S": "fast"}})
    handle = steps.start(1)
    table.set("parent~0", state={"S": "resolved"})
    assert handle.result() == 2
    assert steps.start(2).result() == 3
    waiting = [unpacked(text).record for _, text in hosts.current().ports.aside.unhandled()]
    assert [one["dynamodb"]["NewImage"]["wake"]["S"] for one in waiting] == ["fast"]


def test_an_entry_of_the_index_that_cannot_be_read_stops_no_sweep(table: Table) -> None:
    """Once all entries of its shard were lost with it: KeyError, every minute."""
    for shard in range(8):
        table.put(
            {"pk": {"S": f"bad-{shard}"}, "sk": {"N": "-1"}, "due_shard": {"S": str(shard)}, "due_at": {"N": "5"}}
        )

    @durable(name="fuzz:sleeps")
    async def sleeps() -> str:
        await asyncio.sleep(2 * HOUR)
        return "awake"

    assert table.cloud.run(sleeps) == "awake"


def test_a_childs_failure_that_cannot_be_read_is_the_callers_failure(table: Table) -> None:
    """Once it reached the engine, which tried again until it gave the function up."""

    @durable(name="fuzz:awaits")
    async def awaits() -> str:
        try:
            return str(await run(asyncio.sleep, 0)) + str(await step(1))
        except CodecError as unreadable:
            return f"refused: {unreadable}"

    seen: list[str] = []

    def spoil(event: Any) -> None:
        if event.what == "settled" and event.fn == "fuzz:step" and not seen:
            seen.append(event.promise)
            table.set(event.promise, state={"S": "rejected"}, value={"S": "{"})

    table.cloud.watchers.append(spoil)
    assert table.cloud.run(awaits).startswith("refused: an exception can't be read")


@pytest.mark.parametrize(
    "damage", [{"kind": {"S": "saga"}}, {"v": {"N": "2"}}, {"epoch": {"N": "0.5"}}, {"closed": {"BOOL": False}}]
)
def test_a_record_that_cannot_be_read_ends_every_message_and_stays(table: Table, damage: dict[str, Any]) -> None:
    """The caller that waits for it hears of it. Once a person mends it, it runs."""
    good = to_item(Record(id="damaged", fn="fuzz:step", target="durable", args='{"value": 4}'))
    table.put({**good, **damage})
    before = table.items()
    sent(table.cloud, "durable", {MARK: VERSION, "start": "damaged"})
    table.cloud.advance(12 * HOUR)
    assert table.cloud._next_at() is None
    assert table.items() == before
    table.put(good)
    sent(table.cloud, "durable", {MARK: VERSION, "start": "damaged"})
    assert attach("damaged").result() == 4


@pytest.mark.parametrize("journal", ["1", "c", "x"])
def test_a_journal_that_tells_of_what_never_happened_pauses_the_execution(table: Table, journal: str) -> None:
    """Once a run loaded it again and again, cancelled it, or raised ValueError at every attempt."""

    @durable(name="fuzz:asks")
    async def asks() -> int:
        first, second = promise(int), promise(int)
        await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        return await promise(int)

    handle = asks.with_options(id="asks").start()
    table.cloud.drive()
    resolve("asks~0", 1)
    table.cloud.drive()
    for function in table.cloud.service.functions.values():
        function.memory.clear()
    table.set("asks~2", seen={"S": journal})
    resolve("asks~2", 3)
    with pytest.raises(Paused, match="the journal tells of"):
        handle.result()
    table.set("asks~2", seen={"S": "0"})
    assert asks.with_options(id="asks").start().result() == 3


# A journal with anything in it, on the pure transitions: thousands of them take seconds.

TOKENS = [
    "0",
    "1",
    "2",
    "3",
    "9",
    "c",
    "t0",
    "t1",
    "t",
    "",
    "x",
    "-1",
    "٣",
    " 0",
    "0.5",
    "9" * 30,
    "\ud800",
    "cc",
    "00",
]
journals = st.lists(st.sampled_from(TOKENS), max_size=4).map(",".join) | st.none() | st.text(max_size=5)


def raced(winner: int = 0) -> Model:
    """Suspended with two deliveries in its journal."""
    model = Model()
    model.store.create(Record(id="r", fn="fuzz:races", target="durable", args="{}", created_at=1_000_000))
    assert model.handle(Start(id="r")) == "suspended"
    model.store.settle(f"r~{winner}", State.RESOLVED, encode(1), model.now())
    assert model.handle(Resume(id="r", cause=Cause.AGAIN)) == "suspended"
    model.time += 61_000_000
    assert model.handle(Resume(id="r", cause=Cause.AGAIN)) == "suspended"
    assert [record.seen for record in model.store.read_children("r")] == ["", None, f"{winner},t0"]
    return model


@quick
@given(
    seen=st.dictionaries(st.sampled_from([0, 1, 2]), journals, min_size=1),
    settled=st.dictionaries(st.sampled_from([1, 2]), st.sampled_from(["1", "{", "", '"x"', "[" * 5_000])),
    canceled=st.booleans(),
)
def test_a_journal_of_any_kind_replays_or_pauses(
    seen: dict[int, str | None], settled: dict[int, str], canceled: bool
) -> None:
    """A run makes a bounded number of operations. If it pauses, it has changed nothing else."""
    model = raced()
    for ordinal, value in settled.items():
        model.store.settle(f"r~{ordinal}", State.RESOLVED if ordinal == 1 else State.REJECTED, value, model.now())
    for ordinal, journal in seen.items():
        record = model.store.records[f"r~{ordinal}"]
        model.store.records[record.id] = replace(record, seen=journal)
    if canceled:
        model.store.settle("r", State.CANCELED, "", model.now())
    before = dict(model.store.records)
    word = model.handle(Resume(id="r", cause=Cause.AGAIN))
    assert word in ("suspended", "paused", "settled", "closed")
    if word == "paused":
        after = model.store.records
        assert after["r"].paused
        assert {**after, "r": replace(after["r"], paused="")} == before


def test_a_child_that_has_ended_and_was_removed_does_not_run_again() -> None:
    """The journal tells of its settlement. Once the run made and invoked it anew before it paused."""
    model = raced(winner=1)
    del model.store.records["r~1"]
    before = dict(model.store.records)
    assert model.handle(Resume(id="r", cause=Cause.AGAIN)) == "paused"
    after = model.store.records
    assert "the journal tells of #1" in after["r"].paused
    assert {**after, "r": replace(after["r"], paused="")} == before
