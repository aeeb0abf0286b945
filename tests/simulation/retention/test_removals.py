"""A removal has a time, costs little, takes a large tree in portions, and may die anywhere."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapter.engine.operations import Many, Now, PeekFunction, PeekPromise, ReadPromise, Remove
from adapter.engine.ports import drive
from adapter.engine.telling import Level, What
from adapter.errors import ConfigurationError
from adapter.lambdas.removal import DEEP, PORTION
from adapter.lambdas.watchdog import look
from adapter.protocol.timing import RETENTION, SHARDS, retention_of
from adapter.testing import LocalCloud
from adapter.testing.faults import Kill
from adapter.testing.happenings import Happening
from tests.simulation.retention.functions import (
    DAY,
    LARGE,
    MONTH,
    TEND,
    deep,
    keeping,
    leaf,
    left,
    outer,
    waits,
    wide,
)
from tests.support.laws import HOUR, STORM


@pytest.mark.parametrize(("days", "stays"), [("0", 1_000), ("1", 1), ("1.5", 1.5), ("365", 365)])
def test_how_long_it_is_kept_is_said_in_days(monkeypatch: pytest.MonkeyPatch, days: str, stays: float) -> None:
    """The days are 1 or more; 0 keeps it for ever."""
    with LocalCloud(engine="memory") as cloud:
        keeping(monkeypatch, cloud, days)
        assert cloud.run(leaf, 1) == 1
        cloud.advance(stays * DAY - 60)
        assert len(left(cloud)) == 1
        cloud.advance(HOUR + 180)
        assert len(left(cloud)) == (days == "0")


@pytest.mark.parametrize("days", ["0.5", "-1", "nan", "inf", "1e400", "a month", "30 days"])
def test_a_retention_that_is_none_is_refused(days: str) -> None:
    """The error comes before anything runs under it."""
    with pytest.raises(ConfigurationError, match="DURABLE_RETENTION_DAYS"):
        retention_of(days)


def test_a_longer_retention_holds_for_what_is_over_already(fast: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog would have removed it after a month."""
    assert fast.run(leaf, 1) == 1
    keeping(monkeypatch, fast, "60")
    fast.advance(MONTH + DAY)
    assert len(left(fast)) == 1
    fast.advance(MONTH)
    assert left(fast) == []


def test_removals_are_spread_over_an_hour(fast: LocalCloud) -> None:
    """The roots ended in the same second."""
    for number in range(200):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.drive()
    fast.advance(MONTH - 60)
    assert len(left(fast)) == 200
    sizes = []
    for _ in range(4):
        fast.advance(900)
        sizes.append(len(left(fast)))
    assert all(before - after > 20 for before, after in itertools.pairwise([200, *sizes]))
    fast.advance(180)
    assert left(fast) == []


def test_removals_of_one_minute_share_requests_and_invocations(fast: LocalCloud) -> None:
    """In each of sixty minutes, ten removals share a request to send, one to receive and one to delete."""
    fast.advance(MONTH)
    for number in range(600):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.drive()
    fast.stats.reset()
    # From here on the sweeps are those of an idle hour, and each is an invocation.
    fast.advance(MONTH - 60)
    sweeps = fast.stats.invocations
    fast.advance(2 * HOUR)
    assert left(fast) == []
    assert fast.stats.messages == 600
    assert fast.stats.message_requests <= 3 * 2 * 60
    assert fast.stats.invocations - sweeps <= 2 * 60 + 1 + 61


def test_a_batch_of_removals_logs_one_line(fast: LocalCloud) -> None:
    """It says how many went. What was removed is told at DEBUG, execution by execution."""
    lines: list[tuple[str, Any]] = []
    fast.watchers.append(lambda event: lines.append((event.what, event.detail.get("removed"))))
    for number in range(300):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.advance(MONTH + 2 * HOUR)
    counts = [count for what, count in lines if what is What.TENDED]
    assert len(counts) <= 60
    assert sum(counts) == [what for what, _ in lines].count(What.REMOVED) == 300
    assert What.REMOVED.level is Level.DEBUG


def test_what_a_slow_removal_leaves_no_time_for_is_sent_on(fast: LocalCloud) -> None:
    """Otherwise Lambda would end the invocation, and its batch would come again six minutes later."""
    told: list[str] = []
    fast.watchers.append(lambda event: told.append(event.what))
    for number in range(300):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.meanwhile(TEND, Remove, lambda: fast.elapse(20))
    fast.drive()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert What.SENT_ON in told
    assert Happening.KILLED not in told


