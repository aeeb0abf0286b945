"""CPU time for each of many steps, in several shapes, on the engine in memory; and the same work on a peer's runner.

``python -m benchmarks.linear [--engine memory] [--peers VENV] [STEPS ...]``. I9: one of ten thousand costs what one of
a hundred does. ``--peers`` names the directory of a virtual environment that has ``async-durable-execution``, and
nothing of ours; without it the peer isn't run. Only the ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from adapter import durable
from adapter.api.durable import Durable
from adapter.testing import LocalCloud


@durable
def step(number: int) -> int:
    return number


@durable
async def sequence(n: int) -> int:
    return sum([await step(number) for number in range(n)])


@durable
async def sleeping(n: int) -> int:
    for number in range(n):
        await step(number)
        await asyncio.sleep(1)
    return n


@durable
async def gather(n: int) -> int:
    return sum(await asyncio.gather(*(step(number) for number in range(n))))


@durable
async def mapped(n: int) -> int:
    return sum(await step.map(range(n)))


@durable
async def depth(n: int) -> int:
    return 0 if n == 0 else 1 + await depth(n - 1)


SHAPES: tuple[tuple[str, Durable[[int], Any]], ...] = (
    ("sequence", sequence),
    ("step and sleep", sleeping),
    ("gather", gather),
    ("map", mapped),
    ("depth", depth),
)

DEEPEST = 1_000
"""The ids of deeper calls are longer: each holds its ancestors'."""

PEER = """
import asyncio, json, sys, time
from async_durable_execution import create_local_runner, durable_callable, durable_execution, step

@durable_callable
async def noop(number: int) -> int:
    return number

@durable_execution
async def sequence(event):
    return sum([await step(noop(number), name="step") for number in range(event["n"])])

@durable_execution
async def gather(event):
    return sum(await asyncio.gather(*[step(noop(number), name="step") for number in range(event["n"])]))

async def measure(handler, n):
    runner = create_local_runner(handler=handler, input={"n": n}, timeout=3600)
    begun = time.process_time()
    result = await runner.run()
    took = time.process_time() - begun
    assert "SUCCEEDED" in str(result.status), result.status
    return took / n * 1e6

asyncio.run(measure(sequence, 10))
for shape, handler in (("sequence", sequence), ("gather", gather)):
    for n in map(int, sys.argv[1:]):
        print(json.dumps([shape, n, asyncio.run(measure(handler, n))]), flush=True)
"""


def measure(function: Durable[[int], Any], n: int, engine: str) -> tuple[float, LocalCloud]:
    """Microseconds of CPU time for each step."""
    with LocalCloud(engine=engine) as cloud:
        begun = time.process_time()
        cloud.run(function, n)
        return (time.process_time() - begun) / n * 1e6, cloud


def peers(venv: Path | None, sizes: list[int]) -> dict[tuple[str, int], float]:
    """The same of the peer, by shape and number of steps; empty where there is none."""
    if venv is None:
        print("async-durable-execution: absent (give its virtual environment by --peers)")
        return {}
    ask = [str(venv / "bin" / "python"), "-c", PEER, *map(str, sizes)]
    told = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    return {(shape, n): each for shape, n, each in map(json.loads, told.splitlines())}


def main(sizes: list[int], engine: str, venv: Path | None) -> None:
    measure(sequence, 10, engine)
    theirs = peers(venv, [n for n in sizes if n <= 1_000])
    for name, function in SHAPES:
        first = 0.0
        for n in sizes:
            if function is depth and n > DEEPEST:
                continue
            each, cloud = measure(function, n, engine)
            first = first or each
            stats, peer = cloud.stats, theirs.get((name, n))
            beside = f", {each / peer:.2f} times async-durable-execution ({peer:.0f} µs)" if peer else ""
            print(
                f"{name:>15} {n:>6}: {each:6.0f} µs a step, {each / first:.2f} times the first,"
                f" {stats.writes / n:.2f} writes, {stats.read_units / n:.2f} read units{beside}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--engine", default="memory")
    parser.add_argument("--peers", type=Path, default=None)
    given = parser.parse_args()
    main(given.sizes, given.engine, given.peers)
