"""CPU time of a step beside peers, each on its own local runner: ``python -m benchmarks.peers [STEPS ...]``.

``make peers`` installs them into ``.peers``. Without it only ours are printed. The machine is the same for all; the
numbers are ratios. A peer's runner is a simulation as ours is, and each simulates something else: theirs one invocation
that keeps all steps, ours three invocations for each remote step, a table and its stream.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from adapter.api.durable import Durable
from adapter.testing import LocalCloud
from benchmarks.counts import gather, inline, sequence
from benchmarks.peer_programs import PEERS

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".peers" / "bin" / "python"

OURS: dict[str, tuple[tuple[str, Durable[[int], Any]], ...]] = {
    "sequential": (("remote steps, here", sequence), ("inline steps, here", inline)),
    "fan-out": (("remote steps, here", gather),),
}


def seconds_of_peer(peer: str, shape: str, n: int) -> float | None:
    """The CPU seconds that a peer takes for so many steps; None where it isn't installed."""
    if not PYTHON.exists():
        return None
    command = [str(PYTHON), "-m", "benchmarks.peer_programs", peer, shape, str(n)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def seconds_here(function: Durable[[int], Any], n: int) -> float:
    """The CPU seconds that it takes in memory."""
    for count in (1, n):
        with LocalCloud(engine="memory", verify=False) as cloud:
            begun = time.process_time()
            cloud.run(function, count)
            took = time.process_time() - begun
    return took


def main(sizes: list[int]) -> None:
    print("| CPU of a step, µs (of the first line) | " + " | ".join(f"{n} steps" for n in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for shape, ours in OURS.items():
        lines = [(name, [seconds_here(function, n) for n in sizes]) for name, function in ours]
        lines += [(peer, [seconds_of_peer(peer, shape, n) for n in sizes]) for peer in PEERS]
        for name, times in lines:
            cells = [_cell(took, n, first) for took, n, first in zip(times, sizes, lines[0][1], strict=True)]
            print(f"| {shape}: {name} | {' | '.join(cells)} |", flush=True)


def _cell(took: float | None, n: int, first: float | None) -> str:
    if took is None or not first:
        return "not installed: `make peers`"
    return f"{1e6 * took / n:.0f} ({took / first:.2f})"


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 1_000])
