"""The small programs whose every interleaving is explored."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

from adapter import durable, promise, run
from adapter.api.requests import Placement
from adapter.engine.operations import Operation
from adapter.protocol.records import Record

T = TypeVar("T")


@durable(name="explored.leaf")
def leaf(x: str) -> str:
    """What it returns, the explorer decides."""
    raise NotImplementedError


@durable(name="explored.sequence")
async def sequence() -> list[str]:
    return [await leaf("a"), await leaf("b")]


@durable(name="explored.longer")
async def longer() -> list[str]:
    """Its later runs go by what earlier ones have told."""
    return [await leaf("a"), await leaf("b"), await leaf("c"), await leaf("d")]


@durable(name="explored.prompted", wake="direct")
async def prompted() -> list[str]:
    """Each step resumes it by its own run."""
    return [await leaf("a"), await leaf("b")]


@durable(name="explored.lingering", wake="linger")
async def lingering() -> list[str]:
    """It watches each step for a while, and may suspend at any moment of that."""
    return [await leaf("a"), await leaf("b")]


@durable(name="explored.lingering_beside", wake="linger")
async def lingering_beside() -> list[str]:
    """It watches some steps, and others it only counts."""
    first = await leaf("a")
    return [first, *await asyncio.gather(leaf("b"), leaf("c")), await leaf("d")]


@durable(name="explored.gather")
async def gather() -> list[str]:
    return list(await asyncio.gather(leaf("a"), leaf("b"), leaf("c")))


@durable(name="explored.outcomes")
async def outcomes() -> list[str]:
    """All of them, whatever they come to: no rejection wakes it early."""
    return [str(one) for one in await asyncio.gather(leaf("a"), leaf("b"), leaf("c"), return_exceptions=True)]


@durable(name="explored.tasks")
async def tasks() -> list[str]:
    """Whichever settles moves it, and it waits again."""
    found: list[str] = []

    async def one(x: str) -> None:
        found.append(await leaf(x))

    async with asyncio.TaskGroup() as group:
        for x in "abc":
            group.create_task(one(x))
    return found


@durable(name="explored.two_waves")
async def two_waves() -> list[str]:
    first = await asyncio.gather(leaf("a"), leaf("b"))
    second = await asyncio.gather(leaf("c"), leaf("d"))
    return [*first, *second]


@durable(name="explored.race")
async def race() -> list[str]:
    """What follows depends on who settled first: only the journal makes it replay."""
    a, b = leaf("a"), leaf("b")
    done, _ = await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
    winner = "a" if a in done else "b"
    return [await leaf(f"after {winner}"), await (a if winner == "a" else b)]


@durable(name="explored.branches")
async def branches() -> list[str]:
    """Two tasks, each with a step that follows: what is created next depends on the order of deliveries."""

    async def one(x: str) -> str:
        await leaf(x)
        return await leaf(f"after {x}")

    return list(await asyncio.gather(one("a"), one("b")))


@durable(name="explored.shared")
async def shared() -> list[str]:
    """The same root twice: started once, awaited twice; it may settle at any moment of that."""
    return list(await asyncio.gather(leaf.with_options(id="s")("a"), leaf.with_options(id="s")("a")))


@durable(name="explored.diverging")
async def diverging() -> list[str]:
    """A run that sees only ``a`` waits for the outside world. A run that also sees ``b`` goes on without it."""
    outside = [promise(str) for _ in range(3)]
    a, b = leaf("a"), leaf("b")
    done, _ = await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
    if b not in done:
        await asyncio.wait([b, *outside])
        return [await a, await b]
    c, d = leaf("c"), leaf("d")
    await asyncio.wait([c, d], return_when=asyncio.FIRST_COMPLETED)
    return [await b, await c]


@durable(name="explored.converging")
async def converging() -> list[str]:
    """Either order of a race asks for the same step next, and only then for another one."""
    a, b = leaf("a"), leaf("b")
    done, _ = await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
    winner = "a" if a in done else "b"
    return [await run(str, "same"), await run(str, f"after {winner}")]


NEAR: list[Placement] = ["lambda"]
FAR: list[Placement] = ["lambda"]
"""Two placements, of which each run has one here and one elsewhere."""


@durable(name="explored.placed")
async def placed() -> list[str]:
    """A run may ask for another placement than the one before it, or the one beside it."""
    near, far = leaf.with_options(place=NEAR[0]), leaf.with_options(place=FAR[0])
    return [await near("a"), await far("b")]


@durable(name="explored.placed_beside")
async def placed_beside() -> list[str]:
    """The same within one turn: the leader has its own Lambda, or all run here."""
    near, far = leaf.with_options(place=NEAR[0]), leaf.with_options(place=FAR[0])
    return list(await asyncio.gather(near("a"), far("b"), near("c")))


def placed_by(number: int, steps: Generator[Operation, Any, T]) -> Generator[Operation, Any, T]:
    """A run whose code asks for placements by its number."""
    result: Any = None
    try:
        while True:
            NEAR[0], FAR[0] = ("inline", "lambda") if number % 2 else ("lambda", "inline")
            result = yield steps.send(result)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def outside_of_diverging(records: dict[str, Record]) -> str | None:
    """The outside world settles its promises only if the function went the way that waits for them."""
    if "r~5" in records:
        return None
    return next((name for name in ("r~0", "r~1", "r~2") if name in records and records[name].pending), None)
