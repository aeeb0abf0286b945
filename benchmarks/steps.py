"""CPU time for each of many sequential steps, on the memory engine: ``python -m benchmarks.steps [STEPS ...]``.

I9: a step after ten thousand others costs what the hundredth does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from adapter import durable, promise, run
from adapter.api.durable import Durable
from adapter.testing import LocalCloud


@durable
def step(number: int) -> int:
    return number


@durable
async def remote(n: int) -> int:
    return sum([await step(number) for number in range(n)])


@durable
async def inline(n: int) -> int:
    return sum([await run(abs, number) for number in range(n)])


@durable
async def sleeping(n: int) -> int:
    for number in range(n):
        await step(number)
        await asyncio.sleep(1)
    return n


@durable
async def beside(n: int) -> int:
    """Something that it began first is pending until the end."""
    first = promise(int)
    total = sum([await step(number) for number in range(n)])
    first.cancel()
    return total


SHAPES: tuple[tuple[str, Durable[[int], Any]], ...] = (
    ("remote steps", remote),
    ("inline steps", inline),
    ("a step and a sleep", sleeping),
    ("steps beside a promise", beside),
)


def measure(function: Durable[[int], Any], n: int) -> tuple[float, LocalCloud]:
    """Microseconds of CPU time for each step."""
    with LocalCloud(engine="memory") as cloud:
        begun = time.process_time()
        cloud.run(function, n)
        return (time.process_time() - begun) / n * 1e6, cloud


def main(sizes: list[int]) -> None:
    measure(remote, 10)
    for name, function in SHAPES:
        first = 0.0
        for n in sizes:
            each, cloud = measure(function, n)
            first = first or each
            stats = cloud.stats
            print(
                f"{name:>22} {n:>6}: {each:6.0f} µs a step, {each / first:.2f} times the first,"
                f" {stats.writes / n:.2f} writes, {stats.reads / n:.2f} reads, {stats.read_units / n:.2f} read units",
                flush=True,
            )


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 1_000, 10_000])
