"""Each execution is replayed once when it ends: code that doesn't replay fails its first test."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, now, random, run, uuid4
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE

COUNT = itertools.count()
MORE = itertools.count(1)
LESS = itertools.count(9, -1)
BODIES: list[str] = []


@durable
def note(value: Any) -> Any:
    return value


@durable
async def by_the_clock() -> float:
    return float(await note(time.time_ns()))


@durable
async def one_more_each_time() -> None:
    for _ in range(next(MORE)):
        await note(0)


@durable
async def one_less_each_time() -> None:
    for _ in range(next(LESS)):
        await note(0)


@durable
async def waits_in_the_replay() -> None:
    await note(1)
    if next(COUNT) > FIRST:
        await asyncio.Future()


@durable
async def cleans_up_by_the_clock() -> None:
    try:
        await asyncio.sleep(86_400)
    finally:
        await note(time.time_ns())


DRIFTING = [by_the_clock, one_more_each_time, one_less_each_time]


@pytest.mark.parametrize("function", DRIFTING, ids=lambda fn: fn.name.rpartition(":")[2])
@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_code_that_does_not_replay_fails_its_first_test(function: Any, engine: str) -> None:
    """It fails in calm, where nothing made it replay."""
    with LocalCloud(engine=engine) as cloud, pytest.raises(errors.NonDeterminismError, match="LocalCloud replays"):
        cloud.run(function)


FIRST = 0


def test_code_that_ended_and_waits_in_the_replay_is_told(cloud: LocalCloud) -> None:
    """It would never end, had its Lambda died before its end."""
    globals()["FIRST"] = next(COUNT) + 1
    with pytest.raises(errors.NonDeterminismError, match="the replay goes on, where the first run had ended"):
        cloud.run(waits_in_the_replay)


def test_a_clean_up_is_replayed_too(cloud: LocalCloud) -> None:
    """What a cancelled function does is as durable as what it did before."""
    handle = cleans_up_by_the_clock.start()
    cloud.drive()
    handle.cancel()
    with pytest.raises(errors.NonDeterminismError):
        cloud.drive()


def test_a_drift_is_raised_once_and_by_whatever_drives() -> None:
    """The outcome stands, and a caller can read it afterwards."""
    with LocalCloud(engine=ENGINE) as cloud:
        handle = by_the_clock.start()
        with pytest.raises(errors.NonDeterminismError):
            cloud.advance(1)
        assert isinstance(handle.result(), float)


def test_a_cloud_that_does_not_verify_runs_it_as_it_is() -> None:
    """A user may know that code doesn't replay."""
    with LocalCloud(engine=ENGINE, verify=False) as cloud:
        assert isinstance(cloud.run(by_the_clock), float)


@durable
async def diverse(items: int) -> list[Any]:
    BODIES.append("diverse")
    first = await asyncio.gather(*(note(one) for one in range(items)))
    await run(lambda: BODIES.append("inline"))
    await asyncio.sleep(3)
    drawn = [str(uuid4()), random(), now().isoformat()]
    raced, _ = await asyncio.wait([note("a"), note("b")], return_when=asyncio.FIRST_COMPLETED)
    return [first, await note(drawn), len(raced), await note.map(list(range(items)))]


def test_a_check_changes_no_count_and_no_record() -> None:
    """The check reads, writes and invokes nothing, and runs no step again."""
    seen: list[Any] = []
    for verify in (True, False):
        BODIES.clear()
        with LocalCloud(engine=ENGINE, verify=verify) as cloud:
            cloud.run(diverse, 300)
            stats = {name: value for name, value in vars(cloud.stats).items() if name != "metered"}
            seen.append([stats, cloud.now(), cloud.records(), BODIES.count("inline")])
        assert BODIES.count("diverse") == 1 + verify
    assert seen[0] == seen[1]


@durable
async def reads_the_outside() -> list[Any]:
    await note(1)
    return [str(attach("other").status()), await attach("other")]


def test_what_code_reads_of_the_outside_is_read_at_no_cost(cloud: LocalCloud) -> None:
    """It may read other promises; the check reads them again."""
    note.with_options(id="other").start(5)
    assert cloud.run(reads_the_outside) == ["resolved", 5]


@durable(retry=Retry(attempts=3, initial=60))
async def tried_again() -> int:
    value = int(await note(1))
    async with asyncio.timeout(5):
        await asyncio.sleep(10)
    return value


@durable
async def races() -> list[Any]:
    found = []
    for each in asyncio.as_completed([note(one) for one in range(5)]):
        found.append(await each)
    return found


@durable
async def fails() -> None:
    await note(1)
    raise ValueError("as it should")


@pytest.mark.parametrize("seed", range(5))
def test_exact_code_passes_in_any_order_of_events(seed: int) -> None:
    """The check follows the order in which this run heard of things, recorded or not."""
    faults = Faults(reorder=0.5, delay=0.3, duplicate=0.2, crash=0.03)
    with LocalCloud(seed=seed, faults=faults, engine=ENGINE) as cloud:
        assert sorted(cloud.run(races)) == list(range(5))
        assert cloud.run(diverse, 4)[0] == [0, 1, 2, 3]
        with pytest.raises(TimeoutError):
            cloud.run(tried_again)
        with pytest.raises(ValueError, match="as it should"):
            cloud.run(fails)
