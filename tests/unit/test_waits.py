"""What a function waits for is read from asyncio's own futures: never too late, hardly ever in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from adapter.replay.loop import DurableLoop, new_loop
from adapter.replay.waits import Need, awaited, need_of

Main = Callable[[list[asyncio.Future[Any]]], Coroutine[Any, Any, Any]]

ANY_ONE = Need(1)
NOTHING = Need(None)


class Waiting:
    """Code that awaits some of a few futures in a durable loop, at rest."""

    def __init__(self) -> None:
        self.loop: DurableLoop = new_loop("waits", 0, pytest.fail, lambda context: None)
        self.tasks: list[asyncio.Task[Any]] = []

    def run(self, main: Main, count: int) -> list[asyncio.Future[Any]]:
        self.futures = [self.loop.create_future() for _ in range(count)]
        self.tasks.append(self.loop.create_task(main(self.futures)))
        self.loop.run_ready()
        return self.futures

    def need(self) -> Need:
        """As the engine asks: of those that are pending and awaited."""
        return need_of(future for future in self.futures if not future.done() and awaited(future))

    def end(self) -> None:
        for _ in range(3):
            for task in self.loop.tasks:
                task.cancel()
            self.loop.run_ready()
        for future in [*self.futures, *self.tasks]:
            if future.done() and not future.cancelled():
                future.exception()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """Nothing is left pending behind a test."""
    made = Waiting()
    yield made
    made.end()


async def plain(f: list[asyncio.Future[Any]]) -> None:
    await f[0]


async def gathers(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(*f)


async def gathers_exceptions(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(*f, return_exceptions=True)


async def gathers_one_twice(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(f[0], f[0], f[1])


async def nests(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(asyncio.gather(*f[:3]), asyncio.gather(*f[3:5]))


async def nests_in_a_gather_of_exceptions(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(asyncio.gather(*f[:2], return_exceptions=True), *f[2:], return_exceptions=True)


async def waits_for_all(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.wait(f)


async def waits_for_the_first(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.wait(f, return_when=asyncio.FIRST_COMPLETED)


async def waits_for_an_exception(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.wait(f, return_when=asyncio.FIRST_EXCEPTION)


async def waits_with_a_timeout(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.wait(f, timeout=5)


async def takes_as_completed(f: list[asyncio.Future[Any]]) -> None:
    for following in asyncio.as_completed(f):
        await following


async def shields(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.shield(f[0])


async def waits_for_one(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.wait_for(f[0], 5)


async def has_a_deadline(f: list[asyncio.Future[Any]]) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*f)


async def starts_tasks(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(*(asyncio.create_task(plain([future])) for future in f))


async def groups_tasks(f: list[asyncio.Future[Any]]) -> None:
    async with asyncio.TaskGroup() as group:
        for future in f:
            group.create_task(plain([future]))


async def gathers_in_two_tasks(f: list[asyncio.Future[Any]]) -> None:
    tasks = asyncio.create_task(gathers(f[:4])), asyncio.create_task(gathers(f[4:]))
    await asyncio.wait(tasks)


async def gathers_beside_a_plain_await(f: list[asyncio.Future[Any]]) -> None:
    await asyncio.gather(asyncio.create_task(gathers(f[1:])), asyncio.create_task(plain(f)))


async def adds_a_callback(f: list[asyncio.Future[Any]]) -> None:
    f[0].add_done_callback(print)
    await asyncio.gather(*f)


@pytest.mark.parametrize(
    ("main", "count", "need"),
    [
        (plain, 1, ANY_ONE),
        (gathers, 1, Need(1, True)),
        (gathers, 5, Need(5, True)),
        (gathers_exceptions, 5, Need(5, False)),
        (gathers_one_twice, 2, Need(2, True)),
        (nests, 5, Need(2, True)),
        (nests_in_a_gather_of_exceptions, 5, Need(2, False)),
        (waits_for_all, 4, Need(4, False)),
        (waits_for_the_first, 4, ANY_ONE),
        (waits_for_an_exception, 4, Need(4, True)),
        (waits_with_a_timeout, 4, Need(4, False)),
        (takes_as_completed, 4, ANY_ONE),
        (shields, 1, ANY_ONE),
        (waits_for_one, 1, ANY_ONE),
        (has_a_deadline, 3, Need(3, True)),
        (starts_tasks, 3, ANY_ONE),
        (groups_tasks, 3, ANY_ONE),
        (gathers_in_two_tasks, 6, Need(2, True)),
        (gathers_beside_a_plain_await, 4, ANY_ONE),
        (adds_a_callback, 3, ANY_ONE),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_code_at_rest_needs_what_could_let_it_move(waiting: Waiting, main: Main, count: int, need: Need) -> None:
    """A group needs all of its members, anything else the next settlement."""
    waiting.run(main, count)
    assert waiting.need() == need


@pytest.mark.parametrize("main", [gathers, gathers_exceptions, waits_for_all, waits_for_an_exception])
def test_each_settlement_lowers_the_need_by_one(waiting: Waiting, main: Main) -> None:
    """It does so until the code moves."""
    futures = waiting.run(main, 4)
    counts = []
    for future in futures:
        counts.append(waiting.need().count)
        future.set_result(None)
        waiting.loop.run_ready()
    assert counts == [4, 3, 2, 1]
    assert waiting.tasks[0].done()


def test_a_gather_that_failed_waits_no_longer(waiting: Waiting) -> None:
    """Its other members move nothing any more."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        try:
            await asyncio.gather(*f[:3])
        except ValueError:
            await asyncio.gather(*f[1:])

    futures = waiting.run(main, 5)
    futures[0].set_exception(ValueError())
    waiting.loop.run_ready()
    assert waiting.need() == Need(4, True)


