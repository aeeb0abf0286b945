"""Every law holds in any weather: with warm memory, replaying at each resume, and under faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adapter.testing import LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import COLD, WEATHERS, Limit, Weather, forget


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    """A fresh cloud. A cloud that never comes to rest fails its test, and so does a kill that never came about."""
    with LocalCloud(engine=ENGINE) as cloud:
        cloud.watchers.append(Limit(5_000))
        yield cloud
        assert cloud._kills == []


@pytest.fixture
def on_moto() -> Iterator[LocalCloud]:
    """A fresh cloud for a test that itself asks AWS, beside the library; each resume is a full replay."""
    with LocalCloud(engine="moto") as cloud:
        cloud.watchers.append(lambda event: forget(cloud))
        yield cloud


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


@pytest.fixture
def without_bucket(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LocalCloud]:
    """Makes clouds whose functions have no DURABLE_BUCKET."""

    def made(engine: str) -> LocalCloud:
        cloud = LocalCloud(engine=engine)
        for function in cloud.template.functions:
            monkeypatch.setitem(function.environment, "DURABLE_BUCKET", "")  # type: ignore[arg-type]
        return cloud

    return made
