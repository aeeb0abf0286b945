"""Search for inputs that break a law, guided by what they reach.

``python -m tests.faults.fuzz.guided TARGET --seconds 60``.

It needs atheris, which runs on Linux under CPython 3.11 or later: ``pip install atheris``. What is found is made
smaller, and printed as a literal of Python.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LARGEST = 20_000
"""Bytes of one input: what is worse than linear shows, and thousands are run in a minute."""
SLOW = 10
"""Seconds for one input, instrumented."""


def search(name: str, seconds: int, corpus: Path, artifacts: Path) -> tuple[str, bytes | None, str]:
    """How much was run; the input that broke the law, if one did; what libFuzzer and Python said of it."""
    from tests.faults.fuzz.guided.targets import TARGETS

    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed.encode("utf-8", "surrogatepass"))
    flags = [f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-max_len={LARGEST}", "-rss_limit_mb=3000"]
    flags += [f"-artifact_prefix={artifacts}/", "-print_final_stats=1", str(corpus)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz.guided.searching", name, *flags],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = run.stdout + run.stderr
    # The first is of a search that ended, the second of one that was killed.
    executed = re.findall(r"number_of_executed_units:\s*(\d+)", said) or re.findall(r"^#(\d+)", said, re.M)
    covered, slowest = re.findall(r"cov: (\d+)", said), re.findall(r"slowest_unit_time_sec:\s*(\d+)", said)
    counts = " ".join(
        f"{(['0', *found])[-1]} {what}"
        for found, what in ((executed, "executions,"), (covered, "places, the slowest in"), (slowest, "s"))
    )
    broken_by = [path.read_bytes() for path in artifacts.iterdir()]
    if run.returncode and not broken_by:
        raise SystemExit(f"{name} couldn't be searched:\n{told(said)}")
    return counts, broken_by[0] if broken_by else None, said


def smaller(data: bytes, breaks: Callable[[bytes], str], seconds: float = 20) -> bytes:
    """What is left of an input without whatever can go, the law still broken in the same place."""
    wanted, end, size = breaks(data), time.monotonic() + seconds, len(data) // 2
    while wanted and size and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            cut = data[:at] + data[at + size :]
            if breaks(cut) == wanted:
                data = cut
            else:
                at += size
        size //= 2
    return data


def broken(name: str) -> Callable[[bytes], str]:
    """Where a law is broken by an input: the error's class and line; nothing where it isn't."""
    from tests.faults.fuzz.guided.targets import TARGETS

    def breaks(data: bytes) -> str:
        try:
            TARGETS[name].hold(data)
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            return f"{type(error).__name__}:{trace and trace.tb_lineno}"
        return ""

    return breaks


def told(said: str) -> str:
    """What Python said of the finding, without libFuzzer's progress."""
    lines = [
        line for line in said.splitlines() if not line.startswith(("INFO", "WARNING", "#", "0x", "Base64", "stat::"))
    ]
    return "\n".join(line[:400] for line in lines)[-4_000:]


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.faults.fuzz.guided", description=__doc__)
    options.add_argument("target", nargs="*", help="all of them: all")
    options.add_argument("--seconds", type=int, default=60, help="for each target")
    options.add_argument("--corpus", type=Path, help="where inputs are kept that reached something new")
    chosen = options.parse_args()
    from tests.faults.fuzz.guided.targets import TARGETS

    if not chosen.target:
        print("\n".join(f"{name:12} {target.law.__doc__}" for name, target in TARGETS.items()))
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("atheris isn't installed: pip install atheris (CPython 3.11 or later, on Linux)", file=sys.stderr)
        return 2
    failed = 0
    for name in TARGETS if chosen.target == ["all"] else chosen.target:
        with tempfile.TemporaryDirectory() as scratch:
            artifacts = Path(scratch) / "found"
            artifacts.mkdir()
            counts, found, said = search(name, chosen.seconds, (chosen.corpus or Path(scratch)) / name, artifacts)
        print(f"{name}: {counts}", flush=True)
        if found is not None:
            failed += 1
            print(told(said))
            print(f"{name}: broken by {smaller(found, broken(name))!r}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
