"""Fan-outs: how many must succeed, what happens to the rest, and what comes together at the end."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from adapter import attach, durable, now, uuid4
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import HOUR, Outside, is_calm


class SiteDown(Exception):
    """A site doesn't answer."""


def test_the_first_failing_site_stops_the_deployment_to_all_others(stage: LocalCloud, outside: Outside) -> None:
    """The sites under way roll back, durably, before the deployment is over."""

    @durable
    def roll_back(site: str) -> None:
        outside.request(f"roll back {site}")

    @durable
    async def deploy(site: str, hours: int) -> str:
        try:
            await asyncio.sleep(hours * HOUR)
        except asyncio.CancelledError:
            await roll_back(site)
            raise
        if site == "oslo":
            raise SiteDown(site)
        return site

    @durable
    async def deploy_all(sites: dict[str, int]) -> list[str]:
        failed: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                for site, hours in sites.items():
                    group.create_task(asyncio.wait_for(deploy(site, hours), 100 * HOUR))
        except* SiteDown as down:
            failed += [str(error) for error in down.exceptions]
        return failed

    begun = stage.now()
    assert stage.run(deploy_all, {"rome": 1, "oslo": 3, "lima": 40, "kyiv": 50}) == ["oslo"]
    assert stage.now() - begun < dt.timedelta(hours=5)
    stage.advance(HOUR)
    assert sorted(outside.log) == ["roll back kyiv", "roll back lima"]
    states = [attach(f"run-1~{n}").status() for n in range(4)]
    assert states == ["resolved", "rejected", "rejected_canceled", "rejected_canceled"]


@durable
async def replicate(site: str, hours: int) -> str:
    await asyncio.sleep(hours * HOUR)
    if site.startswith("bad"):
        raise SiteDown(site)
    return site


@durable
async def write_to(sites: dict[str, int], enough: int) -> list[str]:
    """Three of five is a quorum: failures don't matter as long as so many succeed."""
    under_way = [replicate(site, hours) for site, hours in sites.items()]
    written: list[str] = []
    for following in asyncio.as_completed(under_way):
        try:
            written.append(await following)
        except SiteDown:
            continue
        if len(written) == enough:
            break
    for one in under_way:
        one.cancel()
    if len(written) < enough:
        raise SiteDown(f"only {len(written)} of {enough}")
    return written


def test_a_write_is_done_when_enough_replicas_have_it(stage: LocalCloud) -> None:
    """They count in the order of their answers. The write cancels the slowest; the failed one doesn't matter."""
    begun = stage.now()
    assert stage.run(write_to, {"e": 50, "c": 5, "bad-b": 3, "a": 1, "d": 7}, 3) == ["a", "c", "d"]
    assert stage.now() - begun < dt.timedelta(hours=9)
    assert attach("run-1~0").status() == "rejected_canceled"


def test_a_write_fails_when_too_many_replicas_fail(stage: LocalCloud) -> None:
    """The error says how many there were."""
    with pytest.raises(SiteDown, match="only 1 of 2"):
        stage.run(write_to, {"a": 1, "bad-b": 3, "bad-c": 5}, 2)


def test_the_first_of_three_providers_wins_and_the_losers_are_cancelled(stage: LocalCloud, outside: Outside) -> None:
    """A loser's clean-up may await durable calls; its late answer never comes."""

    @durable
    def withdraw(provider: str) -> None:
        outside.request(f"withdraw from {provider}")

    @durable
    async def translate(provider: str, hours: int) -> str:
        try:
            await asyncio.sleep(hours * HOUR)
            return f"by {provider}"
        except asyncio.CancelledError:
            await withdraw(provider)
            raise

    @durable
    async def race() -> str:
        asked = [translate("slow", 30), translate("quick", 2), translate("middling", 9)]
        done, pending = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for loser in pending:
            loser.cancel()
        (winner,) = done
        return await winner

    assert stage.run(race) == "by quick"
    stage.advance(HOUR)
    assert sorted(outside.log) == ["withdraw from middling", "withdraw from slow"]
    assert [attach(f"run-1~{n}").status() for n in (0, 2)] == ["rejected_canceled"] * 2


