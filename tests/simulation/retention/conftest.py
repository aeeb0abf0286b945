"""Clouds on which executions are kept, and removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing import LocalCloud
from tests.support.effort import effort


@pytest.fixture(params=effort(["memory"], ["memory", "moto"]))
def kept(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """In memory; in a search, on moto, too."""
    with LocalCloud(engine=request.param) as cloud:
        yield cloud


@pytest.fixture
def fast() -> Iterator[LocalCloud]:
    """In memory."""
    with LocalCloud(engine="memory") as cloud:
        yield cloud
