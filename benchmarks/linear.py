"""CPU time for each of many steps, in several shapes: ``python -m benchmarks.linear [--engine memory] [STEPS ...]``.

I9: one of ten thousand costs what one of a hundred does. Of three runs the fastest counts, since other processes slow a
run down and none makes it faster. Only the ratios of one call mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from adapter import durable, promise
from adapter.api.durable import Durable
from adapter.testing import LocalCloud
from benchmarks.counts import gather, inline, sequence, step


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


@durable
async def mapped(n: int) -> int:
    return sum(await step.map(range(n)))


@durable
async def depth(n: int) -> int:
    return 0 if n == 0 else 1 + await depth(n - 1)


SHAPES: tuple[tuple[str, Durable[[int], Any]], ...] = (
    ("remote steps", sequence),
    ("inline steps", inline),
    ("a step and a sleep", sleeping),
    ("steps beside a promise", beside),
    ("gather", gather),
    ("map", mapped),
    ("depth", depth),
)

DEEPEST = 1_000
"""The ids of deeper calls are longer: each holds its ancestors'."""

REPEATED = 1_000
"""Up to so many steps a shape is run three times."""


def measure(function: Durable[[int], Any], n: int, engine: str) -> tuple[float, LocalCloud]:
    """Microseconds of CPU time for each step, of the fastest run."""
    best = float("inf")
    for _ in range(3 if n <= REPEATED else 1):
        with LocalCloud(engine=engine) as cloud:
            begun = time.process_time()
            cloud.run(function, n)
            best = min(best, (time.process_time() - begun) / n * 1e6)
    return best, cloud


def main(sizes: list[int], engine: str) -> None:
    measure(sequence, 10, engine)
    for name, function in SHAPES:
        first = 0.0
        for n in sizes:
            if function is depth and n > DEEPEST:
                continue
            each, cloud = measure(function, n, engine)
            first = first or each
            stats = cloud.stats
            print(
                f"{name:>22} {n:>6}: {each:6.0f} µs a step, {each / first:.2f} times the first,"
                f" {stats.writes / n:.2f} writes, {stats.reads / n:.2f} reads, {stats.read_units / n:.2f} read units",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--engine", default="memory")
    given = parser.parse_args()
    main(given.sizes, given.engine)
