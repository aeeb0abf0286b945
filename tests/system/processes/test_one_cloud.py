"""What runs in processes and harms no other run: one cloud for all of these tests, since each would start its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter import durable, errors
from adapter.engine.operations import Invoke, ReadFunction
from adapter.testing import Event, LocalCloud
from handlers.demo import TEMPLATE
from tests.system.processes.durables import OutOfTea, boil, brew, nap, party, patient, pour, serve, stall

DAY = 86_400


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    """The infrastructure and the examples; the functions of these tests are in Lambdas made up for them."""
    with LocalCloud(template=TEMPLATE, processes=True) as cloud:
        yield cloud


@pytest.fixture
def shared(running: LocalCloud) -> Iterator[LocalCloud]:
    """The cloud at rest: nobody watches it, and nothing is counted yet."""
    running.drive()
    running.stats.reset()
    yield running
    running.watchers.clear()


def test_a_function_defined_in_a_module_of_tests_runs_too(shared: LocalCloud) -> None:
    assert shared.run(double, 21) == 42


@durable
def double(number: int) -> int:
    return 2 * number


def test_steps_that_are_gathered_run_at_the_same_time(shared: LocalCloud, tmp_path: Path) -> None:
    """Each step waits for three others before it returns."""
    pids = shared.run(party, str(tmp_path), 8, 4)
    assert len(pids) == 8
    assert len(set(pids)) == 4
    assert os.getpid() not in pids


def test_a_sleep_takes_no_time_of_the_machine(shared: LocalCloud) -> None:
    """A day by the index and the sweeper, a minute by the queue alone: one that really waited wouldn't end today."""
    begun = shared.now()
    assert shared.run(nap, DAY) == "awake"
    assert (shared.now() - begun).total_seconds() >= DAY
    assert shared.run(nap, 60) == "awake"


def test_time_moves_only_as_far_as_it_is_told(shared: LocalCloud) -> None:
    handle = nap.start(DAY)
    shared.advance(DAY / 2)
    assert handle.status() == "pending"
    with pytest.raises(TimeoutError):
        handle.result(timeout=DAY / 4)
    shared.advance(DAY / 4)
    assert handle.result(timeout=60) == "awake"


def test_an_exception_crosses_processes_under_its_class(shared: LocalCloud) -> None:
    assert shared.run(serve, 9) == "caught: 9 cups are too many"
    with pytest.raises(OutOfTea, match="9 cups are too many"):
        shared.run(pour, 9)


def test_a_step_that_is_killed_midway_is_repeated(shared: LocalCloud, tmp_path: Path) -> None:
    """SIGKILL comes while user code runs: nothing is stored, so Lambda's retry runs it again, a minute later."""
    seen: list[Event] = []
    shared.watchers.append(seen.append)
    begun = shared.now()
    shared.kill_midway(stall, lambda: (tmp_path / "begun").exists())
    assert shared.run(patient, str(tmp_path)) == 2

    pids = (tmp_path / "begun").read_text().split()
    assert len(set(pids)) == 2
    assert [(event.fn, event.detail) for event in seen if event.what == "killed"] == [(stall.name, {"attempt": 1})]
    assert (shared.now() - begun).total_seconds() >= 60


@pytest.mark.parametrize("kind", ["import", "throttled"])
def test_a_lambda_that_is_out_for_a_while_runs_afterwards(kind: str, shared: LocalCloud) -> None:
    """Lambda's own repetitions are enough."""
    with shared.outage(boil, kind):
        handle = boil.start(1)
        shared.advance(40)
        assert shared.stats.bodies[boil] == 0
    assert handle.result() == 2


def test_the_infrastructure_can_be_killed_by_its_handlers_name(shared: LocalCloud) -> None:
    """The resumer's batch comes again."""
    seen: list[Event] = []
    shared.watchers.append(seen.append)
    shared.kill("adapter.lambdas.resumer.handler", Invoke, "before")
    assert shared.run(brew, 1) == 3
    assert [event.what for event in seen if event.what == "killed"] == ["killed"]


def test_what_a_process_does_not_call_cannot_be_killed_around(shared: LocalCloud) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"ReadFunction has no call of its own.*Create, .*Settle"):
        shared.kill(brew, ReadFunction)


def test_a_function_within_another_is_refused_by_name(shared: LocalCloud) -> None:
    """No other process can import it. The cloud writes nothing."""

    @durable
    def local(number: int) -> int:
        return number

    before = len(shared.records())
    with pytest.raises(
        errors.ConfigurationError, match=r"test_a_function_within.*local can't run in a process.*inside"
    ):
        shared.run(local, 1)
    assert len(shared.records()) == before


def test_a_watchers_failure_is_the_tests_own(shared: LocalCloud) -> None:
    """The cloud raises it where the test waits, and goes on afterwards."""

    def fail(event: Event) -> None:
        shared.watchers.clear()
        raise LookupError(event.what)

    shared.watchers.append(fail)
    with pytest.raises(LookupError, match=r"body|running"):
        shared.run(boil, 1)
    assert shared.run(boil, 2) == 3
