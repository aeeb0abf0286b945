"""Bad input, lost services and unusual arguments: a clear error, and nothing changed."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapter import durable
from adapter.api import handles
from adapter.aws import wiring
from adapter.aws.items import to_item
from adapter.aws.store import DynamoStore
from adapter.aws.wiring import AwsHost, Threads
from adapter.engine.ports import Ports
from adapter.engine.runner import CodeRunner
from adapter.errors import BadMessage, ConfigurationError, InvalidId, PayloadTooLarge, UnknownPromise
from adapter.protocol.ids import BUCKET, child_id, key_of
from adapter.protocol.promises import Arming
from adapter.protocol.records import MAX_OBJECT_BYTES, Record, State
from adapter.replay.loop import new_loop
from adapter.templates.template import StreamMapping
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.streams import Poller, TableStream
from tests.contract.tables import TABLES


@pytest.fixture(params=TABLES)
def dynamo(request: pytest.FixtureRequest) -> Iterator[DynamoStore]:
    """Each test its own: beside a store on moto no cloud can be open."""
    with TABLES[request.param]() as made:
        yield made.store


@durable(name="robustness:step")
def step(value: int) -> int:
    return value


@durable(name="robustness:races")
async def races() -> list[int]:
    async def one(value: int) -> int:
        return await step(value)

    return sorted([await following for following in asyncio.as_completed([one(value) for value in range(20)])])


def test_as_completed_of_coroutines_replays_exactly(cloud: LocalCloud) -> None:
    """I4: asyncio makes a set of them first, and plain coroutines hash by address."""
    cloud.watchers.append(lambda event: [setattr(f.memory, "size", 0) for f in cloud.service.functions.values()])
    assert cloud.run(races) == list(range(20))


def test_as_completed_starts_coroutines_in_the_same_order_at_every_replay() -> None:
    """The loop does the same without a cloud."""
    keep: list[Any] = []

    def order() -> list[int]:
        loop = new_loop("same", 0, pytest.fail, lambda context: None)
        log: list[int] = []

        async def one(number: int) -> None:
            log.append(number)

        async def main() -> None:
            coroutines = [one(number) for number in range(40)]
            keep.append(coroutines)
            for following in asyncio.as_completed(coroutines):
                await following

        loop.create_task(main())
        loop.run_ready()
        return log

    assert order() == order() == order()


@durable(name="robustness:large")
def large(size: int) -> str:
    return "x" * size


@durable(name="robustness:echo")
def echo(text: str) -> str:
    return text


def test_a_result_that_is_too_large_rejects_its_promise(cloud: LocalCloud) -> None:
    """The engine rejects it; Lambda doesn't fail three times and leave it pending."""
    with pytest.raises(PayloadTooLarge):
        cloud.run(large, MAX_OBJECT_BYTES)


def test_a_function_whose_arguments_and_result_are_large_ends(cloud: LocalCloud) -> None:
    """Together they are more than an item holds."""
    assert cloud.run(echo, "x" * 300_000) == "x" * 300_000


@pytest.mark.parametrize("promise", ["garbage~", "garbage~x", "garbage~0.x", "garbage~1~2", "", "x~" + "9" * 5_000])
def test_an_id_that_is_no_promises_is_unknown(cloud: LocalCloud, promise: str) -> None:
    """`attach` and `resolve` promise UnknownPromise; ValueError and ClientError come out."""
    with pytest.raises((UnknownPromise, InvalidId)):
        handles.attach(promise)
    with pytest.raises((UnknownPromise, InvalidId)):
        handles.resolve(promise, 1)


def raw(store: DynamoStore, promise: str) -> dict[str, Any]:
    pk, sk = key_of(promise)
    key = {"pk": {"S": pk}, "sk": {"N": str(sk)}}
    found: dict[str, Any] = store.client.get_item(TableName=store._table, Key=key)["Item"]
    return found


@pytest.mark.parametrize("operation", ["settle", "claim", "arm", "arrive", "pause", "close"])
def test_an_item_of_another_version_is_not_written_to(dynamo: DynamoStore, root: str, operation: str) -> None:
    """I6: the update succeeds and only then its result is refused; a retry of `arrive` counts again and again."""
    before = {**to_item(Record(id=root)), "v": {"N": "2"}}
    dynamo.client.put_item(TableName=dynamo._table, Item=before)
    arguments: dict[str, tuple[Any, ...]] = {
        "settle": (State.RESOLVED, "1", 1),
        "claim": ("q",),
        "arm": (Arming(epoch=0, arrivals=0, threshold=1),),
        "arrive": (1,),
        "pause": ("?",),
    }
    with pytest.raises(BadMessage):
        getattr(dynamo, operation)(root, *arguments.get(operation, ()))
    assert raw(dynamo, root) == before


def test_an_item_under_a_key_that_no_promise_has_is_no_promise(dynamo: DynamoStore, root: str) -> None:
    """Its id follows from the key alone: the 257th child isn't in the first partition."""
    item = {**to_item(Record(id=child_id(root, 0))), "sk": {"N": str(BUCKET)}}
    dynamo.client.put_item(TableName=dynamo._table, Item=item)
    with pytest.raises(BadMessage, match="no key that a promise could have"):
        dynamo.peek_children(root)


@pytest.fixture
def aws_host(dynamo: DynamoStore) -> AwsHost:
    """Only its store and clock are asked."""
    unused: Any = None
    return AwsHost(
        Ports(
            store=dynamo,
            invoker=unused,
            timers=unused,
            signer=unused,
            clock=wiring.SystemClock(),
            runner=CodeRunner(),
            watcher=unused,
            pool=unused,
        )
    )


