"""A cloud for faults of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing import LocalCloud
from tests.support.effort import ENGINE


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    """A fresh one, on the engine of tests that aren't about the edge."""
    with LocalCloud(engine=ENGINE) as cloud:
        yield cloud
