"""A turn of the durable loop runs what is ready, in order, and ends."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from adapter.replay import loop as loop_module
from adapter.replay.loop import DurableLoop
from tests.unit.loop.running import NOW, make, run


def test_callbacks_run_in_the_order_they_became_ready(loop: DurableLoop) -> None:
    """A callback that another makes ready comes last."""
    log: list[str] = []
    for name in "abc":
        loop.call_soon(lambda n: (log.append(n), loop.call_soon(log.append, n.upper())), name)
    loop.run_ready()
    assert log == ["a", "b", "c", "A", "B", "C"]


def test_a_cancelled_callback_does_not_run(loop: DurableLoop) -> None:
    """The others do."""
    log: list[str] = []
    handles = [loop.call_soon(log.append, name) for name in "abc"]
    handles[1].cancel()
    loop.run_ready()
    assert log == ["a", "c"]


def test_a_callback_runs_in_its_context(loop: DurableLoop) -> None:
    """The loop runs it in the context that it was given, or else in that in which it was scheduled."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
    inside = contextvars.copy_context()
    inside.run(variable.set, "inside")
    seen: list[str] = []
    loop.call_soon(lambda: seen.append(variable.get()), context=inside)
    loop.call_soon(lambda: seen.append(variable.get()))
    loop.run_ready()
    assert seen == ["inside", "outside"]


def test_a_turn_ends_when_nothing_is_ready(loop: DurableLoop) -> None:
    """Suspended code stays as it is until something is delivered to it."""
    log: list[object] = []
    future = loop.create_future()

    async def main() -> None:
        log.append("begun")
        log.append(await future)

    task = loop.create_task(main())
    loop.run_ready()
    loop.run_ready()
    assert log == ["begun"]
    future.set_result("delivered")
    assert log == ["begun"]
    loop.run_ready()
    assert log == ["begun", "delivered"]
    assert task.done()


def test_the_loop_is_the_running_one_only_during_a_turn(loop: DurableLoop) -> None:
    """The loop that ran before runs again after it."""

    async def main() -> bool:
        return asyncio.get_running_loop() is loop and loop.is_running()

    async def outer() -> bool:
        before = asyncio.get_running_loop()
        found = run(loop, main())
        return found and asyncio.get_running_loop() is before

    assert run(loop, main())
    assert not loop.is_running()
    assert asyncio.run(outer())


def test_a_turn_that_raises_gives_the_outer_loop_back(loop: DurableLoop) -> None:
    """A control signal goes through, and the loop leaves nothing running."""

    def leave() -> None:
        raise SystemExit(3)

    loop.call_soon(leave)
    with pytest.raises(SystemExit):
        loop.run_ready()
    assert asyncio._get_running_loop() is None


def test_an_error_of_a_callback_is_told_and_the_turn_goes_on() -> None:
    """asyncio does the same."""
    loop, errors = make()
    log: list[int] = []
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(log.append, 1)
    loop.run_ready()
    assert log == [1]
    assert [type(error["exception"]) for error in errors] == [ZeroDivisionError]


def test_both_exception_handlers_tell() -> None:
    """Either of them may be called."""
    loop, errors = make()
    loop.call_exception_handler({"message": "a"})
    loop.default_exception_handler({"message": "b"})
    assert errors == [{"message": "a"}, {"message": "b"}]


def test_an_endless_loop_around_sleep_zero_is_an_error(loop: DurableLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop could deliver nothing to it any more. The message guesses at the cause."""
    monkeypatch.setattr(loop_module, "MAX_STEPS", 100)
    turns = 0

    async def main() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match=r"100 callbacks .*asyncio\.sleep\(0\)"):
        loop.run_ready()
    assert turns == 100
    assert asyncio._get_running_loop() is None
    task.cancel()
    loop.run_ready()


@pytest.mark.parametrize("make_program", [lambda: programs()], ids=["programs"])
def test_the_same_program_leaves_the_same_trace_ten_times(
    make_program: Callable[[], Callable[[DurableLoop, list[str]], Coroutine[Any, Any, Any]]],
) -> None:
    """The program has queues, groups, timers, races and cancellations."""
    traces = []
    for _ in range(10):
        loop, _ = make("traced")
        trace: list[str] = []
        run(loop, make_program()(loop, trace))
        traces.append(trace)
    assert len(traces[0]) > 30
    assert all(trace == traces[0] for trace in traces)


def programs() -> Callable[[DurableLoop, list[str]], Coroutine[Any, Any, Any]]:
    async def main(loop: DurableLoop, trace: list[str]) -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=2)

        async def worker(name: str, pace: float) -> None:
            try:
                while True:
                    item = await queue.get()
                    await asyncio.sleep(pace)
                    trace.append(f"{name} {item} {loop.now - NOW}")
                    queue.task_done()
            finally:
                trace.append(f"{name} ends")

        async def fails() -> None:
            await asyncio.sleep(4)
            raise ValueError

        workers = [asyncio.create_task(worker(f"w{n}", 1 + n % 3)) for n in range(7)]
        for item in range(20):
            await queue.put(item)
        await queue.join()
        for one in workers:
            one.cancel()
        await asyncio.wait(workers)
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(7):
                    group.create_task(worker(f"g{n}", n))
                group.create_task(fails())
        except* ValueError:
            trace.append("failed")

    return main
