"""The poller reads a stream as Lambda's event source mapping does: filtered, in batches, with bounded retries."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from adapter.errors import ConfigurationError
from adapter.templates.template import StreamMapping
from adapter.testing.faults import Killed
from adapter.testing.simulated_aws.streams import Poller, TableStream, as_event

ARN = "arn:aws:dynamodb:us-east-1:1:table/t/stream/1"


class Stream:
    """DynamoDB Streams, as small as the poller needs it: shards of pages, by position."""

    def __init__(self, *shards: list[list[str]]) -> None:
        self.shards = {f"shard-{n}": pages for n, pages in enumerate(shards)}
        self.closed: set[str] = set()
        self.iterators_given: list[str] = []

    def describe_stream(self, *, StreamArn: str) -> dict[str, Any]:  # noqa: N803
        assert StreamArn == ARN
        return {"StreamDescription": {"Shards": [{"ShardId": shard} for shard in self.shards]}}

    def get_shard_iterator(self, *, StreamArn: str, ShardId: str, ShardIteratorType: str) -> dict[str, Any]:  # noqa: N803
        assert (StreamArn, ShardIteratorType) == (ARN, "TRIM_HORIZON")
        self.iterators_given.append(ShardId)
        return {"ShardIterator": f"{ShardId}:0"}

    def get_records(self, *, ShardIterator: str) -> dict[str, Any]:  # noqa: N803
        shard, _, position = ShardIterator.partition(":")
        pages, at = self.shards[shard], int(position)
        page = [record(name) for name in pages[at]] if at < len(pages) else []
        following = f"{shard}:{min(at + 1, len(pages))}"
        if shard in self.closed and at + 1 >= len(pages):
            return {"Records": page}
        return {"Records": page, "NextShardIterator": following}


def record(name: str) -> dict[str, Any]:
    """As boto3 gives it: the first letter is the state."""
    return {
        "eventID": name,
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            "NewImage": {"state": {"S": name[0]}},
            "SequenceNumber": name,
        },
    }


class Function:
    """Receives batches; answers as it was told to, in order, then with complete success."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.batches: list[list[str]] = []
        self.attempts: list[int] = []

    def __call__(self, function: str, event: dict[str, Any], attempt: int) -> Any:
        assert function == "resumer"
        self.attempts.append(attempt)
        self.batches.append([one["dynamodb"]["SequenceNumber"] for one in event["Records"]])
        answer = self.answers.pop(0) if self.answers else {"batchItemFailures": []}
        if isinstance(answer, BaseException):
            raise answer
        return answer


