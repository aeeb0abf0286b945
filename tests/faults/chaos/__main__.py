"""Search for a program and a weather in which a law is broken.

``python -m tests.faults.chaos --seeds 1000 --start 0 --jobs 2 --faults crash=0.05,duplicate=0.2``: each seed draws a
program, and a weather unless ``--faults`` gives it. What fails is made smaller, and printed with its trace.
"""

from __future__ import annotations

import argparse
import sys

from adapter.testing import Faults
from tests.faults.chaos.searching import Found, parallel, report


def parsed(faults: str) -> Faults:
    """``crash=0.05,delay=0.1`` as faults."""
    return Faults(**{name: float(value) for name, _, value in (part.partition("=") for part in faults.split(","))})


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--start", type=int, default=0)
    options.add_argument("--faults", type=parsed, default=None, help="crash=0.05,duplicate=0.2,…")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--shrink", type=float, default=60.0, help="seconds for each failure")
    chosen = options.parse_args()
    total = Found()
    for found in parallel(range(chosen.start, chosen.start + chosen.seeds), chosen.faults, chosen.jobs):
        total.add(found)
        for seed, failure in found.failures.items():
            print(report(seed, failure, chosen.shrink), flush=True)
        print(f"{total.seeds} of {chosen.seeds} seeds, {len(total.failures)} failures", file=sys.stderr, flush=True)
    print(total)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
