"""Timers on the real queue and the real index: exact, at no cost of their own, and whole through crashes."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Collection
from typing import Any

import pytest

from adapter import durable, errors, promise, resolve
from adapter.engine.operations import Arm, Claim, Invoke, Remove, SendAt, SendBatch
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, SECOND
from adapter.testing import Faults, LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.faults import Kill
from tests.support.effort import ENGINE
from tests.support.envelopes import sent
from tests.support.laws import HOUR, WINDOW, awaited, forget

DAY = 86_400


@durable
async def sleeper(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "awake"


@durable
async def sleepers(count: int) -> int:
    await asyncio.gather(*(sleeper(HOUR + number % 7) for number in range(count)))
    return count


@durable
async def alarm() -> str:
    """Is woken by an answer now and then, while one timer is pending all along."""
    answers = []
    try:
        async with asyncio.timeout(10 * 60):
            while True:
                answers.append(await promise(str))
    except TimeoutError:
        return ",".join(answers)


@pytest.mark.parametrize("seconds", [1, 59, 60, 899, 900, 901, 959, 1_019, 1_020, HOUR, DAY + 1, 400 * DAY])
def test_a_sleep_ends_to_the_second_however_long_it_is(seconds: int, cloud: LocalCloud) -> None:
    """A message ends it, or an entry of the index that became one."""
    begun = cloud.now()
    assert cloud.run(sleeper, seconds) == "awake"
    assert cloud.now() - begun == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [60, 30 * DAY])
def test_a_sleep_costs_its_functions_suspension_and_nothing_else(seconds: int, cloud: LocalCloud) -> None:
    """The writes create, arm, claim and settle; one message goes out."""
    cloud.run(sleeper, seconds)
    assert cloud.stats.writes == 4
    assert cloud.stats.messages == 1
    assert cloud.stats.resumes[sleeper] == 1


def test_a_fraction_of_a_second_is_rounded_up(cloud: LocalCloud) -> None:
    """A message is delayed by whole seconds, and never comes early."""
    begun = cloud.now()
    cloud.run(sleeper, 0.25)
    assert cloud.now() - begun == dt.timedelta(seconds=1)


def test_many_sleepers_all_wake(cloud: LocalCloud) -> None:
    """Every shard of the index has some."""
    begun = cloud.now()
    assert cloud.run(sleepers, 80) == 80
    assert cloud.now() - begun == dt.timedelta(seconds=HOUR + 6)
    assert cloud.stats.resumes[sleeper] == 80


def test_what_has_settled_leaves_the_index(cloud: LocalCloud) -> None:
    """The watchdog looks at it once more, to remove it."""
    handle = sleeper.start(30 * DAY)
    cloud.drive()
    assert awaited(cloud) == [handle.id]
    handle.cancel()
    cloud.drive()
    assert awaited(cloud) == []
    spent = cloud.stats.invocations
    cloud.advance(29 * DAY)
    assert cloud.stats.invocations == spent


def test_one_message_is_sent_for_a_timer_however_often_its_function_wakes(cloud: LocalCloud) -> None:
    """It stays armed. A function that something else wakes relies on the message that is on its way."""
    handle = alarm.start()
    for number in range(5):
        cloud.advance(30)
        resolve(f"{handle.id}~{number}", str(number))
    assert handle.result() == "0,1,2,3,4"
    assert cloud.stats.messages == 1


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_an_early_message_changes_nothing(cold: bool, cloud: LocalCloud) -> None:
    """Clocks differ by seconds: the Lambda of timers sends it again."""
    if cold:
        forget(cloud)
    handle = sleeper.start(100)
    cloud.drive()
    early = _message(cloud)
    _deliver(cloud, early)
    assert handle.status() == "pending"
    begun = cloud.now()
    assert handle.result() == "awake"
    assert cloud.now() - begun == dt.timedelta(seconds=100)


def test_a_message_for_a_time_that_is_not_waited_for_any_more_runs_no_code(cloud: LocalCloud) -> None:
    """The record refuses the claim: it is armed for another wait."""

    @durable
    async def goes_on() -> str:
        async with asyncio.timeout(60):
            first = await promise(str)
        return first + "".join(await asyncio.gather(promise(str), promise(str)))

    handle = goes_on.start()
    cloud.advance(10)
    resolve(f"{handle.id}~0", "a")
    cloud.drive()
    resumed = cloud.stats.resumes[goes_on]
    cloud.advance(HOUR)
    assert cloud.stats.resumes[goes_on] == resumed == 1
    resolve(f"{handle.id}~1", "b")
    resolve(f"{handle.id}~2", "c")
    assert handle.result() == "abc"


def test_a_message_that_comes_after_its_function_has_ended_wakes_nobody(cloud: LocalCloud) -> None:
    """The record refuses it before any of the user's code runs."""
    handle = sleeper.start(100)
    cloud.drive()
    late = _message(cloud)
    assert handle.result() == "awake"
    resumed = cloud.stats.resumes[sleeper]
    _deliver(cloud, late)
    cloud.drive()
    assert cloud.stats.resumes[sleeper] == resumed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("seconds", "operation"), [(60, SendAt), (60, Arm), (60, Claim), (DAY, Arm), (DAY, Claim)])
def test_a_sleep_survives_the_death_of_its_function_around(
    operation: type[Any], when: str, seconds: int, cloud: LocalCloud
) -> None:
    """The Lambda dies at each step of a timer. A claim comes before it knows what it runs."""
    cloud.kill(DEFAULT_FUNCTION if operation is Claim else sleeper, operation, when)
    assert cloud.run(sleeper, seconds) == "awake"


