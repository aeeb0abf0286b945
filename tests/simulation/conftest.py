"""Every law holds in any weather: with warm memory, replaying at each resume, and under faults."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import botocore.loaders
import pytest

from adapter.testing import LocalCloud
from tests.simulation.laws import COLD, WEATHERS, Weather


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """Each cloud makes clients of its own; that they parse megabytes of JSON again would be most of these tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        loader = botocore.loaders.JSONFileLoader
        patch.setattr(loader, "_load_file", functools.cache(loader._load_file))
        yield


@pytest.fixture(params=WEATHERS, ids=lambda weather: weather.name)
def any_cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """A fresh cloud in each weather."""
    weather: Weather = request.param
    with weather.cloud() as cloud:
        yield cloud


@pytest.fixture
def cold() -> Iterator[LocalCloud]:
    """A fresh cloud in which each resume is a full replay."""
    with COLD.cloud() as cloud:
        yield cloud
