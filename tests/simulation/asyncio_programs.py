"""Small programs over plain asyncio, which run in a durable function as they are."""

from __future__ import annotations

import asyncio
from typing import Any

from adapter import durable
from tests.support.laws import HOUR, Broken, Calls

PROGRAMS: dict[str, Any] = {}


def program(function: Any) -> Any:
    """Durations are hours apart, so that no fault's delay changes who is first."""
    PROGRAMS[function.__name__] = function
    return function


@program
async def sequence(c: Any) -> Any:
    return [await c.step(1), await c.step(2), await c.step(3)]


@program
async def awaited_later(c: Any) -> Any:
    late, early = c.slow(1, 2), c.slow(2, 1)
    await asyncio.sleep(3 * HOUR)
    return [late.done(), early.done(), await late, await early, await early]


@program
async def gathered(c: Any) -> Any:
    return await asyncio.gather(c.slow(1, 3), c.step(2), c.slow(3, 1))


@program
async def gathered_twice(c: Any) -> Any:
    shared = c.slow(1, 1)
    return await asyncio.gather(shared, shared, asyncio.gather(c.step(2), shared))


@program
async def gathered_with_exceptions(c: Any) -> Any:
    done = await asyncio.gather(c.step(1), c.fails("a"), c.fails_late("b", 1), c.step(4), return_exceptions=True)
    return [repr(one) for one in done]


@program
async def gather_fails_fast(c: Any) -> Any:
    other = c.slow(1, 9)
    try:
        await asyncio.gather(other, c.fails_late("first", 1), c.fails_late("second", 5))
    except Broken as error:
        pending = not other.done()
        return [str(error), pending, await other]


@program
async def first_completed(c: Any) -> Any:
    done, pending = await asyncio.wait([c.slow(1, 9), c.slow(2, 1)], return_when=asyncio.FIRST_COMPLETED)
    first = [one.result() for one in done]
    rest, _ = await asyncio.wait(pending)
    return [first, [one.result() for one in rest]]


@program
async def all_completed(c: Any) -> Any:
    promises = [c.slow(1, 2), c.fails("x"), c.step(3)]
    done, pending = await asyncio.wait(promises)
    return [len(done), len(pending), repr(promises[1].exception()), promises[0].result()]


@program
async def first_exception(c: Any) -> Any:
    promises = [c.slow(1, 1), c.fails_late("x", 5), c.slow(3, 20)]
    done, pending = await asyncio.wait(promises, return_when=asyncio.FIRST_EXCEPTION)
    return [sorted(promises.index(one) for one in done), sorted(promises.index(one) for one in pending)]


@program
async def wait_with_timeout(c: Any) -> Any:
    done, pending = await asyncio.wait([c.slow(1, 1), c.slow(2, 9)], timeout=5 * HOUR)
    return [len(done), [await one for one in pending]]


@program
async def as_completed(c: Any) -> Any:
    order = []
    for following in asyncio.as_completed([c.slow(1, 9), c.slow(2, 1), c.slow(3, 5)]):
        order.append(await following)
        order.append(await c.step(order[-1] * 10))
    return order


@program
async def as_completed_with_timeout(c: Any) -> Any:
    order: list[Any] = []
    try:
        for following in asyncio.as_completed([c.slow(1, 9), c.slow(2, 1)], timeout=4 * HOUR):
            order.append(await following)
    except TimeoutError:
        order.append("timeout")
    return order


@program
async def tasks(c: Any) -> Any:
    async def chain(first: int, hours: float) -> int:
        total = await c.slow(first, hours)
        return total + await c.slow(total, hours)

    running = [asyncio.create_task(chain(1, 1)), asyncio.create_task(chain(2, 4))]
    return [await one for one in running]


@program
async def task_group(c: Any) -> Any:
    order = []

    async def one(value: int, hours: float) -> None:
        order.append(await c.slow(value, hours))

    async with asyncio.TaskGroup() as group:
        for value in range(4):
            group.create_task(one(value, 8 - 2 * value))
    return order


@program
async def task_group_that_fails(c: Any) -> Any:
    log = []

    async def endless() -> None:
        try:
            await c.slow(1, 50)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            log.append(await c.step(5))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(endless())
            await c.fails_late("group", 2)
    except* Broken as failed:
        log.append(repr(failed.exceptions))
    return log


@program
async def worker_pool(c: Any) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()
    done = []

    async def worker(name: str) -> None:
        while True:
            value = await queue.get()
            done.append([name, await c.slow(value, value)])
            queue.task_done()

    for value in (1, 7, 16, 32):
        queue.put_nowait(value)
    workers = [asyncio.create_task(worker(name)) for name in "ab"]
    await queue.join()
    for one in workers:
        one.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return done


@program
async def bounded_queue(c: Any) -> Any:
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def produce() -> None:
        for value in range(4):
            await queue.put(await c.step(value))
        await queue.put(None)

    producer = asyncio.create_task(produce())
    taken = []
    while (value := await queue.get()) is not None:
        taken.append(await c.slow(value, 1))
    await producer
    return taken


