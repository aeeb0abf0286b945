"""Functions whose executions end, wait and clean up, and what the tests of their removal share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from adapter import Retry, attach, durable, promise, run
from adapter.protocol.timing import RETENTION
from adapter.testing import LocalCloud
from tests.support.laws import HOUR

DAY = 24 * HOUR

TEND = "adapter.lambdas.sweeper.tend"

tried: list[int] = []
"""The attempts of `flaky`."""

LARGE = 20_000

MONTH = RETENTION // 1_000_000


@durable
async def large_below(letters: str) -> int:
    return len(await large(letters[:1]))


@durable
def length(text: str) -> int:
    return len(text)


@durable(name="retention:leaf")
def leaf(value: int) -> int:
    return value


@durable(name="retention:large")
def large(letter: str) -> str:
    return letter * LARGE


@durable(name="retention:inner")
async def inner(value: int) -> int:
    return await leaf(value) + await run(int, "1")


@durable(name="retention:outer")
async def outer() -> int:
    texts = await asyncio.gather(large("a"), large("b"))
    values = await leaf.map(range(5), max_concurrency=2)
    detached = leaf.with_options(id="retention-apart").detach(1)
    linked = await leaf.with_options(id="retention-shared")(2)
    slow = inner(8)
    slow.cancel()
    await asyncio.sleep(60)
    return sum(map(len, texts)) + sum(values) + linked + len(detached.id) + await inner(3)


@durable(name="retention:asks")
async def asks(text: str) -> str:
    answer = await promise(str)
    return f"{text} {await run(str.upper, answer)}"


@durable(name="retention:waits")
async def waits(days: int) -> int:
    texts = [await large("c")]
    before = await asyncio.gather(inner(1), inner(2))
    await asyncio.sleep(days * DAY)
    return sum(before) + await inner(3) + sum(map(len, texts))


@durable(name="retention:tidies")
async def tidies(days: int) -> None:
    before = await leaf(1)
    try:
        await asyncio.sleep(1_000 * DAY)
    finally:
        await asyncio.sleep(days * DAY)
        await leaf(before)


@durable(name="retention:asks_twice")
async def asks_twice(text: str) -> str:
    return f"{text} {await promise(str)} {await promise(str)}"


@durable(name="retention:asks_below")
async def asks_below(text: str) -> str:
    return await asks_twice(text)


@durable(name="retention:leaves")
async def leaves(days: int) -> str:
    tidying = tidies(days)
    await asyncio.sleep(60)
    tidying.cancel()
    return "left"


@durable(name="retention:asks_for_long")
async def asks_for_long(seconds: int) -> str:
    return await asyncio.wait_for(promise(str), seconds)


@durable(name="retention:shares")
async def shares(days: int) -> str:
    await asyncio.sleep(days * DAY)
    return "shared" * LARGE


@durable(name="retention:gives_up")
async def gives_up(first: bool) -> str:
    if not first:
        return await promise(str)
    try:
        return await asyncio.wait_for(attach("shared"), HOUR)
    except TimeoutError:
        return "nothing"


@durable(name="retention:flaky", retry=Retry(attempts=2, initial=40 * DAY, max_delay=40 * DAY, jitter=0))
def flaky() -> int:
    tried.append(1)
    if len(tried) < 3:
        raise ValueError("not yet")
    return len(tried)


@durable(name="retention:tries")
async def tries(days: int) -> int:
    try:
        return await asyncio.wait_for(flaky(), days * DAY)
    except TimeoutError:
        return 0


def attempt() -> int:
    tried.append(1)
    return len(tried)


@durable(name="retention:counts")
async def counts() -> int:
    made = await run(attempt)
    await leaf(made)
    return made


@durable(name="retention:attaches")
async def attaches() -> int:
    text = await attach("order")
    return len(text) + len(await promise(str))


@dataclass
class Order:
    total: int


@durable(name="retention:orders")
def orders() -> Order:
    return Order(5)


@durable(name="retention:reads")
async def reads(days: int) -> int:
    order = await attach("order")
    await asyncio.sleep(days * DAY)
    return order.total


@durable(name="retention:wide")
async def wide(width: int) -> int:
    return sum(await asyncio.gather(*(leaf(n) for n in range(width))))


@durable(name="retention:deep")
async def deep(depth: int) -> int:
    return 0 if depth == 0 else 1 + await deep(depth - 1)


def left(cloud: LocalCloud) -> list[str]:
    """What the table and the bucket hold."""
    return [record.id for record in cloud.records()] + sorted(cloud._world.objects())


def keeping(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud, days: str) -> None:
    """Its functions are told to keep what is over for so many days."""
    for function in cloud.template.functions:
        monkeypatch.setitem(function.environment, "DURABLE_RETENTION_DAYS", days)  # type: ignore[arg-type]
