"""The durable loop: what runs next follows from what was delivered, and from nothing else."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.times import SECOND
from adapter.replay import loop as loop_module
from adapter.replay.loop import REAL_IO, DurableLoop, DurableTimer, new_loop

NOW = 1_767_225_600_000_000
"""Logical microseconds, as large as they are in this century."""


class Left(Exception):
    """What ``on_io`` raises here."""


def make(name: str = "promise", now: int = NOW) -> tuple[DurableLoop, list[dict[str, Any]]]:
    """A loop, and what was told to its ``on_error``."""

    def refuse(operation: str) -> None:
        raise Left(operation)

    errors: list[dict[str, Any]] = []
    return new_loop(name, now, refuse, errors.append), errors


@pytest.fixture
def loop() -> DurableLoop:
    """A fresh one."""
    return make()[0]


def run(loop: DurableLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """To its end, firing each timer when it is its turn."""
    task = loop.create_task(main)
    loop.run_ready()
    while not task.done() and (timer := loop.next_timer()) is not None:
        loop.fire(timer)
        loop.run_ready()
    return task.result()


def test_callbacks_run_in_the_order_they_became_ready(loop: DurableLoop) -> None:
    """First in, first out; what a callback makes ready comes last."""
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
    """The one it was given, else the one it was scheduled in."""
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
    """And whichever ran before runs again behind it."""

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
    """A control signal goes through; nothing is left running."""

    def leave() -> None:
        raise SystemExit(3)

    loop.call_soon(leave)
    with pytest.raises(SystemExit):
        loop.run_ready()
    assert asyncio._get_running_loop() is None


def test_an_error_of_a_callback_is_told_and_the_turn_goes_on() -> None:
    """As asyncio does it."""
    loop, errors = make()
    log: list[int] = []
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(log.append, 1)
    loop.run_ready()
    assert log == [1]
    assert [type(error["exception"]) for error in errors] == [ZeroDivisionError]


def test_both_exception_handlers_tell() -> None:
    """Whoever calls them."""
    loop, errors = make()
    loop.call_exception_handler({"message": "a"})
    loop.default_exception_handler({"message": "b"})
    assert errors == [{"message": "a"}, {"message": "b"}]


# Hashes.


def made(loop: DurableLoop, plan: list[bool]) -> list[asyncio.Future[Any]]:
    """Futures and tasks, as the plan says."""

    async def nothing() -> None: ...

    futures = [loop.create_task(nothing()) if task else loop.create_future() for task in plan]
    loop.run_ready()
    return futures


@given(plan=st.lists(st.booleans(), max_size=80))
def test_sets_of_tasks_and_futures_iterate_alike_at_every_replay(plan: list[bool]) -> None:
    """`asyncio.wait` and `TaskGroup` keep sets; their order decides who is cancelled first."""
    orders = []
    keep = []
    for _ in range(3):
        futures = made(make("same")[0], plan)
        # Alive, so that the next ones lie elsewhere in memory.
        keep.append(futures)
        orders.append([futures.index(one) for one in set(futures)])
    assert orders[0] == orders[1] == orders[2]


def test_hashes_follow_the_order_of_creation(loop: DurableLoop) -> None:
    """Tasks and futures count together, and none is twice."""
    hashes = [hash(one) for one in made(loop, [True, False, True, False])]
    assert hashes == list(range(hashes[0], hashes[0] + 4))


def test_hashes_of_different_promises_differ() -> None:
    """Futures of two executions in one set don't collide."""
    assert hash(make("a")[0].create_future()) != hash(make("b")[0].create_future())


def test_a_future_is_equal_to_itself_only(loop: DurableLoop) -> None:
    """A hash of its own changes nothing about that."""
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
    """Even though it keeps a set."""
    orders = [cancelled_order("same") for _ in range(3)]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(40))


def test_tasks_are_named_by_their_ordinal_in_the_loop() -> None:
    """asyncio's own names count across the process, which a replay would see."""
    assert [t.get_name() for t in made(make()[0], [True, True])] == ["Task-1", "Task-2"]  # type: ignore[attr-defined]
    assert [t.get_name() for t in made(make()[0], [True, True])] == ["Task-1", "Task-2"]  # type: ignore[attr-defined]


