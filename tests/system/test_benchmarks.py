"""What `make bench` prints doesn't rot: its parts run, small, and what they count is exact."""

from __future__ import annotations

import importlib.util

import pytest

from adapter.protocol.times import SECOND
from adapter.testing import Latencies, Latency
from benchmarks import choices, peers, speed
from benchmarks.__main__ import TABLES

NO_COLD = Latencies(cold=Latency(0, 0), scales_by=10, scales_in_s=10)


def test_each_table_of_the_command_is_a_module_that_can_be_run() -> None:
    """None was renamed or lost."""
    for module, *_ in TABLES:
        assert importlib.util.find_spec(f"benchmarks.{module}") is not None


@pytest.mark.parametrize(("count", "seconds"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 2), (23, 3)])
def test_what_lambda_s_scaling_allows_is_counted(count: int, seconds: int) -> None:
    """Ten environments at once, then one more in each second; a body takes a second."""
    assert speed.allowed(count, NO_COLD) == seconds * SECOND


def test_a_step_a_sleep_and_a_fan_out_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives two percentiles and a price, and asserts its writes."""
    monkeypatch.setattr(speed, "SLEEPS", 12)
    made = speed.programs("tested", {})
    for measured in (
        speed.each_step(made.sequence, 12, 2),
        speed.each_step(made.inline, 12, 1),
        speed.after_a_sleep(made.sleeper),
        speed.fan_out(made.gathered, 3),
        speed.fan_out(made.mapped, 3),
    ):
        assert "$" in measured
        assert " ms" in measured or " s (" in measured


def test_a_choice_changes_the_stream_s_mapping_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template that is measured is the library's own, but for it."""
    monkeypatch.setattr(choices, "EXECUTIONS", 2)
    with choices.changed(window=3) as template:
        slow, _ = choices.executions(template)
    with choices.changed() as template:
        usual, _ = choices.executions(template)
    assert slow > usual + 6


def test_a_picture_shows_each_curve() -> None:
    """It is text, made without a library."""
    drawn = choices.picture([choices.Curve(title="a: b", unit="s", chosen=1, points=[(1, 2.0, 3.0), (2, 1.0, 3.0)])])
    assert drawn.startswith("<svg")
    assert "2.00 s" in drawn


def test_without_peers_only_ours_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours needs them."""
    monkeypatch.setattr(peers, "PYTHON", peers.ROOT / "nowhere" / "python")
    assert peers.seconds_of_peer("aws-durable-execution-sdk-python", "sequential", 1) is None
