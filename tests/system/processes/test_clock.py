"""One clock for all processes: the machine's, and how far this process says that it is ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.testing.processes.environments import Environments
from adapter.testing.processes.offset import VARIABLE, ClockOffset
from tests.system.processes.specs import ROOT, function

DAY = 86_400_000_000
TOLERANCE = 60_000_000
"""Between two looks at a clock of a loaded machine."""


@pytest.fixture
def offset(tmp_path: Path) -> Iterator[ClockOffset]:
    shared = ClockOffset(tmp_path / "offset", create=True)
    yield shared
    shared.close()


def test_a_running_process_follows_every_change_of_the_offset(offset: ClockOffset, tmp_path: Path) -> None:
    """The clock goes forward and back in one process. User code sees the machine's time."""
    pids = set()
    with Environments(variables={VARIABLE: str(tmp_path / "offset")}, directory=ROOT) as service:
        for days in (0, 400, -3):
            offset.microseconds = days * DAY
            seen = service.call(function("functions.clocks"), "{}", f"request-{days}")
            assert abs(seen["engine"] - seen["machine"] - days * DAY) < TOLERANCE
            assert 0 < seen["left"] <= 60_000
            pids.add(seen["pid"])

    assert len(pids) == 1


def test_without_an_offset_the_engines_clock_is_the_machines(environments: Environments) -> None:
    seen = environments.call(function("functions.clocks"), "{}", "request-1")

    assert abs(seen["engine"] - seen["machine"]) < TOLERANCE


def test_two_that_map_the_file_see_one_number(offset: ClockOffset, tmp_path: Path) -> None:
    other = ClockOffset(tmp_path / "offset")
    try:
        other.microseconds = -DAY
        assert offset.microseconds == -DAY
    finally:
        other.close()
