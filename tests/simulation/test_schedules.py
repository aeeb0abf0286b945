"""Executions that begin by the clock. Each occurrence starts once, whatever dies, or as `catch_up` says."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import pytest

from adapter import When, attach, cancel, durable, errors, resolve, run, schedule, schedules, unschedule
from adapter.engine.operations import Arm, Create, Invoke, SendAt
from adapter.protocol.recurrence import Recurrence
from adapter.protocol.times import MINUTE
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import HOUR, items

RAN: list[str] = []
DAY = 86_400


@durable
def nightly(region: str) -> str:
    RAN.append(region)
    return region


@durable(timeout=60)
async def stuck(region: str) -> None:
    from adapter import promise

    await promise(str)


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    RAN.clear()


def started(cloud: LocalCloud) -> list[str]:
    return [str(item["id"]) for item in items(cloud) if item["fn"] == nightly.name and item["kind"] == "call"]


def test_a_cron_schedule_starts_an_execution_at_each_occurrence(cloud: LocalCloud) -> None:
    """Its id has the schedule's name and the occurrence's time."""
    made = schedule("report", "0 3 * * *", nightly, "eu")
    assert made.next_at == dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC)
    cloud.advance(3 * DAY)
    assert started(cloud) == [f"report@2026-01-0{day}T03:00:00Z" for day in (1, 2, 3)]
    assert RAN == ["eu"] * 3
    assert attach("report@2026-01-02T03:00:00Z").result() == "eu"


@pytest.mark.parametrize(
    ("expression", "seconds", "count"),
    [
        ("rate(5 minutes)", HOUR, 12),
        ("rate(1 minute)", 600, 10),
        ("rate(10 seconds)", 60, 6),
        ("rate(1 day)", 3 * DAY, 3),
    ],
)
def test_a_rate_counts_from_its_making(expression: str, seconds: int, count: int, cloud: LocalCloud) -> None:
    """It occurs often or seldom, to the second."""
    cloud.advance(7)
    schedule("tick", expression, nightly, "eu")
    cloud.advance(seconds)
    assert len(started(cloud)) == len(RAN) == count


def test_an_occurrence_begins_to_the_second(cloud: LocalCloud) -> None:
    """It may be far or near."""
    schedule("report", "0 3 * * *", nightly, "eu")
    cloud.advance(3 * HOUR - 1)
    assert RAN == []
    cloud.advance(1)
    assert RAN == ["eu"]


def test_time_zones_have_their_own_days(cloud: LocalCloud) -> None:
    """The schedule occurs at three in the morning in Berlin, summer and winter."""
    rule = Recurrence(when=When("0 3 * * *", "Europe/Berlin"), start=0)
    january, july = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    hours = [_time(rule.after(_number(moment))).hour for moment in (january, july)]
    assert hours == [2, 1]


def test_a_schedule_is_made_once(cloud: LocalCloud) -> None:
    """The same schedule again changes nothing. Another one under its name is a conflict."""
    first = schedule("report", "0 3 * * *", nightly, "eu")
    cloud.advance(HOUR)
    assert schedule("report", "0 3 * * *", nightly, "eu") == first
    for other in (("0 4 * * *", "eu"), ("0 3 * * *", "us")):
        with pytest.raises(errors.IdConflict, match="unschedule"):
            schedule("report", other[0], nightly, other[1])


def test_a_schedule_is_no_promise_that_anybody_could_settle(cloud: LocalCloud) -> None:
    """It would start nothing any more, and its entry in the index would be due for ever."""
    schedule("report", "0 3 * * *", nightly, "eu")
    for settle in (resolve, cancel):
        with pytest.raises(errors.UnknownPromise):
            settle("schedule:report")
    cloud.advance(DAY)
    assert RAN == ["eu"]


def test_schedules_are_listed_by_name(cloud: LocalCloud) -> None:
    """The list says what each does, and when next."""
    schedule("b", "rate(1 hour)", nightly, "eu")
    schedule("a", When("0 3 * * *", "Europe/Berlin", catch_up=False), nightly, "us")
    found = schedules()
    assert [(each.name, each.fn) for each in found] == [("a", nightly.name), ("b", nightly.name)]
    assert found[0].when == When("0 3 * * *", "Europe/Berlin", catch_up=False)
    assert found[1].next_at == cloud.now() + dt.timedelta(hours=1)


def test_a_removed_schedule_starts_nothing_further_and_may_be_made_anew(cloud: LocalCloud) -> None:
    """A message that is on its way finds it gone, or another."""
    schedule("tick", "rate(1 minute)", nightly, "eu")
    cloud.advance(150)
    unschedule("tick")
    assert schedules() == []
    cloud.advance(HOUR)
    assert len(RAN) == 2
    schedule("tick", "rate(1 hour)", nightly, "us")
    cloud.advance(HOUR)
    assert RAN[2:] == ["us"]
    unschedule("tick")
    with pytest.raises(errors.UnknownPromise, match="tick"):
        unschedule("tick")


@pytest.mark.parametrize(("catch_up", "count"), [(True, 5), (False, 2)])
def test_after_an_outage_missed_occurrences_are_made_up_for_or_left_out(
    catch_up: bool, count: int, cloud: LocalCloud
) -> None:
    """The user chose which. In either case the one comes late at which the outage began."""
    schedule("report", When("rate(1 hour)", catch_up=catch_up), nightly, "eu")
    cloud.drive()
    functions, cloud._minutely.functions = cloud._minutely.functions, []
    cloud.advance(4 * HOUR + 60)
    assert RAN == []
    cloud._minutely.functions = functions
    cloud._minutely.fired = cloud.clock() // MINUTE * MINUTE
    cloud.advance(HOUR)
    assert len(RAN) == count
    assert len(set(started(cloud))) == count


def test_a_schedule_may_be_made_by_a_durable_function(any_cloud: LocalCloud) -> None:
    """An inline step makes it, and records that."""

    @durable
    async def sets_up() -> str:
        made: Any = await run(_make)
        return str(made)

    assert any_cloud.run(sets_up) == "tick"
    any_cloud.advance(2 * HOUR)
    assert RAN


def _make() -> str:
    return schedule("tick", "rate(1 hour)", nightly, "eu").name


def test_the_functions_own_timeout_bounds_each_execution(cloud: LocalCloud) -> None:
    """It counts from the execution's beginning."""
    schedule("hung", "rate(1 hour)", stuck, "eu")
    cloud.advance(HOUR + 60)
    assert attach("hung@2026-01-01T01:00:00Z").status() == "rejected_timedout"