def failed(*names: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


ASIDE = {"on_failure": "arn:aws:sqs:us-east-1:1:aside"}


def poller(
    stream: Stream,
    clock: Callable[[], int] | None = None,
    send: Callable[[str, str], None] | None = None,
    **settings: Any,
) -> Poller:
    defaults: dict[str, Any] = {
        "function": "resumer",
        "table": "t",
        "starting_position": "TRIM_HORIZON",
        "batch_size": 100,
        "parallelization_factor": 1,
        "filters": (),
        "max_retries": None,
        "max_record_age_s": None,
        "bisect": False,
        "report_item_failures": True,
        "on_failure": None,
    }
    mapping = StreamMapping(**{**defaults, **settings})
    return Poller(TableStream(stream, ARN).read, mapping, clock=clock, send=send or (lambda queue, body: None))


def names(records: list[dict[str, Any]]) -> list[str]:
    return [one["dynamodb"]["SequenceNumber"] for one in records]


def drain(polling: Poller, function: Function, limit: int = 50) -> None:
    """Until nothing is left."""
    polling.fetch()
    for _ in range(limit):
        if not polling.lanes[0].deliver(function):
            return
    pytest.fail(f"still {names(polling.backlog)}")


def test_records_come_in_order_from_every_page_and_shard() -> None:
    """Each record comes once."""
    function = Function()
    drain(poller(Stream([["a1", "a2"], ["a3"]], [["b1"]])), function)
    assert function.batches == [["a1", "a2", "a3", "b1"]]


def test_nothing_new_is_nothing_to_deliver() -> None:
    """The poller doesn't call the function."""
    function = Function()
    polling = poller(Stream([]))
    polling.fetch()
    assert polling.lanes[0].deliver(function) is False
    assert function.batches == []


def test_what_comes_later_is_read_from_where_the_poller_was() -> None:
    """It has an iterator for each shard, from the stream's beginning, and finds new shards."""
    stream, function = Stream([["a1"]]), Function()
    polling = poller(stream)
    drain(polling, function)
    stream.shards["shard-0"].append(["a2"])
    stream.shards["shard-1"] = [["b1"]]
    drain(polling, function)
    assert function.batches == [["a1"], ["a2", "b1"]]
    assert stream.iterators_given == ["shard-0", "shard-1"]


def test_a_closed_shard_is_read_to_its_end() -> None:
    """The poller never reads it again."""
    stream, function = Stream([["a1"], ["a2"]]), Function()
    stream.closed.add("shard-0")
    polling = poller(stream)
    drain(polling, function)
    drain(polling, function)
    assert function.batches == [["a1", "a2"]]


def test_only_records_that_match_a_filter_are_delivered() -> None:
    """Any of the filters is enough."""
    filters = tuple({"dynamodb": {"NewImage": {"state": {"S": [state]}}}} for state in ("a", "c"))
    function = Function()
    drain(poller(Stream([["a1", "b1", "c1"], ["b2", "a2"]]), filters=filters), function)
    assert function.batches == [["a1", "c1", "a2"]]


def test_a_page_without_a_match_does_not_end_the_reading() -> None:
    """What follows it is read in the same fetch."""
    function = Function()
    filters = ({"dynamodb": {"NewImage": {"state": {"S": ["a"]}}}},)
    drain(poller(Stream([["b1"], ["b2"], ["a1"]]), filters=filters), function)
    assert function.batches == [["a1"]]


def test_a_filter_that_is_none_is_refused_at_once() -> None:
    """The poller doesn't wait for the first record."""
    with pytest.raises(ConfigurationError):
        poller(Stream([]), filters=({"dynamodb": "a"},))


@pytest.mark.parametrize(("size", "batches"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_a_batch_has_at_most_its_size(size: int, batches: list[int]) -> None:
    """Its records are in order. The rest comes afterwards."""
    function = Function()
    drain(poller(Stream([["a1", "a2", "a3", "a4", "a5"]]), batch_size=size), function)
    assert [len(batch) for batch in function.batches] == batches
    assert [one for batch in function.batches for one in batch] == ["a1", "a2", "a3", "a4", "a5"]


def test_a_partial_failure_is_repeated_from_the_first_record_that_failed() -> None:
    """Later records come again with it, whether they failed or not."""
    function = Function(failed("a4", "a2"))
    drain(poller(Stream([["a1", "a2", "a3", "a4", "a5"]])), function)
    assert function.batches == [["a1", "a2", "a3", "a4", "a5"], ["a2", "a3", "a4", "a5"]]


def test_a_batch_is_filled_up_behind_what_failed() -> None:
    """New records join it in order."""
    function = Function(failed("a2"))
    drain(poller(Stream([["a1", "a2", "a3", "a4"]]), batch_size=2), function)
    assert function.batches == [["a1", "a2"], ["a2", "a3"], ["a4"]]


@pytest.mark.parametrize("death", [ValueError("it raised"), Killed()], ids=["error", "killed"])
def test_a_function_that_dies_is_given_the_whole_batch_again(death: BaseException) -> None:
    """It reported nothing."""
    function = Function(death)
    drain(poller(Stream([["a1", "a2"]])), function)
    assert function.batches == [["a1", "a2"], ["a1", "a2"]]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"other": 1}], ids=repr)
def test_an_answer_without_failures_is_complete_success(answer: Any) -> None:
    """AWS documents it so."""
    function = Function(answer)
    drain(poller(Stream([["a1", "a2"]])), function)
    assert function.batches == [["a1", "a2"]]


def test_an_answer_is_not_read_where_the_mapping_does_not_ask_for_it() -> None:
    """Without ReportBatchItemFailures, returning is success."""
    function = Function(failed("a1"))
    drain(poller(Stream([["a1", "a2"]]), report_item_failures=False), function)
    assert function.batches == [["a1", "a2"]]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_poison_record_is_put_aside_when_its_retries_are_used_up(retries: int) -> None:
    """It never blocks its shard; splitting isolates it."""
    function = Function(*[failed("a2")] * (retries + 2))
    polling = poller(Stream([["a1", "a2", "a3"]]), max_retries=retries, bisect=True)
    drain(polling, function)
    assert names(polling.discarded) == ["a2"]
    assert [batch for batch in function.batches if "a2" in batch] == function.batches[: retries + 2]
    assert function.batches[-1] == ["a3"]
    assert polling.backlog == []


def test_without_splitting_all_that_came_again_with_it_is_put_aside() -> None:
    """Lambda doesn't say which of them failed."""
    function = Function(*[failed("a2")] * 2)
    polling = poller(Stream([["a1", "a2", "a3"]]), max_retries=1)
    drain(polling, function)
    assert names(polling.discarded) == ["a2", "a3"]


