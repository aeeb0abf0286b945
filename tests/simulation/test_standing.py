"""After every write, there are words for how each promise stands, and for what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from adapter import attach, durable, promise, run, schedule
from adapter.aws.items import to_record
from adapter.cli.acting import resume
from adapter.engine.operations import Invoke, Many, Now, Operation, PeekFunction, PeekPromise, ReadPromise, Settle
from adapter.engine.ports import drive
from adapter.lambdas.watchdog import look
from adapter.protocol.ids import parent_of
from adapter.protocol.records import Kind, Record
from adapter.protocol.signs import Expired, Lost, Paused, Verdict, followed, verdict
from adapter.protocol.standing import Standing, Way, standing
from adapter.protocol.times import MINUTE
from adapter.protocol.timing import QUIET
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
async def follows() -> int:
    slow.with_options(id="apart").detach(4, 2 * HOUR)
    return await attach("apart")


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


def occurs() -> None:
    schedule("tick", "rate(1 hour)", step, 1)


PROGRAMS: list[Callable[[], Any]] = [
    lambda: approves.start(3600.0),
    lambda: approves.with_options(timeout=HOUR).start(None),
    gathers.start,
    races.start,
    recovers.start,
    cancels.start,
    awaits_others.start,
    follows.start,
    announces.start,
    deadlocks.start,
    deadlocks.with_options(timeout=3 * HOUR).start,
    fails_fast.start,
    occurs,
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

    def affected(self, written: Record) -> Iterator[Record]:
        """Those of which a write tells: the promise's own function, its caller, and the callers of its followers."""
        callers = {parent_of(one) for one in (written.id, *written.awaiters)}
        yield from (self.records[one] for one in sorted({written.id, *filter(None, callers)}))

    def roots(self, own: Record, at: int) -> dict[str, Record | None]:
        return {root: self.records.get(root) for root in followed(own, self.children(own.id), at)}

    def verdict(self, own: Record, at: int) -> Verdict:
        return verdict(own, self.children(own.id), at, self.roots(own, at))

    def standing(self, own: Record, at: int) -> Standing:
        return standing(own, self.children(own.id), at, self.roots(own, at))

    def perform(self, operation: Operation, at: int) -> Any:
        match operation:
            case PeekFunction():
                return self.records.get(operation.id), self.children(operation.id)
            case PeekPromise() | ReadPromise():
                return self.records.get(operation.id)
            case Many():
                return [self.perform(one, at) for one in operation.operations]
            case Now():
                return at
            case Invoke():
                return True
        return None

    def mended(self, own: Record, at: int) -> list[Operation]:
        """What the watchdog would do to the function itself, were it to look."""
        return [one for one in self.done(look(own.id, -1, None), at) if isinstance(one, Invoke | Settle)]

    def done(self, steps: Generator[Operation, Any, str], at: int) -> list[Operation]:
        done: list[Operation] = []

        def perform(operation: Operation) -> Any:
            done.append(operation)
            return self.perform(operation, at)

        drive(steps, perform)
        return done

    def resumed(self, own: Record, at: int) -> bool:
        """Whether ``durable resume`` would invoke the function."""
        store = SimpleNamespace(due=None)
        ports = SimpleNamespace(
            perform=lambda operation: self.perform(operation, at), store=store, moves=SimpleNamespace(read=None)
        )
        host: Any = SimpleNamespace(ports=ports, now=lambda: at)
        return next(resume(host, own.id, force=False)).startswith("invoked")


def check(table: Table, own: Record, at: int) -> Standing:
    """The laws for one record at one moment."""
    found = table.standing(own, at)
    assert found.text
    assert (found.way is Way.SETTLED) == (not own.pending and (own.kind is not Kind.CALL or not own.runnable))
    if found.way is Way.WAITING:
        assert found.waits
        for wait in found.waits:
            assert wait.id in table.records or (wait.at is not None and not wait.id)
    if found.way is Way.DEADLOCKED:
        assert own.fn.endswith(":deadlocks")
    return found


MENDED: dict[type[Verdict], list[type[Operation]]] = {Lost: [Invoke], Expired: [Settle]}
RESUMED = (Paused(), Expired(late=True))


@pytest.mark.parametrize("faults", [Faults(), STORM, LOSSES], ids=["calm", "storm", "losses"])
@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_after_every_write_each_promise_stands_in_a_way_that_names_something(program: int, faults: Faults) -> None:
    """It is settled, paused, running, or waits for a promise that exists or a time."""
    with LocalCloud(seed=program, faults=faults, engine="memory") as cloud:
        PROGRAMS[program]()
        cloud.advance(60 * HOUR)
        changes: list[dict[str, Any]] = cloud._world.store.changes
    table, ways = Table(), set()
    for written in table.after_each(changes):
        for own in table.affected(written):
            ways |= {check(table, own, table.now + later).way for later in (0, MINUTE, QUIET, MONTHS)}
    assert Way.WAITING in ways or Way.RUNNING in ways


@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_the_watchdog_the_command_and_the_words_judge_alike(program: int) -> None:
    """After any write and at any later time: what is lost is invoked by both and said to be, and nothing else is."""
    with LocalCloud(seed=program, faults=LOSSES, engine="memory") as cloud:
        PROGRAMS[program]()
        cloud.advance(60 * HOUR)
        changes: list[dict[str, Any]] = cloud._world.store.changes
    table, verdicts = Table(), set()
    for written in table.after_each(changes):
        for own in table.affected(written):
            if own.kind is not Kind.CALL or own.over:
                continue
            for later in (0, QUIET, QUIET + 5 * MINUTE, MONTHS):
                at = table.now + later
                found = table.verdict(own, at)
                verdicts.add(type(found))
                mended = table.mended(own, at)
                assert [type(one) for one in mended] == MENDED.get(type(found), []), (own, found)
                assert table.resumed(own, at) == (found in RESUMED or isinstance(found, Lost)), (own, found)
                assert table.standing(own, at).verdict == found
    assert Lost in verdicts or PROGRAMS[program] is occurs
