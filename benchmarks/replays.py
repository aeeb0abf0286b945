"""What a resume costs in a sandbox that doesn't know the execution: ``python -m benchmarks.replays [STEPS ...]``.

First the CPU time of one such replay over so many settled promises. Then what all resumes of so many sequential steps
read, if none finds its sandbox again: each reads all that is there, so it is quadratic. Warm, it is two units a step.
"""

from __future__ import annotations

import sys
import time

from adapter import durable, promise, resolve
from adapter.protocol.ids import BUCKET
from adapter.testing import LocalCloud


@durable
def step(number: int) -> int:
    return number


@durable
async def sequence(n: int, waits: bool = False) -> int:
    total = sum([await step(number) for number in range(n)])
    return total + await promise(int) if waits else total


def replay(n: int) -> tuple[float, float]:
    """The milliseconds of CPU, and the read units, of one resume over so many settled promises."""
    with LocalCloud(engine="memory", verify=False) as cloud:
        handle = sequence.start(n, True)
        cloud.drive()
        cloud.forget()
        cloud.stats.reset()
        resolve(f"{handle.id}~{n}", 0)
        begun = time.process_time()
        handle.result()
        return (time.process_time() - begun) * 1e3, cloud.stats.read_units


def never_warm(n: int) -> tuple[float, float]:
    """The read units of each step, and bytes of a record, where no sandbox keeps anything."""
    with LocalCloud(engine="memory", verify=False) as cloud:
        cloud.service.function("durable").memory.size = 0
        cloud.run(sequence, n)
        size = sum(cloud._world.store._sizes.values()) / (n + 1)  # type: ignore[union-attr]
        return cloud.stats.read_units / n, size


def main(sizes: list[int]) -> None:
    replay(10)
    for n in sizes:
        took, units = replay(n)
        print(
            f"{n:>6} settled promises: {took:7.1f} ms of CPU and {units:5.0f} read units for one cold resume",
            flush=True,
        )
    for n in sizes:
        if n > 2_000:
            continue
        units, size = never_warm(n)
        # A strongly consistent unit is 4 KB, of each query by itself, and a query reads one partition of children.
        bound = 2 + n * size / 2 / 4_096 + n / BUCKET
        print(
            f"{n:>6} steps, each resume cold: {units:7.1f} read units a step; at most {bound:.1f} at {size:.0f} bytes"
        )


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 1_000, 10_000])
