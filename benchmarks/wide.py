"""A wide map on a local cloud in memory, and a small one on moto: ``python -m benchmarks.wide [ITEMS ...]``."""

from __future__ import annotations

import sys
import time

from adapter import durable
from adapter.testing import LocalCloud


@durable
def square(number: int) -> int:
    return number * number


@durable
async def squares(count: int, limit: int) -> int:
    return sum(await square.map(range(count), max_concurrency=limit))


def measure(count: int, limit: int, engine: str = "memory") -> str:
    with LocalCloud(engine=engine) as cloud:
        begun = time.perf_counter()
        assert cloud.run(squares, count, limit) == sum(n * n for n in range(count))
        took = time.perf_counter() - begun
        stats = cloud.stats
        return (
            f"{engine:>6}: {count:>6} items, {limit:>5} at once: {stats.writes:>6} writes, {stats.reads:>5} reads,"
            f" {stats.invocations:>6} invocations, {stats.resumes[squares]:>3} resumes of the parent,"
            f" {took:6.1f} s, {1e3 * took / count:.2f} ms an item"
        )


if __name__ == "__main__":
    for items in [int(argument) for argument in sys.argv[1:]] or [100, 1_000, 10_000]:
        for at_once in (items, max(1, items // 10)):
            print(measure(items, at_once), flush=True)
    print(measure(100, 100, "moto"))
