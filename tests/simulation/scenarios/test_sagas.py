"""Sagas: what was done is undone by ordinary ``except`` clauses, in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from adapter import Durable, durable, errors
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import HOUR, Outside


class SoldOut(Exception):
    """There is none left."""


class Uncompensated(Exception):
    """A failed saga that couldn't undo these legs."""

    def __init__(self, message: str, legs: list[str]) -> None:
        super().__init__(message)
        self.legs = legs


def test_a_failed_trip_releases_what_it_booked_in_reverse_order(stage: LocalCloud, outside: Outside) -> None:
    """The third leg is sold out."""

    @durable
    def book(leg: str) -> None:
        if leg == "car":
            raise SoldOut(leg)
        outside.request(f"book {leg}")

    @durable
    def release(leg: str) -> None:
        outside.request(f"release {leg}")

    @durable
    async def trip(legs: list[str]) -> str:
        booked: list[str] = []
        try:
            for leg in legs:
                await book(leg)
                booked.append(leg)
        except SoldOut as missing:
            for leg in reversed(booked):
                await release(leg)
            return f"no {missing}"
        return "booked"

    assert stage.run(trip, ["flight", "hotel", "car", "opera"]) == "no car"
    assert outside.log == ["book flight", "book hotel", "release hotel", "release flight"]


def test_a_compensation_that_fails_does_not_keep_the_others_from_happening(stage: LocalCloud, outside: Outside) -> None:
    """The error shows a person what couldn't be undone, and why the saga failed."""

    @durable
    def book(leg: str) -> None:
        if leg == "car":
            raise SoldOut(leg)
        outside.request(f"book {leg}")

    @durable
    def release(leg: str) -> None:
        if leg == "hotel":
            raise ConnectionError("nobody answers")
        outside.request(f"release {leg}")

    @durable
    async def trip(legs: list[str]) -> None:
        booked: list[str] = []
        try:
            for leg in legs:
                await book(leg)
                booked.append(leg)
        except SoldOut as missing:
            left = []
            for leg in reversed(booked):
                try:
                    await release(leg)
                except ConnectionError as error:
                    left.append(f"{leg}: {error}")
            raise Uncompensated(f"no {missing}", left) from missing

    with pytest.raises(Uncompensated, match="no car") as failed:
        stage.run(trip, ["flight", "hotel", "train", "car"])
    assert failed.value.legs == ["hotel: nobody answers"]
    assert outside.log == ["book flight", "book hotel", "book train", "release train", "release flight"]


async def surely(begun: Coroutine[Any, Any, None]) -> None:
    """Await it to its end, though a cancellation comes in between."""
    task = asyncio.create_task(begun)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def test_a_compensation_under_way_is_completed_though_the_saga_is_cancelled(
    stage: LocalCloud, outside: Outside
) -> None:
    """Somebody cancels it in its second hour of four. The saga's outcome is the cancellation."""

    @durable
    def charge() -> None:
        outside.request("charge")

    @durable
    def ship() -> None:
        raise SoldOut("teapot")

    @durable
    async def refund() -> None:
        await asyncio.sleep(4 * HOUR)
        await confirm()

    @durable
    def confirm() -> None:
        outside.request("refund")

    async def undo() -> None:
        await refund()

    @durable
    async def order() -> None:
        await charge()
        try:
            await ship()
        except SoldOut:
            await surely(undo())
            raise

    handle = order.start()
    stage.advance(2 * HOUR)
    assert outside.log == ["charge"]
    handle.cancel()
    stage.advance(4 * HOUR)
    assert outside.log == ["charge", "refund"]
    with pytest.raises(errors.PromiseCancelled):
        handle.result()


def test_a_cancelled_saga_compensates_before_it_is_over(stage: LocalCloud, outside: Outside) -> None:
    """It was waiting in between two legs; ``except BaseException`` covers failures and cancellations alike."""

    @durable
    def book(leg: str) -> None:
        outside.request(f"book {leg}")

    @durable
    def release(leg: str) -> None:
        outside.request(f"release {leg}")

    @durable
    async def trip(legs: list[str]) -> None:
        booked: list[str] = []
        try:
            for leg in legs:
                await book(leg)
                booked.append(leg)
                await asyncio.sleep(5 * HOUR)
        except BaseException:
            for leg in reversed(booked):
                await release(leg)
            raise

    handle = trip.start(["flight", "hotel", "car"])
    stage.advance(7 * HOUR)
    handle.cancel()
    stage.advance(2 * HOUR)
    assert handle.status() == "rejected_canceled"
    assert outside.log == ["book flight", "book hotel", "release hotel", "release flight"]


def two_phases(refusing: str, outside: Outside) -> Durable[[list[str]], bool]:
    """All hold at once; one refusal has those that hold let go."""

    @durable
    def hold(leg: str) -> str:
        if leg == refusing:
            raise SoldOut(leg)
        return f"hold-{leg}"

    @durable
    def confirm(held: str) -> None:
        outside.request(f"confirm {held}")

    @durable
    def let_go(held: str) -> None:
        outside.request(f"let go {held}")

    @durable
    async def book(legs: list[str]) -> bool:
        votes = await asyncio.gather(*(hold(leg) for leg in legs), return_exceptions=True)
        held = [vote for vote in votes if isinstance(vote, str)]
        agreed = len(held) == len(legs)
        await asyncio.gather(*((confirm if agreed else let_go)(one) for one in held))
        return agreed

    return book


def test_a_two_phase_booking_is_confirmed_by_all(stage: LocalCloud, outside: Outside) -> None:
    """Everybody holds."""
    assert stage.run(two_phases("", outside), ["flight", "hotel", "car"]) is True
    assert sorted(outside.log) == ["confirm hold-car", "confirm hold-flight", "confirm hold-hotel"]


def test_a_two_phase_booking_is_let_go_by_all_when_one_refuses(stage: LocalCloud, outside: Outside) -> None:
    """Nothing was confirmed."""
    assert stage.run(two_phases("hotel", outside), ["flight", "hotel", "car"]) is False
    assert sorted(outside.log) == ["let go hold-car", "let go hold-flight"]
