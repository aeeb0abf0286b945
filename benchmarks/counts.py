"""What runs cost in writes, reads, invocations and resumes, counted on a `LocalCloud`: simulated, exact, without time.

Prints the table of docs/operate.md: ``python -m benchmarks.counts``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapter import Durable, durable, run
from adapter.testing import LocalCloud


@durable
def step(n: int) -> int:
    return n


@durable
async def sequence(n: int) -> int:
    return sum([await step(i) for i in range(n)])


@durable
async def gather(n: int) -> int:
    return sum(await asyncio.gather(*(step(i) for i in range(n))))


@durable
async def inline(n: int) -> int:
    return sum([await run(abs, i) for i in range(n)])


@durable
async def auto(n: int) -> int:
    return sum([await step.with_options(place="auto")(i) for i in range(n)])


@durable
async def sleep(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(3_600)


@dataclass(frozen=True, kw_only=True)
class Count:
    """One run of a shape of size ``n``."""

    shape: str
    n: int
    writes: int
    reads: int
    invocations: int
    resumes: int


SHAPES: tuple[tuple[str, Durable[[int], Any], tuple[int, ...]], ...] = (
    ("sequential remote steps", sequence, (1, 3, 10)),
    ("gather of remote steps", gather, (10, 100)),
    ("sequential inline steps", inline, (3, 10)),
    ("sequential auto calls", auto, (3, 10)),
    ("sequential sleeps", sleep, (1,)),
)


def count(shape: str, function: Durable[[int], Any], n: int) -> Count:
    with LocalCloud() as cloud:
        cloud.run(function, n)
        stats = cloud.stats
        return Count(
            shape=shape,
            n=n,
            writes=stats.writes,
            reads=stats.reads,
            invocations=stats.invocations,
            resumes=stats.resumes[function],
        )


def counts() -> Iterator[Count]:
    for shape, function, sizes in SHAPES:
        for n in sizes:
            yield count(shape, function, n)


def main() -> None:
    print("| run | n | writes | reads | invocations | resumes |")
    print("|---|---|---|---|---|---|")
    for one in counts():
        print(f"| {one.shape} | {one.n} | {one.writes} | {one.reads} | {one.invocations} | {one.resumes} |")


if __name__ == "__main__":
    main()
