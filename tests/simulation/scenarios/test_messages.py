"""Messages from outside, one after the other: entities, heartbeats, batches, callbacks."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from adapter import attach, durable, errors, now, promise, resolve, run
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import HOUR, MINUTE, Outside


def test_a_callback_that_comes_while_its_owner_sleeps_is_there_when_it_wakes(
    stage: LocalCloud, outside: Outside
) -> None:
    """The owner isn't woken before its six hours are over."""

    @durable
    async def owner() -> list[Any]:
        callback = await outside.ask("callback", str)
        await asyncio.sleep(6 * HOUR)
        return [callback.done(), await callback]

    begun, handle = stage.now(), owner.start()
    stage.advance(HOUR)
    resolve(outside.ids["callback"], "paid")
    stage.advance(4 * HOUR)
    assert handle.status() == "pending"
    assert handle.result() == [True, "paid"]
    assert stage.now() - begun >= dt.timedelta(hours=6)


def test_a_callback_may_time_out_while_its_owner_sleeps_on(stage: LocalCloud, outside: Outside) -> None:
    """A task waits one hour for it, the owner sleeps five; what comes in between is too late."""

    @durable
    async def owner() -> str:
        callback = await outside.ask("callback", str)
        waiting = asyncio.create_task(asyncio.wait_for(callback, HOUR))
        await asyncio.sleep(5 * HOUR)
        try:
            return await waiting
        except TimeoutError:
            return f"nobody called in {(now() - begun).total_seconds() // HOUR:.0f} hours"

    begun, handle = stage.now(), owner.start()
    stage.advance(2 * HOUR)
    with pytest.raises(errors.AlreadySettled, match="canceled"):
        resolve(outside.ids["callback"], "paid")
    assert handle.result() == "nobody called in 5 hours"


def test_a_notification_may_come_before_anybody_waits_for_it(stage: LocalCloud, outside: Outside) -> None:
    """The customer pays while the parcel is still being packed, three steps before the payment is asked for."""

    @durable
    async def pack(item: str) -> str:
        await asyncio.sleep(HOUR)
        return f"packed {item}"

    @durable
    async def order(items: list[str]) -> list[str]:
        paid = await outside.ask("payment", int)
        packed = [await pack(item) for item in items]
        return [*packed, f"paid {await paid}"]

    handle = order.start(["cup", "pot", "tea"])
    stage.advance(MINUTE * 30)
    resolve(outside.ids["payment"], 900)
    assert handle.result() == ["packed cup", "packed pot", "packed tea", "paid 900"]


def test_an_account_takes_messages_in_order_and_answers_queries_until_it_is_closed(
    stage: LocalCloud, outside: Outside
) -> None:
    """Each message has a promise of its own, whose id was published; the balance is what an inline step recorded."""

    def balance_is(cents: int) -> int:
        return cents

    @durable
    async def account(opening: int) -> int:
        balance, count = opening, 0
        while True:
            state = run(balance_is, balance)
            await run(outside.publish, "state", state.id)
            message = await (await outside.ask(f"message {count}", dict[str, int]))
            if "close" in message:
                return balance
            balance += message.get("pay in", 0) - message.get("pay out", 0)
            count += 1

    def send(message: dict[str, int]) -> None:
        stage.advance(HOUR)
        resolve(outside.ids[f"message {sent.pop(0)}"], message)

    def query() -> int:
        stage.advance(HOUR)
        balance: int = attach(outside.ids["state"]).result()
        return balance

    sent = [0, 1, 2, 3]
    handle = account.with_options(id="account-7").start(100)
    send({"pay in": 50})
    assert query() == 150
    send({"pay out": 120})
    send({"pay in": 1})
    assert query() == 31
    assert handle.status() == "pending"
    send({"close": 1})
    assert handle.result() == 31


def test_a_watchdog_is_rearmed_by_each_ping_and_barks_at_the_first_silence(stage: LocalCloud, outside: Outside) -> None:
    """Three pings come an hour apart, each with two hours of patience."""

    @durable
    def bark(at: dt.datetime) -> None:
        outside.request("bark")

    @durable
    async def watchdog(patience: float) -> int:
        pings = 0
        while True:
            ping = await outside.ask(f"ping {pings}", str)
            try:
                async with asyncio.timeout(patience):
                    await ping
            except TimeoutError:
                await bark(now())
                return pings
            pings += 1

    begun, handle = stage.now(), watchdog.start(2 * HOUR)
    for ping in range(3):
        stage.advance(HOUR)
        resolve(outside.ids[f"ping {ping}"], "still here")
    stage.advance(HOUR)
    assert outside.log == []
    assert handle.result() == 3
    assert outside.log == ["bark"]
    assert dt.timedelta(hours=5) <= stage.now() - begun < dt.timedelta(hours=6)


def test_a_batch_is_sent_when_it_is_full_or_an_hour_after_its_first_message(
    stage: LocalCloud, outside: Outside
) -> None:
    """Three messages fill one; two more wait until their hour is over; a message that says so ends it."""

    @durable
    def send(batch: list[str]) -> None:
        outside.request("+".join(batch))

    @durable
    async def batches(size: int, window: float) -> int:
        loop, inbox = asyncio.get_running_loop(), await outside.ask("message 0", str)
        batch: list[str] = []
        count, due = 0, 0.0
        while True:
            left = due - loop.time() if batch else None
            done, _ = await asyncio.wait([inbox], timeout=left)
            if done:
                count += 1
                text, inbox = inbox.result(), promise(str)
                if text == "end":
                    return count - 1
                await run(outside.publish, f"message {count}", inbox.id)
                due = due if batch else loop.time() + window
                batch.append(text)
            if batch and (len(batch) == size or not done):
                await send(batch)
                batch = []

    handle = batches.start(3, HOUR)
    for number, text in enumerate(["a", "b", "c", "d", "e"]):
        stage.advance(15 * MINUTE)
        resolve(outside.ids[f"message {number}"], text)
    stage.advance(15 * MINUTE)
    assert outside.log == ["a+b+c"]
    stage.advance(2 * HOUR)
    assert outside.log == ["a+b+c", "d+e"]
    resolve(outside.ids["message 5"], "end")
    assert handle.result() == 5
