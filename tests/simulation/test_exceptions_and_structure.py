"""Exceptions cross machines; functions own what they start; suspended code stays suspended."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
from dataclasses import dataclass
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, promise, resolve, run
from adapter.engine.operations import Arm, Create, Invoke, Many, Settle
from adapter.testing import DurableWarning, Faults, LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import HOUR, Broken, fails, fails_late, forget, slow, step


@dataclass(frozen=True)
class Point:
    x: int
    at: dt.datetime


@durable
def a_tuple() -> tuple[int, str]:
    return 1, "a"


@durable
def a_point() -> Point:
    return Point(1, dt.datetime(2026, 1, 2, tzinfo=dt.UTC))


def a_day() -> dt.timedelta:
    return dt.timedelta(1)


@durable
async def types_of() -> list[str]:
    calls = [await a_tuple(), await a_point()]
    inline = [await run(a_tuple), await run(a_point), await run(a_day)]
    return [repr(one) for one in [*calls, *inline]]


def test_what_await_returns_has_the_same_type_at_the_first_run_and_at_every_replay(any_cloud: LocalCloud) -> None:
    """Calls and inline steps return tuples, dataclasses and datetimes."""
    point = "Point(x=1, at=datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc))"
    expected = ["(1, 'a')", point, "(1, 'a')", point, "datetime.timedelta(days=1)"]
    assert any_cloud.run(types_of) == expected


def test_an_exception_keeps_class_message_attributes_and_its_remote_traceback(any_cloud: LocalCloud) -> None:
    """It crosses two machines."""

    @durable
    async def middle() -> int:
        return await fails("deep")

    @durable
    async def top() -> int:
        return await middle()

    with pytest.raises(Broken, match=r"^deep$") as caught:
        any_cloud.run(top)
    assert caught.value.code == 7
    assert isinstance(caught.value.__cause__, errors.RemoteTraceback)
    assert "raise Broken(message, 7)" in str(caught.value.__cause__)


def test_an_exception_of_a_class_unknown_here_is_a_remote_error(any_cloud: LocalCloud) -> None:
    """It carries the class's name."""

    @durable
    def obscure() -> None:
        raise type("Obscure", (Exception,), {"__module__": "elsewhere"})("text")

    with pytest.raises(errors.RemoteError, match="text") as caught:
        any_cloud.run(obscure)
    assert "Obscure" in caught.value.class_name


def test_a_failing_gather_raises_at_once_while_others_are_pending(cloud: LocalCloud) -> None:
    """The slow call has two hours to go. The engine cancels what the failed function started."""

    @durable
    async def hasty() -> Any:
        return await asyncio.gather(slow(1, 5), fails.with_options(retry=Retry(attempts=1))("now"))

    begun = cloud.now()
    with pytest.raises(Broken):
        cloud.run(hasty)
    assert cloud.now() == begun
    assert attach("run-1~0").status() == "rejected_canceled"


def test_a_function_settles_only_after_everything_it_started(any_cloud: LocalCloud) -> None:
    """It awaits none of it."""

    @durable
    async def forgetful() -> str:
        slow(1, 5)
        slow(2, 2)
        return "done"

    begun = any_cloud.now()
    assert any_cloud.run(forgetful) == "done"
    assert any_cloud.now() - begun >= dt.timedelta(hours=5)
    assert [attach(f"run-1~{n}").status() for n in range(2)] == ["resolved", "resolved"]


def test_a_function_that_raises_cancels_what_it_started(any_cloud: LocalCloud) -> None:
    """Its exception arrives. The children, whose ids follow from its own, are rejected_canceled."""

    @durable
    async def child() -> None:
        await slow(1, 50)

    @durable
    async def raises() -> None:
        child()
        promise(str)
        await asyncio.sleep(HOUR)
        raise Broken("mine")

    with pytest.raises(Broken, match="mine"):
        any_cloud.run(raises)
    any_cloud.advance(HOUR)
    assert {attach(one).status() for one in ("run-1~0", "run-1~1", "run-1~0.0")} == {"rejected_canceled"}


FINALLY: list[str] = []


@durable
async def guarded() -> str:
    async def background() -> None:
        try:
            await asyncio.sleep(1000 * HOUR)
        finally:
            FINALLY.append("background")

    task = asyncio.create_task(background())
    try:
        answer = await promise(str)
        await step(1)
        FINALLY.append("end")
        return answer
    finally:
        FINALLY.append("finally")
        task.cancel()


def test_a_suspended_functions_finally_blocks_do_not_run(any_cloud: LocalCloud) -> None:
    """They don't when its Lambda returns, at a collection, or when a sandbox forgets it."""
    FINALLY.clear()
    handle = guarded.start()
    for _ in range(3):
        any_cloud.advance(HOUR)
        gc.collect()
    for function in any_cloud.service.functions.values():
        function.memory.clear()
    gc.collect()
    assert FINALLY == []
    resolve(f"{handle.id}~0", "yes")
    assert handle.result() == "yes"
    assert FINALLY[0] == "end"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Create, Settle, Arm, Invoke, Many])
