"""Tasks and futures of the durable loop hash alike at every replay."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.replay.loop import DurableLoop
from tests.unit.loop.running import make, run


def made(loop: DurableLoop, plan: list[bool]) -> list[asyncio.Future[Any]]:
    """Futures and tasks, as the plan says."""

    async def nothing() -> None: ...

    futures = [loop.create_task(nothing()) if task else loop.create_future() for task in plan]
    loop.run_ready()
    return futures


@given(plan=st.lists(st.booleans(), max_size=80))
def test_sets_of_tasks_and_futures_iterate_alike_at_every_replay(plan: list[bool]) -> None:
    """`asyncio.wait` and `TaskGroup` keep sets, whose order decides which task they cancel first."""
    orders = []
    keep = []
    for _ in range(3):
        futures = made(make("same")[0], plan)
        # Alive, so that the next ones lie elsewhere in memory.
        keep.append(futures)
        orders.append([futures.index(one) for one in set(futures)])
    assert orders[0] == orders[1] == orders[2]


def test_hashes_follow_the_order_of_creation(loop: DurableLoop) -> None:
    """The loop counts tasks and futures together, and gives no hash twice."""
    hashes = [hash(one) for one in made(loop, [True, False, True, False])]
    assert hashes == list(range(hashes[0], hashes[0] + 4))


def test_hashes_of_different_promises_differ() -> None:
    """Futures of two executions in one set don't collide."""
    assert hash(make("a")[0].create_future()) != hash(make("b")[0].create_future())


def test_a_future_is_equal_to_itself_only(loop: DurableLoop) -> None:
    """Its own hash changes nothing about that."""
    one, other = loop.create_future(), loop.create_future()
    assert one == one
    assert one != other
    assert len({one, one, other}) == 2


def cancelled_order(name: str) -> list[int]:
    """In which order a failing task group cancels its tasks."""
    loop, _ = make(name)
    log: list[int] = []

    async def one(number: int) -> None:
        try:
            await loop.create_future()
        finally:
            log.append(number)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(one(number))
            await asyncio.sleep(0)
            raise ValueError

    with pytest.raises(ExceptionGroup):
        run(loop, main())
    return log


def test_a_task_group_cancels_in_the_same_order_at_every_replay() -> None:
    """The group keeps its tasks in a set."""
    orders = [cancelled_order("same") for _ in range(3)]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(40))


def test_tasks_are_named_by_their_ordinal_in_the_loop() -> None:
    """asyncio's own names count across the process, which a replay would see."""
    assert [t.get_name() for t in made(make()[0], [True, True])] == ["Task-1", "Task-2"]  # type: ignore[attr-defined]
    assert [t.get_name() for t in made(make()[0], [True, True])] == ["Task-1", "Task-2"]  # type: ignore[attr-defined]


def test_a_task_can_be_given_a_name_and_a_context(loop: DurableLoop) -> None:
    """The loop takes them as `asyncio.create_task` does."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    context.run(variable.set, 5)

    async def main() -> int:
        return variable.get()

    task = loop.create_task(main(), name="mine", context=context)
    loop.run_ready()
    assert (task.get_name(), task.result()) == ("mine", 5)


def test_ended_tasks_are_forgotten(loop: DurableLoop) -> None:
    """A function of a hundred thousand tasks doesn't keep them all."""

    async def nothing() -> None: ...

    for _ in range(1_000):
        loop.create_task(nothing())
        loop.run_ready()
    assert len(loop.tasks) < 130
