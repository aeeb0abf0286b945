"""What random programs are made of, and how they run: one interpreter, over durable calls or over plain asyncio.

A node is a dict: ``op``, its label ``n``, its children ``of``, and parameters of its own. Durations ``d`` are in shifts
of six hours, each a power of two that a program uses once. So two moments of a program that don't follow from each
other are a shift apart, and no fault (seconds late, minutes until a retry) changes who is first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

Node = dict[str, Any]
SHIFT = 6 * 3_600
"""Seconds."""


class Broken(Exception):
    """What programs raise."""


class Calls(Protocol):
    """What a program asks of its world. Each future is hot."""

    def call(self, node: Node) -> asyncio.Future[Any]:
        """A function that interprets the node; ``id``, ``retry`` and ``timeout`` (shifts) are its options."""
        ...

    def detach(self, node: Node) -> asyncio.Future[Any]: ...
    def map(self, node: Node) -> asyncio.Future[list[Any]]: ...
    def leaf(self, kind: str, label: str, times: int = 0, place: str = "") -> asyncio.Future[Any]:
        """A function without calls: ``step``, ``astep``, ``fails``, ``flaky``, ``tick``, or an ``inline`` step."""
        ...

    def read(self, mark: Any) -> Any:
        """What a leaf's result says, once the code has it."""
        ...

    async def external(self, label: str, shifts: int | None, how: str) -> Any:
        """A promise that the outside world settles after some shifts, or never."""
        ...

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]: ...


Construct = Callable[[Node, Calls], Coroutine[Any, Any, Any]]
CONSTRUCTS: dict[str, Construct] = {}


def construct(function: Construct) -> Construct:
    CONSTRUCTS[function.__name__.rstrip("_")] = function
    return function


async def interpret(node: Node, c: Calls) -> Any:
    """Run a node; its value is JSON."""
    return await CONSTRUCTS[node["op"]](node, c)


def branch(node: Node, c: Calls) -> asyncio.Future[Any]:
    """Begin a node beside others: a call is its promise, anything else a task."""
    if node["op"] == "call":
        return c.call(node)
    return c.spawn(interpret(node, c))


def told(error: BaseException) -> str:
    """An exception, as far as two worlds tell of it alike."""
    return f"Broken({error})" if isinstance(error, Broken) else type(error).__name__


async def outcome(work: Awaitable[Any]) -> Any:
    """What it came to, failures included. Whoever is cancelled himself stays cancelled."""
    try:
        return await work
    except Exception as error:
        return told(error)


def place_of(node: Node) -> str:
    """Where the calls of a node run; ``changing``: elsewhere, each time that the code asks."""
    return str(node.get("place", "lambda"))


# Leaves.


@construct
async def leaf(node: Node, c: Calls) -> Any:
    return c.read(await c.leaf(node["kind"], node["n"], node.get("times", 0), place_of(node)))


@construct
async def raise_(node: Node, c: Calls) -> Any:
    raise Broken(node["n"])


@construct
async def external(node: Node, c: Calls) -> Any:
    return await c.external(node["n"], node["d"], node["how"])


# One after the other.


@construct
async def seq(node: Node, c: Calls) -> Any:
    return [await interpret(child, c) for child in node["of"]]


@construct
async def after(node: Node, c: Calls) -> Any:
    await asyncio.sleep(node["d"] * SHIFT)
    return await interpret(node["of"][0], c)


@construct
async def call(node: Node, c: Calls) -> Any:
    return await c.call(node)


@construct
async def catch(node: Node, c: Calls) -> Any:
    try:
        return await interpret(node["of"][0], c)
    except Exception as error:
        return [told(error), await interpret(node["of"][1], c)]


@construct
async def cleanup(node: Node, c: Calls) -> Any:
    try:
        return await interpret(node["of"][0], c)
    finally:
        await interpret(node["of"][1], c)


@construct
async def again(node: Node, c: Calls) -> Any:
    """Within a function that is retried: it fails at its first attempts, once its part is done."""
    attempt = c.read(await c.leaf("tick", node["n"], place=place_of(node)))
    value = await interpret(node["of"][0], c)
    if attempt < node["times"]:
        raise Broken(node["n"])
    return value


# Side by side.


@construct
async def gather(node: Node, c: Calls) -> Any:
    collect = bool(node.get("collect"))
    found = await asyncio.gather(*(branch(child, c) for child in node["of"]), return_exceptions=collect)
    return [told(one) if isinstance(one, BaseException) else one for one in found]


