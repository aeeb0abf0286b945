"""Roots started from inside: shared by executions, detached, awaited by others."""

from __future__ import annotations

import asyncio

import pytest

from adapter import Handle, attach, durable, errors, promise, resolve
from adapter.engine.operations import Create, Invoke, Register, Settle
from adapter.protocol import promises
from adapter.testing import LocalCloud
from tests.support.laws import HOUR, Broken, fails, items, step


@durable
async def factorial(n: int) -> int:
    return 1 if n <= 1 else n * await factorial.with_options(id=f"factorial-{n - 1}")(n - 1)


@durable
async def slowly(value: int) -> int:
    await asyncio.sleep(HOUR)
    return value


@durable
async def sharer(value: int) -> int:
    return await slowly.with_options(id="shared")(value)


@durable
async def launcher(value: int) -> str:
    started = slowly.detach(value)
    assert await started == started.id
    return started.id


@durable
async def countdown(n: int) -> str:
    await step(n)
    if n == 0:
        return "lift-off"
    return countdown.with_options(id=f"countdown-{n - 1}").detach(n - 1).id


@durable
async def follower(promise_id: str) -> object:
    return await attach(promise_id)


@durable
async def asker() -> bool:
    return await promise(bool)


def test_work_of_an_id_is_done_once_and_shared(any_cloud: LocalCloud) -> None:
    """A later execution finds what an earlier one did."""
    assert any_cloud.run(factorial, 6) == 720
    created = len(items(any_cloud))
    assert any_cloud.run(factorial, 7) == 5040
    # The root, its follower, and factorial-6 with its own.
    assert len(items(any_cloud)) <= created + 4


def test_two_executions_await_the_same_root(any_cloud: LocalCloud) -> None:
    """The engine starts it once."""
    first, second = sharer.start(3), sharer.start(3)
    assert (first.result(), second.result()) == (3, 3)
    assert attach("shared").result() == 3


def test_other_arguments_under_the_same_id_are_a_conflict(any_cloud: LocalCloud) -> None:
    """The await raises it. The shared root goes on."""
    first = sharer.start(3)
    any_cloud.advance(600)
    with pytest.raises(errors.IdConflict, match="shared"):
        any_cloud.run(sharer, 4)
    assert first.result() == 3


def test_cancelling_one_who_shares_leaves_the_root_to_the_others(any_cloud: LocalCloud) -> None:
    """The engine cancels only the follower."""
    first, second = sharer.start(3), sharer.start(3)
    any_cloud.advance(600)
    first.cancel()
    assert second.result() == 3
    with pytest.raises(errors.PromiseCancelled):
        first.result()


def test_a_shared_failure_reaches_everyone(any_cloud: LocalCloud) -> None:
    """It has its own class everywhere."""

    @durable
    async def shares_failure() -> int:
        return await fails.with_options(id="failing")("shared")

    for _ in range(2):
        with pytest.raises(Broken, match="shared"):
            any_cloud.run(shares_failure)


def test_a_detached_root_outlives_its_caller(any_cloud: LocalCloud) -> None:
    """The caller settles at once, with the id."""
    detached = any_cloud.run(launcher, 5)
    assert attach(detached).status() == "pending"
    assert attach(detached).result() == 5


def test_a_detached_root_is_not_cancelled_with_its_caller(cloud: LocalCloud) -> None:
    """Its life isn't tied to it."""

    @durable
    async def launches_and_fails() -> None:
        slowly.with_options(id="free").detach(5)
        await step(1)
        raise Broken("later")

    with pytest.raises(Broken):
        cloud.run(launches_and_fails)
    assert attach("free").result() == 5


def test_a_chain_of_tail_calls_has_a_bounded_history_each(any_cloud: LocalCloud) -> None:
    """An endless loop is a chain of roots."""
    assert any_cloud.run(countdown.with_options(id="countdown-5"), 5) == "countdown-4"
    any_cloud.advance(HOUR)
    assert attach("countdown-0").result() == "lift-off"
    assert all(len([i for i in items(any_cloud) if i["pk"] == f"countdown-{n}"]) <= 3 for n in range(6))


