"""Whatever the table holds at whatever moment, how each promise stands can be said, and what it waits for named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from adapter import attach, durable, promise, run, schedule
from adapter.aws.items import to_record
from adapter.engine.host import drive
from adapter.engine.operations import Invoke, Now, Operation, PeekFunction, ReadPromise
from adapter.lambdas.watchdog import QUIET, look
from adapter.protocol.ids import parent_of
from adapter.protocol.records import Kind, Record
from adapter.protocol.standing import Standing, Way, standing
from adapter.protocol.times import MINUTE
from adapter.testing import Faults, LocalCloud
from tests.support.laws import HOUR, STORM, Broken, fails, slow, step

MONTHS = 2000 * 60 * MINUTE
LOSSES = Faults(crash=0.1, lose=0.1, duplicate=0.2)


@durable
async def approves(seconds: float | None) -> str:
    return await promise(str, timeout=seconds)


@durable
async def gathers() -> int:
    return sum(await asyncio.gather(*(step(n) for n in range(5)), slow(5, 3)))


@durable
async def races() -> int:
    done, _ = await asyncio.wait([slow(1, 1), slow(2, 50)], return_when=asyncio.FIRST_COMPLETED)
    return len(done)


@durable
async def recovers() -> str:
    try:
        await fails("no")
    except Exception:
        return await run(str, await step(7))
    return ""


@durable
async def cleans_up() -> None:
    try:
        await asyncio.wait_for(approves(None), HOUR)
    finally:
        await slow(1, 1)


@durable
async def cancels() -> str:
    with suppress(TimeoutError):
        async with asyncio.timeout(2 * HOUR):
            await cleans_up()
    return "cancelled"


@durable
async def awaits_others() -> int:
    mine = slow.with_options(id="shared")(3, 2)
    slow.detach(4, 30)
    return await mine + await attach("shared")


@durable
async def announces() -> list[Any]:
    return await asyncio.gather(run(str, 1), step(2), run(str, 3))


@durable
async def fails_late() -> None:
    await asyncio.sleep(HOUR)
    raise Broken("late")


@durable
async def fails_fast() -> None:
    await asyncio.gather(slow(1, 9), fails_late())


@durable
async def deadlocks() -> None:
    await step(1)
    await asyncio.Event().wait()


PROGRAMS: list[Callable[[], Any]] = [
    lambda: approves.start(3600.0),
    lambda: approves.with_options(timeout=HOUR).start(None),
    gathers.start,
    races.start,
    recovers.start,
    cancels.start,
    awaits_others.start,
    announces.start,
    deadlocks.start,
    deadlocks.with_options(timeout=3 * HOUR).start,
    fails_fast.start,
    lambda: schedule("tick", "rate(1 hour)", step, 1),
]


class Table:
    """The records after each single write of a run, from the table's stream."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.now = 0

    def after_each(self, changes: list[dict[str, Any]]) -> Iterator[Record]:
        for change in changes:
            record = to_record(change["dynamodb"]["NewImage"])
            self.records[record.id] = record
            self.now = max(self.now, record.created_at, record.settled_at)
            yield record

    def children(self, promise: str) -> list[Record]:
        found = [record for record in self.records.values() if parent_of(record.id) == promise]
        return sorted(found, key=lambda record: record.ordinal)

    def invoked(self, own: Record, at: int) -> bool:
        """Whether the watchdog would invoke the function, were it to look."""
        invoked = []

        def perform(operation: Operation) -> Any:
            match operation:
                case PeekFunction():
                    return self.records.get(operation.id), self.children(operation.id)
                case ReadPromise():
                    return self.records.get(operation.id)
                case Now():
                    return at
                case Invoke():
                    invoked.append(operation)
            return None

        drive(look(own.id, -1, None), perform)
        return bool(invoked)


def check(table: Table, own: Record, at: int) -> Standing:
    """The laws for one record at one moment."""
    children = table.children(own.id)
    found = standing(own, children, at)
    assert found.text
    assert (found.way is Way.SETTLED) == (not own.pending and (own.kind is not Kind.CALL or not own.runnable))
    if found.way is Way.WAITING:
        assert found.waits
        for wait in found.waits:
            assert wait.id in table.records or (wait.at is not None and not wait.id)
    if found.way is Way.DEADLOCKED:
        assert own.fn.endswith(":deadlocks")
    return found


@pytest.mark.parametrize("faults", [Faults(), STORM, LOSSES], ids=["calm", "storm", "losses"])
@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_after_every_write_each_promise_stands_in_a_way_that_names_something(program: int, faults: Faults) -> None:
    """Settled, paused, running, or waiting for promises that exist or for a time; deadlocked only where the code is."""
    with LocalCloud(seed=program, faults=faults, engine="memory") as cloud:
        PROGRAMS[program]()
        cloud.advance(60 * HOUR)
        changes: list[dict[str, Any]] = cloud._world.store.changes
    table, ways = Table(), set()
    for written in table.after_each(changes):
        family = [written, *filter(None, [table.records.get(parent_of(written.id) or "")])]
        for own in family:
            ways |= {check(table, own, table.now + later).way for later in (0, MINUTE, QUIET, MONTHS)}
    assert Way.WAITING in ways or Way.RUNNING in ways


@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_what_the_watchdog_would_invoke_is_never_said_to_wait(program: int) -> None:
    """Nor to be deadlocked, after any write and at any later time. Links aside: their roots' records tell."""
    with LocalCloud(seed=program, faults=LOSSES, engine="memory") as cloud:
        PROGRAMS[program]()
        cloud.advance(60 * HOUR)
        changes: list[dict[str, Any]] = cloud._world.store.changes
    table, invoked = Table(), 0
    for written in table.after_each(changes):
        for own in (written, table.records.get(parent_of(written.id) or "")):
            if own is None or any(c.pending and c.kind in (Kind.FOLLOW, Kind.DETACH) for c in table.children(own.id)):
                continue
            for later in (0, QUIET, QUIET + 5 * MINUTE, MONTHS):
                if table.invoked(own, table.now + later):
                    found = standing(own, table.children(own.id), table.now + later)
                    assert (found.way, found.quiet) == (Way.RUNNING, True), (own, found)
                    invoked += 1
    assert invoked or program == 11
