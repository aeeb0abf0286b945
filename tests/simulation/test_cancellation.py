"""Cancellation is asyncio's: a cancelled call's promise settles at once, and its function may clean up."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from adapter import Promise, attach, cancel, durable, errors, promise, run
from adapter.engine.operations import Arm, Close, Create, Invoke, SendAt, Settle
from adapter.testing import LocalCloud
from tests.support.laws import COLD, HOUR, WARM, Broken, Weather, history, items, slow, step


@durable
async def stubborn() -> str:
    """Cancelled, it cleans up for two hours, and then has a result all the same."""
    try:
        await asyncio.sleep(50 * HOUR)
    except asyncio.CancelledError:
        await slow(1, 2)
        return "late"
    return "in time"


async def awaiting(one: Promise[str]) -> None:
    await one


@durable
async def cancels_it() -> str:
    asked = stubborn()
    await asyncio.sleep(HOUR)
    asked.cancel()
    try:
        return await asked
    except asyncio.CancelledError:
        return "cancelled"


@durable
async def has_a_timeout() -> str:
    try:
        async with asyncio.timeout(HOUR):
            return await stubborn()
    except TimeoutError:
        return "timeout"


@durable
async def has_a_group_that_fails() -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(awaiting(stubborn()))
            await asyncio.sleep(HOUR)
            raise Broken("group")
    except* Broken:
        pass
    return "failed"


@durable
async def fails_itself() -> str:
    stubborn()
    await asyncio.sleep(HOUR)
    raise Broken("itself")


@durable
async def awaits_it() -> str:
    try:
        return await stubborn()
    except errors.PromiseCancelled:
        return "somebody cancelled it"


WAYS: dict[str, tuple[Any, Callable[[], None]]] = {
    "promise.cancel()": (cancels_it, lambda: None),
    "timeout": (has_a_timeout, lambda: None),
    "TaskGroup": (has_a_group_that_fails, lambda: None),
    "failure": (fails_itself, lambda: None),
    "Handle.cancel()": (awaits_it, lambda: attach("run-1").cancel()),
    "cancel(id)": (awaits_it, lambda: cancel("run-1~0")),
}
WORDS = {"promise.cancel()": "cancelled", "timeout": "timeout", "TaskGroup": "failed", "cancel(id)": "somebody"}


def closed(cloud: LocalCloud) -> set[str]:
    return {str(item["id"]) for item in items(cloud) if item.get("closed")}


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_call_is_settled_at_once_and_its_late_result_is_refused(way: str, any_cloud: LocalCloud) -> None:
    """Its clean-up goes on meanwhile, and completes."""
    function, from_outside = WAYS[way]
    handle = function.start()
    any_cloud.advance(HOUR)
    from_outside()
    any_cloud.advance(HOUR / 2)
    callee, clean_up = attach("run-1~0"), attach("run-1~0.0")
    assert (callee.status(), clean_up.status()) == ("rejected_canceled", "pending")
    any_cloud.advance(3 * HOUR)
    assert (callee.status(), clean_up.status()) == ("rejected_canceled", "resolved")
    assert "run-1~0" in closed(any_cloud)
    if way in WORDS:
        assert handle.result().startswith(WORDS[way])
    else:
        assert handle.status() == ("rejected_canceled" if way == "Handle.cancel()" else "rejected")


@pytest.mark.parametrize("way", ["promise.cancel()", "timeout", "TaskGroup"])
def test_the_caller_does_not_wait_for_the_clean_up_of_what_it_cancelled(way: str, cloud: LocalCloud) -> None:
    """It ends after its one hour, to the second."""
    begun = cloud.now()
    cloud.run(WAYS[way][0])
    assert cloud.now() - begun == dt.timedelta(hours=1)


AWAITED: dict[str, Callable[[], Any]] = {
    "sleep": lambda: asyncio.sleep(50 * HOUR),
    "promise": lambda: promise(str),
    "call": lambda: slow(1, 50),
    "gather": lambda: asyncio.gather(slow(1, 50), promise(str)),
    "wait": lambda: asyncio.wait([slow(1, 50), promise(str)]),
    "timeout": lambda: asyncio.wait_for(promise(str), 50 * HOUR),
    "queue": lambda: asyncio.Queue[int]().get(),
    "event": lambda: asyncio.Event().wait(),
}


@durable
async def suspended(name: str) -> None:
    try:
        await AWAITED[name]()
    except asyncio.CancelledError:
        await step(7)
        raise


@pytest.mark.parametrize("name", AWAITED)
def test_a_suspended_function_sees_the_cancellation_at_whatever_it_awaits(name: str, any_cloud: LocalCloud) -> None:
    """The engine cancels those promises. Only the clean-up's call resolves."""
    handle = suspended.start(name)
    any_cloud.advance(HOUR)
    handle.cancel()
    any_cloud.advance(HOUR)
    states = [item["state"] for item in items(any_cloud) if str(item["id"]).startswith("run-1~")]
    made = {"sleep": 0, "queue": 0, "event": 0, "gather": 2}.get(name, 1)
    if name == "wait":
        # asyncio.wait leaves what it waited for alone: the end of the function cancels it.
        made = 2
    assert sorted(states) == ["rejected_canceled"] * made + ["resolved"]
    assert "run-1" in closed(any_cloud)


