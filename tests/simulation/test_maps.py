"""Wide fan-outs: in order, so many at a time, whatever dies in between."""

from __future__ import annotations

import asyncio

import pytest

from adapter import Retry, durable, errors
from adapter.testing import LocalCloud
from adapter.testing.cloud import Event
from tests.simulation.laws import Broken, items, step

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


@durable
async def wide(count: int) -> int:
    return sum(await step.map(range(count)))


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 100])
def test_results_come_in_the_order_of_the_items(limit: int | None, any_cloud: LocalCloud) -> None:
    """Whichever is done first."""
    assert any_cloud.run(mapped, [50, 10, 40, 20, 30], limit) == [50, 10, 40, 20, 30]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_the_limit_are_pending_at_any_time(limit: int, any_cloud: LocalCloud) -> None:
    """Counted in the table at every event, crashes and resumes included."""
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
    """Nothing further begins."""
    with pytest.raises(Broken, match="three"):
        any_cloud.run(picky_map.with_options(id="m"), 20, limit)
    begun = [item for item in items(any_cloud) if item["fn"] == picky.name]
    assert len(begun) == (20 if limit is None else 5) or (limit and len(begun) <= 8)


@pytest.mark.parametrize("limit", [None, 2])
def test_failures_may_be_collected_in_their_places(limit: int | None, any_cloud: LocalCloud) -> None:
    """The others go on."""
    assert any_cloud.run(collecting, 6, limit) == ["0", "10", "20", "three", "40", "50"]


def test_nothing_maps_to_nothing(any_cloud: LocalCloud) -> None:
    """Without a limit or with one."""
    assert any_cloud.run(mapped, [], None) == []
    assert any_cloud.run(mapped, [], 3) == []


def test_a_wide_map_costs_two_writes_for_each_item(cloud: LocalCloud) -> None:
    """And spreads over partitions."""
    assert cloud.run(wide.with_options(id="w"), 600) == sum(range(600))
    assert cloud.stats.writes <= 2 * 600 + 20
    assert len({item["pk"] for item in items(cloud)}) == 3


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int, cloud: LocalCloud) -> None:
    """Else nothing would ever run."""
    with pytest.raises(errors.ConfigurationError, match="max_concurrency"):
        cloud.run(mapped, [1], limit)
