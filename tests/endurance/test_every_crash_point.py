"""The crash table, walked: a Lambda dies once, before or after each single call to the outside that a program makes.

Whichever Lambda that is: the function's own, the resumer, the sweeper, the timers', the one that buries dead letters.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapter import durable, promise, resolve, run
from adapter.ports import (
    Arm,
    Arrive,
    Claim,
    Close,
    Create,
    Get,
    Invoke,
    Load,
    LoadChildren,
    Many,
    Now,
    Postpone,
    Register,
    Remaining,
    RunCode,
    Schedule,
    Settle,
)
from adapter.testing import LocalCloud
from adapter.testing.cloud import Event
from adapter.testing.faults import Kill
from adapter.testing.hosting import GetPayload, PutPayload
from tests.endurance.programs import DAY, HOUR, fails, leaf, patient
from tests.scenarios.stage import left_open
from tests.simulation.laws import Limit

READS = (Get, Load, LoadChildren, Now, Remaining, GetPayload)
"""Deaths around a read are those around the write before it or after it."""

WRONG = ("missed", "failed", "unhandled")
"""What no single death brings about: it is made good without the watchdog, and nobody meets what isn't there."""


def is_point(operation: object) -> bool:
    """A list of operations is its parts; but code that runs side by side is one call."""
    if isinstance(operation, Many):
        return all(isinstance(one, RunCode) for one in operation.operations)
    return not isinstance(operation, READS)


@dataclass
class Nth(Kill):
    """Any Lambda, at its ``left``-th call of any kind; remembers what that was."""

    left: int = 0
    met: list[type[Any]] = field(default_factory=list)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        if when != self.when or not is_point(operation):
            return False
        self.left -= 1
        if self.left != 0:
            return False
        self.met.append(type(operation))
        return True


@durable
def large(size: int) -> str:
    return "x" * size


@durable
async def calls() -> int:
    first = await leaf(1)
    return first + sum(await asyncio.gather(leaf(2), leaf(3))) + await run(int, "4")


@durable
async def announces() -> int:
    """An inline step that leads a remote call: it is written before it runs."""
    return sum(await asyncio.gather(run(int, "1"), leaf(2)))


@durable
async def waits() -> str:
    try:
        async with asyncio.timeout(2 * HOUR):
            await patient(30)
    except TimeoutError:
        await asyncio.sleep(60)
    return await patient(1)


@durable
async def links() -> int:
    detached = leaf.with_options(id="apart").detach(5)
    shared = await asyncio.gather(*(leaf.with_options(id="shared")(6) for _ in range(2)))
    return sum(shared) + len(detached.id)


@durable
async def asks() -> int:
    asked = promise(int)
    await run(int)
    return await asked + await leaf(1)


@durable
async def carries() -> int:
    texts = await asyncio.gather(large(20_000), large(30_000), run(str.ljust, "", 20_000))
    return sum(map(len, texts))


@durable
async def maps() -> int:
    return sum(await leaf.map(range(4), max_concurrency=2))


@durable(timeout=2 * HOUR)
async def expires() -> None:
    await patient(30)


def answered(cloud: LocalCloud) -> object:
    """A person answers after an hour."""
    handle = asks.with_options(id="asks").start()
    cloud.advance(HOUR)
    resolve("asks~0", 41)
    return handle.result()


def expired(cloud: LocalCloud) -> object:
    """A root that meets its deadline."""
    handle = expires.start()
    cloud.advance(3 * HOUR)
    return handle.status().value


PROGRAMS: dict[str, tuple[Callable[[LocalCloud], object], object]] = {
    "calls": (lambda cloud: cloud.run(calls), 10),
    "announces": (lambda cloud: cloud.run(announces), 3),
    "waits": (lambda cloud: cloud.run(waits), "slept"),
    "links": (lambda cloud: cloud.run(links), 17),
    "asks": (answered, 42),
    "fails": (lambda cloud: cloud.run(fails), "caught"),
    "carries": (lambda cloud: cloud.run(carries), 70_000),
    "maps": (lambda cloud: cloud.run(maps), 6),
    "expires": (expired, "rejected_timedout"),
}


def play(program: Callable[[LocalCloud], object], kill: Nth) -> object:
    """The outcome; everything that was begun has come to its end."""
    with LocalCloud(engine="memory") as cloud:
        wrong: list[Event] = []
        cloud.watchers.append(Limit())
        cloud.watchers.append(lambda event: wrong.append(event) if event.what in WRONG else None)
        cloud._driver.kill(kill)
        outcome = program(cloud)
        cloud.advance(2 * DAY)
        assert left_open(cloud) == []
        assert cloud.lost == []
        assert wrong == []
        assert not any(poller.discarded for poller in cloud._world.pollers)
    return outcome


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_death_at_any_point_changes_no_outcome_and_leaves_nothing_open(name: str, when: str) -> None:
    """One point after the other, until there is none left."""
    program, value = PROGRAMS[name]
    points: Counter[str] = Counter()
    while True:
        kill = Nth("", object, when, left=points.total() + 1)
        outcome = play(program, kill)
        assert outcome == value, f"died {when} call {points.total() + 1}: {kill.met}"
        if not kill.met:
            break
        points[kill.met[0].__name__] += 1
    assert points.total() > 10


WRITES = (
    Arm,
    Arrive,
    Claim,
    Close,
    Create,
    Invoke,
    Postpone,
    PutPayload,
    Register,
    RunCode,
    Schedule,
    Settle,
)


def test_every_kind_of_call_is_among_the_points() -> None:
    """Those of the crash table; a schedule's and a pause's have tests of their own."""
    seen: set[str] = set()
    for program, _ in PROGRAMS.values():
        with LocalCloud(engine="memory") as cloud:
            watch = Watch("", object, "before")
            cloud._driver.kill(watch)
            program(cloud)
            cloud.advance(2 * DAY)
            seen |= watch.seen
    assert {kind.__name__ for kind in WRITES} <= seen


@dataclass
class Watch(Kill):
    """Kills nothing."""

    seen: set[str] = field(default_factory=set)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        self.seen.add(type(operation).__name__)
        return False
