"""Records of the stream that their mapping puts aside: a wait takes longer, once, and no later one does."""

from __future__ import annotations

import asyncio

import pytest

from adapter import durable, promise, resolve
from adapter.engine.telling import What
from adapter.protocol.messages import Cause, Resume
from adapter.testing import Faults, LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.happenings import Happening
from tests.support.drops import drop
from tests.support.envelopes import sent
from tests.support.laws import WINDOW

LOOK = 20 * 60 + WINDOW


@durable
def step(n: int) -> int:
    return n


@durable
async def waves(count: int) -> int:
    return sum([sum(await asyncio.gather(step(n), step(n))) for n in range(count)])


@durable
async def sequence(count: int) -> int:
    return sum([await step(n) for n in range(count)])


@durable
async def patient(count: int) -> int:
    """Its own timers wake it before the watchdog does."""
    total = 0
    for n in range(count):
        called = [step(n), step(n)]
        await asyncio.wait(called, timeout=600)
        total += sum(await asyncio.gather(*called))
    return total


@durable
async def asks() -> int:
    asked = promise(int)
    return sum(await asyncio.gather(step(1), step(2), asked))


def seconds(cloud: LocalCloud, before: int) -> int:
    return (cloud.clock() - before) // 1_000_000


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1), (3,)])
def test_a_record_that_never_comes_delays_one_wait(cloud: LocalCloud, which: tuple[int, ...]) -> None:
    """Without making up for it, each later wait took 20 minutes, too: 2 h 40 min for eight."""
    drop(cloud, *which)
    before = cloud.clock()
    assert cloud.run(waves, 8) == 56
    assert seconds(cloud, before) == LOOK


def test_records_of_direct_waits_delay_these_waits(cloud: LocalCloud) -> None:
    """The resumer doesn't count them, so a run makes up for nothing."""
    drop(cloud, 2, 5)
    before, told = cloud.clock(), []
    cloud.watchers.append(lambda event: told.append(event.what))
    assert cloud.run(sequence, 8) == 28
    # The second comes after as much time again as it had not moved.
    assert seconds(cloud, before) == 2 * LOOK + WINDOW
    assert What.MADE_UP not in told


def test_a_function_that_its_timer_wakes_makes_up_for_what_is_missing(cloud: LocalCloud) -> None:
    """No look comes to it. Each later wait took ten minutes."""
    drop(cloud, 1)
    before, told = cloud.clock(), []
    cloud.watchers.append(lambda event: told.append(event.what))
    assert cloud.run(patient, 8) == 56
    assert seconds(cloud, before) == 600
    assert What.MISSED not in told


def test_who_makes_up_for_it_takes_nothing_for_known_that_was_counted_meanwhile(cloud: LocalCloud) -> None:
    """I3: a settlement is counted just after the run has loaded; it would wait for one more, which doesn't exist."""
    drop(cloud, 0, 1, 2)
    handle = asks.with_options(id="asks").start()
    cloud.advance(120)
    told: list[str] = []

    def between(event: Event) -> None:
        told.append(event.what)
        if event.what is What.MADE_UP:
            resolve("asks~0", 3)
            cloud._world.store.arrive("asks", 1)

    cloud.watchers.append(between)
    sent(cloud, DEFAULT_FUNCTION, Resume(id="asks", cause=Cause.CHECK))
    cloud.drive()
    assert handle.status().value == "resolved"
    assert handle.result() == 6
    assert told.count(What.MADE_UP) == 1
    assert What.MISSED not in told


def test_what_settled_just_now_is_not_made_up_for(cloud: LocalCloud) -> None:
    """I8: its record is on its way, and counted twice it would wake in vain."""
    told: list[Event] = []
    cloud.watchers.append(told.append)
    assert cloud.run(waves, 8) == 56
    assert not any(event.what is What.MADE_UP for event in told)
    stored = [record for record in cloud.records() if record.arrivals]
    assert [record.arrivals for record in stored] == [16]


@pytest.mark.parametrize("seed", range(10))
def test_drops_of_all_kinds_delay_and_lose_nothing(seed: int) -> None:
    """I3: everything else that may go wrong does, too."""
    faults = Faults(drop=0.2, crash=0.05, duplicate=0.1, reorder=0.2, delay=0.1)
    with LocalCloud(seed=seed, faults=faults, engine="memory") as cloud:
        told: list[str] = []
        cloud.watchers.append(lambda event: told.append(event.what))
        assert cloud.run(waves, 4) == 12
        assert cloud.run(sequence, 4) == 6
        assert cloud.run(patient, 4) == 12
        assert told.count(Happening.DROPPED) == cloud.dice.drawn["drop"] > 0
