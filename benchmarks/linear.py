"""CPU time for each of many steps, in several shapes, on the engine in memory; and the same work on a peer's runner.

``python -m benchmarks.linear [--engine memory] [--peers VENV] [STEPS ...]``. I9: one of ten thousand costs what one of
a hundred does. ``--peers`` names the directory of a virtual environment that has ``async-durable-execution``, and
nothing of ours; without it the peer isn't run. Of three runs the fastest counts, since other processes slow a run down
and none makes it faster. Only the ratios of one call mean anything.
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

handler = {"sequence": sequence, "gather": gather}[sys.argv[1]]
asyncio.run(measure(handler, 10))
print(json.dumps({n: min(asyncio.run(measure(handler, int(n))) for _ in range(3)) for n in sys.argv[2:]}))
"""

PLAYED = ("sequence", "gather")
"""The shapes that the peer plays, up to a thousand steps: it takes longer for each of more."""

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


def peers(venv: Path | None, shape: str, sizes: list[int]) -> dict[int, float]:
    """The same of the peer, by number of steps; empty where there is none, or it doesn't play the shape."""
    if venv is None or shape not in PLAYED:
        return {}
    ask = [str(venv / "bin" / "python"), "-c", PEER, shape, *(str(n) for n in sizes if n <= REPEATED)]
    told = json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
    return {int(n): each for n, each in told.items()}


def main(sizes: list[int], engine: str, venv: Path | None) -> None:
    if venv is None:
        print("async-durable-execution: absent (give its virtual environment by --peers)")
    measure(sequence, 10, engine)
    for name, function in SHAPES:
        first, theirs = 0.0, peers(venv, name, sizes)
        for n in sizes:
            if function is depth and n > DEEPEST:
                continue
            each, cloud = measure(function, n, engine)
            first = first or each
            stats, peer = cloud.stats, theirs.get(n)
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
