"""How executions end: well, with an exception from far below, cancelled, or started twice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from adapter import attach, cancel, durable, errors, run
from adapter.testing import DurableWarning, LocalCloud
from tests.simulation.scenarios.stage import DAY, HOUR, Outside, is_calm, left_open


class Faulty(Exception):
    """A part isn't what it should be."""

    def __init__(self, message: str, part: int) -> None:
        super().__init__(message)
        self.part = part


@durable
def turn(part: int) -> str:
    if part < 0:
        raise Faulty("cracked", part)
    return f"part {part}"


@durable
async def assemble(parts: list[int]) -> str:
    return " ".join(await asyncio.gather(*(turn(part) for part in parts)))


@durable
async def build(machines: list[list[int]]) -> str:
    built = [await assemble(parts) for parts in machines]
    return " | ".join(built)


@durable
async def factory(machines: list[list[int]]) -> str:
    return f"[{await build(machines)}]"


def test_children_of_children_of_children_hand_their_results_up(stage: LocalCloud) -> None:
    """Four functions deep, ids follow from the path."""
    handle = factory.start([[1, 2], [3]])
    assert handle.result() == "[part 1 part 2 | part 3]"
    assert attach(f"{handle.id}~0.0.1").result() == "part 2"
    assert attach(f"{handle.id}~0.1").result() == "part 3"


def test_an_exception_from_three_machines_below_is_caught_by_its_class(stage: LocalCloud) -> None:
    """It has its attributes. Each function on the way failed with it, and its other calls are over."""

    @durable
    async def careful(machines: list[list[int]]) -> str:
        try:
            return await factory(machines)
        except Faulty as fault:
            return f"{fault} {fault.part}: {type(fault.__cause__).__name__}"

    handle = careful.start([[1], [2, -5]])
    assert handle.result() == "cracked -5: RemoteTraceback"
    states = [attach(f"{handle.id}~{path}").status() for path in ("0", "0.0", "0.0.0", "0.0.1", "0.0.1.1")]
    assert states == ["rejected", "rejected", "resolved", "rejected", "rejected"]


def test_a_failure_that_nobody_awaits_is_there_to_be_read(stage: LocalCloud) -> None:
    """The function ends well, after what it started has ended; the failure stands under its id."""

    @durable
    async def sender(parts: list[int]) -> str:
        for part in parts:
            turn(part)
        await asyncio.sleep(HOUR)
        return "sent"

    handle = sender.start([1, -2, 3])
    with pytest.warns(DurableWarning, match="never heard that"):
        assert handle.result() == "sent"
    with pytest.raises(Faulty, match="cracked"):
        attach(f"{handle.id}~1").result()
    assert attach(f"{handle.id}~2").result() == "part 3"


def test_an_order_that_is_placed_three_times_is_one_order(stage: LocalCloud, outside: Outside) -> None:
    """A caller places it before, while and after it runs. With another article it is a conflict."""

    @durable
    def charge(article: str) -> None:
        outside.request(f"charge {article}")

    @durable
    async def order(article: str) -> str:
        await charge(article)
        await asyncio.sleep(2 * HOUR)
        return f"{article} is on its way"

    placed = order.with_options(id="order-7")
    first, second = placed.start("teapot"), placed.start("teapot")
    stage.advance(HOUR)
    third = placed.start("teapot")
    assert {one.result() for one in (first, second, third)} == {"teapot is on its way"}
    assert placed.start("teapot").result() == "teapot is on its way"
    with pytest.raises(errors.IdConflict, match="order-7"):
        placed.start("samovar")
    assert outside.log == ["charge teapot"]


def test_a_subscription_that_is_cancelled_while_it_sleeps_closes_its_account(
    stage: LocalCloud, outside: Outside
) -> None:
    """Its ``finally`` block awaits durable calls; it ran once, and not at any of its suspensions."""

    @durable
    def bill(month: int) -> None:
        outside.request(f"bill {month}")

    @durable
    def close() -> None:
        outside.request("close")

    @durable
    async def subscription() -> None:
        try:
            for month in range(12):
                await bill(month)
                await asyncio.sleep(30 * DAY)
        finally:
            await close()

    handle = subscription.start()
    stage.advance(31 * DAY)
    assert outside.log == ["bill 0", "bill 1"]
    handle.cancel()
    with pytest.raises(errors.PromiseCancelled):
        handle.result()
    stage.advance(HOUR)
    assert outside.log == ["bill 0", "bill 1", "close"]


