"""The pytest plugin: the fixture ``cloud``, a fresh `LocalCloud` for each test.

``--durable-chaos=SEEDS`` runs each test that uses the fixture again, under faults drawn from so many seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adapter.testing import LocalCloud

OPTION = "--durable-chaos"
SEEDS = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("lambda-await").addoption(
        OPTION,
        metavar="SEEDS",
        type=int,
        nargs="?",
        const=SEEDS,
        default=0,
        help=f"run each test with the fixture 'cloud' again under faults, from so many seeds ({SEEDS} if not given)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seeds = metafunc.config.getoption(OPTION)
    if seeds > 0 and "cloud" in metafunc.fixturenames:
        # The seed is part of the test's name, so a failure can be run alone.
        names = ["calm", *(f"seed-{seed}" for seed in range(1, seeds + 1))]
        metafunc.parametrize("cloud", range(seeds + 1), indirect=True, ids=names)


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """The whole system in this process, in virtual time."""
    from adapter.testing import Faults, LocalCloud

    seed: int = getattr(request, "param", 0)
    faults = Faults(crash=0.05, duplicate=0.1, reorder=0.2, delay=0.1, scatter=0.1) if seed else None
    with LocalCloud(seed=seed, faults=faults) as local:
        yield local