def test_a_cancellation_goes_down_the_tree_and_each_function_cleans_up(any_cloud: LocalCloud) -> None:
    """The tree is three functions deep. Nothing cancels a clean-up's own calls."""

    @durable
    async def nested(depth: int) -> None:
        try:
            await (nested(depth - 1) if depth else promise(str))
        finally:
            await step(depth)

    handle = nested.start(2)
    any_cloud.advance(HOUR)
    handle.cancel()
    any_cloud.advance(HOUR)
    down = ["run-1", "run-1~0", "run-1~0.0", "run-1~0.0.0"]
    assert [attach(one).status() for one in down] == ["rejected_canceled"] * 4
    assert [attach(one).result() for one in ("run-1~1", "run-1~0.1", "run-1~0.0.1")] == [2, 1, 0]
    assert closed(any_cloud) >= {"run-1", "run-1~0", "run-1~0.0"}


def test_a_clean_up_that_fails_leaves_the_outcome_as_it_is(any_cloud: LocalCloud) -> None:
    """Nobody sees its exception. The engine cancels its other calls."""

    @durable
    async def careless() -> None:
        try:
            await promise(str)
        finally:
            slow(1, 50)
            await asyncio.sleep(HOUR)
            raise Broken("clean-up")

    handle = careless.start()
    any_cloud.advance(HOUR)
    handle.cancel()
    any_cloud.advance(2 * HOUR)
    with pytest.raises(errors.PromiseCancelled):
        handle.result()
    assert attach("run-1~1").status() == "rejected_canceled"
    assert "run-1" in closed(any_cloud)


@durable
def cancels(promise_id: str) -> None:
    cancel(promise_id)


@durable
async def never_begins(value: int) -> int:
    return await step(value)


@durable
def never_printed(value: int) -> int:
    return value


@pytest.mark.parametrize("victim", [never_begins, never_printed])
def test_a_call_that_is_cancelled_on_its_way_never_starts(victim: Any, cloud: LocalCloud) -> None:
    """The caller had invoked it. Somebody cancelled it before its Lambda was there."""

    @durable
    async def caller() -> str:
        cancels("run-1~1")
        try:
            return str(await victim(5))
        except errors.PromiseCancelled:
            return "cancelled"

    assert cloud.run(caller) == "cancelled"
    cloud.drive()
    assert cloud.stats.bodies[victim] == 0
    assert "run-1~1" in closed(cloud)


@pytest.mark.parametrize("weather", [WARM, COLD], ids=lambda weather: weather.name)
@pytest.mark.parametrize("victim", [never_begins, never_printed])
def test_a_call_that_its_caller_cancels_in_the_same_turn_never_starts(victim: Any, weather: Weather) -> None:
    """The caller doesn't invoke it to no purpose either."""

    @durable
    async def caller() -> bool:
        asked = victim(5)
        asked.cancel()
        await step(1)
        return bool(asked.cancelled())

    with weather.cloud() as cloud:
        assert cloud.run(caller) is True
        assert cloud.stats.bodies[victim] == 0
        assert attach("run-1~0").status() == "rejected_canceled"


@durable
async def leaves_one() -> str:
    slow(1, 50)
    return "left"


