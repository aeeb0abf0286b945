"""Callers that race their calls: each batch of the stream resumes them again, before the first of these runs claims."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pytest

from adapter import durable, run
from adapter.engine.operations import Claim
from adapter.engine.telling import What
from adapter.protocol.messages import Cause, Resume
from adapter.testing import Faults, LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.faults import Kill
from tests.support.effort import effort
from tests.support.envelopes import sent

SEEDS = range(effort(40, 1_000))
CLOUDS: list[LocalCloud] = []
RAN: Counter[str] = Counter()


@durable(name="racing:leaf")
def leaf(number: int) -> int:
    return number


def slow(name: str) -> None:
    """Long enough for the next batch of the stream."""
    RAN[name] += 1
    CLOUDS[-1].elapse(5)


@durable(name="racing:races")
async def races() -> int:
    """An inline step follows the first of four calls."""
    calls = [asyncio.ensure_future(leaf(number)) for number in range(4)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await run(slow, "after the first")
    return sum(await asyncio.gather(*calls))


@durable(name="racing:takes_turns")
async def takes_turns() -> int:
    """An inline step follows each of eight calls, in the order in which they settle."""
    total = 0
    for number, call in enumerate(asyncio.as_completed([leaf(number) for number in range(8)])):
        total += await call
        await run(slow, f"after {number}")
    return total


@durable(name="racing:resigns")
async def resigns() -> int:
    """Of two calls it takes the first, and then both."""
    calls = [asyncio.ensure_future(leaf(number)) for number in range(2)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    return sum(await asyncio.gather(*calls))


PROGRAMS = [(races, 6), (takes_turns, 28)]


@pytest.mark.parametrize(("program", "outcome"), PROGRAMS, ids=lambda one: getattr(one, "name", ""))
@pytest.mark.parametrize("scatter", [0.0, 1.0])
def test_without_faults_an_inline_step_after_a_race_runs_once(program: object, outcome: int, scatter: float) -> None:
    """I5: of the runs that one count has resumed, one goes on, in whatever sandbox."""
    for seed in SEEDS:
        RAN.clear()
        with LocalCloud(seed, Faults(scatter=scatter), engine="memory", latencies=True) as cloud:
            CLOUDS[:] = [cloud]
            assert cloud.run(program) == outcome  # type: ignore[call-overload]
        assert set(RAN.values()) == {1}, f"seed {seed}: {RAN}"


def counted_twice(cloud: LocalCloud) -> list[str]:
    """Each message of the resumer that a count sends is sent by another batch, too. Lists what it was for."""
    doubled: list[str] = []

    def again(event: Event) -> None:
        own = cloud.peek(event.promise) if event.what is What.WAKING else None
        if own is not None and own.threshold is not None:
            doubled.append(own.id)
            sent(cloud, DEFAULT_FUNCTION, Resume(id=own.id, cause=Cause.COUNTED, armed=own.epoch))

    cloud.watchers.append(again)
    return doubled


def test_a_wake_in_vain_leaves_what_a_sandbox_remembers(cloud: LocalCloud) -> None:
    """The second message of a count finds the function claimed, or armed anew. Nothing is replayed for it."""
    doubled = counted_twice(cloud)
    assert cloud.run(resigns) == 1
    assert doubled
    assert cloud.stats.bodies[resigns] == 1


@dataclass
class Claiming(Kill):
    """The request that claims first dies of it; its retries, too."""

    first: list[str]

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        if not isinstance(operation, Claim) or when != self.when:
            return False
        self.first[:] = self.first or [operation.by]
        return [operation.by] == self.first


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_run_that_dies_once_it_has_claimed_is_made_good_by_its_own_request(cloud: LocalCloud, deaths: int) -> None:
    """I3: the others were refused. Lambda's retry claims again; after the last, the dead letter loads everything."""
    told: list[Event] = []
    cloud.watchers.append(told.append)
    doubled = counted_twice(cloud)
    first: list[str] = []
    for _ in range(deaths):
        cloud._driver.kill(Claiming(DEFAULT_FUNCTION, Claim, "after", first))
    assert cloud.run(resigns) == 1
    assert doubled
    assert [event for event in told if event.what is What.MISSED] == []
    assert len([event for event in told if event.what is What.DEAD_LETTER]) == (deaths == 3)
