"""Random programs under plain asyncio, in virtual time: what a durable run must come to.

A call is a future over a task. The future is cancelled at once and its task cleans up alone, as a durable call does; a
function ends when all that it began has ended. Latencies are random: what depends on them says nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from adapter.errors import PromiseCancelled, PromiseTimeout
from tests.faults.chaos.constructs import SHIFT, Broken, Node, interpret, told
from tests.support.laws import instant_loop

SLOWEST = 120
"""Seconds that a call takes beyond what its body does."""

ATTEMPTS = 4
PAUSE = 60
TURN = 20
"""Rounds of the loop in which everything that doesn't wait has come to rest."""

UNCOUNTED = ("ask", "tock")
"""Leaves whose labels aren't the program's."""


class Call(asyncio.Future[Any]):
    """A durable call's promise."""

    def __init__(self, body: Coroutine[Any, Any, Any], timeout: float | None = None) -> None:
        super().__init__()
        self.task = asyncio.ensure_future(body)
        self.task.add_done_callback(self._ended)
        if timeout is not None:
            self.get_loop().call_later(timeout, self._expire)

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        self.task.cancel()
        return True

    def _expire(self) -> None:
        if not self.done():
            self.set_exception(PromiseTimeout())
            self.task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = PromiseCancelled() if task.cancelled() else task.exception()
        if self.done():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


class World:
    """One plain run. ``ledger``: the steps that ended, by label."""

    def __init__(self, seed: int | None) -> None:
        self.random = random.Random(seed)
        self.slowest = 0 if seed is None else SLOWEST
        self.ledger: Counter[str] = Counter()
        self.ticks: Counter[str] = Counter()
        self.roots: dict[str, Call] = {}
        self.detached: list[Call] = []

    async def latency(self) -> None:
        # Never none: what is called begins when the caller next awaits, and ends later.
        # Mostly short, so that a long way may be faster than a short one.
        await asyncio.sleep(1 + self.random.random() ** 4 * self.slowest)

    async def function(self, node: Node, retry: bool = False) -> Any:
        await self.latency()
        scope = InAsyncio(self)
        try:
            value = await self._attempts(node, scope, ATTEMPTS if retry else 1)
        except BaseException:
            await scope.wind_down()
            scope.cancel_calls()
            raise
        try:
            await scope.wind_down()
            await scope.calls_ended()
        except asyncio.CancelledError:
            await scope.tasks_ended()
            scope.cancel_calls()
            raise
        await self.latency()
        return value

    async def _attempts(self, node: Node, scope: InAsyncio, attempts: int) -> Any:
        while True:
            attempts -= 1
            try:
                return await interpret(node, scope)
            except Exception:
                if not attempts:
                    raise
            scope.forget()
            await asyncio.sleep(PAUSE)


class InAsyncio:
    """`tests.faults.chaos.constructs.Calls` as plain tasks: the scope of one function."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: list[asyncio.Task[Any]] = []
        self._calls: list[Call] = []
        self._outside: list[asyncio.Future[Any]] = []

    # What programs ask for.

    def call(self, node: Node) -> asyncio.Future[Any]:
        if node.get("id") is not None:
            follower = Call(self._followed(node))
            self._outside.append(follower)
            return follower
        shifts = node.get("timeout")
        body = self._world.function(node["of"][0], bool(node.get("retry")))
        return self._begun(Call(body, shifts * SHIFT if shifts else None))

    async def _followed(self, node: Node) -> Any:
        """Ends as the root of the id does. Cancelled, it leaves the root alone; if at once, it never begins it."""
        await self._world.latency()
        if node["id"] not in self._world.roots:
            self._world.roots[node["id"]] = Call(self._world.function(node["of"][0], bool(node.get("retry"))))
        root = self._world.roots[node["id"]]
        await asyncio.wait([root])
        return root.result()

    def detach(self, node: Node) -> asyncio.Future[Any]:
        return self._begun(Call(self._detached(node)))

    async def _detached(self, node: Node) -> None:
        await self._world.latency()
        self._world.detached.append(Call(self._world.function(node["of"][0])))

    def map(self, node: Node) -> asyncio.Future[list[Any]]:
        return self.spawn(self._map(node["of"], node.get("limit") or len(node["of"]), bool(node.get("collect"))))

    async def _map(self, nodes: list[Node], limit: int, collect: bool) -> list[Any]:
        places, running = asyncio.Semaphore(limit), []

        async def one(node: Node) -> Any:
            async with places:
                return await self._begun(Call(self._world.function(node)))

        running = [self.spawn(one(node)) for node in nodes]
        try:
            return await asyncio.gather(*running, return_exceptions=collect)
        finally:
            for task in running:
                task.cancel()

    def leaf(self, kind: str, label: str, times: int = 0, place: str = "") -> asyncio.Future[Any]:
        return self._begun(Call(self._leaf(kind, label)))

    async def _leaf(self, kind: str, label: str) -> Any:
        await self._world.latency()
        if kind == "fails":
            raise Broken(label)
        self._world.ticks[label] += kind == "tick"
        await self._world.latency()
        if kind not in UNCOUNTED:
            self._world.ledger[label] += 1
        return self._world.ticks[label] - 1 if kind == "tick" else label

    def read(self, mark: Any) -> Any:
        return mark

    async def external(self, label: str, shifts: int | None, how: str) -> Any:
        asked = asyncio.get_running_loop().create_future()
        self._outside.append(asked)
        await self.leaf("ask", label)
        if shifts is not None:
            asked.get_loop().call_later(shifts * SHIFT, _settle, asked, label, how)
        return await asked

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        self._tasks.append(asyncio.ensure_future(work))
        return self._tasks[-1]

    def _begun(self, call: Call) -> Call:
        self._calls.append(call)
        return call

    # How a function ends.

    async def wind_down(self) -> None:
        """What it left running gets as far as it can without waiting; then it is cancelled, and cleans up."""
        for _ in range(TURN):
            await asyncio.sleep(0)
        for task in [task for task in self._tasks if not task.done()]:
            task.cancel()
        await self.tasks_ended()
        for one in self._outside:
            one.cancel()

    async def tasks_ended(self) -> None:
        while running := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(running)

    async def calls_ended(self) -> None:
        while running := [call for call in self._calls if not call.done()]:
            await asyncio.wait(running)

    def cancel_calls(self) -> None:
        for call in (*self._calls, *self._outside):
            call.cancel()

    def forget(self) -> None:
        """An attempt failed."""
        for task in self._tasks:
            task.cancel()
        self.cancel_calls()


def _settle(asked: asyncio.Future[Any], label: str, how: str) -> None:
    if asked.done():
        return
    if how == "resolve":
        asked.set_result(label)
    else:
        asked.set_exception(Broken(label) if how == "reject" else PromiseCancelled())


def plainly(node: Node, cancel_after: int | None, seed: int | None) -> tuple[Any, Counter[str]]:
    """What the program comes to as a function of its own, and the steps that ended.

    Args:
        cancel_after: shifts after which the program is cancelled from outside.
        seed: of the latencies; None for short and equal ones.
    """
    world = World(seed)

    async def play() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        root = Call(world.function(node))
        if cancel_after is not None:
            root.get_loop().call_later(cancel_after * SHIFT, root.cancel)
        await asyncio.wait([root])
        result = told(PromiseCancelled()) if root.cancelled() else _told(root)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        return result

    with instant_loop() as loop:
        return loop.run_until_complete(play()), world.ledger


def _told(root: Call) -> Any:
    error = root.exception()
    return told(error) if error is not None else root.result()