def test_removing_costs_a_write_and_a_read_for_each_promise(fast: LocalCloud) -> None:
    """I9: each function that called anything costs three reads more, since its children are listed to the last."""
    assert fast.run(wide, 100) == sum(range(100))
    fast.drive()
    fast.stats.reset()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert fast.stats.writes == 101
    # Each leaf; the root, to the last; and the index.
    assert fast.stats.reads <= 100 + 2 + 2 * len(SHARDS)


def test_a_large_tree_goes_in_portions(fast: LocalCloud) -> None:
    """Other messages of the queue get their turn in between."""
    width = 2 * PORTION + PORTION // 2
    assert fast.run(wide, width) == sum(range(width))
    fast.drive()
    fast.stats.reset()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert fast.stats.writes == width + 1
    assert fast.stats.messages == 3


def test_a_deep_tree_goes_from_its_bottom(fast: LocalCloud) -> None:
    """The tree has 300 levels of one function each."""
    assert fast.run(deep, 300) == 300
    fast.drive()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []


def test_a_look_goes_down_only_so_far(fast: LocalCloud) -> None:
    """Otherwise each look at the deepest trees would run out of time before it came to the bottom."""
    depth = 3 * DEEP + 7
    assert fast.run(deep, depth) == depth
    fast.drive()
    (root,) = [record for record in fast.records() if record.id == "run-1"]
    asked = Counter[str]()

    def perform(operation: Any) -> Any:
        asked[type(operation).__name__] += 1
        return fast._host.ports.perform(operation)

    assert root.due_at is not None
    fast.service.ready.clear()
    fast._driver.reach(root.due_at)
    assert drive(look("run-1", root.due_at, RETENTION), perform) == "removing"
    assert asked["Many"] <= DEEP + 1
    fast.stats.reset()
    fast.advance(2 * HOUR)
    assert left(fast) == []
    # Linear: each level is read on the way down, and once more from above it.
    assert fast.stats.reads <= 5 * depth


@dataclass
class Nth(Kill):
    """Whatever removes, at its ``left``-th call; remembers what that was."""

    left: int = 0
    met: list[str] = field(default_factory=list)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        looks = "adapter.lambdas.sweeper.tend" in names or "adapter.lambdas.sweeper.sweep" in names
        if not looks or when != self.when or isinstance(operation, (ReadPromise, PeekFunction, PeekPromise, Many, Now)):
            return False
        self.left -= 1
        if self.left != 0:
            return False
        self.met.append(type(operation).__name__)
        return True


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_removes_may_die_anywhere(when: str) -> None:
    """It dies at one call after the other. A later look removes what is left, and the root last."""
    points: Counter[str] = Counter()
    while True:
        with LocalCloud(engine="memory") as cloud:
            cloud.run(outer)
            cloud.drive()
            kill = Nth("", object, when, left=points.total() + 1)
            cloud._driver.kill(kill)
            gone: list[str] = []
            cloud.watchers.append(lambda event, gone=gone: gone.append(event.promise) if event.what == "removed" else 0)  # type: ignore[misc]
            cloud.advance(MONTH + DAY)
            assert left(cloud) == [], f"died {when} {kill.met}"
            assert set(gone) <= {"run-1", "retention-apart", "retention-shared"}
        if not kill.met:
            break
        points[kill.met[0]] += 1
    assert {"Remove", "ClearPayloads", "PeekChildren", "SendBatch"} <= set(points)


@pytest.mark.parametrize("seed", range(12))
def test_in_any_weather_all_that_is_over_goes_and_nothing_else(seed: int) -> None:
    """A live execution beside it has all that it needs, and more time to come."""
    with LocalCloud(seed=seed, faults=STORM, engine="memory") as cloud:
        outcome = cloud.run(outer)
        live = waits.with_options(id="live").start(100)
        assert outcome == 2 * LARGE + 10 + 2 + len("retention-apart") + 4
        cloud.advance(MONTH + 3 * DAY)
        assert {record.id.partition("~")[0] for record in cloud.records()} == {"live"}
        assert live.result() == 2 + 3 + 4 + LARGE
        cloud.advance(MONTH + 3 * DAY)
        assert left(cloud) == []