def test_waiting_for_a_promise_that_does_not_exist_ends(aws_host: AwsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads are consistent, so it won't come; ``result()`` promises UnknownPromise, and polls for ever."""
    pauses: list[float] = []

    def sleep(pause: float) -> None:
        pauses.append(pause)
        assert len(pauses) < 10, "it polls for ever"

    monkeypatch.setattr(wiring.time, "sleep", sleep)
    assert aws_host.wait("nobody-made-this", None) is None


def test_a_failure_is_raised_when_all_have_ended() -> None:
    """`Pool` promises it: a write that still goes on would reach into the next invocation of a warm sandbox."""
    log: list[str] = []
    failing, release = threading.Event(), threading.Event()

    def work(item: int) -> None:
        if item == 0:
            failing.set()
            raise ValueError
        assert release.wait(10)
        log.append("the other ended")

    def mapping() -> None:
        with suppress(ValueError):
            Threads(2).map(work, [0, 1])
        log.append("raised")

    caller = threading.Thread(target=mapping)
    caller.start()
    assert failing.wait(10)
    caller.join(0.3)
    release.set()
    caller.join(10)
    assert log == ["the other ended", "raised"]


def test_an_endless_sleep_is_a_timer_that_never_comes() -> None:
    """As in asyncio, libraries say "no deadline" by infinity; OverflowError came out."""
    loop = new_loop("endless", 0, pytest.fail, lambda context: None)
    timer = loop.call_later(math.inf, pytest.fail)
    loop.run_ready()
    timer.cancel()
    assert loop.next_timer() is None


class Shard:
    """A stream of one page."""

    def __init__(self, names: str) -> None:
        self.pages = [[{"eventID": name, "dynamodb": {"SequenceNumber": name}} for name in names]]

    def describe_stream(self, **_: Any) -> dict[str, Any]:
        return {"StreamDescription": {"Shards": [{"ShardId": "shard"}]}}

    def get_shard_iterator(self, **_: Any) -> dict[str, Any]:
        return {"ShardIterator": "iterator"}

    def get_records(self, **_: Any) -> dict[str, Any]:
        return {"Records": self.pages.pop() if self.pages else [], "NextShardIterator": "iterator"}


@pytest.fixture
def polled() -> Iterator[Any]:
    """Makes a poller of records named by the letters of a text."""

    def make(names: str, **settings: Any) -> Poller:
        mapping = StreamMapping(
            function="f",
            table="t",
            starting_position="TRIM_HORIZON",
            batch_size=100,
            parallelization_factor=1,
            filters=(),
            max_record_age_s=None,
            report_item_failures=True,
            on_failure=None,
            **settings,
        )
        poller = Poller(TableStream(Shard(names), "arn").read, mapping)
        poller.fetch()
        return poller.lanes[0]

    return make


def test_a_batch_whose_function_dies_is_bisected(polled: Any) -> None:
    """Otherwise the stream would put aside, one by one, the healthy records before the deadly one."""
    poller, handled = polled("abcd", max_retries=1, bisect=True), []

    def deliver(function: str, event: dict[str, Any], attempt: int) -> None:
        names = [record["eventID"] for record in event["Records"]]
        if "c" in names:
            raise MemoryError
        handled.extend(names)

    while poller.deliver(deliver):
        pass
    assert [record["eventID"] for record in poller.discarded] == ["c"]
    assert sorted(set(handled)) == ["a", "b", "d"]


def test_the_retries_of_one_record_are_not_spent_by_another(polled: Any) -> None:
    """``a`` fails once and is handled; ``b`` then fails for the first time and must be given its retry."""
    poller, tries = polled("ab", max_retries=1, bisect=False), []

    def deliver(function: str, event: dict[str, Any], attempt: int) -> Any:
        tries.append("".join(record["eventID"] for record in event["Records"]))
        failing = {1: "a", 2: "b"}.get(len(tries))
        return {"batchItemFailures": [{"itemIdentifier": failing}] if failing else []}

    while poller.deliver(deliver):
        pass
    assert poller.discarded == []
    assert tries == ["ab", "ab", "b"]


@pytest.mark.parametrize(
    ("answer", "success"),
    [
        ({"batchItemFailures": None}, True),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, False),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, False),
        ({"batchItemFailures": [{"ItemIdentifier": "a"}]}, False),
    ],
    ids=["null list", "empty", "null", "bad key"],
)
def test_an_unusual_answer_is_read_as_aws_reads_it(polled: Any, answer: Any, success: bool) -> None:
    """A list of null means success; an identifier that is empty, null or misnamed means failure of all."""
    poller = polled("ab", max_retries=None, bisect=False)
    assert poller.deliver(lambda function, event, attempt: answer)
    assert [record["eventID"] for record in poller.backlog] == ([] if success else ["a", "b"])


def test_a_cloud_that_cannot_open_leaves_nothing_behind(tmp_path: Path) -> None:
    """Otherwise AWS would stay mocked, and the environment changed, for every test after it."""
    template = tmp_path / "template.yaml"
    template.write_text("Transform: AWS::Serverless-2016-10-31\nResources: {}\n")
    before = dict(os.environ)
    cloud = LocalCloud(template=template)
    try:
        with pytest.raises(ConfigurationError):
            cloud.__enter__()
        assert dict(os.environ) == before
    finally:
        cloud._world.close()
