"""The pytest plugin: the fixture ``cloud``, a fresh `LocalCloud` for each test.

``--durable-chaos=SEEDS`` runs each test that uses the fixture again, under faults drawn from so many seeds.
``--durable-engine=ENGINE`` is the engine of all these clouds.

A failed test shows the tree of each execution of its cloud. With ``--durable-timeline=DIR`` it leaves a page of what
happened when.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adapter.testing import LocalCloud

OPTION = "--durable-chaos"
SEEDS = 5
ENGINE_OPTION = "--durable-engine"
ENGINE = "moto"
TIMELINE_OPTION = "--durable-timeline"
DIRECTORY = "durable-timelines"

LINES = 120
"""Of the trees below a failed test."""


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
    group.addoption(
        TIMELINE_OPTION,
        metavar="DIR",
        nargs="?",
        const=DIRECTORY,
        default=None,
        help=f"leave a page in DIR ({DIRECTORY}) for each failed test with the fixture 'cloud': what happened when",
    )


def pytest_configure(config: pytest.Config) -> None:
    check_directory(config.getoption(TIMELINE_OPTION))
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


def check_directory(given: str | None) -> None:
    """Refuse tests as the directory of pages: ``--durable-timeline tests`` would run all other tests."""
    path = Path((given or "").partition("::")[0])
    if given and (path.is_file() or any(path.rglob("test_*.py") if path.is_dir() else ())):
        raise pytest.UsageError(
            f"{TIMELINE_OPTION}: there are tests in {given}; write {TIMELINE_OPTION}=DIR, or put it last"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report has the trees of its cloud. The cloud is still open then."""
    report = yield
    used = getattr(item, "funcargs", {}).get("cloud")
    if report.when == "call" and report.failed and used is not None:
        _show(used, item, report)
    return report


def _show(used: Any, item: pytest.Item, report: pytest.TestReport) -> None:
    module = sys.modules.get("adapter.testing.cloud")
    if module is None or not isinstance(used, module.LocalCloud):
        # Another package's fixture.
        return
    try:
        lines = used.trees()
        if (directory := item.config.getoption(TIMELINE_OPTION)) is not None:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", item.nodeid)[-120:].strip("-")
            lines.append(f"timeline: {used.timeline(Path(directory) / f'{name}.html')}")
    except Exception as error:
        # The test has failed already, perhaps since its cloud is broken: its own failure is what counts.
        lines = [f"the cloud's executions can't be shown: {error!r}"]
    if lines:
        more = [f"and {len(lines) - LINES} more lines", lines[-1]] if len(lines) > LINES else []
        report.sections.append(("durable executions", "\n".join([*lines[:LINES], *more])))


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
