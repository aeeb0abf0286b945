"""Every law holds in any weather: with warm memory, replaying at each resume, and under faults."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import botocore.session
import pytest

import adapter.testing.cloud
from adapter.testing import LocalCloud
from tests.simulation.laws import COLD, WEATHERS, Weather


@pytest.fixture(scope="session", autouse=True)
def _what_every_cloud_reads_is_read_once() -> Iterator[None]:
    """Each cloud makes clients of its own; that they parse botocore's megabytes again would be most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        patch.setattr(adapter.testing.cloud, "load", functools.cache(adapter.testing.cloud.load))
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
