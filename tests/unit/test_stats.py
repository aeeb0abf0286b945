"""What a run cost, as DynamoDB and Lambda would count it."""

from __future__ import annotations

from typing import Any

import pytest

from adapter import durable
from adapter.testing import LocalCloud
from adapter.testing.stats import ByFunction, Stats, item_size

KIB = 1024
CONSISTENT = {"ConsistentRead": True}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"a": {"S": ""}}, 1),
        ({"name": {"S": "value"}}, 9),
        ({"a": {"S": "é€"}}, 1 + 2 + 3),
        ({"a": {"N": "1"}}, 1 + 2),
        ({"a": {"N": "123"}}, 1 + 3),
        ({"a": {"BOOL": True}}, 1 + 1),
        ({"a": {"NULL": True}}, 1 + 1),
        ({"a": {"SS": ["b~0", "é"]}}, 1 + 3 + 2),
        ({"pk": {"S": "root"}, "sk": {"N": "7"}, "on": {"BOOL": False}}, 6 + 4 + 3),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(item: dict[str, Any], size: int) -> None:
    """Both count in UTF-8."""
    assert item_size(item) == size


def text(size: int) -> dict[str, Any]:
    """An item of that many bytes."""
    return {"a": {"S": "x" * (size - 1)}}


@pytest.mark.parametrize(("size", "units"), [(1, 1), (KIB, 1), (KIB + 1, 2), (10 * KIB, 10)])
def test_a_write_costs_a_unit_per_kilobyte_begun(size: int, units: int) -> None:
    """The item counts as it is after the write."""
    stats = Stats()
    stats.count_request("PutItem", {"Item": text(size)}, {})
    stats.count_request("UpdateItem", {}, {"Attributes": text(size)})
    assert (stats.writes, stats.write_units, stats.reads) == (2, 2 * units, 0)


def test_a_refused_write_costs_one() -> None:
    """Its response has no attributes."""
    stats = Stats()
    stats.count_request("UpdateItem", {}, {"Error": {"Code": "ConditionalCheckFailedException"}})
    assert (stats.writes, stats.write_units) == (1, 1)


@pytest.mark.parametrize(("size", "units"), [(1, 1), (4 * KIB, 1), (4 * KIB + 1, 2)])
def test_a_consistent_read_costs_a_unit_per_four_kilobytes_begun(size: int, units: int) -> None:
    """A query counts all that it read together."""
    stats = Stats()
    stats.count_request("GetItem", CONSISTENT, {"Item": text(size)})
    items = [text(size - size // 2), text(size // 2)] if size > 3 else [text(size)]
    stats.count_request("Query", CONSISTENT, {"Items": items})
    assert (stats.reads, stats.read_units, stats.writes) == (2, 2 * units, 0)


def test_a_read_that_may_lag_costs_half() -> None:
    """As those of an index always do."""
    stats = Stats()
    stats.count_request("GetItem", {"ConsistentRead": False}, {"Item": text(5 * KIB)})
    stats.count_request("Query", {"IndexName": "due"}, {"Items": []})
    assert (stats.reads, stats.read_units) == (2, 1.5)


def test_a_read_that_finds_nothing_costs_one() -> None:
    """This holds for an item and for a query."""
    stats = Stats()
    stats.count_request("GetItem", CONSISTENT, {})
    stats.count_request("Query", CONSISTENT, {"Items": []})
    assert (stats.reads, stats.read_units) == (2, 2)


def test_other_requests_cost_nothing() -> None:
    """AWS doesn't bill a description of the table."""
    stats = Stats()
    stats.count_request("DescribeTable", {}, {})
    assert (stats.reads, stats.writes, stats.dollars) == (0, 0, 0)


def test_what_the_test_itself_reads_is_not_counted() -> None:
    """The meter is off meanwhile."""
    stats = Stats()
    stats.metered = False
    stats.count_request("GetItem", {}, {"Item": text(9)})
    assert stats.reads == 0


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [([1], 1), ([64 * KIB], 1), ([64 * KIB + 1], 2), ([1] * 10, 1), ([7 * KIB] * 10, 2)],
)
def test_messages_are_billed_by_chunks_of_64_kilobytes(sizes: list[int], requests: int) -> None:
    """AWS bills a batch that is sent, or received, as one message of its size. One request deletes a batch."""
    stats, texts = Stats(), ["x" * size for size in sizes]
    stats.count_messages(texts)
    assert (stats.messages, stats.message_requests) == (len(sizes), requests)
    stats.count_received(texts)
    stats.count_deleted(len(texts))
    assert stats.message_requests == 2 * requests + 1
    assert stats.dollars == pytest.approx(stats.message_requests * 0.40e-6)


def test_dollars_add_up() -> None:
    """The bill has a million of each, and no time of user code."""
    stats = Stats()
    stats.write_units = stats.read_units = stats.index_units = stats.invocations = 1_000_000
    assert stats.dollars == pytest.approx(0.625 + 0.125 + 0.625 + 0.20) == sum(stats.bill.values())


DUE = {"pk": {"S": "a"}, "due_shard": {"S": "0"}, "due_at": {"N": "1"}, "state": {"S": "pending"}}


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        ({}, DUE, 1),
        (DUE, {"pk": {"S": "a"}}, 1),
        (DUE, {}, 1),
        (DUE, DUE | {"due_at": {"N": "2"}}, 2),
        (DUE, DUE | {"state": {"S": "resolved"}}, 1),
        (DUE, DUE | {"value": {"S": "not projected"}}, 0),
        ({"pk": {"S": "a"}}, {"pk": {"S": "a"}, "state": {"S": "resolved"}}, 0),
        ({}, DUE | {"state": {"S": "x" * KIB}}, 2),
    ],
)
def test_an_index_is_billed_for_each_entry_that_changes(old: dict[str, Any], new: dict[str, Any], units: int) -> None:
    """DynamoDB removes an entry whose time changes, and puts it again."""
    stats = Stats()
    stats.count_change(old, new, {"pk", "due_shard", "due_at", "state"})
    assert stats.index_units == units