def test_a_task_can_be_given_a_name_and_a_context(loop: DurableLoop) -> None:
    """As `asyncio.create_task` takes them."""
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


# Time.


def test_time_is_logical(loop: DurableLoop) -> None:
    """It begins with the promise, and stands still during a turn."""

    async def main() -> list[float]:
        times = [loop.time()]
        for _ in range(100):
            await asyncio.sleep(0)
        return [*times, loop.time(), asyncio.get_running_loop().time()]

    assert run(loop, main()) == [NOW / SECOND] * 3
    assert loop.now == NOW


def test_a_timer_fires_only_when_it_is_told_to(loop: DurableLoop) -> None:
    """Never by itself, however often the loop runs."""
    log: list[str] = []
    timer = loop.call_later(1, log.append, "fired")
    loop.run_ready()
    assert log == []
    assert loop.next_timer() is timer
    loop.fire(timer)  # type: ignore[arg-type]
    assert log == []
    loop.run_ready()
    assert log == ["fired"]
    assert loop.now == NOW + SECOND
    assert loop.next_timer() is None


@given(delays=st.lists(st.integers(1, 5), max_size=12))
def test_timers_come_by_due_time_and_then_in_the_order_they_were_set(delays: list[int]) -> None:
    """Whatever the order in which they were set."""
    loop, _ = make()
    fired: list[int] = []
    for ordinal, delay in enumerate(delays):
        loop.call_later(delay, fired.append, ordinal)
    while (timer := loop.next_timer()) is not None:
        loop.fire(timer)
    loop.run_ready()
    assert fired == sorted(range(len(delays)), key=lambda ordinal: (delays[ordinal], ordinal))


@given(delays=st.lists(st.integers(1, 5), max_size=12), data=st.data())
def test_a_cancelled_timer_is_gone(delays: list[int], data: st.DataObject) -> None:
    """From every view of the timers; the others are as if it had never been."""
    loop, _ = make()
    timers: list[Any] = [loop.call_later(delay, lambda: None) for delay in delays]
    dropped = {i for i in range(len(delays)) if data.draw(st.booleans())}
    for ordinal in dropped:
        timers[ordinal].cancel()
        timers[ordinal].cancel()
    left = [timer for timer in timers if timer.ordinal not in dropped]
    assert loop.pending_timers() == left
    assert [loop.timer(ordinal) for ordinal in range(len(timers))] == [t if t in left else None for t in timers]
    order = []
    while (timer := loop.next_timer()) is not None:
        order.append(timer)
        loop.fire(timer)
    assert order == sorted(left)


def test_a_timer_that_was_fired_and_then_cancelled_does_not_run(loop: DurableLoop) -> None:
    """Both happened in one turn, the cancellation last."""
    log: list[str] = []
    timer: Any = loop.call_later(1, log.append, "fired")
    loop.fire(timer)
    timer.cancel()
    loop.run_ready()
    assert log == []


def test_a_timer_is_known_by_its_ordinal(loop: DurableLoop) -> None:
    """By which the journal names it; once fired it is known no more."""
    first: Any = loop.call_later(5, lambda: None)
    second: Any = loop.call_later(1, lambda: None)
    assert (first.ordinal, second.ordinal) == (0, 1)
    assert loop.timer(0) is first
    assert loop.timer(2) is None
    loop.fire(first)
    assert loop.timer(0) is None
    assert loop.next_timer() is second


@pytest.mark.parametrize("delay", [0, -1, -1e9])
def test_a_timer_that_is_due_already_needs_no_delivery(loop: DurableLoop, delay: float) -> None:
    """It runs in this turn, and time doesn't go back; it has had its ordinal all the same."""
    log: list[str] = []
    loop.call_later(delay, log.append, "past")
    loop.call_soon(log.append, "soon")
    assert loop.next_timer() is None
    loop.run_ready()
    assert log == ["past", "soon"]
    assert loop.now == NOW
    later: Any = loop.call_later(1, lambda: None)
    assert later.ordinal == 1


