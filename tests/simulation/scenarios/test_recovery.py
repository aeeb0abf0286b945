"""What goes wrong and is put right: attempts that run out, code that drifted, others who do the same work."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from adapter import Retry, attach, durable, errors, promise, resolve, run, schedule, unschedule
from adapter.engine import registry
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import DAY, HOUR, Outside, is_calm


class Unavailable(Exception):
    """The carrier's API is down."""


def test_a_shipment_that_no_attempt_could_book_goes_by_another_carrier(stage: LocalCloud, outside: Outside) -> None:
    """Attempts are exhausted, and the code catches the failure by its class."""

    @durable(retry=Retry(attempts=4, initial=10, backoff=3))
    def book(carrier: str) -> str:
        outside.log.append(carrier)
        if carrier == "hare":
            raise Unavailable("no answer")
        return f"booked with {carrier}"

    @durable
    async def ship() -> str:
        try:
            return await book("hare")
        except Unavailable:
            return await book("tortoise")

    begun = stage.now()
    assert stage.run(ship) == "booked with tortoise"
    if is_calm(stage):
        assert outside.log == ["hare"] * 4 + ["tortoise"]
        assert stage.now() - begun == dt.timedelta(seconds=10 + 30 + 60)


def test_an_order_that_drifted_waits_for_the_fix_and_goes_on(stage: LocalCloud) -> None:
    """It is paused, not failed: its steps stay done."""

    @durable(name="scenarios.reserve")
    def reserve(item: str) -> str:
        return f"{item} reserved"

    @durable(name="scenarios.order")
    async def order() -> str:
        reserved = await reserve("teapot")
        await promise(bool)
        return reserved

    handle = order.with_options(id="order-1").start()
    stage.advance(HOUR)
    first = registry.definitions.pop("scenarios.order")

    @durable(name="scenarios.order")
    async def drifted() -> str:
        return await reserve("kettle")

    for function in stage.service.functions.values():
        function.memory.clear()
    resolve("order-1~1", True)
    with pytest.raises(errors.NonDeterminismError, match="kettle"):
        handle.result()
    registry.definitions["scenarios.order"] = first
    assert order.with_options(id="order-1").start().result() == "teapot reserved"


def test_a_child_waits_for_the_root_that_already_does_its_work(stage: LocalCloud, outside: Outside) -> None:
    """A report that is on its way is not made again."""

    @durable
    async def report(month: int) -> str:
        await run(outside.request, f"report {month}")
        await asyncio.sleep(HOUR)
        return f"report of month {month}"

    @durable
    async def board(month: int) -> str:
        return f"board got {await attach(f'report-{month}')}"

    @durable
    async def meeting(month: int) -> list[str]:
        ours = report.with_options(id=f"report-{month}")(month)
        return list(await asyncio.gather(board(month), ours))

    report.with_options(id="report-3").start(3)
    assert stage.run(meeting, 3) == ["board got report of month 3", "report of month 3"]
    assert outside.log == ["report 3"]


def test_an_import_of_many_files_takes_a_few_at_a_time(stage: LocalCloud, outside: Outside) -> None:
    """It lists the files that fail, and has all others."""

    @durable(retry=Retry(attempts=1))
    def load(file: int) -> int:
        if file % 4 == 3:
            raise Unavailable(f"file {file}")
        return file * 10

    @durable
    async def load_all(count: int) -> tuple[int, list[str]]:
        found = await load.map(range(count), max_concurrency=3, return_exceptions=True)
        rows = sum(one for one in found if isinstance(one, int))
        return rows, [str(one) for one in found if isinstance(one, Unavailable)]

    assert stage.run(load_all, 9) == (0 + 10 + 20 + 40 + 50 + 60 + 80, ["file 3", "file 7"])


def test_a_slow_quote_is_left_out(stage: LocalCloud) -> None:
    """Each call has a deadline of its own, and the callee hears of it."""

    @durable
    async def quote(carrier: str, minutes: int) -> str:
        await asyncio.sleep(minutes * 60)
        return carrier

    @durable
    async def quotes() -> list[str]:
        asked = [quote.with_options(timeout=2 * HOUR)(name, minutes) for name, minutes in (("a", 30), ("b", 600))]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [one if isinstance(one, str) else type(one).__name__ for one in found]

    handle = quotes.start()
    assert handle.result() == ["a", "PromiseTimeout"]
    assert attach(f"{handle.id}~1").status() == "rejected_timedout"


def test_a_poller_that_runs_for_weeks_is_a_chain_of_short_histories(stage: LocalCloud, outside: Outside) -> None:
    """Each execution polls once, and starts the next."""

    @durable
    async def poll(round_: int) -> int:
        await run(outside.request, f"round {round_}")
        await asyncio.sleep(7 * DAY)
        if round_ < 3:
            poll.with_options(id=f"poll-{round_ + 1}").detach(round_ + 1)
        return round_

    poll.with_options(id="poll-0").start(0)
    stage.advance(5 * 7 * DAY)
    assert outside.log == [f"round {n}" for n in range(4)]
    assert [attach(f"poll-{n}").result() for n in range(4)] == [0, 1, 2, 3]


def test_a_nightly_run_that_overslept_is_made_up_for(stage: LocalCloud, outside: Outside) -> None:
    """Each night has its own execution."""

    @durable
    def nightly() -> None:
        outside.request("night")

    schedule("nightly", "0 3 * * *", nightly)
    functions, stage._minutely.functions = stage._minutely.functions, []
    stage.advance(3 * DAY)
    stage._minutely.functions = functions
    stage._minutely.fired = stage.clock() // 60_000_000 * 60_000_000
    stage.advance(DAY)
    unschedule("nightly")
    assert outside.log == ["night"] * 4
    assert attach("nightly@2026-01-02T03:00:00Z").status() == "resolved"
