"""Attempts of a function that makes durable calls: they share one execution and its journal. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from adapter.protocol.records import Record
from adapter.protocol.retries import Retry
from adapter.protocol.times import SECOND

R = TypeVar("R")


class Tried(Protocol):
    """What attempts ask of their execution."""

    @property
    def own(self) -> Record: ...
    @property
    def is_leaf(self) -> bool: ...
    def forget(self) -> None: ...


async def attempts(execution: Tried, body: Callable[[], Coroutine[Any, Any, R]], policy: Retry) -> R:
    """Run a body, and run it again if it fails after durable calls. The delays are the function's own durable timers.

    If it fails before any durable call, the error is raised: the engine makes the next attempt in an invocation of its
    own.
    """
    attempt = 1
    while True:
        try:
            async with asyncio.timeout(policy.attempt_timeout):
                return await body()
        except Exception as error:
            if execution.is_leaf or not policy.again(error, attempt):
                raise
            delay = policy.delay(attempt, execution.own.id)
        execution.forget()
        await asyncio.sleep(delay / SECOND)
        attempt += 1