def test_a_late_delivery_does_not_turn_time_back(loop: DurableLoop) -> None:
    """Time is at least what it was."""
    timer: Any = loop.call_later(1, lambda: None)
    loop.now += 5 * SECOND
    loop.fire(timer)
    assert loop.now == NOW + 5 * SECOND


@pytest.mark.parametrize("microseconds", [1, 2, 999_999, 1_000_001, 31_536_000_000_001])
def test_due_times_are_exact_to_the_microsecond(loop: DurableLoop, microseconds: int) -> None:
    """Though asyncio counts in seconds, in floats."""
    timer: Any = loop.call_later(microseconds / SECOND, lambda: None)
    assert timer.due == NOW + microseconds


def test_timers_compare_with_plain_ones_by_time(loop: DurableLoop) -> None:
    """In the heap of the ordinary loop that a function has left for."""
    mine = DurableTimer(0, NOW, lambda: None, (), loop, None)
    plain = asyncio.TimerHandle(NOW / SECOND + 1, lambda: None, (), loop)
    assert mine < plain
    assert not DurableTimer(0, NOW + 2 * SECOND, lambda: None, (), loop, None) < plain


def test_asyncios_own_timers_work(loop: DurableLoop) -> None:
    """`sleep`, `timeout` and `wait_for`, at once."""
    log: list[object] = []

    async def main() -> None:
        await asyncio.sleep(3)
        log.append(loop.now - NOW)
        try:
            await asyncio.wait_for(loop.create_future(), 2)
        except TimeoutError:
            log.append(loop.now - NOW)
        async with asyncio.timeout(10):
            log.append(await asyncio.sleep(1, "slept"))

    run(loop, main())
    assert log == [3 * SECOND, 5 * SECOND, "slept"]
    assert loop.next_timer() is None


# What a durable function may not do.


def test_an_endless_loop_around_sleep_zero_is_an_error(loop: DurableLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be delivered to it any more; the message guesses at the cause."""
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


def test_a_function_cannot_stop_its_loop(loop: DurableLoop) -> None:
    """The error says whose loop it is."""

    async def main() -> None:
        asyncio.get_running_loop().stop()

    with pytest.raises(RuntimeError, match="durable function can't stop"):
        run(loop, main())


@pytest.mark.parametrize("operation", REAL_IO)
def test_real_io_asks_first(loop: DurableLoop, operation: str) -> None:
    """By the name of the operation; what it raises reaches the code."""
    with pytest.raises(Left, match=operation):
        getattr(loop, operation)("any", argument=1)


def test_every_operation_of_an_event_loop_is_pure_or_asks_first() -> None:
    """What a future Python adds to event loops shows up here."""
    known = set(vars(DurableLoop)) | {
        # Refused by asyncio's abstract loop: nothing of a durable function's business.
        "close",
        "run_forever",
        "run_until_complete",
        "sendfile",
        "set_exception_handler",
        "set_task_factory",
        "shutdown_default_executor",
    }
    operations = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    assert operations - known == set()


def test_threads_are_real_io(loop: DurableLoop) -> None:
    """`asyncio.to_thread` leaves the loop by its executor."""
    with pytest.raises(Left, match="run_in_executor"):
        run(loop, asyncio.to_thread(int))


def test_code_that_left_takes_along_what_is_ready(loop: DurableLoop) -> None:
    """The ordinary loop goes on with it, in order."""
    log: list[str] = []
    for name in "ab":
        loop.call_soon(log.append, name)
    for handle in loop.take_ready():
        handle._run()
    assert log == ["a", "b"]
    assert loop.take_ready() == []


def test_asyncio_is_told_what_it_asks(loop: DurableLoop) -> None:
    """Never closed, never in debug mode, which would measure real time."""
    loop.set_debug(True)
    assert not loop.get_debug()
    assert not loop.is_closed()
    assert loop.get_task_factory() is None
    assert loop.get_exception_handler() is None
    assert run(loop, loop.shutdown_asyncgens()) is None


@pytest.mark.parametrize("make_program", [lambda: programs()], ids=["programs"])
def test_the_same_program_leaves_the_same_trace_ten_times(
    make_program: Callable[[], Callable[[DurableLoop, list[str]], Coroutine[Any, Any, Any]]],
) -> None:
    """Queues, groups, timers, races and cancellations together."""
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
