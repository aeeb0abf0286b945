"""DynamoDB removes an execution with a deadline, for nothing; nobody takes for alive what is about to go, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from adapter import attach, durable, errors, promise, resolve, run
from adapter.engine.operations import Settle
from adapter.protocol.records import Record, State
from adapter.protocol.times import SECOND
from adapter.protocol.timing import CLOSING, GRACE, RETENTION
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.time_to_live import LATE
from tests.support.effort import effort
from tests.support.laws import HOUR, STORM

DAY = 24 * HOUR
LARGE = 20_000
TIMEOUT = 3 * DAY
LAST = TIMEOUT + (RETENTION + GRACE) // SECOND
"""Seconds from an execution's creation until it expires."""


@durable(name="expiry:leaf")
def leaf(value: int) -> int:
    return value


@durable(name="expiry:large")
def large(letter: str) -> str:
    return letter * LARGE


@durable(name="expiry:inner")
async def inner(value: int) -> int:
    return await leaf(value) + await run(int, "1")


@durable(name="expiry:order", timeout=TIMEOUT)
async def order(width: int) -> int:
    inners = await asyncio.gather(*(inner(n) for n in range(width)))
    await asyncio.sleep(60)
    return sum(inners) + sum(await leaf.map(range(3), max_concurrency=2))


@durable(name="expiry:tidies", timeout=TIMEOUT)
async def tidies() -> None:
    try:
        await promise(str)
    finally:
        await leaf(len(await promise(str)))


@durable(name="expiry:leaves", timeout=TIMEOUT)
async def leaves() -> str:
    tidying = tidies_late()
    await asyncio.sleep(60)
    tidying.cancel()
    return "left"


@durable(name="expiry:tidies_late")
async def tidies_late() -> int:
    try:
        return len(await promise(str))
    finally:
        await asyncio.sleep(DAY)
        await large("a")


@durable(name="expiry:measures", timeout=TIMEOUT)
async def measures() -> int:
    return len(await large("b"))


@durable(name="expiry:follows")
async def follows() -> int:
    return await order.with_options(id="shared")(2) + await attach("shared")


@pytest.fixture(params=effort(["memory"], ["memory", "moto"]))
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """In memory; in a search, on moto, too."""
    with LocalCloud(engine=request.param) as opened:
        yield opened


def left(cloud: LocalCloud) -> list[str]:
    """What the table and the bucket hold."""
    return [record.id for record in cloud.records()] + sorted(cloud._world.objects())


def root_of(cloud: LocalCloud) -> Record:
    return next(record for record in cloud.records() if "~" not in record.id)


def test_dynamodb_removes_all_of_it_and_nothing_is_paid_for_that(cloud: LocalCloud) -> None:
    """No delete, no look, no message: the bill after the end is that of an idle cloud."""
    assert cloud.run(order, 3) == 6 + 3
    cloud.drive()
    before = left(cloud)
    assert len({record.expires for record in cloud.records()}) == 1
    assert root_of(cloud).due_at is None
    cloud.stats.reset()
    cloud.advance(LAST - HOUR)
    assert left(cloud) == before
    cloud.advance(HOUR + LATE / SECOND)
    assert left(cloud) == []
    assert cloud.stats.dollars == 0


@pytest.mark.parametrize("seed", range(effort(3, 30)))
def test_dynamodb_removes_all_of_it_whatever_died(seed: int) -> None:
    """All records of an execution expire at one time, and none is left in the index."""
    with LocalCloud(seed, STORM, engine="memory") as stormy:
        assert stormy.run(order, 3) == 6 + 3
        stormy.drive()
        assert len({record.expires for record in stormy.records()}) == 1
        stormy.advance(LAST + LATE / SECOND)
        assert left(stormy) == []


@pytest.mark.parametrize(("width", "then"), [(3, 1), (1, 3), (2, 2)])
def test_a_new_execution_of_the_id_sees_nothing_of_the_expired_one(cloud: LocalCloud, width: int, then: int) -> None:
    """Its records still stand, in the place of the new ones or beyond them."""
    fixed = order.with_options(id="order-7")
    expected = sum(range(width)) + width
    assert fixed.start(width).result() == expected + 3
    cloud.advance(LAST + 1)
    assert len(left(cloud)) > 1, "DynamoDB hasn't removed everything yet"
    assert fixed.start(then).result() == sum(range(then)) + then + 3
    cloud.drive()
    assert cloud.stats.bodies[leaf] == width + then + 6
    cloud.advance(LATE / SECOND)
    kept = [record for record in cloud.records() if record.id.startswith("order-7")]
    # The root, two promises for each inner, the timer's none, and three of the map: nothing of the new one went.
    assert {record.expires for record in kept} == {root_of(cloud).expires}
    assert len(kept) == 1 + 3 * then + 3
    cloud.advance(LAST)
    assert left(cloud) == []


def test_until_it_expires_its_id_is_taken(cloud: LocalCloud) -> None:
    """The same start, an hour before, is given the outcome of the first."""
    fixed = order.with_options(id="order-7")
    assert fixed.start(1).result() == 1 + 3
    bodies = cloud.stats.bodies[leaf]
    cloud.advance(LAST - HOUR)
    assert fixed.start(1).result() == 1 + 3
    assert cloud.stats.bodies[leaf] == bodies


