"""The watchdog tells a lost start from one that waits in a queue or between attempts, and runs nothing twice."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from adapter import Retry, durable, run
from adapter.engine.operations import RunCode
from adapter.protocol.times import SECOND
from adapter.protocol.timing import WATCH
from adapter.testing import LocalCloud
from tests.faults.crashes.programs import DAY, HOUR

THROTTLED = 6 * HOUR - 600

WIDTH = 50


@durable(name="watchdog:queued", target="leaves")
def queued(index: int) -> int:
    return index


@durable(name="watchdog:spread")
async def spread() -> int:
    return sum(await queued.map(range(WIDTH)))


@durable(name="watchdog:endless", retry=Retry(attempts=math.inf))
def endless(fails: bool) -> str:
    if fails:
        raise OSError("not yet")
    return "done"


def test_a_throttled_backlog_is_not_multiplied(cloud: LocalCloud) -> None:
    """Six hours make a handful of events, and not five for each. Then all of them run."""
    handle = spread.start()
    with cloud.outage(queued, "throttled"):
        cloud.drive()
        before = cloud.service.accepted
        cloud.advance(THROTTLED)
        assert cloud.service.accepted - before <= 10
    assert handle.result() == sum(range(WIDTH))
    assert cloud.stats.bodies[queued] == WIDTH


@durable(name="watchdog:works")
def works(index: int) -> int:
    CLOUDS[-1].elapse(50)
    return index


@durable(name="watchdog:begins_with_a_step")
async def begins_with_a_step(index: int) -> int:
    return await run(works.__wrapped__, index)


CLOUDS: list[LocalCloud] = []


def throttled(program: Any, seconds: int, roots: int) -> tuple[int, list[str]]:
    """Roots whose Lambda is throttled for so long: how often their code began, and what was told."""
    told: list[str] = []
    with LocalCloud(engine="memory", concurrency=roots + 5, verify=False) as cloud:
        CLOUDS[:] = [cloud]
        cloud.watchers.append(lambda event: told.append(event.what))
        with cloud.outage(program, "throttled"):
            handles = [program.start(index) for index in range(roots)]
            cloud.advance(seconds)
        assert [handle.result() for handle in handles] == list(range(roots))
        cloud.advance(HOUR)
        return cloud.stats.bodies[program], told


@pytest.mark.parametrize("program", [works, begins_with_a_step], ids=["leaf", "step"])
@pytest.mark.parametrize("minutes", [23, 30, 50, 180, 345])
def test_a_check_that_waited_in_the_queue_begins_nothing(program: Any, minutes: int) -> None:
    """I5: the start that it looks for waits beside it, and both come as soon as there is room for them."""
    bodies, told = throttled(program, minutes * 60, 1)
    assert "missed" in told
    assert bodies == 1


def test_no_root_of_a_throttled_backlog_runs_twice() -> None:
    """Five looks at each of them found it silent."""
    bodies, told = throttled(works, THROTTLED, WIDTH)
    assert told.count("missed") > WIDTH
    assert bodies == WIDTH


def test_a_check_is_repeated_by_lambda_however_late_that_is(cloud: LocalCloud) -> None:
    """What it has begun isn't left to the next look; the third attempt comes after three minutes."""
    cloud.service.losses = {1}
    told: list[str] = []
    cloud.watchers.append(lambda event: told.append(event.what))
    cloud.kill(works, RunCode, "before")
    cloud.kill(works, RunCode, "before")
    CLOUDS[:] = [cloud]
    begun = cloud.now()
    assert cloud.run(works, 1) == 1
    assert told.count("missed") == 1
    assert (cloud.now() - begun).total_seconds() <= WATCH / SECOND + 60 + 300


def test_a_look_leaves_alone_what_another_check_has_just_begun(cloud: LocalCloud) -> None:
    """It may be between two attempts, as after any start."""
    cloud.service.losses = {1}
    tries: list[float] = []

    @durable(retry=Retry(attempts=3, initial=20 * HOUR, max_delay=20 * HOUR, jitter=0))
    def flaky() -> str:
        tries.append(cloud.now().timestamp())
        if len(tries) < 3:
            raise OSError("not yet")
        return "done"

    assert cloud.run(flaky) == "done"
    assert [after - before for before, after in pairwise(tries)] == [20 * HOUR, 20 * HOUR]


def test_a_backlog_that_was_lost_is_found_once_one_of_it_has_come_through(cloud: LocalCloud) -> None:
    """The first look tries one. By the second look it has settled, and nothing since."""
    cloud.service.losses = set(range(2, 2 + WIDTH))
    begun = cloud.now()
    assert cloud.run(spread) == sum(range(WIDTH))
    assert (cloud.now() - begun).total_seconds() <= 2 * (WATCH / SECOND + 60)


def test_a_lost_start_of_a_function_with_endless_attempts_is_made_again(cloud: LocalCloud) -> None:
    """It was refused for ever, since the function might be between two attempts."""
    cloud.service.losses = {1}
    begun = cloud.now()
    assert cloud.run(endless, False) == "done"
    assert (cloud.now() - begun).total_seconds() <= WATCH / SECOND + 60


def test_looks_make_no_second_row_of_endless_attempts(cloud: LocalCloud) -> None:
    """Each look makes one attempt more; no other follows it."""
    endless.start(True)
    cloud.advance(DAY)
    made = cloud.stats.bodies[endless]
    # One a minute in the end, some sooner at first; and a look after 20, 40, 80 minutes and so on.
    assert DAY / 60 - 5 <= made <= DAY / 60 + 20