@construct
async def group(node: Node, c: Calls) -> Any:
    async def member(child: Node) -> Any:
        return await branch(child, c)

    try:
        async with asyncio.TaskGroup() as together:
            tasks = [together.create_task(member(child)) for child in node["of"]]
    except ExceptionGroup as failed:
        raise Broken("+".join(sorted(told(one) for one in failed.exceptions))) from None
    return [task.result() for task in tasks]


@construct
async def limited(node: Node, c: Calls) -> Any:
    """As `gather`, at most two at a time."""
    places = asyncio.Semaphore(2)

    async def member(child: Node) -> Any:
        async with places:
            return await outcome(branch(child, c))

    return await asyncio.gather(*(c.spawn(member(child)) for child in node["of"]))


@construct
async def first(node: Node, c: Calls) -> Any:
    """The first that ends; the others are cancelled, or awaited."""
    running = [branch(child, c) for child in node["of"]]
    try:
        done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        for one in running:
            one.cancel()
        raise
    winners = [[position, await outcome(one)] for position, one in enumerate(running) if one in done]
    if node.get("cancel"):
        for one in (one for one in running if one in pending):
            one.cancel()
        return winners
    return [winners, [await outcome(one) for one in running if one in pending]]


@construct
async def completed(node: Node, c: Calls) -> Any:
    """In the order in which they end, each followed by a step."""
    order = []
    for position, following in enumerate(asyncio.as_completed([branch(child, c) for child in node["of"]])):
        ended = await outcome(following)
        order.append([ended, c.read(await c.leaf("step", f"{node['n']}.{position}", place=place_of(node)))])
    return order


@construct
async def race(node: Node, c: Calls) -> Any:
    """Steps without a winner that is known beforehand; what follows depends on who wins."""
    running = [c.leaf("step", f"{node['n']}.{number}", place=place_of(node)) for number in range(node["width"])]
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    winner = c.read(await next(one for one in running if one in done))
    followed = c.read(await c.leaf("tock", f"{node['n']} after {winner}"))
    rest = await asyncio.gather(*running)
    return [followed == f"{node['n']} after {winner}", [c.read(one) for one in rest]]


@construct
async def pool(node: Node, c: Calls) -> Any:
    """Workers on a queue."""
    queue: asyncio.Queue[Node] = asyncio.Queue()
    done: list[Any] = []

    async def worker(name: int) -> None:
        while True:
            item = await queue.get()
            done.append([name, item["n"], await outcome(branch(item, c))])
            queue.task_done()

    for child in node["of"]:
        queue.put_nowait(child)
    workers = [c.spawn(worker(name)) for name in range(node["width"])]
    try:
        await queue.join()
    finally:
        for one in workers:
            one.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return sorted(one[1:] for one in done)


@construct
async def map_(node: Node, c: Calls) -> Any:
    found = await c.map(node)
    return [told(one) if isinstance(one, BaseException) else one for one in found]


# Time and cancellation.


@construct
async def timeout(node: Node, c: Calls) -> Any:
    async with asyncio.timeout(node["d"] * SHIFT):
        return await interpret(node["of"][0], c)


@construct
async def wait_for(node: Node, c: Calls) -> Any:
    return await asyncio.wait_for(branch(node["of"][0], c), node["d"] * SHIFT)


@construct
async def shield(node: Node, c: Calls) -> Any:
    """Impatient at first; then it waits all the same."""
    kept = branch(node["of"][0], c)
    try:
        return await asyncio.wait_for(asyncio.shield(kept), node["d"] * SHIFT)
    except TimeoutError:
        return ["late", await outcome(kept)]


@construct
async def cancel(node: Node, c: Calls) -> Any:
    """Cancelled in the turn in which it began (0 shifts), or later."""
    running = branch(node["of"][0], c)
    if node["d"]:
        await asyncio.sleep(node["d"] * SHIFT)
    asked = running.cancel()
    try:
        return [asked, await outcome(running)]
    except asyncio.CancelledError:
        me = asyncio.current_task()
        if me is not None and me.cancelling():
            raise
        return "cancelled"


@construct
async def abandon(node: Node, c: Calls) -> Any:
    """Begun, and never asked for."""
    branch(node["of"][0], c)
    return "abandoned"


@construct
async def detach(node: Node, c: Calls) -> Any:
    await c.detach(node)
    return "detached"
