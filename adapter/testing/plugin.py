"""The pytest plugin: the fixture ``cloud``, a fresh `LocalCloud` for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adapter.testing import LocalCloud


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    """The whole system in this process, in virtual time."""
    from adapter.testing import LocalCloud

    with LocalCloud() as local:
        yield local
