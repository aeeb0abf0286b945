"""Timers and deadlines of a root are met, whatever it waited for before, and however the watchdog's looks fall."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from dataclasses import replace

import pytest

from adapter import durable, errors, promise, resolve, run
from adapter.engine.ports import drive
from adapter.lambdas.watchdog import look
from adapter.protocol.times import SECOND
from adapter.protocol.timing import RETENTION
from adapter.testing import LocalCloud
from tests.support.effort import effort
from tests.support.laws import HOUR

MINUTE = 60
CLOUD: list[LocalCloud] = []
Segment = tuple[int, float, float]

LATE = 25
"""A look comes up to twenty seconds late, and what stands in its place as late."""


def work(seconds: float) -> int:
    CLOUD[0].elapse(seconds)
    return 1


@durable(name="met:nap")
async def nap(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 1


@durable(name="met:program")
async def program(segments: list[Segment]) -> int:
    for kind, first, second in segments:
        try:
            match kind:
                case 0:
                    await asyncio.sleep(first)
                case 1:
                    await nap(first)
                case 2:
                    await asyncio.gather(nap(first), nap(second))
                case 3:
                    await promise(str, timeout=first)
                case 4:
                    await asyncio.wait_for(nap(first), second)
                case _:
                    await run(work, min(first, 20.0) / 20)
        except TimeoutError:
            pass
    return len(segments)


def length(segments: list[Segment]) -> float:
    """How long a program takes where nothing is late."""
    taken = {2: max, 4: min}
    return sum(
        min(first, 20.0) / 20 if kind == 5 else taken.get(kind, lambda first, _: first)(first, second)
        for kind, first, second in segments
    )


LENGTHS = (1, 30, 300, 600, 890, 910, 1190, 1199.5, 1200, 1205, 1260, 1500, 2400, 2500)
DEADLINES = (600, 900, 1100, 1199, 1205, 1300, 2400, 3600, 5000, 7200, 200_000)


def drawn(dice: random.Random) -> tuple[list[Segment], float]:
    """Programs and deadlines whose times lie about the looks' and the messages' own."""
    segments = [
        (dice.randrange(6), dice.choice(LENGTHS) + dice.choice([0, 0, dice.randrange(20)]), dice.randrange(1, 2_500))
        for _ in range(dice.randrange(1, 6))
    ]
    return segments, dice.choice(DEADLINES)


@pytest.mark.parametrize("seed", range(effort(60, 1_500)))
def test_a_root_ends_when_its_times_say_or_at_its_deadline(seed: int) -> None:
    """Nothing fails, so nothing is late."""
    segments, deadline = drawn(random.Random(seed))
    with LocalCloud(seed, engine="memory", verify=False) as cloud:
        CLOUD[:] = [cloud]
        begun = cloud.clock()
        handle = program.with_options(timeout=deadline).start(segments)
        wanted = min(deadline, length(segments))
        cloud.advance(wanted + LATE)
        settled = next(record.settled_at for record in cloud.records() if record.id == handle.id)
    assert wanted - 1 <= (settled - begun) / SECOND <= wanted + LATE


@durable(name="met:two_waits")
async def two_waits(first: float, second: float) -> str:
    await asyncio.sleep(first)
    await nap(second)
    return await promise(str)


@pytest.mark.parametrize(("first", "second"), [(42, 1), (42, 3.5), (42, 12), (41, 10), (44.5, 1)])
def test_a_deadline_outlives_the_timer_whose_entry_stood_for_it(first: float, second: float) -> None:
    """A claim shortly before the deadline, and then waits for one child each, which arm nothing."""
    with LocalCloud(engine="memory") as cloud:
        begun = cloud.now()
        with pytest.raises(errors.PromiseTimeout):
            cloud.run(two_waits.with_options(timeout=HOUR), first * MINUTE, second * MINUTE)
        assert cloud.now() - begun == dt.timedelta(hours=1)


@durable(name="met:approval")
async def approval(seconds: float) -> str:
    await run(work, 1.0)
    try:
        return await promise(str, timeout=seconds)
    except TimeoutError:
        return "nobody answered"


@pytest.mark.parametrize("seconds", [1190, 1199, 1200, 1201, 1219, 1221, 2405])
def test_a_timer_just_after_a_look_is_met_to_the_second(seconds: float) -> None:
    """The look that comes first, and some seconds late, doesn't take the place of the timer."""
    with LocalCloud(engine="memory") as cloud:
        CLOUD[:] = [cloud]
        begun = cloud.now()
        assert cloud.run(approval, seconds) == "nobody answered"
        assert cloud.now() - begun == dt.timedelta(seconds=seconds + 1)


