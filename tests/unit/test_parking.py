"""Suspended code that nobody resumes is freed, and nothing of it runs: no ``finally:``, no exit of a ``with``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from adapter.protocol.records import Kind, Record
from adapter.replay import parking
from adapter.replay.execution import Execution
from adapter.replay.steps import Flush, Request, Suspended, current

RAN: list[str] = []


class Large:
    """What a function's local variables hold."""

    def __init__(self) -> None:
        self.text = "x" * 100_000


class Careful:
    """It tidies up after itself."""

    def __del__(self) -> None:
        RAN.append("del")


def ask() -> Any:
    scope = current.get()
    assert scope is not None
    return scope.request(Request(kind=Kind.EXTERNAL, fn="", args="", digest="d", decode=str))


@contextlib.contextmanager
def plainly() -> Iterator[Large]:
    try:
        yield Large()
    finally:
        RAN.append("with")


@contextlib.asynccontextmanager
async def asynchronously() -> AsyncIterator[Large]:
    try:
        yield Large()
    finally:
        RAN.append("async with")


def generated() -> Iterator[Large]:
    try:
        while True:
            yield Large()
    finally:
        RAN.append("generator")


async def asynchronously_generated() -> AsyncIterator[Any]:
    try:
        while True:
            yield await ask()
    finally:
        RAN.append("async generator")


async def waits(large: Large) -> Any:
    try:
        return await ask()
    finally:
        RAN.append("finally")


async def directly(large: Large) -> None:
    await waits(large)


async def with_managers(large: Large) -> None:
    with plainly() as one:
        async with asynchronously() as two:
            try:
                await ask()
            finally:
                RAN.append(f"inner {one} {two}")


async def with_generators(large: Large) -> None:
    for one in generated():
        async for two in asynchronously_generated():
            RAN.append(f"inner {one} {two}")


async def in_a_group(large: Large) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(waits(Large()))


async def gathered(large: Large) -> None:
    try:
        await asyncio.gather(*(asyncio.create_task(waits(large)) for _ in range(3)))
    finally:
        RAN.append("gather")


async def with_a_timeout(large: Large) -> None:
    async with asyncio.timeout(60):
        await asyncio.shield(asyncio.create_task(waits(large)))


async def in_a_cycle(large: Large) -> None:
    held: list[Any] = [large, generated(), Careful()]
    next(held[1])
    held.append(held)
    try:
        raise ValueError
    except ValueError as error:
        held.append(error)
    await waits(large)


async def with_an_event(large: Large) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(waits(large))
    task.add_done_callback(lambda _: event.set())
    await event.wait()
    RAN.append("set")


class Lazy:
    """A proxy, as web frameworks have them: to ask for anything of it makes it look for its object."""

    def __getattribute__(self, name: str) -> Any:
        RAN.append(f"a look at {name}")
        raise LookupError(name)


async def with_a_proxy(large: Large) -> None:
    held = Lazy()
    await waits(large)
    assert held


def suspended(body: Callable[[Large], Awaitable[None]]) -> tuple[Execution, weakref.ref[Large]]:
    large = Large()
    made: Any = body
    execution = Execution(Record(id="r", created_at=1), (), lambda: made(large), encode_result=str)
    while not isinstance(step := execution.advance(1), Suspended):
        assert isinstance(step, Flush)
        for request in step.requests:
            leads = step.seen if request is step.leader else None
            execution.learn(Record(id=request.id, kind=Kind.EXTERNAL, digest="d", seen=leads, created_at=1))
    return execution, weakref.ref(large)


BODIES = [
    directly,
    with_managers,
    with_generators,
    in_a_group,
    gathered,
    with_a_timeout,
    in_a_cycle,
    with_an_event,
    with_a_proxy,
]


@pytest.fixture(autouse=True)
def _afresh() -> None:
    gc.collect()
    RAN.clear()


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_an_abandoned_execution_is_freed_and_none_of_its_code_runs(body: Callable[[Large], Awaitable[None]]) -> None:
    """Python also frees its local variables, its tasks, and what it awaits."""
    execution, large = suspended(body)
    gone = weakref.ref(execution)
    execution.abandon()
    del execution
    gc.collect()
    assert RAN == []
    assert gone() is None
    assert large() is None


def test_what_is_too_large_to_search_is_kept_and_none_of_its_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that keeps its marks elsewhere does the same."""
    monkeypatch.setattr(parking, "MOST", 3)
    execution, large = suspended(in_a_group)
    execution.abandon()
    del execution
    gc.collect()
    assert RAN == []
    assert large() is not None


def test_this_python_can_mark() -> None:
    """Otherwise a busy sandbox would fill up."""
    assert parking.can_mark()


def test_a_thousand_suspensions_leave_nothing_behind() -> None:
    """The process has no coroutine more, and no task."""

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(one), (*parking.SUSPENDED, asyncio.Task)) for one in gc.get_objects())

    before = alive()
    for _ in range(1_000):
        suspended(in_a_group)[0].abandon()
    assert alive() <= before
    assert RAN == []
