"""Failed attempts are followed by others, by policy, in invocations of their own; dead Lambdas count as attempts."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, now, run, uuid4
from adapter.engine.operations import ReadFunction, RunCode, SendAt, Settle
from adapter.protocol.ids import BUCKET
from adapter.protocol.records import State
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from adapter.testing.faults import Killed
from tests.support.laws import HOUR, Broken, Limit, forget, slow, step

ATTEMPTS: list[dt.datetime] = []
"""When attempts began, since the last `attempts_of`."""


def failing(times: int) -> int:
    ATTEMPTS.append(now())
    if len(ATTEMPTS) <= times:
        raise Broken(f"attempt {len(ATTEMPTS)}")
    return len(ATTEMPTS)


@pytest.fixture(autouse=True)
def _counted_from_zero() -> None:
    ATTEMPTS.clear()


@durable
def leaf(times: int) -> int:
    return failing(times)


@durable
async def async_leaf(times: int) -> int:
    return failing(times)


@durable
async def doing_io(times: int) -> int:
    await asyncio.to_thread(failing, times)
    return len(ATTEMPTS)


@durable
async def orchestrator(times: int) -> int:
    await step(1)
    return failing(times)


@durable(retry=Retry(attempts=3, initial=10, backoff=3))
async def persistent(times: int) -> int:
    await step(1)
    return await run(failing, times)


@durable
async def asks(times: int, attempts: int) -> int | str:
    try:
        return await leaf.with_options(retry=Retry(attempts=attempts))(times)
    except Broken as broken:
        return str(broken)


@pytest.mark.parametrize("function", [leaf, async_leaf, doing_io], ids=lambda f: f.name.rpartition(":")[2])
def test_a_leaf_is_tried_three_times_by_default(function: Any, cloud: LocalCloud) -> None:
    """The second attempt comes a second later, the third two seconds after that."""
    begun = cloud.now()
    assert cloud.run(function, 2) == 3
    assert cloud.now() - begun == dt.timedelta(seconds=3)


@pytest.mark.parametrize("function", [leaf, async_leaf, doing_io], ids=lambda f: f.name.rpartition(":")[2])
def test_the_last_failure_is_what_stands(function: Any, cloud: LocalCloud) -> None:
    """Nobody tries a fourth time."""
    with pytest.raises(Broken, match="attempt 3"):
        cloud.run(function, 9)
    assert len(ATTEMPTS) == 3


def test_a_function_that_orchestrates_is_not_retried_by_default(cloud: LocalCloud) -> None:
    """Its steps are."""
    with pytest.raises(Broken, match="attempt 1"):
        cloud.run(orchestrator, 1)


def test_a_policy_of_its_own_runs_an_orchestrating_body_again(any_cloud: LocalCloud) -> None:
    """Attempts share a journal: steps of the failed one stay as they are, and the next one makes its own."""
    assert any_cloud.run(persistent.with_options(id="p"), 2) >= 3
    assert any_cloud.peek("p~3") is not None


def test_delays_of_an_orchestrator_are_its_own_timers(cloud: LocalCloud) -> None:
    """They are ten seconds, then thirty."""
    begun = cloud.now()
    assert cloud.run(persistent, 2) == 3
    assert cloud.now() - begun == dt.timedelta(seconds=40)
    assert cloud.stats.bodies[step] == 3


def test_a_replay_goes_through_the_same_attempts(cloud: LocalCloud) -> None:
    """It starts from the top, over the stored records."""
    forget(cloud)
    assert cloud.run(persistent, 2) == 3
    assert len(ATTEMPTS) == 3


@pytest.mark.parametrize(("attempts", "outcome"), [(1, "attempt 1"), (3, "attempt 3"), (4, 4)])
def test_a_call_may_bring_a_policy_of_its_own(attempts: int, outcome: object, cloud: LocalCloud) -> None:
    """It travels with the call."""
    assert cloud.run(asks, 3, attempts) == outcome


def test_a_root_may_be_started_with_a_policy_of_its_own(cloud: LocalCloud) -> None:
    """A call may have one, too."""
    assert cloud.run(leaf.with_options(retry=Retry(attempts=9, initial=0)), 8) == 9


def test_a_long_delay_needs_no_lambda(cloud: LocalCloud) -> None:
    """Messages take hours. The watchdog looks four times, and runs nothing."""
    begun = cloud.now()
    assert cloud.run(leaf.with_options(retry=Retry(initial=3 * HOUR, max_delay=1e6)), 1) == 2
    assert cloud.now() - begun == dt.timedelta(hours=3)
    assert cloud.stats.bodies[leaf] == 2
    assert cloud.stats.writes == 2 + 4


def test_an_idempotency_key_is_the_same_at_each_attempt(cloud: LocalCloud) -> None:
    """The other side sees one request."""
    keys = []

    @durable
    def pay() -> None:
        keys.append(uuid4())
        if len(keys) < 3:
            raise Broken("unavailable")

    cloud.run(pay)
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_what_never_helps_is_not_tried_again(cloud: LocalCloud) -> None:
    """A result that can't be stored can't be stored the next time, either."""

    @durable
    def unstorable() -> Any:
        ATTEMPTS.append(now())
        return object()

    with pytest.raises(errors.CodecError):
        cloud.run(unstorable)
    assert len(ATTEMPTS) == 1


def test_the_deadline_bounds_all_attempts(cloud: LocalCloud) -> None:
    """The failure stands at once if the next attempt would begin after it."""
    begun = cloud.now()
    with pytest.raises(Broken, match="attempt 2"):
        cloud.run(leaf.with_options(retry=Retry(attempts=9, initial=40, backoff=2), timeout=60), 9)
    assert cloud.now() - begun == dt.timedelta(seconds=40)


def test_an_attempt_may_have_a_time_of_its_own(cloud: LocalCloud) -> None:
    """The code gets a TimeoutError, and the next attempt follows."""

    @durable(retry=Retry(attempts=2, initial=1, attempt_timeout=30))
    async def slow_then_fast() -> int:
        attempts = await run(lambda: ATTEMPTS.append(now()) or len(ATTEMPTS))
        await asyncio.sleep(HOUR if attempts == 1 else 1)
        return attempts

    begun = cloud.now()
    assert cloud.run(slow_then_fast) == 2
    assert cloud.now() - begun == dt.timedelta(seconds=32)


def test_a_plain_function_cannot_be_timed() -> None:
    """Nothing can interrupt a thread. Its Lambda's Timeout is the bound."""
    with pytest.raises(errors.ConfigurationError, match="Timeout of its Lambda"):

        @durable(retry=Retry(attempt_timeout=1))
        def plain() -> None: ...