@program
async def lock(c: Any) -> Any:
    mutex, log = asyncio.Lock(), []

    async def one(name: str, hours: float) -> None:
        await c.slow(0, hours)
        async with mutex:
            log.append(f"{name} in")
            await c.slow(0, 9)
            log.append(f"{name} out")

    await asyncio.gather(one("a", 3), one("b", 1), one("c", 5))
    return log


@program
async def event(c: Any) -> Any:
    ready, log = asyncio.Event(), []

    async def waiter(name: str) -> None:
        await ready.wait()
        log.append(await c.step(len(name)))

    async with asyncio.TaskGroup() as group:
        group.create_task(waiter("a"))
        group.create_task(waiter("bb"))
        await c.slow(1, 1)
        log.append(0)
        ready.set()
    return sorted(log)


@program
async def condition(c: Any) -> Any:
    changed, log = asyncio.Condition(), []

    async def waiter() -> None:
        async with changed:
            await changed.wait_for(lambda: len(log) == 2)
            log.append(await c.step(3))

    waiting = asyncio.create_task(waiter())
    for value in (1, 2):
        async with changed:
            log.append(await c.slow(value, 1))
            changed.notify_all()
    await waiting
    return log


@program
async def semaphore(c: Any) -> Any:
    limit, running, most = asyncio.Semaphore(2), 0, 0

    async def one(hours: float) -> int:
        nonlocal running, most
        async with limit:
            running += 1
            most = max(most, running)
            value = await c.slow(int(hours), hours)
            running -= 1
            return value

    return [await asyncio.gather(*(one(hours) for hours in (1, 5, 9, 13))), most]


@program
async def shield(c: Any) -> Any:
    kept = c.slow(4, 8)
    try:
        await asyncio.wait_for(asyncio.shield(kept), 2 * HOUR)
    except TimeoutError:
        return [kept.done(), await kept]


@program
async def wait_for(c: Any) -> Any:
    quick = await asyncio.wait_for(c.slow(1, 1), 5 * HOUR)
    try:
        await asyncio.wait_for(c.slow(2, 50), 5 * HOUR)
    except TimeoutError:
        return [quick, "timeout", await c.step(3)]


@program
async def timeouts(c: Any) -> Any:
    log = []
    async with asyncio.timeout(5 * HOUR) as outer:
        log.append(await c.slow(1, 1))
        try:
            async with asyncio.timeout(HOUR):
                await c.slow(2, 50)
        except TimeoutError:
            log.append("inner")
        outer.reschedule(asyncio.get_running_loop().time() + HOUR)
        try:
            await c.slow(3, 50)
        except asyncio.CancelledError:
            log.append("cancelled")
    return log


@program
async def timeout_outside(c: Any) -> Any:
    log = []
    try:
        async with asyncio.timeout(5 * HOUR) as limit:
            await asyncio.gather(c.slow(1, 50), c.slow(2, 1))
    except TimeoutError:
        log.append(limit.expired())
    return log


@program
async def cancelled_task(c: Any) -> Any:
    log = []

    async def one() -> None:
        try:
            await c.slow(1, 50)
        finally:
            log.append(await c.step(2))

    running = asyncio.create_task(one())
    await c.slow(0, 1)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        log.append("cancelled")
    return [log, running.cancelled()]


@program
async def done_callbacks(c: Any) -> Any:
    log: list[Any] = []
    promise = c.slow(1, 1)
    promise.add_done_callback(lambda done: log.append(done.result()))
    await c.slow(2, 5)
    return log


@program
async def nested_exception_handlers(c: Any) -> Any:
    log: list[Any] = []
    for attempt in range(3):
        try:
            log.append(await (c.fails("no") if attempt < 2 else c.step(attempt)))
        except Broken as error:
            log.append(str(error))
        finally:
            log.append(await c.step(attempt))
    return log


@program
async def async_generators(c: Any) -> Any:
    async def values() -> Any:
        try:
            for value in range(3):
                yield await c.slow(value, 1)
        finally:
            await c.step(9)

    return [value async for value in values()]


@program
async def sleeps_in_parallel(c: Any) -> Any:
    log: list[Any] = []

    async def one(name: str, hours: float) -> None:
        await asyncio.sleep(hours * HOUR)
        log.append(name)

    await asyncio.gather(one("a", 3), one("b", 1), one("c", 2), one("d", 2))
    return log


@program
async def yields(c: Any) -> Any:
    log: list[Any] = []

    async def one(name: str) -> None:
        for turn in range(3):
            log.append(f"{name}{turn}")
            await asyncio.sleep(0)

    await asyncio.gather(one("a"), one("b"))
    return [log, await c.step(1)]


def made_durable(name: str) -> Any:
    body = PROGRAMS[name]

    @durable(name=f"program:{name}")
    async def run_program() -> Any:
        return await body(Calls)

    return run_program
