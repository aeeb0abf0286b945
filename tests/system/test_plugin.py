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


FAILING = """
from adapter import durable, promise

@durable(name="project:step")
def step(number: int) -> int:
    return 10 // number

@durable(name="project:both")
async def both(number: int) -> int:
    return await step(1) + await step(number)

def test_that_fails(cloud):
    handle = both.with_options(id="order-7").start(0)
    cloud.drive()
    cloud.advance(3600)
    assert handle.status() == "resolved"

def test_that_passes(cloud):
    assert cloud.run(both, 1) == 20
"""


def test_a_failed_test_shows_the_trees_of_its_cloud(tmp_path: Path) -> None:
    """A plain assert is enough: the report has each promise, and the error of what failed."""
    out = run(tmp_path, tests=FAILING)
    assert "1 failed, 1 passed" in out
    assert out.count(" durable executions -") == 1
    assert "order-7  project:both  rejected" in out
    assert "└── order-7~1  project:step  rejected" in out
    assert "ZeroDivisionError: " in out
    assert not list(tmp_path.glob("**/*.html"))


def test_a_failed_test_leaves_a_timeline_if_asked(tmp_path: Path) -> None:
    """One for each failure, by the test's name, also under chaos; none for a test that passes."""
    out = run(tmp_path, "--durable-timeline=pages", "--durable-chaos=1", tests=FAILING)
    pages = sorted(page.name for page in (tmp_path / "pages").iterdir())
    assert pages == ["test_project.py-test_that_fails-calm.html", "test_project.py-test_that_fails-seed-1.html"]
    assert "timeline: pages/test_project.py-test_that_fails-calm.html" in out.replace(os.sep, "/")
    run(tmp_path, "--durable-timeline", tests=FAILING)
    assert (tmp_path / "durable-timelines" / "test_project.py-test_that_fails.html").exists()


def test_tests_are_not_taken_for_the_directory_of_timelines(tmp_path: Path) -> None:
    """Without an equals sign pytest would take them so, and run all others."""
    out = run(tmp_path, "--durable-timeline", "test_project.py", tests=FAILING)
    assert out.startswith("exit 4\n")
    assert "--durable-timeline: there are tests in test_project.py" in out
