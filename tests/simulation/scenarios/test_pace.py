"""Applications that wait: countdowns, polls, limits and breakers, for which nothing runs meanwhile."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from adapter import durable, now
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import HOUR, MINUTE, Outside, is_calm


class Unavailable(Exception):
    """The service is down."""


def test_a_countdown_announces_each_minute_and_lifts_off(stage: LocalCloud, outside: Outside) -> None:
    """In calm it does so to the second."""

    @durable
    def announce(text: str) -> None:
        outside.request(text)

    @durable
    async def countdown(minutes: int) -> dt.datetime:
        for left in range(minutes, 0, -1):
            await announce(f"{left} minutes")
            await asyncio.sleep(MINUTE)
        await announce("lift-off")
        return now()

    begun = stage.now()
    took = stage.run(countdown, 3) - begun
    assert outside.log == ["3 minutes", "2 minutes", "1 minutes", "lift-off"]
    assert took >= dt.timedelta(minutes=3)
    assert not is_calm(stage) or took == dt.timedelta(minutes=3)


def test_a_job_is_polled_at_growing_intervals_until_it_is_done(stage: LocalCloud) -> None:
    """After 0, 1, 3, 7 and 15 hours, since it is done after eleven; no interval is longer than the limit."""

    @durable
    def look(job: str) -> str:
        return "done" if stage.now() >= done_at else "running"

    @durable
    async def watch(job: str, longest: float) -> list[float]:
        pause, pauses = float(HOUR), []
        while await look(job) != "done":
            await asyncio.sleep(pause)
            pauses.append(pause)
            pause = min(pause * 2, longest)
        return pauses

    done_at = stage.now() + dt.timedelta(hours=11)
    assert stage.run(watch, "job-7", 8 * HOUR) == [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]
    done_at = stage.now() + dt.timedelta(hours=8)
    assert stage.run(watch, "job-8", 3 * HOUR) == [HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR]


def test_no_more_than_two_requests_begin_within_any_hour(stage: LocalCloud, outside: Outside) -> None:
    """A semaphore gives back each place an hour after it was taken."""

    @durable
    def fetch(page: int) -> None:
        outside.request(f"page {page}")

    @durable
    async def crawl(pages: int) -> list[dt.datetime]:
        places, begun = asyncio.Semaphore(2), []

        async def one(page: int) -> None:
            async with places:
                begun.append(now())
                await asyncio.gather(fetch(page), asyncio.sleep(HOUR))

        await asyncio.gather(*(one(page) for page in range(5)))
        return begun

    begun = stage.run(crawl, 5)
    assert len(begun) == len(outside.log) == 5
    assert all(later - earlier >= dt.timedelta(hours=1) for earlier, later in zip(begun, begun[2:], strict=False))
    assert begun[-1] - begun[0] < dt.timedelta(hours=3)


class Breaker:
    """Lets nothing through for a while after so many failures in a row; then one call tries."""

    def __init__(self, failures: int, pause: dt.timedelta) -> None:
        self._allowed, self._pause = failures, pause
        self._failures = 0
        self._shut_until: dt.datetime | None = None

    def lets_through(self) -> bool:
        return self._shut_until is None or now() >= self._shut_until

    def heard(self, fine: bool) -> None:
        self._failures = 0 if fine else self._failures + 1
        self._shut_until = now() + self._pause if self._failures >= self._allowed else None


def test_a_breaker_spares_a_service_that_is_down_and_tries_again_later(stage: LocalCloud) -> None:
    """It is ordinary state of an ordinary object: a replay builds it up again."""
    tried: set[int] = set()

    @durable
    def call(number: int) -> str:
        tried.add(number)
        if stage.now() < up_at:
            raise Unavailable(f"call {number}")
        return "fine"

    @durable
    async def caller(calls: int) -> list[str]:
        breaker, log = Breaker(2, dt.timedelta(hours=5)), []
        for number in range(calls):
            if not breaker.lets_through():
                log.append("spared")
            else:
                try:
                    log.append(await call(number))
                except Unavailable:
                    log.append("failed")
                breaker.heard(log[-1] == "fine")
            await asyncio.sleep(2 * HOUR)
        return log

    up_at = stage.now() + dt.timedelta(hours=11)
    failed_trial: list[Any] = ["failed", "spared", "spared"]
    assert stage.run(caller, 9) == ["failed", "failed", "spared", "spared", *failed_trial, "fine", "fine"]
    assert tried == {0, 1, 4, 7, 8}
