"""Wide fan-outs: in order, so many at a time, whatever dies in between."""

from __future__ import annotations

import asyncio

import pytest

from adapter import Retry, durable, errors
from adapter.api import blocks as spreading
from adapter.api import maps
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from tests.support.laws import Broken, items

PENDING: list[int] = []


@durable
async def timed(seconds: int) -> int:
    await asyncio.sleep(seconds)
    return seconds


@durable
def picky(value: int) -> int:
    if value == 3:
        raise Broken("three")
    return value * 10


@durable
async def mapped(items: list[int], limit: int | None) -> list[int]:
    return await timed.map(items, max_concurrency=limit)


@durable
async def picky_map(count: int, limit: int | None) -> list[int]:
    return await picky.with_options(retry=Retry(attempts=1)).map(range(count), max_concurrency=limit)


@durable
async def collecting(count: int, limit: int | None) -> list[str]:
    return [str(r) for r in await picky.map(range(count), max_concurrency=limit, return_exceptions=True)]


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 100])
def test_results_come_in_the_order_of_the_items(limit: int | None, any_cloud: LocalCloud) -> None:
    """Any item may be done first."""
    assert any_cloud.run(mapped, [50, 10, 40, 20, 30], limit) == [50, 10, 40, 20, 30]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_the_limit_are_pending_at_any_time(limit: int, any_cloud: LocalCloud) -> None:
    """The test counts them in the table at every event, through crashes and resumes."""
    most = 0

    def count(event: Event) -> None:
        nonlocal most
        pending = [item for item in items(any_cloud) if item["state"] == "pending" and item["fn"] == timed.name]
        most = max(most, len(pending))

    any_cloud.watchers.append(count)
    any_cloud.run(mapped, [20, 10, 30, 10, 20], limit)
    assert most == limit


@pytest.mark.parametrize("limit", [None, 2])
def test_the_first_failure_stops_it(limit: int | None, any_cloud: LocalCloud) -> None:
    """The map begins nothing further."""
    with pytest.raises(Broken, match="three"):
        any_cloud.run(picky_map.with_options(id="m"), 20, limit)
    begun = [item for item in items(any_cloud) if item["fn"] == picky.name]
    assert len(begun) == (20 if limit is None else 5) or (limit and len(begun) <= 8)


@pytest.mark.parametrize("limit", [None, 2])
def test_failures_may_be_collected_in_their_places(limit: int | None, any_cloud: LocalCloud) -> None:
    """The others go on."""
    assert any_cloud.run(collecting, 6, limit) == ["0", "10", "20", "three", "40", "50"]


def test_nothing_maps_to_nothing(any_cloud: LocalCloud) -> None:
    """The map has a limit, or none."""
    assert any_cloud.run(mapped, [], None) == []
    assert any_cloud.run(mapped, [], 3) == []


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of a few items go the way of wide ones."""
    monkeypatch.setattr(maps, "WIDE", 4)
    monkeypatch.setattr(spreading, "BLOCK", 3)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("limit", [None, 1, 3, 100])
def test_results_of_blocks_come_in_the_order_of_the_items(limit: int | None, any_cloud: LocalCloud) -> None:
    """Any block may be done first."""
    durations = [50, 10, 40, 20, 30, 5, 60]
    assert any_cloud.run(mapped, durations, limit) == durations


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("limit", [1, 2, 15])
def test_blocks_share_the_limit(limit: int, any_cloud: LocalCloud) -> None:
    """The test counts the calls in the table at every event."""
    most = 0

    def count(event: Event) -> None:
        nonlocal most
        pending = [item for item in items(any_cloud) if item["state"] == "pending" and item["fn"] == timed.name]
        most = max(most, len(pending))

    any_cloud.watchers.append(count)
    any_cloud.run(mapped, [20, 10, 30, 10, 20, 10, 30], limit)
    assert 1 <= most <= limit


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("limit", [None, 2])
def test_the_first_failure_of_a_block_stops_all(limit: int | None, any_cloud: LocalCloud) -> None:
    """It arrives under its own class."""
    with pytest.raises(Broken, match="three"):
        any_cloud.run(picky_map, 20, limit)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("limit", [None, 2])
def test_failures_of_blocks_may_be_collected_in_their_places(limit: int | None, any_cloud: LocalCloud) -> None:
    """The others go on, in their own block and in others."""
    assert any_cloud.run(collecting, 6, limit) == ["0", "10", "20", "three", "40", "50"]


@pytest.mark.usefixtures("small_blocks")
def test_options_of_the_call_hold_in_its_blocks(any_cloud: LocalCloud) -> None:
    """A deadline is an example."""

    @durable
    async def bounded() -> list[str]:
        found = await timed.with_options(timeout=15).map([10, 20, 10, 20, 10], return_exceptions=True)
        return [type(one).__name__ for one in found]

    kinds = any_cloud.run(bounded)
    assert kinds[1] == kinds[3] == "PromiseTimeout"


@pytest.mark.usefixtures("small_blocks")
def test_results_of_a_block_may_be_larger_together_than_one_promise_holds(cloud: LocalCloud) -> None:
    """They stay on their own promises."""

    @durable
    def large(value: int) -> str:
        return str(value) * 100_000

    @durable
    async def collects() -> int:
        return sum(len(text) for text in await large.map(range(6)))

    assert cloud.run(collects) == 600_000


def test_a_map_is_hot(cloud: LocalCloud) -> None:
    """Its calls are under way when the caller next awaits anything."""

    @durable
    async def both() -> list[list[int]]:
        first, second = timed.map([30, 30]), timed.map([30])
        await asyncio.sleep(30)
        return [await first, await second]

    begun = cloud.now()
    assert cloud.run(both) == [[30, 30], [30]]
    assert (cloud.now() - begun).total_seconds() == 30


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int, cloud: LocalCloud) -> None:
    """Otherwise nothing would ever run."""
    with pytest.raises(errors.ConfigurationError, match="max_concurrency"):
        cloud.run(mapped, [1], limit)
