"""What each of ``tests/simulation/scenarios`` costs in calm, counted on a `LocalCloud`: simulated, exact, untimed.

Prints a table: ``python -m benchmarks.scenarios``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tests.simulation.scenarios
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import Outside, play


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One scenario, from its beginning until nothing is left open; ``resumes`` are those of all its functions."""

    scenario: str
    writes: int
    invocations: int
    resumes: int


def scenarios() -> Iterator[tuple[str, Callable[..., None]]]:
    """Subject and test of each, in the order of the files."""
    for path in sorted(Path(str(tests.simulation.scenarios.__file__)).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.simulation.scenarios.{path.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                yield f"{path.stem.removeprefix('test_')}: {name.removeprefix('test_').replace('_', ' ')}", test


def cost(scenario: str, test: Callable[..., None]) -> Cost:
    with play(0) as cloud:
        test(**_fixtures(test, cloud))
    stats = cloud.stats
    return Cost(
        scenario=scenario,
        writes=stats.writes,
        invocations=stats.invocations,
        resumes=sum(stats.resumes.values()),
    )


def _fixtures(test: Callable[..., None], cloud: LocalCloud) -> dict[str, Any]:
    known = {"stage": cloud, "outside": Outside()}
    return {name: known[name] for name in inspect.signature(test).parameters}


def main() -> None:
    print("| scenario | writes | invocations | resumes |")
    print("|---|---|---|---|")
    for name, test in scenarios():
        one = cost(name, test)
        print(f"| {one.scenario} | {one.writes} | {one.invocations} | {one.resumes} |", flush=True)


if __name__ == "__main__":
    main()
