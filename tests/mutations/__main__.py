"""Applies each mutation to a copy of the package, and shows what notices it: python -m tests.mutations [name…]."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
COPIED = ("adapter", "handlers", "infra", "tests", "template.yaml", "pyproject.toml", "README.md")
SECONDS = 120
"""That one check may take: a bug may as well make a test wait for ever."""


def main(names: list[str]) -> int:
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    if unknown := set(names) - {mutation.name for mutation in chosen}:
        print(f"no such mutation: {', '.join(sorted(unknown))}; there are {', '.join(m.name for m in MUTATIONS)}")
        return 2
    print("| mutation | invariant | caught by | seconds |\n|---|---|---|---|", flush=True)
    survived = 0
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in COPIED:
            source = ROOT / name
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=skip) if source.is_dir() else shutil.copy(source, copy / name)
        for mutation in chosen:
            begun = time.monotonic()
            found = caught_by(mutation, copy)
            survived += found is None
            print(
                f"| {mutation.name} | {mutation.breaks} | {found or '**nothing**'} | {time.monotonic() - begun:.0f} |",
                flush=True,
            )
        if failing := check(copy, sorted({test for mutation in chosen for test in mutation.check}), SECONDS * 4):
            print(f"without any mutation this fails: {failing}")
            return 1
    return 1 if survived else 0


def caught_by(mutation: Mutation, copy: Path) -> str | None:
    """The first test that fails with the mutation."""
    file = copy / mutation.file
    intact = file.read_text()
    if intact.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.name}: its old text occurs {intact.count(mutation.old)} times in {mutation.file}")
    file.write_text(intact.replace(mutation.old, mutation.new))
    try:
        return check(copy, list(mutation.check), SECONDS)
    finally:
        file.write_text(intact)


def check(copy: Path, tests: list[str], seconds: int) -> str | None:
    """The first of the tests that fails with the package of the copy; None if all pass."""
    # Bytecode is told from its source by size and second: too coarse for one letter that changed just now.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    # The installed package is found by a .pth file, after PYTHONPATH; if it were found first, nothing would be mutated.
    where = subprocess.run(
        [sys.executable, "-c", "import adapter; print(adapter.__file__)"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(where).is_relative_to(copy):
        raise SystemExit(f"the package that would be tested is {where}, not the copy in {copy}")
    options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no", "--no-header"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no end within {seconds} s"
    if ran.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", ran.stdout, re.MULTILINE)
    if ran.returncode != 1 or failed is None:
        raise SystemExit(f"the check didn't run: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return f"`{failed[1]}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
