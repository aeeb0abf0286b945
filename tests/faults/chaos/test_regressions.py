"""What random programs have found, each as the smallest program that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.testing import Faults
from tests.faults.chaos.checker import expected, violations
from tests.faults.chaos.constructs import Node
from tests.faults.chaos.programs import Program
from tests.faults.chaos.trial import Weather, play
from tests.support.effort import effort

SEEDS = range(effort(20, 200))


def broken(body: Node, faults: Faults | None = None, *, cold: bool = False) -> list[str]:
    """The laws that it breaks, whatever the cloud's seed."""
    program = Program(body)
    plain = expected(program)
    assert plain is not None
    weathers = [Weather(seed, faults or Faults(), cold) for seed in (SEEDS if faults else range(1))]
    return [violation for weather in weathers for violation in violations(play(program, weather), plain)]


def node(op: str, label: str, *of: Node, **parameters: Any) -> Node:
    return {"op": op, "n": label, **parameters, "of": list(of)}


STEP = node("leaf", "step", kind="step")


@pytest.mark.parametrize("cold", [False, True])
def test_an_inline_step_begun_as_its_function_ends_does_not_run(cold: bool) -> None:
    """Cancelled before it began, it ran, and was stored as resolved. (Seed 282.)"""
    inline = node("leaf", "left", kind="inline")
    played = play(Program(node("abandon", "a", inline)), Weather(0, cold=cold))
    assert not played.told.bodies
    assert broken(node("abandon", "a", inline), cold=cold) == []


def test_the_retry_of_a_firing_that_created_calls_invokes_them_though_another_run_took_over() -> None:
    """A firing came twice; one died between creating and invoking, the other armed, and the retry was refused, as
    SUPERSEDED. (Seed 19.)"""
    shared = node("call", "c", STEP, id="shared")
    pool = node("pool", "p", node("leaf", "leaf", kind="step"), shared, width=3)
    assert broken(node("call", "b", node("after", "a", pool, d=4)), Faults(crash=0.1)) == []


def test_the_retry_of_a_firing_that_overtook_the_arming_is_not_refused_by_its_own_claim() -> None:
    """The time was never armed, and the claim itself had moved the epoch: the call that it had created stayed where it
    was. (Seed 23.)"""
    again = node("call", "c", node("again", "a", STEP, times=3), retry=True)
    assert broken(node("call", "b", again), Faults(crash=0.09, reorder=0.16)) == []


def test_a_lost_clean_up_of_a_function_whose_deadline_passed_is_missed() -> None:
    """The watchdog took its entry for the deadline's, for ever. (Seed 5002 with lose=0.05.)"""
    late = node("after", "a", node("call", "c", STEP), d=16)
    assert broken(node("call", "b", late, timeout=1), Faults(lose=0.2)) == []


def test_a_cancellation_reaches_the_calls_of_a_function_that_has_returned() -> None:
    """They ran on to their end, though nobody waited for them any more."""
    left = node("seq", "s", node("abandon", "l", node("call", "c", node("after", "a", STEP, d=16))), STEP)
    body = node("cancel", "x", node("call", "f", left), d=2)
    played = play(Program(body), Weather(0))
    states = {record.id: record.state.value for record in played.cloud.records()}
    assert states["root~0.0"] == "rejected_canceled"
    assert broken(body) == []
    assert broken(body, Faults(crash=0.1, duplicate=0.2, reorder=0.2)) == []


def test_several_links_to_one_root_settle_in_the_same_order_in_every_process() -> None:
    """`tests/faults/chaos/test_traces.py` compares processes; here the order is the ids'."""
    calls = [node("call", f"c{number}", STEP, id="shared") for number in range(5)]
    played = play(Program(node("gather", "g", *calls)), Weather(0))
    single = [line for line in played.cloud.lines if "Settle(root~" in line and "Many(" not in line]
    settled = [line.partition("Settle(root~")[2] for line in single]
    assert len(settled) == 5
    assert settled == sorted(settled)
