"""Nothing of an execution that was removed reaches a later one that has its id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter import attach, resolve
from adapter.aws.items import to_item
from adapter.engine.operations import Invoke, Many, Remove, Settle
from adapter.engine.ports import drive
from adapter.errors import UnknownPromise
from adapter.lambdas.resumer import follow_up, settlement
from adapter.lambdas.sweeper import _schedule
from adapter.lambdas.watchdog import look
from adapter.protocol.promises import Refused
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.timing import RETENTION, due_of
from adapter.testing import Faults, LocalCloud
from adapter.testing.hosting import ClearPayloads
from tests.simulation.retention.functions import (
    DAY,
    LARGE,
    MONTH,
    asks,
    asks_below,
    asks_for_long,
    attaches,
    counts,
    flaky,
    gives_up,
    inner,
    large,
    left,
    orders,
    reads,
    shares,
    tried,
    tries,
)
from tests.simulation.retention.test_what_goes import ENDED, made
from tests.support.effort import effort
from tests.support.laws import HOUR


def test_what_was_made_anew_under_a_removed_id_is_another(fast: LocalCloud) -> None:
    """A removal that was held up meets a record that it doesn't mean."""
    made(fast, replace(ENDED, due_at=None))
    perform = fast._host.ports.perform
    assert isinstance(perform(Remove("ended", 2)), Refused)
    assert left(fast) == ["ended"]
    assert isinstance(perform(Remove("ended", 1)), Record)
    assert left(fast) == []


def test_what_was_called_a_moment_ago_is_a_later_executions(fast: LocalCloud) -> None:
    """Whoever removes may be slow, and meet below what it has read what began under the same id since."""
    young = Record(id="ended~0.0", fn="?", target="?", created_at=fast.clock())
    made(fast, ENDED, replace(ENDED, id="ended~0", due_at=None), young)
    fast.advance(HOUR)
    assert fast.peek("ended~0.0") == young
    fast.advance(3 * DAY)
    assert left(fast) == []


