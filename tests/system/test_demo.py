"""The demo as a reader of a pipe sees it, and the views it is made of."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.engine.operations import Create, Settle
from adapter.testing import Event, LocalCloud
from adapter.testing.show import show
from handlers.factorial import factorial
from handlers.survey import measure, survey
from tests.support.effort import ENGINE

ROOT = Path(__file__).parents[2]
MODULES = ["bisect", "calendar", "cmd", "code", "colorsys", "copy", "csv", "dis", "fnmatch", "heapq"]


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "handlers.demo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def position(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found, f"nothing matches {pattern!r} in:\n{text}"
    return found.start()


def test_demo_succeeds_and_complains_of_nothing(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "WRONG" not in demo.stdout


def test_demo_shows_a_killed_charge_retried_and_its_caller_resumed(demo: subprocess.CompletedProcess[str]) -> None:
    order = [
        r"checkout +order-7 +suspended, waits for charge order-7~0",
        r"charge +order-7~0 +KILLED: .* retries in 60 s",
        r"later; nothing ran meanwhile",
        r"charge +order-7~0 +runs again, in Lambda's retry",
        r"charge +order-7~0 +resolved",
        r"checkout +order-7 +resumed by the stream: charge order-7~0 is resolved",
        r"checkout +order-7 +resolved",
    ]
    positions = [position(demo.stdout, pattern) for pattern in order]
    assert positions == sorted(positions)


def test_demo_ends_with_results_and_dollars(demo: subprocess.CompletedProcess[str]) -> None:
    _, _, end = demo.stdout.partition("Results")
    assert "shipped by tortoise" in end
    assert "10! = 3628800" in end
    assert re.search(r"survey: modules +\d\d", end)
    for name in ("checkout", "factorial", "survey"):
        assert re.search(rf"{name}( +\d+){{4}} +\$0\.\d+", end), name
    assert "dollars" in end
    assert "an invocation is taken to last 30 ms" in end


def test_demo_stays_readable_in_a_pipe(demo: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in demo.stdout
    assert demo.stdout.isascii()
    assert len(demo.stdout.splitlines()) < 120


def test_many_calls_of_one_function_are_counted() -> None:
    out = io.StringIO()
    with LocalCloud(engine=ENGINE) as cloud, show(cloud, out):
        cloud.run(survey.with_options(id="few"), MODULES)
    lines = out.getvalue().splitlines()
    assert sum("measure" in line and line.endswith("runs") for line in lines) == 4
    assert lines[-3].endswith("6 others, each in its own Lambda: 6 resolved")


def test_a_death_among_counted_calls_is_shown() -> None:
    out = io.StringIO()
    with LocalCloud(engine=ENGINE) as cloud, show(cloud, out):
        once = iter([True])

        def kill_the_ninth(event: Event) -> None:
            if (event.promise, event.what) == ("few~8", "running") and next(once, False):
                cloud.kill(measure, Settle, "before")

        cloud.watchers.append(kill_the_ninth)
        cloud.run(survey.with_options(id="few"), MODULES)
    text = out.getvalue()
    assert position(text, "4 others") < position(text, r"measure +few~8 +KILLED") < position(text, "6 others")


def test_a_caller_killed_after_a_create_is_told_by_name() -> None:
    out = io.StringIO()
    with LocalCloud(engine=ENGINE) as cloud, show(cloud, out):
        cloud.kill(factorial, Create)
        assert cloud.run(factorial.with_options(id="three"), 3) == 6
    assert re.search(r"factorial +three +KILLED", out.getvalue())
    assert re.search(r"factorial +three +runs again", out.getvalue())


def test_the_live_view_draws_a_tree_of_promises_and_leaves_it_on_the_screen() -> None:
    out = io.StringIO()
    with LocalCloud(engine=ENGINE) as cloud, show(cloud, out, live=True, pace=0) as view:
        view.heading("[a] chapter")
        assert cloud.run(factorial.with_options(id="three"), 3) == 6
        cloud.run(survey.with_options(id="few"), MODULES)
        view.table("Results", ("what", "result"), [("[3]!", "6")])
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "\x1b[" in out.getvalue()
    assert "[a] chapter" in plain
    assert "factorial  suspended\n└── factorial  running" in plain
    assert "10 x measure: 10 resolved" in plain
    assert "[3]!" in plain


def test_a_view_costs_nothing_and_leaves_with_its_block() -> None:
    with LocalCloud(engine=ENGINE) as cloud:
        cloud.run(factorial.with_options(id="unseen"), 3)
        unseen = repr(cloud.stats)
        cloud.stats.reset()
        with show(cloud, io.StringIO()):
            cloud.run(factorial.with_options(id="itself"), 3)
        assert cloud.watchers == []
        assert repr(cloud.stats) == unseen
