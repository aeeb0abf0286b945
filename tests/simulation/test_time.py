"""Time is virtual and durable: nobody sleeps, nothing is paid for waiting."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from adapter import durable, now, promise, random, resolve, run, uuid4
from adapter.testing import LocalCloud
from tests.support.laws import COLD, HOUR, WARM, slow, step


@durable
async def sleeper(days: int) -> str:
    await asyncio.sleep(days * 86_400)
    return "awake"


@durable
async def impatient() -> list[str]:
    approval = promise(str)
    try:
        answer = await asyncio.wait_for(approval, 3 * HOUR)
    except TimeoutError:
        answer = "late"
    return [answer, str(await step(1))]


@durable
async def unhurried() -> int:
    async with asyncio.timeout(30 * 86_400):
        return await slow(5, 1)


@durable
async def draws() -> list[str]:
    before = [str(now()), str(uuid4()), str(uuid4()), str(random()), str(random())]
    await step(1)
    middle = [str(now()), str(uuid4()), str(random())]
    await asyncio.sleep(90)
    return [*before, *middle, str(now())]


@pytest.mark.parametrize("days", [1, 30])
def test_a_sleep_moves_the_clock_exactly_and_costs_a_fixed_number_of_writes(days: int, cloud: LocalCloud) -> None:
    """The writes create, arm, claim and settle."""
    begun = cloud.now()
    assert cloud.run(sleeper, days) == "awake"
    assert cloud.now() - begun == dt.timedelta(days=days)
    assert cloud.stats.writes == 4


def test_a_sleep_ends_in_any_weather_and_not_too_early(any_cloud: LocalCloud) -> None:
    """Faults delay it by minutes."""
    begun = any_cloud.now()
    assert any_cloud.run(sleeper, 30) == "awake"
    assert dt.timedelta(days=30) <= any_cloud.now() - begun < dt.timedelta(days=30, hours=1)


def test_a_sleeping_function_wakes_when_the_clock_is_advanced_to_its_time(any_cloud: LocalCloud) -> None:
    """It doesn't wake a day before."""
    handle = sleeper.start(2)
    any_cloud.advance(86_400)
    assert handle.status() == "pending"
    any_cloud.advance(86_400 + HOUR)
    assert handle.status() == "resolved"


def test_wait_for_on_a_slow_external_promise_raises_and_the_function_goes_on(any_cloud: LocalCloud) -> None:
    """It raises TimeoutError, as in asyncio."""
    assert any_cloud.run(impatient) == ["late", "1"]


def test_the_timeout_expires_exactly_when_it_is_due(cloud: LocalCloud) -> None:
    """Virtual time shows it."""
    begun = cloud.now()
    cloud.run(impatient)
    assert cloud.now() - begun == dt.timedelta(hours=3)


def test_wait_for_gives_the_answer_that_came_in_time(any_cloud: LocalCloud) -> None:
    """The timer then has no consequence."""
    handle = impatient.start()
    any_cloud.advance(HOUR)
    resolve(f"{handle.id}~0", "yes")
    assert handle.result() == ["yes", "1"]


def test_a_timeout_that_does_not_expire_costs_nothing_further(cloud: LocalCloud) -> None:
    """The clock stops with the result. The leftover timer writes nothing."""
    begun = cloud.now()
    assert cloud.run(unhurried) == 5
    assert cloud.now() - begun == dt.timedelta(hours=1)
    spent, resumed = cloud.stats.writes, cloud.stats.resumes[unhurried]
    left = len(cloud.records())
    cloud.advance(31 * 86_400)
    assert (cloud.stats.resumes[unhurried]) == resumed
    # The leftover timer asks once whether anything is to be done, and is refused. Then all of it is removed.
    assert cloud.stats.writes <= spent + 1 + left


def test_what_now_uuid4_and_random_answer_is_the_same_at_every_replay() -> None:
    """Without memory, the body runs from the top three times."""
    drawn = []
    for weather in (WARM, COLD):
        with weather.cloud() as cloud:
            drawn.append(cloud.run(draws.with_options(id="draws")))
    assert drawn[0] == drawn[1]


def test_what_now_uuid4_and_random_answer_differs_between_calls(any_cloud: LocalCloud) -> None:
    """Eight draws give eight answers. Time moves with the deliveries."""
    drawn = any_cloud.run(draws)
    assert len({*drawn[1:5], *drawn[6:8]}) == 6
    assert drawn[0] <= drawn[5] < drawn[8]


def test_two_executions_draw_differently(cloud: LocalCloud) -> None:
    """The promise's id is the seed."""
    assert cloud.run(draws)[1] != cloud.run(draws)[1]


def test_an_inline_step_and_a_plain_function_may_draw_too(any_cloud: LocalCloud) -> None:
    """They draw the same at every attempt."""

    @durable
    def leaf() -> str:
        return str(uuid4())

    @durable
    async def both() -> list[str]:
        inline = await run(lambda: str(uuid4()))
        return [inline, await leaf(), await leaf()]

    assert len(set(any_cloud.run(both))) == 3