def test_who_waits_for_ever_is_stuck_though_schedules_go_on(cloud: LocalCloud) -> None:
    """The clock would never stop otherwise."""

    @durable
    async def waits() -> str:
        from adapter import promise

        return await promise(str)

    schedule("tick", "rate(1 day)", nightly, "eu")
    with pytest.raises(errors.Stuck, match="waits for"):
        cloud.run(waits)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Create, Invoke, SendAt, Arm])
def test_a_death_at_an_occurrence_starts_it_once(operation: type[Any], when: str, cloud: LocalCloud) -> None:
    """The message comes again, and the root exists already."""
    schedule("tick", "rate(5 minutes)", nightly, "eu")
    cloud.kill("adapter.lambdas.sweeper.fire", operation, when)
    cloud.advance(HOUR)
    assert len(started(cloud)) == 12
    assert 12 <= len(RAN) <= 13


@pytest.mark.parametrize("seed", range(5))
def test_no_occurrence_is_lost_in_a_storm(seed: int) -> None:
    """Each begins under its one id."""
    faults = Faults(crash=0.1, duplicate=0.2, reorder=0.3, delay=0.2)
    with LocalCloud(seed=seed, faults=faults, engine=ENGINE) as cloud:
        schedule("tick", "rate(20 minutes)", nightly, "eu")
        cloud.advance(2 * HOUR)
        assert len(started(cloud)) >= 5
        unschedule("tick")
        cloud.advance(HOUR)
        assert len(started(cloud)) <= 7


@pytest.mark.parametrize(
    "expression", ["", "hourly", "61 * * * *", "* * *", "rate(0 minutes)", "rate(5 fortnights)", "0 0 30 2 *"]
)
def test_an_expression_that_cannot_be_read_is_refused(expression: str, cloud: LocalCloud) -> None:
    """The error comes before the library stores anything."""
    with pytest.raises(errors.ConfigurationError):
        schedule("report", expression, nightly, "eu")
    assert schedules() == []


def test_a_time_zone_that_does_not_exist_is_refused(cloud: LocalCloud) -> None:
    """The error names it."""
    with pytest.raises(errors.ConfigurationError, match="Middle-earth"):
        schedule("report", When("0 3 * * *", "Middle-earth"), nightly, "eu")


@pytest.mark.parametrize("name", ["", "a~b", "x" * 201])
def test_a_name_has_to_be_an_id(name: str, cloud: LocalCloud) -> None:
    """The executions' ids contain it."""
    with pytest.raises(errors.CallerError):
        schedule(name, "rate(1 hour)", nightly, "eu")


def test_no_execution_may_have_the_id_of_a_schedule() -> None:
    """A reader would take one for the other."""
    with pytest.raises(errors.InvalidId, match="schedule:"):
        nightly.with_options(id="schedule:report")


def _time(moment: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment / 1_000_000, dt.UTC)


def _number(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def test_time_zones_are_there_where_the_system_has_none() -> None:
    """Windows has none, and some images don't either: the package brings them."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        noon = dt.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
        assert noon.utcoffset() == dt.timedelta(hours=2)
    finally:
        zoneinfo.reset_tzpath(before)
        zoneinfo.ZoneInfo.clear_cache()
