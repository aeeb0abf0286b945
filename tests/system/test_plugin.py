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


ENGINES = """
from adapter import durable

@durable
def step(number: int) -> int:
    return number

def test_names_its_engine(cloud):
    assert cloud.run(step, 7) == 7
    print(f"<{cloud.engine}, crash={cloud.dice.faults.crash}>")
"""


IN_MEMORY = "--durable-engine=memory"


def run(directory: Path, *options: str, tests: str = TESTS) -> str:
    """What pytest prints, in a project of its own."""
    (directory / "test_project.py").write_text(tests)
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def test_without_the_option_each_test_runs_once_and_calm(tmp_path: Path) -> None:
    """Users run them so every day."""
    assert "3 passed" in run(tmp_path, IN_MEMORY)


def test_under_chaos_each_test_with_a_cloud_runs_again_and_a_failure_names_its_seed(tmp_path: Path) -> None:
    """The seed runs that failure alone."""
    out = run(tmp_path, IN_MEMORY, "--durable-chaos=2")
    assert "2 failed, 5 passed" in out
    assert "FAILED test_project.py::test_that_only_holds_without_faults[seed-2]" in out
    assert "PASSED test_project.py::test_with_a_cloud[calm]" in out
    assert "1 failed" in run(tmp_path, IN_MEMORY, "--durable-chaos=2", "-k", "holds and seed-1")


def test_the_number_of_seeds_may_be_left_out(tmp_path: Path) -> None:
    """The plugin then takes a few."""
    assert "5 failed, 8 passed" in run(tmp_path, IN_MEMORY, "--durable-chaos")


def test_the_engine_is_chosen_for_all_tests_under_faults_too(tmp_path: Path) -> None:
    """A fixture of one's own would lose the faults."""
    out = run(tmp_path, IN_MEMORY, "--durable-chaos=1", tests=ENGINES)
    assert "2 passed" in out
    assert "<memory, crash=0.0>" in out
    assert "<memory, crash=0.05>" in out
    assert "<moto, crash=0.0>" in run(tmp_path, tests=ENGINES)


def test_a_url_is_an_engine_and_a_wrong_name_is_a_usage_error(tmp_path: Path) -> None:
    """It is told before any test runs."""
    assert "error: could not connect" in run(tmp_path, "--durable-engine=http://127.0.0.1:1", tests=ENGINES).lower()
    out = run(tmp_path, "--durable-engine=mote")
    assert out.startswith("exit 4\n")
    assert "ERROR: --durable-engine: an engine is moto, memory, or the URL of a DynamoDB, not 'mote'" in out
    assert "passed" not in out