@pytest.mark.parametrize(("early", "runs"), [(CLOSING / SECOND + 60, 1), (CLOSING / SECOND - 60, 0)])
def test_no_run_begins_shortly_before_it_expires(cloud: LocalCloud, early: float, runs: int) -> None:
    """Its children are about to vanish, one after the other, and a replay would call them anew."""
    handle = tidies.start()
    cloud.advance(LAST - early)
    assert handle.status() is State.TIMEDOUT
    resolve(f"{handle.id}~1", "tidy")
    cloud.advance(30)
    assert cloud.stats.bodies[leaf] == runs
    cloud.advance(early + LATE / SECOND)
    assert left(cloud) == []


def test_an_execution_with_large_values_is_removed_by_the_watchdog_in_time(cloud: LocalCloud) -> None:
    """DynamoDB would leave its objects."""
    assert cloud.run(measures) == LARGE
    cloud.drive()
    assert len(left(cloud)) == 3
    cloud.advance(RETENTION // SECOND + 2 * HOUR)
    assert left(cloud) == []


def test_a_large_value_after_the_end_brings_the_root_back_to_the_watchdog(cloud: LocalCloud) -> None:
    """What it left running still puts an object when nobody looks at the root any more."""
    assert cloud.run(leaves) == "left"
    cloud.advance(HOUR)
    assert root_of(cloud).due_at is None
    cloud.advance(2 * DAY)
    assert cloud._world.objects()
    cloud.advance(RETENTION // SECOND + 3 * HOUR)
    assert left(cloud) == []


def test_a_large_value_that_comes_while_the_root_settles_is_not_missed(cloud: LocalCloud) -> None:
    """The run that settles doesn't know of the mark; the write does."""
    marks: list[Any] = []

    def mark() -> None:
        if not marks:
            marks.append(cloud._world.store.mark_objects(root_of(cloud).id))

    cloud.meanwhile(order, Settle, mark)
    assert cloud.run(order, 1) == 1 + 3
    assert marks
    settled = root_of(cloud)
    assert (settled.objects, settled.state) == (True, State.RESOLVED)
    assert settled.due_at is not None
    cloud.advance(RETENTION // SECOND + 2 * HOUR)
    assert left(cloud) == []


@pytest.mark.parametrize("timeout", [None, 400 * DAY])
def test_without_a_deadline_or_with_a_very_late_one_the_watchdog_removes_it(
    cloud: LocalCloud, timeout: float | None
) -> None:
    """To store it until then would cost more."""
    started = inner.with_options(timeout=timeout) if timeout else inner
    assert cloud.run(started, 1) == 2
    assert {record.expires for record in cloud.records()} == {None}
    cloud.advance(RETENTION // SECOND + 2 * HOUR)
    assert left(cloud) == []


@pytest.mark.parametrize("days", ["90", "0"])
def test_its_objects_go_in_time_though_the_retention_was_made_longer_since(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    """The records go by the time that they carry, and without them nothing would find the objects."""
    assert cloud.run(measures) == LARGE
    cloud.drive()
    for function in cloud.template.functions:
        monkeypatch.setitem(function.environment, "DURABLE_RETENTION_DAYS", days)  # type: ignore[arg-type]
    cloud._driver._sandboxes._hosts.clear()  # type: ignore[attr-defined]
    cloud.advance(LAST + LATE / SECOND)
    assert left(cloud) == []


def test_what_has_expired_settles_no_more(cloud: LocalCloud) -> None:
    """Nobody would hear of it."""
    handle = tidies.start()
    cloud.advance(LAST + 1)
    with pytest.raises(errors.UnknownPromise):
        resolve(f"{handle.id}~1", "tidy")


def test_what_has_expired_is_not_found_though_dynamodb_has_it_still(cloud: LocalCloud) -> None:
    """Otherwise the same question would be answered for two days more, or not, as it happens."""
    handle = order.start(1)
    assert handle.result() == 1 + 3
    cloud.advance(LAST - HOUR)
    assert attach(handle.id).result() == 1 + 3
    cloud.advance(HOUR)
    assert left(cloud)
    with pytest.raises(errors.UnknownPromise):
        attach(handle.id)
    with pytest.raises(errors.UnknownPromise):
        handle.status()


def test_a_default_does_not_decide_when_data_goes(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program outside that wasn't told the stack's retention may be wrong about it."""
    for function in cloud.template.functions:
        monkeypatch.setitem(function.environment, "DURABLE_RETENTION_DAYS", "")  # type: ignore[arg-type]
    with LocalCloud(engine="memory") as untold:
        assert untold.run(order, 1) == 1 + 3
        assert {record.expires for record in untold.records()} == {None}
        untold.advance(RETENTION // SECOND + 2 * HOUR)
        assert left(untold) == []


def test_what_is_kept_for_ever_never_expires(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """`DURABLE_RETENTION_DAYS=0`."""
    for function in cloud.template.functions:
        monkeypatch.setitem(function.environment, "DURABLE_RETENTION_DAYS", "0")  # type: ignore[arg-type]
    with LocalCloud(engine="memory", template=None) as kept:
        assert kept.run(order, 1) == 1 + 3
        assert {record.expires for record in kept.records()} == {None}


def test_a_root_that_others_follow_expires_by_its_own_deadline(cloud: LocalCloud) -> None:
    """And its follower's execution, which has none, is removed by the watchdog."""
    assert cloud.run(follows) == 2 * (1 + 2 + 3)
    cloud.drive()
    assert {record.expires is None for record in cloud.records() if record.id.startswith("shared")} == {False}
    assert {record.expires is None for record in cloud.records() if not record.id.startswith("shared")} == {True}
    cloud.advance(LAST + LATE / SECOND)
    assert left(cloud) == []