def test_what_a_failed_attempt_left_behind_is_cancelled(cloud: LocalCloud) -> None:
    """Nothing of it runs on beside its successor."""

    @durable(retry=Retry(attempts=2))
    async def leaves_something() -> int:
        attempt = await run(lambda: ATTEMPTS.append(now()) or len(ATTEMPTS))
        asleep.with_options(tags={"attempt": str(attempt)})(HOUR)
        await step(1)
        if attempt == 1:
            raise Broken("once")
        return attempt

    handle = leaves_something.start()
    cloud.advance(60)
    assert attach(f"{handle.id}~1").status() == "rejected_canceled"
    assert handle.result() == 2
    assert attach(f"{handle.id}~4").status() == "resolved"


@durable
async def asleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [RunCode, SendAt, Settle])
def test_a_death_around_an_attempt_ends_well(operation: type[Any], when: str, cloud: LocalCloud) -> None:
    """Lambda makes the same attempt again, or the next one twice. One outcome stands."""
    cloud.kill(leaf, operation, when)
    assert cloud.run(leaf, 2) in (3, 4)
    cloud.advance(HOUR)
    assert 3 <= len(ATTEMPTS) <= 6


@durable
def oom(times: int) -> int:
    """Dies as Lambda kills: no `except` of user code sees it."""
    ATTEMPTS.append(now())
    if len(ATTEMPTS) <= times:
        raise Killed
    return len(ATTEMPTS)


@durable
async def calls_oom(times: int) -> str:
    try:
        return str(await oom(times))
    except errors.FunctionCrashed as crash:
        return f"crashed: {crash}"


