"""Many executions are steered in turn: in groups, as slowly as is asked, until failures return, and twice is once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors
from adapter.testing import LocalCloud
from tests.simulation.command.commanding import changed, checkout, drifts, invoke, said, unchanged
from tests.support.laws import forget, step

broken = [True]


@pytest.fixture(autouse=True)
def as_at_first() -> Iterator[None]:
    broken[0] = True
    yield
    broken[0] = True


@durable(name="bulk:part", retry=Retry(attempts=1))
def part(number: int) -> int:
    if broken[0]:
        raise (KeyError if number % 4 else ValueError)(number)
    return number


@durable(name="bulk:order")
async def order(number: int) -> int:
    return await step(number) + await part(number)


@pytest.fixture
def failing(cloud: LocalCloud) -> LocalCloud:
    for number in range(40):
        order.with_options(id=f"o{number:02}").start(number)
    cloud.advance(60)
    return cloud


def resolved(cloud: LocalCloud) -> int:
    return sum(one.fn == "bulk:order" and one.state.value == "resolved" for one in cloud.records())


def test_a_dry_run_counts_by_function_and_error_and_changes_nothing(failing: LocalCloud) -> None:
    """It says what would be done. Without --yes the command asks, and no answer is no."""
    with unchanged(failing):
        assert said("retry", "--every", "--dry-run") == (
            "40 executions would be retried:\n     30  bulk:order  failed: KeyError\n"
            "     10  bulk:order  failed: ValueError\n"
        )
        asked = invoke("retry", "--error", "ValueError", input="n\n")
        assert (asked.exit_code, "10 executions are to be retried" in asked.stdout) == (1, True)
        assert invoke("retry").exit_code == invoke("cancel").exit_code == invoke("resume").exit_code == 2
        assert said("retry", "--function", "nobody", "--yes") == "no such executions\n"


def test_those_that_are_found_are_retried_at_the_rate_that_is_asked_for(failing: LocalCloud) -> None:
    """What is interrupted is given again, and begins none twice."""
    broken[0] = False
    began = failing.now()
    lines = said("retry", "--error", "ValueError", "--yes", "--rate", "2").splitlines()
    assert lines[0] == "o00 goes on as o00+retry: 1 promise taken over, o00~1 and what follows made anew"
    assert lines[-1] == "10 begun: 10 ended by now, 0 of them failed"
    assert (failing.now() - began).total_seconds() == 5
    assert resolved(failing) == 10
    again = said("retry", "--every", "--yes").splitlines()
    assert sum(line.endswith("has gone on before, as o00+retry") for line in again) == 1
    assert again[-1] == "30 begun: 30 ended by now, 0 of them failed"
    with unchanged(failing):
        assert "goes on as" not in said("retry", "--every", "--yes")
    assert resolved(failing) == 40


def test_it_stops_when_failures_return(failing: LocalCloud) -> None:
    """The share of those that have ended decides. What failed again is left alone until asked for."""
    lines = said("retry", "--every", "--yes", "--rate", "100", "--stop-after", "50").splitlines()
    assert lines[-1] == "stopped: 10 of 10 failed again, and 30 were not begun"
    assert len(lines) == 11
    broken[0] = False
    said("retry", "--every", "--yes", "--rate", "100")
    assert resolved(failing) == 30
    said("retry", "--every", "--again", "--yes", "--rate", "100")
    assert resolved(failing) == 40


def test_what_is_refused_hides_nothing_else(failing: LocalCloud) -> None:
    """It is said, and the next one is retried."""
    broken[0] = False
    failing.run(step.with_options(id="good"), 1)
    lines = said("retry", "good", "o01", "--rate", "100").splitlines()
    assert lines[0] == "good was left alone: good hasn't failed"
    assert lines[-1] == "1 begun: 1 ended by now, 0 of them failed"


def test_what_is_paused_is_resumed_together(cloud: LocalCloud) -> None:
    """An operator deploys the mended code, and resumes all that it fits."""
    cloud.watchers.append(lambda event: forget(cloud))
    for name in "abc":
        drifts.with_options(id=name).start("x")
    checkout.with_options(id="w").start("tea")
    cloud.drive()
    changed[0] = True
    for name in "abc":
        said("resolve", f"{name}~0", '"done"')
    cloud.drive()
    dry = said("resume", "--every", "--dry-run").splitlines()
    assert dry[0] == "3 executions would be resumed:"
    assert dry[1] == "      3  command:drifts  paused: command:drifts drifted from its history"
    changed[0] = False
    assert said("resume", "--every", "--yes", "--rate", "50").count("which was paused") == 3
    cloud.drive()
    assert [attach(name).result() for name in "abc"] == ["done"] * 3
    assert attach("w").status() == "pending"


def test_what_is_found_is_cancelled_together(cloud: LocalCloud) -> None:
    """By default what is open, and only what the options say."""
    for name in "abc":
        checkout.with_options(id=name, tags={"tenant": name}).start("tea")
    cloud.drive()
    said("cancel", "--tag", "tenant=b", "--yes")
    cloud.drive()
    assert [attach(name).status().value for name in "abc"] == ["pending", "rejected_canceled", "pending"]
    assert said("cancel", "--function", "command:*", "--yes", "--rate", "9").count("is cancelled") == 2
    cloud.drive()
    with pytest.raises(errors.PromiseCancelled):
        attach("a").result()


def test_a_group_is_named_by_how_its_executions_stand(failing: LocalCloud) -> None:
    """Also where they were named one by one."""
    attached: Any = checkout.with_options(id="w").start("tea")
    failing.drive()
    attached.cancel()
    failing.drive()
    dry = said("retry", "w", "o01", "--dry-run").splitlines()
    assert [line.split()[:2] for line in dry[1:]] == [["1", "command:checkout"], ["1", "bulk:order"]]
    assert dry[1].endswith("cancelled")
