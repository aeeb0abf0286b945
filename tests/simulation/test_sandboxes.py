"""A Lambda has as many sandboxes as it needs, each remembers what it ran: which of them goes on changes nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapter import durable, promise, resolve
from adapter.engine.memory import Memory
from adapter.testing import Faults, LocalCloud
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.laws import STORM, Limit, plainly

STEPS = (":step", ":fails")
"""Plain functions."""


@contextmanager
def sandboxes(cloud: LocalCloud, count: int) -> Iterator[None]:
    """The invocations of each Lambda go to so many sandboxes in turns; each keeps what it suspended."""
    memories: dict[str, list[Memory]] = defaultdict(lambda: [Memory() for _ in range(count)])
    attempt = cloud._driver.attempt

    def in_turns(function: Function, invocation: Invocation) -> Any:
        turns = memories[function.spec.name]
        turns.append(turns.pop(0))
        function.memory.kept, function.memory.used = turns[0].kept, turns[0].used
        try:
            return attempt(function, invocation)
        finally:
            turns[0].used = function.memory.used

    cloud._driver.attempt = in_turns  # type: ignore[method-assign]
    try:
        yield
    finally:
        for memory in itertools.chain.from_iterable(memories.values()):
            memory.clear()


@durable
async def races() -> list[str]:
    a, b, c = promise(str), promise(str), promise(str)
    done, _ = await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
    first = promise(str) if a in done else promise(int)
    return [await c, await a, await b, str(await first)]


def test_a_sandbox_past_which_another_went_replays_instead_of_going_on_from_memory(cloud: LocalCloud) -> None:
    """The other one heard of ``b`` first, and recorded that; by the clock, this one would hear of ``a`` first."""
    with sandboxes(cloud, 2):
        handle = races.start()
        for ordinal, value in ((1, "b"), (0, "a"), (2, "c")):
            cloud.drive()
            resolve(f"{handle.id}~{ordinal}", value)
        cloud.drive()
        resolve(f"{handle.id}~3", 4)
        assert handle.result() == ["c", "a", "b", "4"]


@durable
def one(number: int) -> int:
    return number


@durable
async def asks_after(count: int) -> int:
    return sum([await one(number) for number in range(count)]) + await promise(int)


def test_each_sandbox_knows_what_it_suspended_itself() -> None:
    """Where the cloud scatters invocations, those that come to another one write and run as much."""
    for scatter in (0.0, 1.0):
        with LocalCloud(3, Faults(scatter=scatter), engine="memory") as cloud:
            handle = asks_after.start(8)
            cloud.drive()
            memories = cloud.service.functions["durable"].memories
            assert [handle.id in memory.kept for memory in memories].count(True) >= (2 if scatter else 1)
            assert len(memories) == (3 if scatter else 1)
            resolve(f"{handle.id}~8", 1)
            assert handle.result() == 29
            assert (cloud.stats.writes, cloud.stats.bodies[one]) == (20, 8)


@pytest.mark.parametrize("name", PROGRAMS)
def test_wherever_invocations_come_to_a_step_runs_once(name: str) -> None:
    """I5: that a sandbox knows nothing, or too little, is no fault."""
    bodies = []
    for scatter in (0.0, 0.5):
        with LocalCloud(list(PROGRAMS).index(name), Faults(scatter=scatter), engine="memory") as cloud:
            cloud.watchers.append(Limit())
            assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])
            bodies.append({fn: count for fn, count in cloud.stats.bodies.items() if fn.endswith(STEPS)})
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_three_sandboxes_and_a_storm_it_is_what_plain_asyncio_gives(name: str) -> None:
    """Some sandboxes remember executions that others have taken further."""
    with LocalCloud(seed=list(PROGRAMS).index(name), faults=STORM, engine="memory") as cloud:
        cloud.watchers.append(Limit())
        with sandboxes(cloud, 3):
            assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])
