"""A promise that isn't settled in time is settled as timed out, and what it stands for is cancelled."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from adapter import attach, durable, errors, promise, resolve, run
from adapter.engine.operations import Invoke, PeekFunction, RunCode, SendBatch, Settle
from adapter.testing import DurableWarning, LocalCloud
from tests.support.laws import HOUR, awaited, slow, step

LOG: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_logged_yet() -> None:
    LOG.clear()


@durable
async def patient(seconds: float) -> str:
    try:
        await asyncio.sleep(seconds)
        return "done"
    finally:
        await run(LOG.append, "cleaned up")


@durable(timeout=60)
async def hurried(seconds: float) -> str:
    return await patient(seconds)


@durable
async def asks(seconds: float, timeout: float) -> str:
    try:
        return await patient.with_options(timeout=timeout)(seconds)
    except errors.PromiseTimeout as late:
        return str(late)


@durable
async def sleeps_and_asks(seconds: float) -> str:
    if seconds:
        await asyncio.sleep(seconds)
    return await promise(str)


@durable
async def sequence(steps: int) -> int:
    return sum([await step(n) for n in range(steps)])


@durable
async def asks_outside(timeout: float) -> str:
    approval = promise(bool, timeout=timeout)
    try:
        return "yes" if await approval else "no"
    except TimeoutError:
        return "nobody answered"


def test_a_call_that_is_late_times_out_exactly_then(cloud: LocalCloud) -> None:
    """The caller enforces it. The callee cleans up."""
    begun = cloud.now()
    assert cloud.run(asks, HOUR, 100) == "run-1~0 timed out"
    assert cloud.now() - begun == dt.timedelta(seconds=100)
    cloud.drive()
    assert LOG == ["cleaned up"]
    assert attach("run-1~0").status() == "rejected_timedout"


def test_a_call_in_time_is_not_touched(any_cloud: LocalCloud) -> None:
    """Its deadline is of no consequence, then or later."""
    handle = asks.start(60, HOUR)
    assert handle.result() == "done"
    any_cloud.advance(2 * HOUR)
    assert attach(f"{handle.id}~0").status() == "resolved"


def test_a_deadline_holds_in_any_weather(any_cloud: LocalCloud) -> None:
    """A function's own deadline reaches down to what it called."""
    with pytest.raises(errors.PromiseTimeout):
        any_cloud.run(hurried.with_options(id="h", timeout=900), HOUR)
    any_cloud.advance(HOUR)
    assert attach("h").status() == "rejected_timedout"
    assert attach("h~0").status() == "rejected_canceled"
    assert set(LOG) == {"cleaned up"}


@pytest.mark.parametrize("timeout", [1, 60, 899, 901, HOUR, 30 * 86_400])
def test_a_root_times_out_to_the_second(timeout: int, cloud: LocalCloud) -> None:
    """A message or the index brings it: a root has no parent that watches its deadline."""
    begun = cloud.now()
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(patient.with_options(timeout=timeout), 400 * 86_400)
    assert cloud.now() - begun == dt.timedelta(seconds=timeout)
    cloud.drive()
    assert LOG == ["cleaned up"]


def test_the_deadline_of_a_root_costs_no_write_of_its_own(cloud: LocalCloud) -> None:
    """It is part of the record, and of its suspension."""
    cloud.run(patient.with_options(timeout=2 * HOUR), HOUR)
    bounded = cloud.stats.writes
    cloud.stats.reset()
    cloud.run(patient, HOUR)
    assert cloud.stats.writes == bounded


@pytest.mark.parametrize("minutes", [0, 11, 17, 25, 29])
def test_a_claim_does_not_make_a_deadline_late(cloud: LocalCloud, minutes: int) -> None:
    """The run that a timer woke claims first, and that moves the root's entry in the index beyond the deadline."""
    begun = cloud.now()
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(sleeps_and_asks.with_options(timeout=30 * 60), 60 * minutes)
    assert cloud.now() - begun == dt.timedelta(minutes=30)


def test_a_root_that_only_waits_for_others_is_not_armed_for_its_deadline(cloud: LocalCloud) -> None:
    """Each wait would cost a write, and the watchdog watches the deadline anyway."""
    cloud.run(sequence.with_options(timeout=HOUR), 3)
    with_deadline = cloud.stats.writes, cloud.stats.index_units
    cloud.stats.reset()
    cloud.run(sequence, 3)
    # Without a deadline the entry in the index moves to the end of the retention. With one the execution expires.
    assert with_deadline == (cloud.stats.writes, cloud.stats.index_units - 1)


def test_a_root_whose_code_cannot_be_loaded_times_out_all_the_same(cloud: LocalCloud) -> None:
    """The engine's own Lambda settles it."""
    from adapter.engine import registry

    handle = hurried.start(HOUR)
    known = registry.definitions.pop(hurried.name)
    try:
        cloud.advance(60)
        assert handle.status() == "rejected_timedout"
    finally:
        registry.definitions[hurried.name] = known


