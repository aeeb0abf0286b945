"""A cloud that the command finds by its environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing import LocalCloud
from tests.simulation.command.commanding import changed


@pytest.fixture(autouse=True)
def as_deployed_first() -> None:
    """No test sees what another one has changed."""
    changed[0] = False


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory") as made:
        yield made
