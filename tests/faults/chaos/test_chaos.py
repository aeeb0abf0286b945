"""Random programs in random weathers: a fixed number of seeds. `make chaos SEEDS=…` plays more."""

from __future__ import annotations

import pytest

from adapter.testing.simulated_aws.outages import Outage
from tests.faults.chaos.constructs import CONSTRUCTS
from tests.faults.chaos.programs import program, text
from tests.faults.chaos.searching import report, search
from tests.faults.chaos.trial import play, weather
from tests.support.effort import effort

SEEDS = effort(50, 4_000)
SHARE = 50

DRAWN = range(300, 300 + 2 * SHARE)
"""Seeds that draw everything there is, calm included."""


@pytest.mark.parametrize("start", range(0, SEEDS, SHARE))
def test_a_program_comes_to_what_it_comes_to_plainly_whatever_goes_wrong(start: int) -> None:
    """It breaks no law: outcomes stand, nothing is lost, everything ends, clean-ups complete."""
    found = search(range(start, start + SHARE))
    print(found)
    assert not found.failures, "\n".join(report(seed, failure, 30) for seed, failure in found.failures.items())
    assert found.latent < SHARE / 10


def test_all_constructs_and_faults_are_drawn() -> None:
    """The seeds draw each fault often, in programs that the test plays."""
    found = search(DRAWN)
    assert not found.failures, "\n".join(report(seed, failure, 30) for seed, failure in found.failures.items())
    assert {*CONSTRUCTS} - {"leaf"} <= {*found.constructs}
    assert {"step", "astep", "inline", "fails", "flaky"} <= {*found.constructs}
    assert {"placed inline", "placed auto", "placed changing"} <= {*found.constructs}
    assert all(found.faults[kind] > 50 for kind in ("crash", "duplicate", "reorder", "delay")), found.faults
    assert found.faults["drop"] > 10
    assert all(found.faults[kind] > 50 for kind in ("scatter", "lag", "stale", "meanwhile", "throttled")), found.faults
    assert all(found.faults[f"outage: {kind}"] > 3 for kind in Outage), found.faults
    # A deadline, the way of waking and how much a chapter tells are no fault.
    kinds = [{*kind.split("+")} - {"calm", "deadline", "wake", "chapters"} for kind in found.weathers]
    assert set() in kinds
    assert {"cold"} in kinds


def test_a_seed_draws_the_same_program_and_weather_each_time() -> None:
    """It does so in one process. The traces compare processes."""
    assert [text(program(seed)) for seed in range(50)] == [text(program(seed)) for seed in range(50)]
    assert [str(weather(seed)) for seed in range(50)] == [str(weather(seed)) for seed in range(50)]


def test_a_run_in_the_same_process_has_the_same_trace_again() -> None:
    """Nothing that one cloud leaves behind changes another."""
    for seed in range(1, 9):
        assert play(program(seed), weather(seed)).trace == play(program(seed), weather(seed)).trace
