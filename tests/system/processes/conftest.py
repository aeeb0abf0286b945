"""Environments over this repository's code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.testing.processes.environments import Environments
from tests.system.processes.specs import ROOT


@pytest.fixture
def environments() -> Iterator[Environments]:
    """At most two for each function; whatever a test leaves running is gone after it."""
    with Environments(variables={}, directory=ROOT, limit=2) as service:
        yield service