def test_a_fan_out_over_nothing_is_nothing_and_costs_nothing(stage: LocalCloud) -> None:
    """gather, as_completed and a TaskGroup write only the root's creation and settlement."""

    @durable
    async def nobody(names: list[str]) -> list[str]:
        gathered = await asyncio.gather(*(replicate(name, 1) for name in names))
        completed = [await one for one in asyncio.as_completed([replicate(name, 1) for name in names])]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.wait_for(replicate(name, 1), HOUR)) for name in names]
        return [*gathered, *completed, *(task.result() for task in tasks)]

    assert stage.run(nobody, []) == []
    assert not is_calm(stage) or stage.stats.writes == 2


class Risk(Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Customer:
    name: str
    since: dt.date


def test_answers_of_many_types_come_together_as_what_they_are(stage: LocalCloud) -> None:
    """Each is decoded by its function's own annotation, at the first run as at each replay."""

    @durable
    def customer() -> Customer:
        return Customer("Ada", dt.date(2019, 5, 1))

    @durable
    def balance() -> Decimal:
        return Decimal("12.50")

    @durable
    def risk() -> Risk:
        return Risk.LOW

    @durable
    def seen_at() -> dt.datetime:
        return now()

    @durable
    def key() -> UUID:
        return uuid4()

    @durable
    def tags() -> frozenset[str]:
        return frozenset({"vip", "eu"})

    @durable
    def photo() -> bytes | None:
        return b"\x89PNG"

    @durable
    async def profile() -> list[str]:
        answers = await asyncio.gather(customer(), balance(), risk(), seen_at(), key(), tags(), photo())
        await asyncio.sleep(HOUR)
        assert answers[0] == Customer("Ada", dt.date(2019, 5, 1))
        assert answers[2] is Risk.LOW
        return [type(one).__name__ for one in answers]

    kinds = ["Customer", "Decimal", "Risk", "datetime", "UUID", "frozenset", "bytes"]
    assert stage.run(profile) == kinds


def test_words_are_counted_in_parts_and_the_counts_are_merged_in_pairs(stage: LocalCloud) -> None:
    """A map comes first, then a tree of reductions, each level of which waits for the one below."""

    @durable
    def count(text: str) -> dict[str, int]:
        return dict(Counter(text.split()))

    @durable
    def merge(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
        return dict(Counter(left) + Counter(right))

    @durable
    async def word_count(texts: list[str]) -> dict[str, int]:
        parts = await asyncio.gather(*(count(text) for text in texts))
        while len(parts) > 1:
            odd = parts[-1:] if len(parts) % 2 else []
            pairs = zip(parts[::2], parts[1::2], strict=False)
            parts = [*await asyncio.gather(*(merge(left, right) for left, right in pairs)), *odd]
        return parts[0] if parts else {}

    texts = ["to be or not", "not to be", "be", "or", "to or fro"]
    assert stage.run(word_count, texts) == dict(Counter(" ".join(texts).split()))


def test_last_nights_report_has_every_shop_even_the_one_that_failed(stage: LocalCloud, outside: Outside) -> None:
    """It waits for two in the morning, asks all shops at once, reports, and does so again the next night."""

    @durable
    def takings(shop: str, day: dt.date) -> Decimal:
        if shop == "pier" and day.day == 2:
            raise SiteDown(shop)
        return Decimal(len(shop)) * day.day

    @durable
    def send(report: str) -> None:
        outside.request(report)

    @durable
    async def nightly(shops: list[str], nights: int) -> None:
        for _ in range(nights):
            two = now().replace(hour=2, minute=0, second=0, microsecond=0)
            due = two if two > now() else two + dt.timedelta(days=1)
            await asyncio.sleep((due - now()).total_seconds())
            day = now().date()
            found = await asyncio.gather(*(takings(shop, day) for shop in shops), return_exceptions=True)
            total = sum((one for one in found if isinstance(one, Decimal)), Decimal(0))
            failed = [shop for shop, one in zip(shops, found, strict=True) if isinstance(one, SiteDown)]
            await send(f"{day:%d}: {total}, without {failed}")

    stage.run(nightly, ["mill", "pier", "castle"], 2)
    assert outside.log == ["01: 14, without []", "02: 20, without ['pier']"]