def test_a_promise_from_outside_may_have_a_deadline(cloud: LocalCloud) -> None:
    """It settles then, and refuses a late answer."""
    handle = asks_outside.start(HOUR)
    cloud.advance(HOUR)
    assert handle.result() == "nobody answered"
    with pytest.raises(errors.AlreadySettled, match="rejected_timedout"):
        resolve(f"{handle.id}~0", True)


def test_an_answer_in_time_is_heard(any_cloud: LocalCloud) -> None:
    """The deadline passes unnoticed."""
    handle = asks_outside.start(HOUR)
    any_cloud.advance(60)
    resolve(f"{handle.id}~0", True)
    assert handle.result() == "yes"


def test_the_deadline_of_what_nobody_awaits_holds_too(cloud: LocalCloud) -> None:
    """A function waits for what it started, no longer than that has."""

    @durable
    async def forgets() -> str:
        patient.with_options(timeout=100)(HOUR)
        return "ended"

    begun = cloud.now()
    with pytest.warns(DurableWarning, match="never heard that run-1~0 failed"):
        assert cloud.run(forgets) == "ended"
    assert cloud.now() - begun == dt.timedelta(seconds=100)


@durable
async def race() -> list[str]:
    async def one(name: str, timeout: float) -> None:
        try:
            await patient.with_options(timeout=timeout)(HOUR)
        except errors.PromiseTimeout:
            order.append(name)
            await step(len(order))

    order: list[str] = []
    await asyncio.gather(one("slow", 600), one("quick", 60), one("middle", 300))
    return order


@pytest.mark.parametrize("weather", ["cloud", "cold"])
def test_of_several_deadlines_the_code_hears_of_the_first_one_first(
    weather: str, request: pytest.FixtureRequest
) -> None:
    """A replay hears of them in the same order."""
    cloud: LocalCloud = request.getfixturevalue(weather)
    assert cloud.run(race) == ["quick", "middle", "slow"]


def test_a_race_of_deadlines_replays_exactly(any_cloud: LocalCloud) -> None:
    """A run that comes so late that two have passed settles both in one moment: the code hears of each once."""
    assert sorted(any_cloud.run(race)) == ["middle", "quick", "slow"]


def test_an_outcome_that_came_first_is_what_the_caller_sees(cloud: LocalCloud) -> None:
    """Everyone sees one outcome: a deadline asks the record, and presumes nothing."""

    @durable
    async def tight() -> int | str:
        call = slow.with_options(timeout=100)(7, 100 / HOUR)
        try:
            return await call
        except errors.PromiseTimeout:
            return "late"

    outcome = cloud.run(tight)
    stands = attach("run-1~0").status()
    assert (outcome, stands) in ((7, "resolved"), ("late", "rejected_timedout"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("timeout", "place", "operation"),
    [
        (60, "adapter.lambdas.sweeper.fire", Settle),
        (60, "adapter.lambdas.sweeper.fire", Invoke),
        (HOUR, "adapter.lambdas.sweeper.fire", Invoke),
        (HOUR, "adapter.lambdas.sweeper.sweep", SendBatch),
    ],
)
def test_a_deadline_survives_the_death_of_who_enforces_it(
    timeout: int, place: str, operation: type[Any], when: str, cloud: LocalCloud
) -> None:
    """The message comes again."""
    cloud.kill(place, operation, when)
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(patient.with_options(timeout=timeout), 10 * HOUR)


@durable(timeout=30)
def notes() -> str:
    LOG.append("ran")
    return "noted"


def test_a_run_that_comes_after_its_deadline_runs_no_code(cloud: LocalCloud) -> None:
    """Its Lambda died, and so did the one that should have settled it. Lambda repeats both later."""
    cloud.kill(notes, RunCode, "before")
    cloud.kill("adapter.lambdas.sweeper.fire", PeekFunction, "before")
    begun = cloud.now()
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(notes)
    assert cloud.now() - begun == dt.timedelta(seconds=60)
    assert LOG == []


def test_nothing_is_left_in_the_index(cloud: LocalCloud) -> None:
    """It has no entry of a promise that timed out, or that settled in time."""
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(patient.with_options(timeout=HOUR), 10 * HOUR)
    cloud.run(patient.with_options(timeout=10 * HOUR), HOUR)
    cloud.drive()
    assert awaited(cloud) == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_positive_number_of_seconds(timeout: float) -> None:
    """The library refuses anything else where the user writes it."""
    with pytest.raises(errors.ConfigurationError, match="positive"):
        patient.with_options(timeout=timeout)
    with pytest.raises(errors.ConfigurationError, match="positive"):
        durable(timeout=timeout)


@pytest.mark.parametrize("timeout", [1, 20, 59, 60, 600, 900])
def test_a_near_deadline_of_a_root_that_never_ran_is_met_to_the_second(timeout: int, cloud: LocalCloud) -> None:
    """A message brings it: the index knows minutes, and the sweeper may have passed already."""
    cloud.advance(30)
    cloud.service.losses = {1}
    begun = cloud.now()
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(patient.with_options(timeout=timeout), 1)
    assert (cloud.now() - begun).total_seconds() == timeout