def test_killed_code_runs_no_finally_block_and_the_result_is_the_same(
    operation: type[Any], when: str, cloud: LocalCloud
) -> None:
    """It may die at any operation."""
    FINALLY.clear()

    @durable
    async def victim() -> list[int]:
        try:
            both = await asyncio.gather(slow(1, 1), step(2))
            return [*both, await step(3), await run(lambda: 4)]
        finally:
            FINALLY.append("finally")

    cloud.kill(victim, operation, when)
    handle = victim.start()
    cloud.advance(HOUR / 2)
    gc.collect()
    assert FINALLY == []
    assert handle.result() == [1, 2, 3, 4]


def test_fails_late_does_fail_late(cloud: LocalCloud) -> None:
    """In virtual time, a rejection resumes a gather at once."""

    @durable
    async def waits() -> str:
        try:
            await asyncio.gather(slow(1, 9), fails_late("x", 2))
        except Broken:
            return "failed"
        return "?"

    begun = cloud.now()
    assert cloud.run(waits) == "failed"
    # It settles only after what it started; the failure itself came after two hours.
    assert cloud.now() - begun == dt.timedelta(hours=9)


def test_a_promise_is_hot_it_runs_before_it_is_awaited(any_cloud: LocalCloud) -> None:
    """It began when its caller first awaited something else."""
    log: list[str] = []

    @durable
    def noted(name: str) -> None:
        if name not in log:
            log.append(name)

    @durable
    async def caller() -> None:
        early = noted("early")
        await slow(0, 1)
        await noted("late")
        await early

    any_cloud.run(caller)
    assert log == ["early", "late"]


def test_a_suspended_async_generators_finally_block_does_not_run() -> None:
    """It doesn't when its sandbox is forgotten, nor at a collection."""
    ran: list[str] = []

    @durable
    async def generates() -> int:
        async def values() -> object:
            try:
                yield await step(1)
                yield await promise(int)
            finally:
                ran.append("finally")

        total = 0
        async for value in values():  # type: ignore[attr-defined]
            total += value
        return total

    with LocalCloud(engine=ENGINE) as cloud:
        cloud.watchers.append(lambda event: forget(cloud))
        generates.start()
        cloud.drive()
        gc.collect()
        assert ran == []
    gc.collect()
    assert ran == []


def test_a_generator_that_is_held_by_nothing_but_a_suspended_frame_stays_suspended(cloud: LocalCloud) -> None:
    """Its yield is between two awaits of the function."""
    ran: list[str] = []

    @durable
    async def generates() -> int:
        async def values() -> object:
            try:
                yield 1
                yield 2
            finally:
                ran.append("finally")

        total = 0
        async for value in values():  # type: ignore[attr-defined]
            total += value
            await promise(int)
        return total

    cloud.watchers.append(lambda event: forget(cloud))
    generates.start()
    cloud.drive()
    gc.collect()
    assert ran == []


def test_a_duplicated_run_leaves_no_finally_block_to_run() -> None:
    """The sandbox drops its predecessor from memory."""
    FINALLY.clear()
    with LocalCloud(engine=ENGINE, faults=Faults(duplicate=1.0)) as cloud:
        guarded.start()
        cloud.drive()
        gc.collect()
        assert FINALLY == []


def test_a_failure_that_nobody_awaits_is_told_and_stays_readable(any_cloud: LocalCloud) -> None:
    """The log has its promise and class. Its text may hold what no log should."""

    @durable
    async def careless() -> str:
        fails("secret")
        await step(1)
        return "fine"

    told: list[Any] = []
    any_cloud.watchers.append(lambda event: told.append(event) if event.what == "unheard" else None)
    handle = careless.start()
    with pytest.warns(DurableWarning, match=f"never heard that {handle.id}~0 failed"):
        assert handle.result() == "fine"
    assert {(event.promise, event.detail["error"]) for event in told} == {(f"{handle.id}~0", "Broken")}
    with pytest.raises(Broken, match="secret"):
        attach(f"{handle.id}~0").result()


def test_a_failed_task_that_nobody_awaits_is_told(any_cloud: LocalCloud) -> None:
    """asyncio would tell it when it collects the task. The engine tells it when the function ends."""

    @durable
    async def careless() -> str:
        async def background() -> None:
            await step(1)
            raise Broken("secret")

        task = asyncio.create_task(background())
        await step(2)
        await asyncio.wait([task])
        return str(task.done())

    told: list[Any] = []
    any_cloud.watchers.append(lambda event: told.append(event) if event.what == "unheard" else None)
    with pytest.warns(DurableWarning, match="never heard"):
        assert any_cloud.run(careless) == "True"
    assert {event.detail["error"] for event in told} == {"Broken"}


def test_a_failure_that_is_awaited_is_no_news(any_cloud: LocalCloud) -> None:
    """A failure that a gather swallowed on purpose isn't either."""

    @durable
    async def careful() -> int:
        found = await asyncio.gather(fails("a"), fails("b"), return_exceptions=True)
        return len(found)

    told: list[Any] = []
    any_cloud.watchers.append(lambda event: told.append(event) if event.what == "unheard" else None)
    assert any_cloud.run(careful) == 2
    assert told == []
