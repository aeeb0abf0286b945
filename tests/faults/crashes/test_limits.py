"""Deep, long, wide and slow: what an execution may grow to, at a cost that grows no faster."""

from __future__ import annotations

import asyncio

import pytest

from adapter import Retry, attach, durable, errors, run
from adapter.testing import LocalCloud
from tests.support.effort import effort
from tests.support.laws import items


@durable
async def deep(levels: int) -> int:
    return 0 if levels == 0 else 1 + await deep(levels - 1)


@durable
def step(number: int) -> int:
    return number


@durable
async def long_way(steps: int) -> int:
    total = 0
    for number in range(steps):
        total += await step(number)
    return total


@durable
async def sleeper(hours: float) -> float:
    await asyncio.sleep(hours * 3_600)
    return hours


@durable
async def sleepers(count: int) -> int:
    return len(await asyncio.gather(*(sleeper(number / 7) for number in range(count))))


@durable
async def wide(count: int) -> int:
    return sum(await step.map(range(count)))


@pytest.fixture
def memory() -> LocalCloud:
    return LocalCloud(engine="memory")


def test_a_thousand_levels_of_recursion_come_back(memory: LocalCloud) -> None:
    """Each level is a Lambda that waits for the next, and costs two writes."""
    with memory as cloud:
        assert cloud.run(deep.with_options(id="deep"), 1_000) == 1_000
        assert cloud.stats.writes == 2 * 1_001
        assert attach("deep~0*1000").result() == 0


def test_thousands_of_steps_in_a_row_are_as_cheap_each_as_ten(memory: LocalCloud) -> None:
    """I8, I9: each costs two writes and one read, however long the history."""
    with memory as cloud:
        steps = effort(1_500, 5_000)
        assert cloud.run(long_way, steps) == sum(range(steps))
        assert cloud.stats.writes == 2 * (steps + 1)
        # And a few when the sandbox's memory was lost, or the watchdog looked.
        assert cloud.stats.reads <= 2 * (steps + 1) + 50
        # Of the children's records a resume reads what is new.
        assert cloud.stats.read_units <= 3 * (steps + 1)


def test_many_sleep_at_once_and_wake_each_at_its_time(memory: LocalCloud) -> None:
    """They sleep up to twelve days. The index holds them, and no Lambda runs meanwhile."""
    with memory as cloud:
        begun = cloud.now()
        count = effort(500, 2_000)
        assert cloud.run(sleepers, count) == count
        assert (cloud.now() - begun).total_seconds() == pytest.approx((count - 1) / 7 * 3_600, abs=60)


def test_ids_of_the_greatest_length_nest(memory: LocalCloud) -> None:
    """The root's own id has 512 bytes."""
    with memory as cloud:
        assert cloud.run(deep.with_options(id="ü" * 256), 20) == 20


def test_nesting_that_no_key_could_hold_is_an_error(memory: LocalCloud) -> None:
    """The function that asks gets the outcome; it isn't an endless retry."""

    @durable
    async def crooked(levels: int) -> int:
        if levels % 2:
            await run(int)
        return await crooked(levels + 1)

    with memory as cloud, pytest.raises(errors.InvalidId):
        cloud.run(crooked, 0)


def test_inline_steps_for_which_no_time_is_left_go_on_in_a_fresh_invocation(cloud: LocalCloud) -> None:
    """Each runs once, in as many invocations of 60 seconds as they need; no Lambda runs into its timeout."""
    done: list[int] = []

    def work(number: int) -> None:
        cloud.elapse(7)
        done.append(number)

    @durable
    async def worker() -> int:
        for number in range(40):
            await run(work, number)
        return len(done)

    killed: list[str] = []
    cloud.watchers.append(lambda event: killed.append(event.what) if event.what == "killed" else None)
    assert cloud.run(worker) == 40
    assert done == list(range(40))
    assert killed == []
    # Eight of them take 56 of 60 seconds; a ninth would need more than is left.
    assert cloud.stats.resumes[worker] == 4


def test_a_step_that_needs_all_the_time_there_is_is_begun_all_the_same(cloud: LocalCloud) -> None:
    """A fresh invocation begins with it, and no other would have more time."""
    done: list[int] = []

    def work(number: int) -> None:
        cloud.elapse(58)
        done.append(number)

    @durable
    async def worker() -> int:
        for number in range(3):
            await run(work, number)
        return len(done)

    assert cloud.run(worker) == 3
    assert done == [0, 1, 2]


def test_a_step_that_exceeds_its_lambdas_timeout_ends_as_a_crash(cloud: LocalCloud) -> None:
    """Its policy's attempts come first."""
    tries: list[int] = []

    @durable(retry=Retry(attempts=2))
    def endless() -> None:
        tries.append(1)
        cloud.elapse(61)

    with pytest.raises(errors.FunctionCrashed):
        cloud.run(endless)
    assert len(tries) == 2 * 3


def test_a_wide_map_costs_two_writes_for_each_item_and_few_for_its_blocks(cloud: LocalCloud) -> None:
    """No function creates more of them than one partition holds; the parent reads what the blocks did."""
    assert cloud.run(wide.with_options(id="w"), 520) == sum(range(520))
    assert cloud.stats.writes <= 2 * 520 + 2 + 3 * 8
    assert cloud.stats.resumes[wide] == 1
    assert {item["pk"] for item in items(cloud)} == {"w", "w~0", "w~1", "w~2"}
