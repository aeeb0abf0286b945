"""Every law holds in any weather: with warm memory, replaying at each resume, and under faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adapter.testing import LocalCloud
from tests.support.laws import COLD, WEATHERS, Limit, Weather


@pytest.fixture
def cloud(cloud: LocalCloud) -> Iterator[LocalCloud]:
    """The plugin's; one that never comes to rest fails its test, and so does a kill that never came about."""
    cloud.watchers.append(Limit(5_000))
    yield cloud
    assert cloud._kills == []


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
            monkeypatch.delitem(function.environment, "DURABLE_BUCKET")  # type: ignore[arg-type]
        return cloud

    return made
