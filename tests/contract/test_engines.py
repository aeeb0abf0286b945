"""Whole runs come to the same on every engine: what tests show in memory holds of the product on AWS's API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from adapter.protocol.records import Record
from adapter.testing import Faults, LocalCloud
from tests.faults.crashes.plays import PLAYS, staged
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.effort import effort
from tests.support.laws import HOUR, STORM

IN_STORMS = effort(["sequence", "gathered_with_exceptions", "timeout_outside", "async_generators"], list(PROGRAMS))


@dataclass(frozen=True)
class Ended:
    """What happened in a run and when, all that it leaves behind, and what it cost."""

    outcome: object
    events: list[tuple[int, str, str, str]]
    records: list[Record]
    objects: dict[str, str]
    counts: dict[str, object]


def ended(run: Callable[[LocalCloud], object], engine: str, seed: int = 0, faults: Faults | None = None) -> Ended:
    with LocalCloud(engine=engine, seed=seed, faults=faults) as cloud:
        events: list[tuple[int, str, str, str]] = []
        cloud.watchers.append(lambda event: events.append((event.at, event.what, event.function, event.promise)))
        outcome = run(cloud)
        counts = {what: count for what, count in vars(cloud.stats).items() if isinstance(count, int | Counter)}
        return Ended(outcome, events, cloud.records(), cloud._world.objects(), counts)


@pytest.mark.parametrize("name", PLAYS)
def test_a_program_ends_the_same_in_memory_and_on_moto(name: str) -> None:
    """Both have the same records, objects, writes and units read. The programs make every write and call."""

    def run(cloud: LocalCloud) -> object:
        return staged(name, cloud)

    assert ended(run, "moto") == ended(run, "memory")


@pytest.mark.parametrize("name", IN_STORMS)
def test_a_seed_brings_the_same_weather_in_memory_and_on_moto(name: str) -> None:
    """The seed draws the same deaths, duplicates and delays: both make the same records at the same times."""

    def run(cloud: LocalCloud) -> object:
        outcome = cloud.run(made_durable(name))
        cloud.advance(100 * HOUR)
        return outcome

    seed = list(PROGRAMS).index(name)
    assert ended(run, "moto", seed, STORM) == ended(run, "memory", seed, STORM)