def test_what_is_put_aside_is_told_to_the_on_failure_queue_without_what_it_was() -> None:
    """AWS documents the message: it tells where the record was, and a reader gets it from the stream."""
    told: list[tuple[str, Any]] = []
    polling = poller(
        Stream([["a1", "a2"]]), send=lambda queue, body: told.append((queue, json.loads(body))), **ASIDE, max_retries=0
    )
    drain(polling, Function(failed("a1")))
    ((queue, message),) = told
    assert queue == "aside"
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    where = message["DDBStreamBatchInfo"]
    assert (where["startSequenceNumber"], where["endSequenceNumber"], where["batchSize"]) == ("a1", "a2", 2)
    assert where["streamArn"] == ARN
    assert "NewImage" not in json.dumps(message)


@pytest.mark.parametrize(("age", "condition"), [(3_600, ["RecordAgeExceeded"]), (None, [])])
def test_a_record_is_tried_for_as_long_as_the_mapping_takes_it_or_the_stream_keeps_it(
    age: int | None, condition: list[str]
) -> None:
    """The pauses grow. Nobody hears of a record that the stream itself has lost."""
    now, told = [1_000_000_000_000_000], []
    polling = poller(
        Stream([["a1"]]),
        clock=lambda: now[0],
        send=lambda queue, body: told.append(json.loads(body)["requestContext"]["condition"]),
        **ASIDE,
        max_record_age_s=age,
    )
    function, pauses = Function(*[ValueError()] * 5_000), []
    polling.fetch()
    (lane,) = polling.lanes
    while lane.deliver(function):
        pauses.append(lane.ready_at - now[0])
        now[0] = lane.ready_at
    assert pauses[:7] == [1_000_000 * 2**n for n in range(6)] + [60_000_000]
    assert now[0] - 1_000_000_000_000_000 == pytest.approx((age or 86_400) * 1_000_000, abs=61_000_000)
    assert names(polling.discarded) == ["a1"]
    assert told == condition


def test_batches_of_one_shard_are_handled_at_once_and_a_partition_stays_in_order() -> None:
    """The mapping's ParallelizationFactor says how many."""
    stream = Stream([[f"a{n}" for n in range(40)]])
    polling = poller(stream, parallelization_factor=4)
    polling._read = lambda: [keyed(record(f"a{n}"), f"parent-{n % 8}") for n in range(40)]
    polling.fetch()
    lanes = [lane for lane in polling.lanes if lane.backlog]
    assert len(polling.lanes) == 4
    assert len(lanes) > 1
    for lane in lanes:
        assert names(lane.backlog) == sorted(names(lane.backlog), key=lambda name: int(name[1:]))
    partitions = [{one["dynamodb"]["Keys"]["pk"]["S"] for one in lane.backlog} for lane in lanes]
    assert sum(map(len, partitions)) == 8


def keyed(one: dict[str, Any], partition: str) -> dict[str, Any]:
    return {**one, "dynamodb": {**one["dynamodb"], "Keys": {"pk": {"S": partition}}}}


def test_a_function_is_told_which_attempt_it_is() -> None:
    """The poller counts from one for each batch. Faults spare the last attempt."""
    function = Function(ValueError(), failed("a1"), {}, failed("a2"))
    drain(poller(Stream([["a1", "a2"]]), batch_size=1), function)
    assert function.batches == [["a1"], ["a1"], ["a1"], ["a2"], ["a2"]]
    assert function.attempts == [1, 2, 3, 1, 2]


def test_without_a_bound_a_record_is_retried_for_as_long_as_it_takes() -> None:
    """The poller discards nothing."""
    function = Function(*[failed("a1")] * 30)
    polling = poller(Stream([["a1"]]))
    drain(polling, function)
    assert len(function.batches) == 31
    assert polling.discarded == []


def test_each_poison_record_is_put_aside_on_its_own() -> None:
    """A second one comes after a batch that the function has handled."""
    function = Function(failed("a1"), failed("a1"), {}, failed("a3"), failed("a3"))
    polling = poller(Stream([["a1", "a2", "a3"]]), max_retries=1, batch_size=1)
    drain(polling, function)
    assert names(polling.discarded) == ["a1", "a3"]
    assert function.batches == [["a1"], ["a1"], ["a2"], ["a3"], ["a3"]]


def test_an_event_is_what_lambda_hands_over() -> None:
    """It is JSON, with the stream's ARN. The poller doesn't change the record itself."""
    original = record("a1")
    event = as_event(original, ARN)
    assert event["eventSource"] == "aws:dynamodb"
    assert event["eventSourceARN"] == ARN
    assert event["dynamodb"]["ApproximateCreationDateTime"] == 1767225600.0
    assert original["dynamodb"]["ApproximateCreationDateTime"] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_an_event_of_a_record_without_a_time_has_none() -> None:
    """Emulators leave it out."""
    assert as_event({"eventID": "1", "dynamodb": {}}, ARN)["dynamodb"] == {}