def test_a_bid_that_was_withdrawn_before_it_began_is_never_made(stage: LocalCloud) -> None:
    """Its caller withdrew one in the same turn, a person another before its Lambda was there."""

    @durable
    async def bid(lot: int) -> str:
        await asyncio.sleep(HOUR)
        return f"lot {lot}"

    @durable
    async def auction() -> list[Any]:
        kept, withdrawn = bid(1), bid(2)
        withdrawn.cancel()
        return [withdrawn.cancelled(), await kept]

    alone = bid.start(3)
    alone.cancel()
    stage.advance(HOUR)
    assert stage.stats.bodies[bid] == 0
    assert stage.run(auction) == [True, "lot 1"]
    assert not is_calm(stage) or stage.stats.bodies[bid] == 1
    assert alone.status() == "rejected_canceled"


def test_a_print_that_is_cancelled_while_it_runs_goes_on_and_its_result_is_refused(
    stage: LocalCloud, outside: Outside
) -> None:
    """A plain def can't be interrupted. Here somebody cancels it in the middle of its body."""

    @durable
    def print_out(pages: int) -> int:
        with contextlib.suppress(errors.AlreadySettled):
            cancel(f"{handle.id}~0")
        outside.request("printed all the same")
        return pages

    @durable
    async def office() -> str:
        try:
            return f"{await print_out(3)} pages"
        except errors.PromiseCancelled:
            return "nobody wants it"

    handle = office.start()
    assert handle.result() == "nobody wants it"
    assert outside.log == ["printed all the same"]
    assert attach(f"{handle.id}~0").status() == "rejected_canceled"


def test_a_shielded_payment_goes_through_though_its_caller_lost_patience(stage: LocalCloud, outside: Outside) -> None:
    """What it asked for beside the payment, unshielded, is cancelled by the same timeout."""

    @durable
    async def pay(cents: int) -> str:
        await asyncio.sleep(3 * HOUR)
        return f"paid {cents}"

    @durable
    async def lottery() -> None:
        await asyncio.sleep(5 * HOUR)

    @durable
    async def checkout(cents: int) -> str:
        payment = pay(cents)
        try:
            async with asyncio.timeout(HOUR):
                await asyncio.gather(asyncio.shield(payment), lottery())
        except TimeoutError:
            await run(outside.request, "we'll write to you")
        return await payment

    handle = checkout.start(900)
    stage.advance(2 * HOUR)
    assert outside.log == ["we'll write to you"]
    assert attach(f"{handle.id}~1").status() == "rejected_canceled"
    assert handle.result() == "paid 900"


def test_a_rental_past_its_deadline_is_open_until_the_car_is_back() -> None:
    """What was settled from above is over only when it has cleaned up: every scenario is checked for that."""

    @durable(timeout=HOUR)
    async def rental() -> None:
        try:
            await asyncio.sleep(DAY)
        finally:
            await asyncio.sleep(HOUR)

    with LocalCloud(engine="memory") as cloud:
        handle = rental.start()
        cloud.advance(HOUR + 60)
        assert handle.status() == "rejected_timedout"
        assert left_open(cloud) == [handle.id]
        cloud.advance(HOUR)
        assert left_open(cloud) == []


def test_siblings_of_a_failed_task_are_cancelled_in_the_order_of_their_creation(
    stage: LocalCloud, outside: Outside
) -> None:
    """A replay cancels so, too, after every sandbox has forgotten everything."""

    @durable
    async def watch(camera: str) -> None:
        await asyncio.sleep(100 * HOUR)

    @durable
    async def breaks() -> None:
        await asyncio.sleep(HOUR)
        raise Faulty("power cut", 0)

    @durable
    async def night(cameras: list[str]) -> list[str]:
        order: list[str] = []

        async def one(camera: str) -> None:
            try:
                await watch(camera)
            except asyncio.CancelledError:
                order.append(camera)
                await run(outside.request, f"{camera} off")
                raise

        try:
            async with asyncio.TaskGroup() as group:
                for camera in cameras:
                    group.create_task(one(camera))
                await breaks()
        except* Faulty:
            pass
        await asyncio.sleep(HOUR)
        return order

    cameras = ["yard", "gate", "roof", "hall", "lift", "cellar"]
    handle = night.start(cameras)
    stage.advance(1.5 * HOUR)
    for function in stage.service.functions.values():
        function.memory.clear()
    assert handle.result() == cameras
    assert outside.log == [f"{camera} off" for camera in cameras]
