"""A table for the resumer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing import LocalCloud
from tests.unit.resumer.table import Table


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCloud]:
    """One cloud for all; each test has parents of its own."""
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def table(local: LocalCloud) -> Iterator[Table]:
    """Nothing invoked yet, nothing counted."""
    local.service.ready.clear()
    local.stats.reset()
    made = Table(local)
    yield made
    local._world.sqs.meta.events.unregister("provide-client-params.sqs.SendMessage", made._send)
    local.service.ready.clear()
