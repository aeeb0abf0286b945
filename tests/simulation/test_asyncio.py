"""Durable promises under asyncio's own tools: the same result as plain asyncio, the same records at every replay."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from adapter import durable
from adapter.protocol.records import State
from adapter.testing import LocalCloud
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.laws import COLD, HOUR, WARM, Broken, Weather, history, plainly, slow


@pytest.mark.parametrize("name", PROGRAMS)
def test_warm_and_cold_give_what_plain_asyncio_gives_and_make_the_same_records(name: str) -> None:
    """Both have the same ids, arguments, outcomes and order of deliveries."""
    found = []
    for weather in (WARM, COLD):
        with weather.cloud() as cloud:
            assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])
            cloud.advance(100 * HOUR)
            found.append(history(cloud))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_under_faults_it_is_what_plain_asyncio_gives(name: str) -> None:
    """Each program has a seed of its own. Every other one replays at each resume."""
    seed = list(PROGRAMS).index(name)
    with Weather("storm", cold=bool(seed % 2), seed=seed).cloud() as cloud:
        assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])


@durable
async def grouped() -> list[int]:
    alone = asyncio.create_task(slow(9, 1))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(slow(value, 4 - value)) for value in range(3)]
    return [await alone, *(task.result() for task in tasks)]


@durable
async def fails_later() -> None:
    await asyncio.sleep(HOUR)
    raise Broken("later")


@durable
async def grouped_with_one_that_fails() -> str:
    try:
        async with asyncio.TaskGroup() as group:
            long = group.create_task(slow(1, 100))
            group.create_task(fails_later())
    except ExceptionGroup as failed:
        return f"{failed.exceptions[0]}, {long.cancelled()}"
    return "nothing failed"


def test_a_call_is_a_task_as_the_coroutine_would_be_without_its_decorator(any_cloud: LocalCloud) -> None:
    """`create_task` and `TaskGroup` take it as it is; a task that is cancelled cancels its call."""
    assert any_cloud.run(grouped) == [9, 0, 1, 2]
    begun = any_cloud.now()
    assert any_cloud.run(grouped_with_one_that_fails) == "later, True"
    assert any_cloud.now() - begun < dt.timedelta(hours=2)
    assert [r.state for r in any_cloud.records() if r.fn.endswith(":slow")].count(State.CANCELED) == 1
