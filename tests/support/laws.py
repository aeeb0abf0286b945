"""What the simulation tests share: weathers, the table's history, and plain asyncio in virtual time to compare with."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from adapter import durable
from adapter.aws.items import to_item
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE

HOUR = 3600
WINDOW = 20
"""Seconds that a look or a removal may wait in the queue until its batch is handed over."""

STORM = Faults(crash=0.05, duplicate=0.2, reorder=0.3, delay=0.2, stale=0.3)


class Broken(Exception):
    """What `Calls.fails` raises."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Weather:
    """How a cloud behaves: ``cold`` replays at each resume, a ``seed`` draws faults."""

    name: str
    cold: bool = False
    seed: int | None = None

    @contextmanager
    def cloud(self) -> Iterator[LocalCloud]:
        faults = None if self.seed is None else STORM
        with LocalCloud(seed=self.seed or 0, faults=faults, engine="memory" if faults else ENGINE) as cloud:
            cloud.watchers.append(Limit())
            if self.cold:
                cloud.watchers.append(lambda event: forget(cloud))
            yield cloud


class Limit:
    """A cloud that never comes to rest fails its test instead of hanging it."""

    def __init__(self, events: int = 1500) -> None:
        self.left = events

    def __call__(self, event: Any) -> None:
        # That time passes is nothing that anybody does.
        self.left -= event.what != "later"
        if self.left < 0:
            pytest.fail(f"it never comes to rest: {event}")


def forget(cloud: LocalCloud) -> None:
    """No sandbox keeps a suspended function: each resume is a replay."""
    for function in cloud.service.functions.values():
        for memory in function.memories:
            memory.size = 0


@contextmanager
def nothing_is_kept(cloud: LocalCloud) -> Iterator[None]:
    """SQS refuses what would be kept for a Lambda that can't be invoked: whoever invokes it fails, too."""
    send = cloud._world.sqs.send_message

    def refuse(**message: Any) -> Any:
        if '"resume"' in message["MessageBody"] and message["QueueUrl"].endswith("Timers"):
            raise ConnectionError("SQS")
        return send(**message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud._world.sqs, "send_message", refuse)
        yield


WARM = Weather("warm")
COLD = Weather("cold", cold=True)
WEATHERS = [WARM, Weather("storm", seed=1), Weather("cold-storm", cold=True, seed=2)]

TIMELESS = ("id", "kind", "fn", "args", "digest", "state", "value", "seen", "wake")


def items(cloud: LocalCloud) -> list[dict[str, Any]]:
    """All that the table holds, by id, values untyped."""
    return [
        {"id": record.id, **{name: next(iter(typed.values())) for name, typed in to_item(record).items()}}
        for record in cloud.records()
    ]


def awaited(cloud: LocalCloud) -> list[str]:
    """What the index has an entry of, that of a removal aside."""
    return [record.id for record in cloud.records() if record.due_at is not None and not record.over]


def history(cloud: LocalCloud) -> list[dict[str, Any]]:
    """What was asked for, what came of it, and in which order it was delivered. Tracebacks name machines' lines."""
    return [
        {name: item.get(name) for name in TIMELESS if name != "value" or item["state"] == "resolved"}
        for item in items(cloud)
    ]


@durable
def step(value: int) -> int:
    return value


@durable
async def slow(value: int, hours: float) -> int:
    await asyncio.sleep(hours * HOUR)
    return value


@durable
def fails(message: str) -> int:
    raise Broken(message, 7)


@durable
async def fails_late(message: str, hours: float) -> int:
    await asyncio.sleep(hours * HOUR)
    raise Broken(message, 8)


class Calls:
    """Durable calls: each a function in a Lambda of its own."""

    step = staticmethod(step)
    slow = staticmethod(slow)
    fails = staticmethod(fails)
    fails_late = staticmethod(fails_late)


class PlainCalls:
    """The same functions as plain asyncio tasks."""

    def __getattr__(self, name: str) -> Callable[..., asyncio.Task[Any]]:
        function = getattr(Calls, name).__wrapped__

        async def call(*args: Any) -> Any:
            result = function(*args)
            return await result if asyncio.iscoroutine(result) else result

        return lambda *args: asyncio.get_running_loop().create_task(call(*args))


class _InstantSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "plain asyncio waits for ever"
        self.time += timeout
        return super().select(0)


class _InstantLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, whose time jumps to the next timer."""

    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._instant.time


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])


@contextmanager
def instant_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """asyncio's own loop in virtual time; what still runs in it at the end is cancelled."""
    loop = _InstantLoop()
    try:
        yield loop
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(_ended(task))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def plainly(program: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """What the program returns under plain asyncio."""
    with instant_loop() as loop:
        return loop.run_until_complete(program(PlainCalls()))
