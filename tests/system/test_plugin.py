"""The pytest plugin: tests of a project run again under faults, seed by seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
from adapter import durable
from adapter.testing import Faults

@durable
def step(number: int) -> int:
    return number

def test_with_a_cloud(cloud):
    assert cloud.run(step, 7) == 7
    assert cloud.dice.faults == Faults() or cloud.dice.faults.crash > 0

def test_that_only_holds_without_faults(cloud):
    assert cloud.dice.faults == Faults()

def test_without_a_cloud():
    pass
"""


def run(directory: Path, *options: str) -> str:
    """What pytest prints, in a project of its own."""
    (directory / "test_project.py").write_text(TESTS)
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    return done.stdout


def test_without_the_option_each_test_runs_once_and_calm(tmp_path: Path) -> None:
    """Users run them so every day."""
    assert "3 passed" in run(tmp_path)


def test_under_chaos_each_test_with_a_cloud_runs_again_and_a_failure_names_its_seed(tmp_path: Path) -> None:
    """The seed runs that failure alone."""
    out = run(tmp_path, "--durable-chaos=2")
    assert "2 failed, 5 passed" in out
    assert "FAILED test_project.py::test_that_only_holds_without_faults[seed-2]" in out
    assert "PASSED test_project.py::test_with_a_cloud[calm]" in out
    assert "1 failed" in run(tmp_path, "--durable-chaos=2", "-k", "holds and seed-1")


def test_the_number_of_seeds_may_be_left_out(tmp_path: Path) -> None:
    """The plugin then takes a few."""
    assert "5 failed, 8 passed" in run(tmp_path, "--durable-chaos")
