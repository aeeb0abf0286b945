"""A durable loop."""

from __future__ import annotations

import pytest

from adapter.replay.loop import DurableLoop
from tests.unit.loop.running import make


@pytest.fixture
def loop() -> DurableLoop:
    """A fresh one."""
    return make()[0]
