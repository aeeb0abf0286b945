"""An index is behind its table: what it lacks comes later, and what it still shows does nothing."""

from __future__ import annotations

import asyncio

import pytest

from adapter import durable, schedule
from adapter.engine.telling import What
from adapter.protocol.times import NEVER
from adapter.protocol.timing import SHARDS
from adapter.testing import Faults, LocalCloud
from adapter.testing.happenings import Happening
from tests.support.effort import effort
from tests.support.laws import HOUR, Limit, items

BEHIND = Faults(lag=1.0)


@durable(name="lag:naps")
async def naps(count: int) -> int:
    for _ in range(count):
        await asyncio.sleep(HOUR - 1)
    return count


@durable(name="lag:impatient")
async def impatient(count: int) -> int:
    outcomes = await asyncio.gather(*(asyncio.wait_for(naps(9), HOUR) for _ in range(count)), return_exceptions=True)
    return sum(isinstance(outcome, TimeoutError) for outcome in outcomes)


@durable(name="lag:daily")
def daily() -> int:
    return 1


def shown(cloud: LocalCloud) -> list[str]:
    """What a function sees in the index."""
    store = cloud._host.ports.store
    return [due.id for shard in SHARDS for page in store.due(shard, NEVER) for due in page]


@pytest.mark.parametrize("engine", effort(["memory"], ["memory", "moto"]))
def test_the_index_shows_what_the_table_had_some_seconds_ago(engine: str) -> None:
    """What was written just now isn't there, and what has gone still is."""
    with LocalCloud(engine=engine, faults=BEHIND) as cloud:
        cloud.advance(60)
        naps.with_options(id="naps").start(1)
        cloud.drive()
        assert shown(cloud) == []
        cloud.advance(181)
        naps.with_options(id="later").start(1)
        cloud.drive()
        assert shown(cloud) == ["naps"]
        assert cloud.dice.drawn["lag"] > 0
        assert cloud.dice.drawn["lag"] % len(SHARDS) == 0


@pytest.mark.parametrize("seed", range(effort(6, 60)))
def test_timers_and_deadlines_come_once_and_in_time(seed: int) -> None:
    """As with an index that is up to date; and all is removed in the end."""
    assert played(seed, BEHIND) == played(seed, Faults())


def played(seed: int, faults: Faults) -> tuple[float, dict[str, int]]:
    """After how many seconds all had ended, and how often functions were resumed."""
    told: list[str] = []
    with LocalCloud(seed, faults, engine="memory") as cloud:
        cloud.watchers.append(Limit(20_000))
        cloud.watchers.append(lambda event: told.append(event.what))
        begun = cloud.now()
        assert cloud.run(impatient, 3) == 3
        assert cloud.run(naps, 5) == 5
        took = (cloud.now() - begun).total_seconds()
        cloud.advance(40 * 24 * HOUR)
        assert items(cloud) == []
        resumes = dict(cloud.stats.resumes)
    assert not {Happening.FAILED, What.MISSED, What.UNHANDLED} & set(told)
    return took, resumes


@pytest.mark.parametrize("seed", range(effort(3, 30)))
def test_a_schedule_occurs_once_each_time(seed: int) -> None:
    """Its entry is always there, and may be that of the time before."""
    with LocalCloud(seed, BEHIND, engine="memory") as cloud:
        cloud.watchers.append(Limit(20_000))
        schedule("daily", "rate(20 minutes)", daily)
        cloud.advance(10 * HOUR + 60)
        assert cloud.stats.bodies[daily] == 30
