"""I9 by counts of the calls that Python makes, in engine and simulation together: a step costs what is new."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from adapter import durable, promise, resolve, run
from adapter.api.durable import Durable
from adapter.testing import LocalCloud
from tests.support.effort import effort


@durable
def step(number: int) -> int:
    return number


@durable
async def in_sequence(n: int) -> int:
    return sum([await step(number) for number in range(n)])


@durable
async def with_sleeps(n: int) -> int:
    for number in range(n):
        await step(number)
        await asyncio.sleep(1)
    return n


@durable
async def inline(n: int) -> int:
    return sum([await run(abs, number) for number in range(n)])


@durable
async def beside_another(n: int) -> int:
    """What it began first is pending until the end."""
    first = promise(int, timeout=86_400)
    total = sum([await step(number) for number in range(n)])
    first.cancel()
    return total


@durable
async def in_pairs(n: int) -> int:
    return sum([sum(await asyncio.gather(step(number), step(number))) for number in range(n)])


@durable
async def at_once(n: int) -> int:
    return sum(await asyncio.gather(*(step(number) for number in range(n))))


@durable
async def deep(n: int) -> int:
    return 0 if n == 0 else 1 + await deep(n - 1)


def calls_of(code: Callable[[], Any]) -> int:
    """How many calls of functions, Python's own included, it comes to."""
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        code()
    finally:
        sys.setprofile(before)
    return count


def each(function: Durable[[int], int], n: int) -> float:
    with LocalCloud(engine="memory") as cloud:
        return calls_of(lambda: cloud.run(function, n)) / n


@pytest.mark.parametrize(
    "function", [in_sequence, with_sleeps, inline, beside_another, in_pairs, at_once, deep], ids=lambda one: one.name
)
def test_a_step_after_many_others_makes_as_many_calls_as_one_after_few(function: Durable[[int], int]) -> None:
    """No resume looks at all records that there are."""
    each(function, 10)
    few, many = effort((40, 200), (100, 2_000))
    assert each(function, many) <= 1.1 * each(function, few)


@durable
async def then_waiting(n: int) -> int:
    return sum([await step(number) for number in range(n)]) + await promise(int)


def cold(n: int) -> tuple[float, float]:
    """The calls of a resume that finds no sandbox, and the units that it reads, for each promise before."""
    with LocalCloud(engine="memory", verify=False) as cloud:
        handle = then_waiting.start(n)
        cloud.drive()
        cloud.forget()
        cloud.stats.reset()
        resolve(f"{handle.id}~{n}", 0)
        calls = calls_of(handle.result)
        return calls / n, cloud.stats.read_units / n


def test_a_resume_without_its_sandbox_looks_at_each_promise_once() -> None:
    """Its calls and its read units grow with the promises, and no faster."""
    few, many = effort((150, 600), (500, 5_000))
    cold(10)
    (calls, units), (more_calls, more_units) = cold(few), cold(many)
    assert more_calls <= 1.1 * calls
    assert more_units <= 1.1 * units