@durable
async def dies_later(times: int) -> int:
    await step(1)
    return await run(oom.__wrapped__, times)


def test_a_death_of_the_lambda_is_repeated_by_the_platform(cloud: LocalCloud) -> None:
    """Lambda repeats it twice."""
    assert cloud.run(oom, 2) == 3


def test_deaths_that_the_platform_gives_up_count_as_one_attempt(cloud: LocalCloud) -> None:
    """An attempt is three deaths. The dead letter brings the next one."""
    assert cloud.run(oom, 5) == 6


def test_deaths_without_end_end_as_a_crash(cloud: LocalCloud) -> None:
    """Its caller hears of it after three attempts of three invocations."""
    assert "its Lambda died" in cloud.run(calls_oom, 99)
    assert len(ATTEMPTS) == 9


def test_an_orchestrator_that_dies_at_each_resume_ends_as_a_crash(cloud: LocalCloud) -> None:
    """It leaves no promise pending beneath it."""
    with pytest.raises(errors.FunctionCrashed):
        cloud.run(dies_later.with_options(id="d"), 99)
    assert len(ATTEMPTS) == 9


def test_what_a_function_was_waiting_for_when_it_was_given_up_is_cancelled(cloud: LocalCloud) -> None:
    """Nothing else would end it."""

    @durable
    async def dies_beside_a_call() -> None:
        call = slow(1, 90)
        await run(oom.__wrapped__, 99)
        await call

    with pytest.raises(errors.FunctionCrashed):
        cloud.run(dies_beside_a_call.with_options(id="d"))
    assert attach("d~0").status() == "rejected_canceled"


def test_a_death_is_followed_by_a_pause_that_doubles(cloud: LocalCloud) -> None:
    """The pause is half a minute, then a minute."""
    told: list[Event] = []
    cloud.watchers.append(lambda event: told.append(event) if event.what == "dead letter" else None)
    cloud.run(calls_oom, 99)
    assert [event.detail["crashes"] for event in told] == [1, 2, 3]


def test_a_lambda_that_dies_before_any_policy_can_be_asked_ends_after_ten_rounds(cloud: LocalCloud) -> None:
    """Its function doesn't get as far."""
    cloud.watchers.append(Limit(400))
    for _ in range(300):
        cloud.kill("durable", ReadFunction, "before")
    handle = leaf.start(0)
    with pytest.raises(errors.FunctionCrashed):
        handle.result()
    assert cloud.stats.bodies[leaf] == 0
    cloud._kills.clear()


@durable
async def stays(hours: int) -> None:
    await asyncio.sleep(hours * HOUR)


@durable
async def dies_creating(width: int) -> None:
    """Most of what it calls at once is there when it dies, but not all of what comes first."""
    waiting = [stays(1) for _ in range(width)]
    await step(1)
    await run(oom.__wrapped__, 99)
    await asyncio.gather(*waiting)


def test_what_a_crashed_function_left_behind_a_gap_is_ended_too() -> None:
    """A partition that lacks its last child doesn't tell that there are others."""
    missing = f"gap~{BUCKET - 1}"
    with LocalCloud(engine="memory") as cloud:
        store: Any = cloud._world.store

        def drop(event: Event) -> None:
            # The last: no replay comes any more, which would ask for it again.
            if event.what == "dead letter" and event.detail["crashes"] == 3:
                store.drop(store.peek(missing))

        cloud.watchers.append(drop)
        with pytest.raises(errors.FunctionCrashed):
            cloud.run(dies_creating.with_options(id="gap"), BUCKET + 2)
        states = {record.id: record.state for record in cloud.records()}
    assert missing not in states
    assert states.pop("gap") is State.REJECTED
    assert states.pop(f"gap~{BUCKET + 2}") is State.RESOLVED
    assert set(states.values()) == {State.CANCELED}
    assert len(states) == BUCKET + 1


def test_deaths_of_what_the_watchdog_invokes_are_counted(cloud: LocalCloud) -> None:
    """The invocation that was to begin it may never have come."""
    cloud.service.losses = {1}
    handle = oom.start(10_000)
    with pytest.raises(errors.FunctionCrashed):
        handle.result()
    assert len(ATTEMPTS) <= 18
