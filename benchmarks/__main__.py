"""Every table, one after the other: ``make bench``, or ``python -m benchmarks``. About ten minutes on two cores.

Counts, dollars and virtual times are the same at every run. CPU times are of this machine, and only their ratios count.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

TABLES: tuple[tuple[str, ...], ...] = (
    ("speed",),
    ("choices",),
    ("peers",),
    ("counts",),
    ("scenarios",),
    ("linear", "100", "1000"),
    ("wide", "100", "1000"),
    ("bill",),
)
"""The modules, with their arguments. Others of this directory answer questions of their own."""


def main() -> None:
    print(f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}")
    for module, *arguments in TABLES:
        command = " ".join(["python -m", f"benchmarks.{module}", *arguments])
        print(f"\n## {command}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *arguments], check=True)


if __name__ == "__main__":
    main()