def test_an_invocation_is_billed_by_its_time_and_memory() -> None:
    """It takes thirty milliseconds of its own, and the time that the code took."""
    stats = Stats()
    stats.count_invocation(512)
    stats.count_seconds(2, 512)
    assert (stats.invocations, stats.gigabyte_seconds) == (1, pytest.approx(1.015))


def test_counting_starts_afresh() -> None:
    """Every counter is as in a new one."""
    stats = Stats()
    stats.count_request("PutItem", {"Item": text(9)}, {})
    stats.count_request("GetItem", {}, {"Item": text(9)})
    stats.invocations += 1
    stats.bodies["f"] += 1
    stats.resumes["f"] += 1
    stats.reset()
    assert vars(stats) == vars(Stats())


def test_a_repr_says_what_it_cost() -> None:
    """A failing assertion shows it."""
    stats = Stats()
    stats.count_request("PutItem", {"Item": text(9)}, {})
    assert repr(stats) == "<Stats 1 writes, 0 reads, 0 invocations, $0.0000006>"


def test_counts_are_read_by_function_or_by_name() -> None:
    """A function that never ran has 0. Asking changes nothing."""

    @durable(name="test_stats:counted")
    def counted() -> None: ...

    counts = ByFunction()
    assert (counts[counted], counts["anything"]) == (0, 0)
    assert dict(counts) == {}
    counts[counted.name] += 2
    assert (counts[counted], counts["test_stats:counted"]) == (2, 2)


def test_a_sequence_costs_what_the_protocol_promises(cloud: LocalCloud) -> None:
    """I8: two writes per sequential step; the root's own two beside them. Lambda's invocations are counted, too."""

    @durable(name="test_stats:step")
    def step(value: int) -> int:
        return value

    @durable(name="test_stats:sequence")
    async def sequence(steps: int) -> int:
        return sum([await step(value) for value in range(steps)])

    cloud.run(sequence, 3)
    first = cloud.stats.writes
    cloud.stats.reset()
    cloud.run(sequence, 5)
    assert (first, cloud.stats.writes) == (2 + 2 * 3, 2 + 2 * 5)
    assert cloud.stats.write_units >= cloud.stats.writes
    assert cloud.stats.bodies[step] == 5
    assert cloud.stats.resumes[sequence] == 5
    assert cloud.stats.invocations >= 11


def test_looking_at_a_promise_costs_the_application_nothing(cloud: LocalCloud) -> None:
    """The bill leaves out a test's own look."""

    @durable(name="test_stats:looked_at")
    def looked_at() -> int:
        return 1

    handle = looked_at.start()
    assert handle.result() == 1
    cloud.stats.reset()
    assert handle.status() == "resolved"
    assert cloud.stats.reads == 0
