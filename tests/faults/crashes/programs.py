"""What the tests of endurance call: a step, one that fails, one that waits and cleans up, one that ends the others."""

from __future__ import annotations

import asyncio

from adapter import Retry, durable, run

HOUR = 3_600
DAY = 24 * HOUR
NOTES: list[str] = []


@durable
def leaf(value: int) -> int:
    return value


@durable
async def note(what: str) -> None:
    await run(NOTES.append, what)


@durable
async def patient(hours: float) -> str:
    try:
        await asyncio.sleep(hours * HOUR)
    finally:
        await note("cleaned up")
    return "slept"


@durable(retry=Retry(attempts=2, initial=60))
def broken() -> None:
    raise ValueError("broken")


@durable
async def fails() -> str:
    try:
        await asyncio.gather(patient(40), broken())
    except ValueError:
        return "caught"
    return "not caught"
