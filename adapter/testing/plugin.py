"""The pytest plugin: the fixture ``cloud``, a fresh `LocalCloud` for each test.

``--durable-chaos=SEEDS`` runs each test that uses the fixture again, under faults drawn from so many seeds.
``--durable-engine=ENGINE`` is the engine of all these clouds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adapter.testing import LocalCloud

OPTION = "--durable-chaos"
SEEDS = 5
ENGINE_OPTION = "--durable-engine"
ENGINE = "moto"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lambda-await")
    group.addoption(
        OPTION,
        metavar="SEEDS",
        type=int,
        nargs="?",
        const=SEEDS,
        default=0,
        help=f"run each test with the fixture 'cloud' again under faults, from so many seeds ({SEEDS} if not given)",
    )
    group.addoption(
        ENGINE_OPTION,
        metavar="ENGINE",
        default=ENGINE,
        help=f"the engine of the fixture 'cloud': moto, memory, or the URL of a DynamoDB that is running ({ENGINE})",
    )


def pytest_configure(config: pytest.Config) -> None:
    engine = config.getoption(ENGINE_OPTION)
    if engine == ENGINE:
        return
    # Imported late: moto is slow to import, and most test runs need no other engine.
    from adapter.errors import ConfigurationError
    from adapter.testing.simulated_aws.engines import engine_named

    try:
        engine_named(engine)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{ENGINE_OPTION}: {error}") from None


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
    with LocalCloud(seed=seed, faults=faults, engine=request.config.getoption(ENGINE_OPTION)) as local:
        yield local