@durable(name="met:works_late")
async def works_late(count: int) -> int:
    await asyncio.gather(*(promise(str) for _ in range(count)))
    return await run(work, 10 * MINUTE)


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_that_works_past_the_deadline_is_timed_out_all_the_same(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim has moved the root's entry beyond the deadline."""
    with LocalCloud(engine="memory", concurrency=50) as cloud:
        CLOUD[:] = [cloud]
        for function in cloud.service.functions.values():
            monkeypatch.setattr(function, "spec", replace(function.spec, timeout_s=900))
        begun = cloud.clock()
        handle = works_late.with_options(timeout=2 * HOUR).start(count)
        cloud.advance(2 * HOUR - 5 * MINUTE)
        for ordinal in range(count):
            resolve(f"{handle.id}~{ordinal}", "a")
        cloud.advance(HOUR)
        settled = next(record for record in cloud.records() if record.id == handle.id)
        assert (settled.state, (settled.settled_at - begun) / SECOND) == ("rejected_timedout", 2 * HOUR)


@durable(name="met:sleeps")
async def sleeps(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return await promise(str)


@pytest.mark.parametrize("kind", ["import", "missing"])
def test_a_root_whose_lambda_is_out_is_timed_out_though_it_slept(kind: str) -> None:
    """Its own run can't do that, and nothing but its timer would start that run."""
    with LocalCloud(engine="memory") as cloud:
        begun = cloud.clock()
        handle = sleeps.with_options(timeout=2 * HOUR).start(HOUR)
        cloud.advance(HOUR / 2)
        with cloud.outage(sleeps, kind):
            cloud.advance(3 * HOUR)
            settled = next(record for record in cloud.records() if record.id == handle.id)
            assert (settled.state, (settled.settled_at - begun) / SECOND) == ("rejected_timedout", 2 * HOUR)


@durable(name="met:waits_long")
async def waits_long() -> str:
    try:
        return await promise(str, timeout=24 * MINUTE)
    except TimeoutError:
        return "nobody answered"


def test_a_look_that_comes_late_sends_the_timer_whose_place_it_took() -> None:
    """Its queue may be minutes behind: by then the timer is due, and nobody else sends it."""
    with LocalCloud(engine="memory") as cloud:
        handle = waits_long.start()
        cloud.drive()
        looked_at = next(record.due_at for record in cloud.records() if record.id == handle.id)
        assert looked_at is not None
        cloud._driver.reach(cloud.clock() + (24 * MINUTE + 20) * SECOND)
        drive(look(handle.id, looked_at, RETENTION), cloud._host.ports.perform)
        cloud.drive()
        assert handle.status() == "resolved"


@pytest.mark.parametrize("deadline", [62, 70, 73, 100])
def test_a_deadline_outlives_a_timer_that_could_not_run(deadline: int) -> None:
    """Lambda refuses it for ten seconds. The message that is kept claims nothing, and finds the entry of the timer."""
    with LocalCloud(engine="memory") as cloud:
        begun = cloud.clock()
        handle = sleeps.with_options(timeout=deadline * MINUTE).start(HOUR)
        cloud.advance(HOUR - 5)
        with cloud.outage(sleeps, "denied"):
            cloud.advance(10)
        cloud.advance(HOUR)
        settled = next(record for record in cloud.records() if record.id == handle.id)
        assert (settled.state, settled.settled_at - begun) == ("rejected_timedout", deadline * MINUTE * SECOND)