@durable
async def is_impatient() -> str:
    try:
        return await asyncio.wait_for(leaves_one(), HOUR)
    except TimeoutError:
        return "timeout"


def test_a_cancellation_reaches_what_a_function_that_has_returned_still_waits_for(any_cloud: LocalCloud) -> None:
    """Its code is over, so only the engine can cancel the call that it left behind."""
    handle = is_impatient.with_options(id="r").start()
    assert handle.result() == "timeout"
    any_cloud.advance(HOUR / 2)
    assert [attach(one).status() for one in ("r~0", "r~0.0")] == ["rejected_canceled"] * 2
    any_cloud.advance(HOUR)
    assert {"r~0", "r~0.0"} <= closed(any_cloud)


INLINE: list[str] = []


@durable
async def changes_its_mind(beside: bool) -> list[bool]:
    """The step that it cancels leads its turn; ``beside``: others follow, so it is announced."""
    asked = run(INLINE.append, "cancelled")
    others = [run(INLINE.append, "wanted"), *([step(1)] if beside else [])]
    asked.cancel()
    await asyncio.gather(*others)
    return [asked.cancelled(), await step(2) == 2]


@pytest.mark.parametrize("weather", [WARM, COLD], ids=lambda weather: weather.name)
@pytest.mark.parametrize("beside", [False, True])
def test_an_inline_step_that_is_cancelled_in_its_own_turn_never_begins(beside: bool, weather: Weather) -> None:
    """It doesn't either when its Lambda dies after the write, and makes the turn again."""
    for when in ("never", "after"):
        INLINE.clear()
        with weather.cloud() as cloud:
            if when == "after":
                cloud.kill(changes_its_mind, Create, "after")
            assert cloud.run(changes_its_mind, beside) == [True, True]
            assert set(INLINE) == {"wanted"}
            assert attach("run-1~0").status() == "rejected_canceled"
            assert not any(item["state"] == "pending" for item in items(cloud))


SIBLINGS = 8


@durable
async def group_of_many() -> list[int]:
    order: list[int] = []

    async def sibling(number: int) -> None:
        try:
            await slow(number, 50)
        finally:
            order.append(await step(number))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(SIBLINGS):
                group.create_task(sibling(number))
            await asyncio.sleep(HOUR)
            raise Broken("group")
    except* Broken:
        pass
    await asyncio.sleep(HOUR)
    return order


def test_a_failed_group_cancels_in_the_order_of_creation_at_every_replay() -> None:
    """The clean-ups' calls have their ordinals in this order, warm and cold alike."""
    found = []
    for weather in (WARM, COLD):
        with weather.cloud() as cloud:
            order: list[int] = cloud.run(group_of_many)
            assert sorted(order) == [*range(SIBLINGS)]
            cleaned = [attach(f"run-1~{SIBLINGS + number}").result() for number in range(SIBLINGS)]
            assert cleaned == [*range(SIBLINGS)]
            cloud.advance(HOUR)
            found.append(history(cloud))
    assert found[0] == found[1]


@durable
async def orderly() -> None:
    try:
        await promise(str)
    finally:
        await asyncio.sleep(HOUR / 6)
        await step(1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Settle, SendAt, Arm, Create, Invoke, Close])
def test_a_death_during_the_clean_up_is_made_good(operation: type[Any], when: str, cloud: LocalCloud) -> None:
    """The Lambda dies around each operation of it."""
    handle = orderly.start()
    cloud.advance(HOUR)
    for function in cloud.service.functions.values():
        function.memory.clear()
    handle.cancel()
    cloud.kill(orderly, operation, when)
    cloud.advance(2 * HOUR)
    assert cloud._kills == []
    assert attach("run-1~1").result() == 1
    assert closed(cloud) == {"run-1"}


def test_a_call_cancelled_in_its_own_turn_never_starts_though_its_caller_dies_twice(cloud: LocalCloud) -> None:
    """A retry invokes what its dead attempt left only after the replay has passed the cancellation."""

    @durable
    async def caller() -> int:
        call = step(1)
        call.cancel()
        return await step(2)

    cloud.kill(caller, Create, "after")
    cloud.kill(caller, Settle, "before")
    assert cloud.run(caller.with_options(id="c")) == 2
    assert attach("c~0").status() == "rejected_canceled"
    assert cloud.stats.bodies[step] == 1
