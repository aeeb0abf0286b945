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
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.laws import STORM, Limit, plainly


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


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_three_sandboxes_and_a_storm_it_is_what_plain_asyncio_gives(name: str) -> None:
    """Some sandboxes remember executions that others have taken further."""
    with LocalCloud(seed=list(PROGRAMS).index(name), faults=STORM, engine="memory") as cloud:
        cloud.watchers.append(Limit())
        with sandboxes(cloud, 3):
            assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])
