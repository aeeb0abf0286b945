"""The durable loop's time is logical, and its timers fire only when they are told to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.times import SECOND
from adapter.replay.loop import DurableLoop, DurableTimer
from tests.unit.loop.running import NOW, make, run


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
    """It never fires by itself, however often the loop runs."""
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
    """The test sets them in any order of their due times."""
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
    """No view of the timers shows it. The others are as if it had never been."""
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
    """The loop fires it, and the code cancels it in the same turn."""
    log: list[str] = []
    timer: Any = loop.call_later(1, log.append, "fired")
    loop.fire(timer)
    timer.cancel()
    loop.run_ready()
    assert log == []


def test_a_timer_is_known_by_its_ordinal(loop: DurableLoop) -> None:
    """The journal names it so. The loop forgets a timer that it has fired."""
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
    """It runs in this turn, and time doesn't go back. It has an ordinal all the same."""
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
    """asyncio counts in seconds, as floats."""
    timer: Any = loop.call_later(microseconds / SECOND, lambda: None)
    assert timer.due == NOW + microseconds


def test_timers_compare_with_plain_ones_by_time(loop: DurableLoop) -> None:
    """A function that left has both in the heap of the ordinary loop."""
    mine = DurableTimer(0, NOW, lambda: None, (), loop, None)
    plain = asyncio.TimerHandle(NOW / SECOND + 1, lambda: None, (), loop)
    assert mine < plain
    assert not DurableTimer(0, NOW + 2 * SECOND, lambda: None, (), loop, None) < plain


def test_asyncios_own_timers_work(loop: DurableLoop) -> None:
    """The program uses `sleep`, `timeout` and `wait_for` at once."""
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
