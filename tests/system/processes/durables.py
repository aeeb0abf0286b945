"""Durable functions that no template places, for a cloud of processes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from adapter import Retry, durable


class OutOfTea(Exception):
    """Raised in one process, caught in another."""


@durable
def boil(cups: int) -> int:
    return cups + 1


@durable
async def brew(cups: int) -> int:
    return await boil(await boil(cups))


@durable
def leaves(grams: int) -> str:
    return "x" * grams


@durable
async def wrap(grams: int) -> int:
    return len(await leaves(grams))


@durable
def meet(place: str, others: int) -> int:
    """Return once ``others`` processes are here at the same time."""
    Path(place, str(os.getpid())).touch()
    while len(list(Path(place).iterdir())) < others:
        time.sleep(0.01)
    return os.getpid()


@durable
async def party(place: str, guests: int, at_once: int) -> list[int]:
    return await asyncio.gather(*(meet(place, at_once) for _ in range(guests)))


@durable
async def nap(seconds: int) -> str:
    await asyncio.sleep(seconds)
    return "awake"


@durable
async def serve(cups: int) -> str:
    try:
        await pour(cups)
    except OutOfTea as error:
        return f"caught: {error}"
    return "served"


@durable
def pour(cups: int) -> None:
    raise OutOfTea(f"{cups} cups are too many")


@durable
def stall(place: str) -> int:
    """Its first attempt never comes to an end; returns how often it was begun."""
    begun = Path(place, "begun")
    with begun.open("a") as file:
        file.write(f"{os.getpid()}\n")
    attempts = len(begun.read_text().split())
    while attempts == 1:
        time.sleep(0.01)
    return attempts


@durable
async def patient(place: str) -> int:
    return await stall(place)


@durable(retry=Retry(attempts=1))
def gulp(mb: int) -> int:
    return len(bytearray(mb * 1024 * 1024))


@durable
async def greedy(mb: int) -> int:
    return await gulp(mb)


@durable
async def by_the_clock() -> float:
    return float(await boil(time.time_ns()))
