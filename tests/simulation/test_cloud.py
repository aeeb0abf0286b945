"""The cloud itself: what a test leaves behind."""

from __future__ import annotations

import os
from typing import Any

import pytest

from adapter import durable, errors, promise, resolve
from adapter.engine.operations import Close, Settle
from adapter.testing import Faults, LocalCloud
from adapter.testing.events import Event
from tests.support.laws import step


def test_after_a_cloud_that_could_not_be_entered_the_next_one_works() -> None:
    """The library refuses two at once, and closes what the second had opened."""
    with LocalCloud() as cloud:
        with pytest.raises(Exception, match=r"exists|ResourceInUse|LocalCloud"), LocalCloud():
            pass
        assert cloud.run(step, 1) == 1
    with LocalCloud() as another:
        assert another.run(step, 2) == 2


def test_a_cloud_that_is_left_while_lambdas_run_leaves_the_environment_as_it_was() -> None:
    """An invocation that pauses between two operations ends there, and takes its variables with it."""
    before = dict(os.environ)
    with LocalCloud(engine="memory", faults=Faults(reorder=1.0, delay=1.0)) as cloud:
        driver: Any = cloud._driver
        step.with_options(target="charge").start(1)
        while not driver._paused:
            cloud.advance(1)
    assert dict(os.environ) == before


def test_a_cloud_in_which_every_invocation_is_lost_is_stuck() -> None:
    """The watchdog makes each of them again, for ever."""
    with LocalCloud(engine="memory", faults=Faults(lose=1.0)) as cloud, pytest.raises(errors.Stuck, match="lost"):
        cloud.run(step, 1)


@durable(target="lambda-that-cleans-up")
async def cleans_up() -> None:
    await promise(str)


def test_an_invocation_that_cleaned_up_makes_up_for_those_that_failed() -> None:
    """It got on: a later `Stuck` doesn't tell of them."""
    with LocalCloud(engine="memory") as cloud:
        told: list[Event] = []
        handle = cleans_up.start()
        cloud.drive()
        cloud.kill(cleans_up, Close, "before")
        handle.cancel()
        cloud.watchers.append(told.append)
        cloud.drive()
        assert cloud._progress.failures.lines() == []
        assert [event.what for event in told if event.what in ("killed", "cleaned up")] == ["killed", "cleaned up"]


@pytest.mark.parametrize(("operation", "when"), [(Settle, "befor"), ("Settle", "before")])
def test_a_kill_that_could_never_come_about_is_refused(cloud: LocalCloud, operation: Any, when: str) -> None:
    """Otherwise its test would pass for no reason."""
    with pytest.raises(errors.ConfigurationError, match="'before' or 'after'"):
        cloud.kill(step, operation, when)


@durable(name="cloud:drifts")
async def drifts(kind: str) -> int:
    return await step(CODE[0]) + await promise(int)


CODE = [1]


def test_whoever_waits_for_a_while_is_told_of_a_pause_too(cloud: LocalCloud) -> None:
    """On AWS the handle reads it from the record."""
    CODE[0] = 1
    handle = drifts.start("old")
    cloud.drive()
    CODE[0] = 2
    for function in cloud.service.functions.values():
        function.memory.clear()
    resolve(f"{handle.id}~1", 1)
    with pytest.raises(errors.Paused, match="drifted"):
        handle.result(timeout=60)
