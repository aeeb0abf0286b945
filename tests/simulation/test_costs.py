"""Work is counted: writes, invocations and resumes, linear in what the code does."""

from __future__ import annotations

import asyncio

import pytest

from adapter import durable, run
from adapter.testing import LocalCloud
from tests.support.laws import COLD, WARM, Weather, slow, step


@durable
async def in_sequence(n: int) -> int:
    return sum([await step(i) for i in range(n)])


@durable
async def in_parallel(n: int) -> int:
    return sum(await asyncio.gather(*(step(i) for i in range(n))))


@durable
async def inline(n: int) -> int:
    return sum([await run(abs, -i) for i in range(n)])


@pytest.mark.parametrize("weather", [WARM, COLD], ids=lambda weather: weather.name)
@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_a_sequential_step_costs_two_writes_one_invocation_and_one_resume(n: int, weather: Weather) -> None:
    """The root's creation and settlement cost two more writes."""
    with weather.cloud() as cloud:
        cloud.run(in_sequence, n)
        assert cloud.stats.writes == 2 * n + 2
        assert cloud.stats.resumes[in_sequence] == n
        assert cloud.stats.bodies[step] == n
        assert cloud.stats.reads <= 2 * n + 1


@pytest.mark.parametrize("n", [5, 10, 20])
def test_a_gather_of_n_costs_two_writes_each_and_few_resumes(n: int, cloud: LocalCloud) -> None:
    """The resumer wakes it when all are done."""
    cloud.run(in_parallel, n)
    assert cloud.stats.writes <= 2 * n + 6
    assert cloud.stats.resumes[in_parallel] <= 3
    assert cloud.stats.bodies[step] == n


@pytest.mark.parametrize("n", [5, 10, 20])
def test_an_inline_step_costs_one_write(n: int, cloud: LocalCloud) -> None:
    """It costs no invocation."""
    cloud.run(inline, n)
    assert cloud.stats.writes == n + 2
    assert cloud.stats.bodies[inline] == 1


def test_a_gather_of_slow_steps_wakes_its_function_once(cloud: LocalCloud) -> None:
    """The resumer doesn't wake it at each step, though each arrives with a write of its own."""

    @durable
    async def patient() -> list[int]:
        return await asyncio.gather(*(slow(n, n) for n in range(1, 6)))

    cloud.run(patient)
    assert cloud.stats.resumes[patient] == 1


def test_warm_a_body_is_started_once(cloud: LocalCloud) -> None:
    """A resume from memory doesn't replay."""
    cloud.run(in_sequence, 5)
    assert cloud.stats.bodies[in_sequence] == 1


def test_cold_a_body_is_started_at_each_resume(cold: LocalCloud) -> None:
    """It asks for the same each time."""
    cold.run(in_sequence, 5)
    assert cold.stats.bodies[in_sequence] == 6
