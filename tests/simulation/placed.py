"""Programs whose calls are placed here or elsewhere, and what became of these calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from adapter import durable
from adapter.api.durable import Durable
from adapter.api.requests import Placement
from adapter.testing import LocalCloud

HERE: tuple[Placement, ...] = ("inline", "auto")
EVERYWHERE: tuple[Placement, ...] = ("lambda", "inline", "auto")


@durable
def leaf(value: int) -> int:
    return value


@durable
async def async_leaf(value: int) -> int:
    return value


@durable
async def reading(value: int) -> int:
    """Real I/O, without a durable call."""
    return await asyncio.to_thread(abs, value)


@durable
async def calling(value: int) -> int:
    return await leaf(value)


@durable
async def sleeping(value: int) -> int:
    await asyncio.sleep(3_600)
    return value


LEAVES = [leaf, async_leaf, reading]


@durable
async def in_sequence(fn: str, place: Placement, n: int) -> int:
    called = {one.name: one for one in [*LEAVES, calling, sleeping]}[fn].with_options(place=place)
    return sum([await called(value) for value in range(n)])


def kinds(cloud: LocalCloud, fn: Durable[..., Any]) -> Counter[str]:
    return Counter(record.kind.value for record in cloud.records() if record.fn == fn.name and "~" in record.id)
