"""Same seed, same trace, byte for byte: in another process, with other hashes of strings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SEEDS = "2, 3, 5, 7, 8, 13, 21, 34, 55, 89"
CODE = f"""
from tests.faults.chaos.programs import program, text
from tests.faults.chaos.trial import play, weather

for seed in ({SEEDS}):
    print(text(program(seed)), weather(seed), play(program(seed), weather(seed)).trace, sep=chr(10))
"""
ROOT = Path(__file__).parents[3]


def trace(hash_seed: str) -> bytes:
    """What a fresh interpreter writes."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def test_two_interpreters_write_the_same_trace_whatever_their_hash_seeds() -> None:
    """A trace has the events, operations, times and ids of ten programs, most of them under faults."""
    first = trace("1")
    assert len(first.splitlines()) > 1_000
    assert trace("2") == first
    assert trace("4242") == first