@pytest.mark.parametrize("seed", range(effort(20, 200)))
def test_a_removal_that_reads_what_stood_before_does_nothing_to_what_began_since(seed: int) -> None:
    """The id is removed, and begun again at once; then a second look comes for the first execution."""
    with LocalCloud(seed=seed, faults=Faults(stale=0.5), engine="memory") as cloud:
        perform = cloud._host.ports.perform
        assert inner.with_options(id="again").start(1).result() == 2
        cloud.advance(MONTH - 60)
        due_at = cloud.peek("again").due_at  # type: ignore[union-attr]
        cloud.advance((due_at - cloud.clock()) // 1_000_000)  # type: ignore[operator]
        assert drive(look("again", due_at, RETENTION, over=True), perform) == "removed"  # type: ignore[arg-type]
        asking = asks_below.with_options(id="again").start("x")
        cloud.drive()
        assert left(cloud) == ["again", "again~0", "again~0.0"]
        drive(look("again", due_at, RETENTION, over=True), perform)  # type: ignore[arg-type]
        cloud.drive()
        for number in range(2):
            resolve(f"again~0.{number}", str(number))
            cloud.drive()
        assert asking.result() == "x 0 1"


def test_an_id_is_free_again_afterwards(kept: LocalCloud) -> None:
    """Until then, its execution has it."""
    first = asks.with_options(id="again").start("x")
    kept.drive()
    resolve("again~0", "old")
    assert first.result() == "x OLD"
    kept.advance(MONTH + 2 * HOUR)
    with pytest.raises(UnknownPromise):
        first.result()
    with pytest.raises(UnknownPromise):
        attach("again")
    with pytest.raises(UnknownPromise):
        resolve("again~0", "late")
    second = asks.with_options(id="again").start("y")
    kept.drive()
    resolve("again~0", "new")
    assert second.result() == "y NEW"


def test_a_sandbox_forgets_what_an_earlier_execution_of_the_id_had(fast: LocalCloud) -> None:
    """Another sandbox ended that one; this one still had it as it was suspended."""
    asks.with_options(id="again").start("x")
    fast.drive()
    (function,) = [one for one in fast.service.functions.values() if one.memory.kept]
    suspended = dict(function.memory.kept)
    function.memory.kept.clear()
    resolve("again~0", "old")
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    handle = asks.with_options(id="again").start("y")
    fast.drive()
    function.memory.kept.update(suspended)
    resolve("again~0", "new")
    assert handle.result() == "y NEW"


def test_a_sandbox_has_nothing_of_a_call_that_ended_long_after_its_root(fast: LocalCloud) -> None:
    """A resumer died before it ended the calls of the root. One ended elsewhere, shortly before the look."""
    asks_below.with_options(id="again").start("x")
    fast.drive()
    fast._host.ports.perform(Settle("again", State.RESOLVED, '"nothing"'))
    fast.advance(MONTH - 3 * HOUR)
    resolve("again~0.0", "old")
    fast.drive()
    (function,) = [one for one in fast.service.functions.values() if "again~0" in one.memory.kept]
    suspended = dict(function.memory.kept)
    function.memory.kept.clear()
    resolve("again~0.1", "old")
    while left(fast):
        fast.advance(HOUR)
    handle = asks_below.with_options(id="again").start("y")
    fast.drive()
    resolve("again~0.0", "new")
    fast.drive()
    function.memory.kept.update(suspended)
    resolve("again~0.1", "new")
    assert handle.result() == "y new new"


@pytest.mark.parametrize("function", [tries, flaky])
def test_an_attempt_is_not_one_of_a_later_execution_of_the_id(fast: LocalCloud, function: Any) -> None:
    """Its execution gave up long before it comes, and was removed. The later one has all its attempts, each in time."""
    tried.clear()
    if function is tries:
        assert tries.with_options(id="again").start(1).result() == 0
        fast.advance(MONTH + 2 * DAY)
        handle = tries.with_options(id="again").start(100)
    else:
        first = flaky.with_options(id="again").start()
        fast.drive()
        first.cancel()
        fast.advance(MONTH + 2 * DAY)
        handle = flaky.with_options(id="again").start()
    assert left(fast)[0] == "again"
    fast.drive()
    assert len(tried) == 2
    fast.advance(39 * DAY)
    assert len(tried) == 2
    assert handle.result() == 3


def test_a_wake_that_was_sent_again_late_wakes_no_later_execution_of_the_id(fast: LocalCloud) -> None:
    """Its stream record had waited for a person. The later execution's first step is under way."""
    tried.clear()
    assert counts.with_options(id="again").start().result() == 1
    called = fast.peek("again~1")
    assert called is not None
    settled = settlement({"dynamodb": {"NewImage": to_item(called)}})
    assert settled.wake is Wake.DIRECT
    fast.advance(MONTH + 2 * DAY)
    assert left(fast) == []
    handle = counts.with_options(id="again").start()
    late = [settled]

    def wake() -> None:
        while late:
            drive(follow_up(late.pop(), "again"), fast._host.ports.perform)
            fast.drive()

    fast.meanwhile(counts, Many, wake)
    assert handle.result() == 2
    assert (late, tried) == ([], [1, 1])


def test_a_timer_of_an_earlier_execution_takes_nothing_over(fast: LocalCloud) -> None:
    """The index knows no execution's time. But a firing is for the very time for which its function is armed."""
    first = asks_for_long.with_options(id="again").start(2 * HOUR)
    fast.drive()
    armed = fast.peek("again")
    assert armed is not None
    assert armed.due_at is not None
    assert due_of(armed) is not None
    message = _schedule(due_of(armed))  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        first.result()
    fast.advance(MONTH + 2 * DAY)
    asks_for_long.with_options(id="again").start(2 * HOUR)
    fast.drive()
    before = fast.peek("again")
    fast._host.ports.perform(Invoke(message.target, message.message))
    fast.drive()
    assert fast.peek("again") == before
    assert before is not None
    assert before.created_at > armed.created_at


def test_what_once_awaited_a_root_is_not_settled_under_a_later_execution_of_its_id(kept: LocalCloud) -> None:
    """The follower was removed. The root still knows it, and settles when another promise has the id."""
    shared = shares.with_options(id="shared").start(40)
    assert gives_up.with_options(id="again").start(first=True).result() == "nothing"
    kept.advance(MONTH + DAY)
    handle = gives_up.with_options(id="again").start(first=False)
    kept.advance(15 * DAY)
    assert shared.status() is State.RESOLVED
    assert handle.status() is State.PENDING
    resolve("again~0", "its own")
    assert handle.result() == "its own"


def test_an_outcome_is_not_carried_to_what_is_gone(kept: LocalCloud) -> None:
    """The copy of a large one would stay behind under the id of an execution that was removed."""
    shares.with_options(id="shared").start(40)
    assert gives_up.with_options(id="again").start(first=True).result() == "nothing"
    kept.advance(40 * DAY + MONTH + 2 * DAY)
    assert left(kept) == []


def test_what_a_later_execution_has_under_the_id_of_a_follower_keeps_no_root(fast: LocalCloud) -> None:
    """The later promise doesn't wait for the root."""
    made(fast, replace(ENDED, awaiters=frozenset({"other~0"})), Record(id="other", fn="?"))
    made(fast, Record(id="other~0", kind=Kind.EXTERNAL))
    fast.advance(DAY)
    assert left(fast) == ["other", "other~0"]


def test_a_replay_reads_what_it_attached_to_though_that_is_gone(kept: LocalCloud) -> None:
    """The follower's own record names the function whose annotation reads it."""
    orders.with_options(id="order").start()
    kept.drive()
    handle = reads.start(60)
    kept.advance(MONTH + DAY)
    assert "order" not in left(kept)
    for function in kept.service.functions.values():
        function.memory.clear()
    assert handle.result() == 5


def test_a_replay_reads_nothing_of_what_is_being_removed(fast: LocalCloud) -> None:
    """A removal died between the objects and the record. The resumer had carried the outcome on long before."""
    large.with_options(id="order").start("x")
    fast.drive()
    handle = attaches.start()
    fast.advance(MONTH - HOUR)
    fast.kill("adapter.lambdas.sweeper.tend", ClearPayloads)
    fast.advance(HOUR + 30)
    resolve(f"{handle.id}~1", "!")
    for function in fast.service.functions.values():
        function.memory.clear()
    assert handle.result() == LARGE + 1
