"""Every scenario is played in calm and under faults, and has to come to the same end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import SEEDS, Outside, play


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed-{seed}" if seed else "calm")
def stage(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """A fresh cloud for each seed; afterwards nothing may be left open."""
    with play(request.param) as cloud:
        yield cloud


@pytest.fixture
def outside() -> Outside:
    """A world in which nothing has happened yet."""
    return Outside()