def test_an_execution_may_await_another(any_cloud: LocalCloud) -> None:
    """It may know only the id. The annotation of the other's function reads the value."""
    other = slowly.start(9)
    assert any_cloud.run(follower, other.id) == 9


def test_an_execution_may_await_what_has_settled_long_ago(any_cloud: LocalCloud) -> None:
    """The root's outcome still stands."""
    other = slowly.start(9)
    assert other.result() == 9
    assert any_cloud.run(follower, other.id) == 9


def test_several_executions_may_await_a_promise_from_outside(any_cloud: LocalCloud) -> None:
    """All get one answer."""
    asked = asker.start()
    any_cloud.advance(600)
    followers = [follower.start(f"{asked.id}~0") for _ in range(3)]
    any_cloud.advance(600)
    resolve(f"{asked.id}~0", True)
    assert [handle.result() for handle in (asked, *followers)] == [True] * 4


def test_awaiting_what_does_not_exist_is_an_error_at_the_await(any_cloud: LocalCloud) -> None:
    """The table has the error, so each replay raises it."""

    @durable
    async def hopes() -> str:
        try:
            await attach("nothing")
        except errors.UnknownPromise as unknown:
            await step(1)
            return str(unknown)
        return "found"

    assert any_cloud.run(hopes) == "there is no promise 'nothing'"


def test_awaiting_a_cancelled_root_raises_at_the_await(any_cloud: LocalCloud) -> None:
    """It raises PromiseCancelled, as a call does."""
    other = slowly.start(1)
    waiting = follower.start(other.id)
    any_cloud.advance(600)
    other.cancel()
    with pytest.raises(errors.PromiseCancelled):
        waiting.result()


def test_a_handle_is_awaited_inside_only(cloud: LocalCloud) -> None:
    """Outside, a caller asks it for its result."""
    handle: Handle[int] = slowly.start(1)
    with pytest.raises(errors.NotDurable, match=r"\.result\(\)"):
        handle.__await__()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Create, Invoke, Settle])
def test_a_death_on_the_way_to_a_shared_root_is_made_good(operation: type, when: str, cloud: LocalCloud) -> None:
    """The run writes the follower first. The retry does the rest again."""
    cloud.kill(sharer, operation, when)
    assert cloud.run(sharer, 3) == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Create, Register, Settle])
def test_a_death_on_the_way_to_a_root_that_runs_is_made_good(operation: type, when: str, cloud: LocalCloud) -> None:
    """The retry registers with it again."""
    other = slowly.with_options(id="other").start(4)
    cloud.kill(follower, operation, when)
    assert cloud.run(follower, other.id) == 4


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [Create, Invoke, Settle])
def test_a_death_on_the_way_to_a_detached_root_is_made_good(operation: type, when: str, cloud: LocalCloud) -> None:
    """There is one root, however often a run tries."""
    cloud.kill(launcher, operation, when)
    assert attach(cloud.run(launcher, 5)).result() == 5
    assert len([item for item in items(cloud) if item["fn"] == slowly.name]) == 1 + 1


def test_one_execution_too_many_that_awaits_another_is_told_so(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others, and what they await, go on. A record that is full could never settle."""
    monkeypatch.setattr(promises, "MAX_AWAITERS", 2)
    slowly.with_options(id="awaited").start(5)
    handles = [follower.with_options(id=f"follower-{number}").start("awaited") for number in range(3)]
    cloud.advance(86_400)
    assert [handle.result() for handle in handles[:2]] == [handles[0].result()] * 2
    with pytest.raises(errors.TooManyFollowers, match="'awaited' is awaited by 2 promises"):
        handles[2].result()