def test_what_only_a_failed_gather_still_holds_needs_nothing(waiting: Waiting) -> None:
    """No settlement of it can let the code move."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        try:
            await asyncio.gather(*f)
        except ValueError:
            await asyncio.sleep(10)

    futures = waiting.run(main, 3)
    futures[0].set_exception(ValueError())
    waiting.loop.run_ready()
    assert awaited(futures[1])
    assert waiting.need() == NOTHING


def test_a_wait_that_is_over_holds_nothing(waiting: Waiting) -> None:
    """Its timeout came first. The code now sleeps."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        await asyncio.wait(f, timeout=1)
        await asyncio.sleep(10)

    waiting.run(main, 3)
    timer = waiting.loop.next_timer()
    assert timer is not None
    waiting.loop.fire(timer)
    waiting.loop.run_ready()
    assert waiting.need() == NOTHING


def test_a_future_that_nobody_awaits_needs_nothing(waiting: Waiting) -> None:
    """The code awaits a hot promise later, or never."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        await asyncio.sleep(10)

    futures = waiting.run(main, 2)
    assert not any(awaited(future) for future in futures)
    assert need_of(futures) == NOTHING


def test_nothing_at_all_needs_nothing() -> None:
    """Without futures there is no need."""
    assert need_of([]) == NOTHING


class Impostor:
    """A callback that is called like asyncio's, but isn't."""

    def __init__(self, qualname: str, module: str) -> None:
        self.__qualname__ = qualname
        self.__module__ = module

    def __call__(self, future: asyncio.Future[Any]) -> None: ...


@pytest.mark.parametrize("name", ["gather.<locals>._done_callback", "_wait.<locals>._on_completion"])
def test_a_callback_of_another_module_counts_as_any(waiting: Waiting, name: str) -> None:
    """An unknown callback may wake in vain, and never loses a wake."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        f[0].add_done_callback(Impostor(name, "user.code"))
        await asyncio.sleep(10)

    waiting.run(main, 1)
    assert waiting.need() == ANY_ONE


def _closed_over(name: str) -> Callable[..., None]:
    unknown = object()

    def callback(future: asyncio.Future[Any]) -> None:
        assert unknown

    callback.__qualname__, callback.__module__ = name, "asyncio.tasks"
    return callback


@pytest.mark.parametrize("name", ["gather.<locals>._done_callback", "_wait.<locals>._on_completion"])
def test_another_pythons_callback_counts_as_any(waiting: Waiting, name: str) -> None:
    """That Python names its variables differently."""

    async def main(f: list[asyncio.Future[Any]]) -> None:
        f[0].add_done_callback(_closed_over(name))
        await asyncio.sleep(10)

    waiting.run(main, 1)
    assert waiting.need() == ANY_ONE
