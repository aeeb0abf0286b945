"""Applies each mutation to a copy of the package, and shows what notices it: python -m tests.faults.mutations [name…].

``--jobs``: how many copies are tried side by side. A check that doesn't come to an end notices nothing: a bug has to be
told by an assertion, or by an error.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[3]
COPIED = ("adapter", "handlers", "infra", "tests", "template.yaml", "pyproject.toml", "README.md")
SECONDS = 120
"""That the checks of one mutation may take; each is to take a few."""


@dataclass(frozen=True)
class Found:
    """What the checks of a mutation came to: the test that failed, or nothing, and why."""

    by: str | None
    why: str = "nothing"
    seconds: float = 0.0


def main(names: list[str], jobs: int) -> int:
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    if unknown := set(names) - {mutation.name for mutation in chosen}:
        print(f"no such mutation: {', '.join(sorted(unknown))}; there are {', '.join(m.name for m in MUTATIONS)}")
        return 2
    print("| mutation | breaks | the bug | noticed by | seconds |\n|---|---|---|---|---|", flush=True)
    survived = []
    with copies(jobs) as free, ThreadPoolExecutor(jobs) as pool:
        for mutation, found in zip(chosen, pool.map(lambda one: noticed(one, free), chosen), strict=True):
            by = f"`{found.by}`" if found.by else f"**{found.why}**"
            print(row(mutation, by, f"{found.seconds:.0f}"), flush=True)
            survived += [] if found.by else [mutation.name]
        tests = sorted({test for mutation in chosen for test in mutation.check})
        intact = list(pool.map(lambda some: noticed_by(some, free, SECONDS * 4), [tests[n::jobs] for n in range(jobs)]))
    failing = [found.by or found.why for found in intact if found != Found(None)]
    if failing:
        print(f"without any mutation this fails: {', '.join(failing)}")
    if survived:
        print(f"nothing notices {', '.join(survived)}")
    return 1 if survived or failing else 0


def row(mutation: Mutation, *further: str) -> str:
    return f"| {' | '.join([mutation.name, mutation.breaks, mutation.bug, *further])} |"


@contextmanager
def copies(count: int) -> Iterator[queue.Queue[Path]]:
    """Copies of the repository, to be taken and put back."""
    free: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory() as directory:
        for number in range(count):
            copy = Path(directory) / str(number)
            copy.mkdir()
            for name in COPIED:
                source = ROOT / name
                skip = shutil.ignore_patterns("__pycache__")
                to = copy / name
                shutil.copytree(source, to, ignore=skip) if source.is_dir() else shutil.copy(source, to)
            verify(copy)
            free.put(copy)
        yield free


def noticed(mutation: Mutation, free: queue.Queue[Path]) -> Found:
    """What the mutation's checks come to."""
    copy = free.get()
    file = copy / mutation.file
    intact = file.read_text()
    try:
        if intact.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.name}: its old text isn't once in {mutation.file}")
        file.write_text(intact.replace(mutation.old, mutation.new))
        begun = time.monotonic()
        found = check(copy, list(mutation.check), SECONDS)
        return Found(found.by, found.why, time.monotonic() - begun)
    finally:
        file.write_text(intact)
        free.put(copy)


def noticed_by(tests: list[str], free: queue.Queue[Path], seconds: int) -> Found:
    """What tests come to without any mutation."""
    copy = free.get()
    try:
        return check(copy, tests, seconds) if tests else Found(None)
    finally:
        free.put(copy)


def environment(copy: Path) -> dict[str, str]:
    # Bytecode is told from its source by size and second: too coarse for one letter that changed just now.
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}


def verify(copy: Path) -> None:
    """The installed package is found by a .pth file, after PYTHONPATH; if it came first, nothing would be mutated."""
    ask = [sys.executable, "-c", "import adapter; print(adapter.__file__)"]
    told = subprocess.run(ask, cwd=copy, env=environment(copy), capture_output=True, text=True, check=True)
    where = told.stdout.strip()
    if not Path(where).is_relative_to(copy):
        raise SystemExit(f"the package that would be tested is {where}, not the copy in {copy}")


def check(copy: Path, tests: list[str], seconds: int) -> Found:
    """The first of the tests that fails with the package of the copy; nothing if all pass."""
    options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no", "--no-header"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        ran = subprocess.run(
            command, cwd=copy, env=environment(copy), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(None, f"no end within {seconds} s")
    if ran.returncode == 0:
        return Found(None)
    failed = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", ran.stdout, re.MULTILINE)
    if ran.returncode != 1 or failed is None:
        return Found(None, f"its check didn't run: {' '.join((ran.stdout + ran.stderr).split())[-300:]}")
    return Found(failed[1])


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", help="of mutations; without any, all are tried")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tried side by side")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = options()
    sys.exit(main(chosen.names, chosen.jobs))