@pytest.mark.parametrize("seed", range(4))
def test_no_timer_is_lost_in_a_storm(seed: int) -> None:
    """Sweeper, queue and functions die. Messages come twice, and late."""
    faults = Faults(crash=0.1, duplicate=0.2, reorder=0.3, delay=0.2)
    with LocalCloud(seed=seed, faults=faults, engine=ENGINE) as cloud:
        assert cloud.run(sleepers, 10) == 10


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("handler", "operation"), [("adapter.lambdas.sweeper.sweep", SendBatch), ("adapter.lambdas.sweeper.fire", Invoke)]
)
def test_a_death_of_the_timers_own_lambdas_half_way_is_made_good(
    handler: str, operation: type[Any], when: str, cloud: LocalCloud
) -> None:
    """The retry of the sweep, or the queue, sends some messages twice, and they wake once."""
    deaths: list[Event] = []
    cloud.watchers.append(lambda event: deaths.append(event) if event.what == "killed" else None)
    cloud.kill(handler, operation, when)
    assert cloud.run(sleepers, 20) == 20
    assert len(deaths) == 1
    assert cloud.stats.resumes[sleeper] <= 20 + 10


def test_a_removal_that_dies_delays_no_sleeper(cloud: LocalCloud) -> None:
    """It shares no batch with a timer. Its own batch comes again when the queue's timeout is over."""
    deaths: list[Event] = []
    cloud.watchers.append(lambda event: deaths.append(event) if event.what == "killed" else None)
    over = sleeper.start(1)
    over.result()
    removal = removal_of(cloud, over.id)
    cloud.advance((removal - cloud.clock()) / SECOND - 50)
    handles = [sleeper.start(50) for _ in range(10)]
    cloud._driver.kill(Anywhere("", Remove, "before"))
    assert [handle.result() for handle in handles] == ["awake"] * 10
    assert cloud.clock() == removal
    cloud.advance(WINDOW)
    assert len(deaths) == 1


@pytest.mark.parametrize("timeout", [60, HOUR])
def test_a_removal_that_dies_delays_no_deadline(timeout: int, cloud: LocalCloud) -> None:
    """The deadline of a root that never ran is met by a look, but one that somebody waits for."""
    over = sleeper.start(1)
    over.result()
    removal = removal_of(cloud, over.id)
    cloud.advance((removal - cloud.clock()) / SECOND - timeout)
    # In several shards of the index, so that the removal isn't the last message of its batch.
    with cloud.outage(sleeper, "throttled"):
        late = [sleeper.with_options(timeout=timeout).start(DAY) for _ in range(9)]
        cloud.drive()
    cloud._driver.kill(Anywhere("", Remove, "before"))
    with cloud.outage(sleeper, "throttled"):
        for handle in late:
            with pytest.raises(errors.PromiseTimeout):
                handle.result()
    assert cloud.clock() == removal
    cloud.advance(WINDOW)


def test_a_sweep_sends_ten_messages_in_a_call(cloud: LocalCloud) -> None:
    """AWS bills them as one request."""
    cloud.run(sleepers, 80)
    cloud.stats.reset()
    handles = [sleeper.start(HOUR) for _ in range(40)]
    cloud.drive()
    cloud.stats.reset()
    cloud.advance(HOUR)
    assert [handle.status() for handle in handles] == ["resolved"] * 40
    sent = cloud.stats.message_requests - 2 * cloud.stats.messages
    # Of each of the index's eight shards: a look after twenty minutes, and the wake.
    assert cloud.stats.messages <= 2 * 40
    assert sent <= 2 * (8 + 40 / 10)


def test_an_execution_outlives_a_sweeper_that_is_away_for_an_hour(cloud: LocalCloud) -> None:
    """When it is back, it sends at once what is overdue."""
    functions, cloud._minutely.functions = cloud._minutely.functions, []
    handle = sleeper.start(HOUR)
    cloud.advance(2 * HOUR)
    assert handle.status() == "pending"
    cloud._minutely.functions = functions
    cloud._minutely.fired = cloud.clock() // MINUTE * MINUTE
    assert handle.result() == "awake"


def test_a_timer_without_a_queue_is_a_clear_error(cloud: LocalCloud) -> None:
    """The template lacks it."""
    from adapter.aws.wiring import NoTimers
    from adapter.protocol.messages import Cause, Resume

    with pytest.raises(errors.ConfigurationError, match="DURABLE_TIMERS"):
        NoTimers().send_at("target", Resume(id="r", cause=Cause.TIMER), 1)


class Anywhere(Kill):
    """Whichever Lambda makes the call."""

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        return super().meets({*names, self.fn}, operation, when)


def removal_of(cloud: LocalCloud, root: str) -> int:
    """When it is removed."""
    record = cloud.peek(root)
    assert record is not None
    assert record.due_at is not None
    return record.due_at


def _message(cloud: LocalCloud) -> dict[str, Any]:
    """The timer's message that is on its way, as the function would be invoked by it."""
    from adapter.protocol.messages import Cause, Resume, to_event
    from adapter.protocol.promises import Firing

    record: Record | None = cloud.peek("run-1")
    assert record is not None
    assert record.wake_at is not None
    return to_event(Resume(id="run-1", cause=Cause.TIMER, firing=Firing(record.wake_at, 0)))


def _deliver(cloud: LocalCloud, envelope: dict[str, Any]) -> None:
    record = cloud.peek("run-1")
    assert record is not None
    sent(cloud, record.target, envelope)
    cloud.drive()
