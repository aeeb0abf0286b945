"""Running user code in this process: inline steps, plain functions, and functions that left the durable loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.engine.operations import RunCode, RunLeft
from adapter.replay.leaving import run_to_end
from adapter.replay.outcomes import Outcome, rejected, resolved
from adapter.replay.steps import Scope, current


@dataclass(frozen=True, slots=True)
class CodeRunner:
    """Runs user code in this process. Each piece runs under the scope of its promise."""

    def run(self, operations: Sequence[RunCode]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting: dict[int, Any] = {}
        for position, operation in enumerate(operations):
            context = contextvars.copy_context() if operation.context is None else operation.context.copy()
            context.run(current.set, Scope(operation.id, operation.now, operation.fork))
            try:
                value = context.run(operation.code)
                if inspect.isawaitable(value):
                    waiting[position] = (context, value)
                else:
                    outcomes[position] = resolved(operation.encode(value))
            except Exception as error:
                outcomes[position] = rejected(error)
        if waiting:
            for position, value in zip(waiting, _await_all(list(waiting.values())), strict=True):
                outcomes[position] = _encoded(value, operations[position].encode)
        return [outcomes[position] for position in range(len(operations))]

    def run_left(self, operation: RunLeft) -> Outcome:
        try:
            return resolved(operation.encode(run_to_end(operation.task, operation.loop)))
        except (Exception, asyncio.CancelledError) as error:
            return rejected(error)


def _encoded(value: object, encode: Callable[[Any], str]) -> Outcome:
    if isinstance(value, BaseException):
        return rejected(value)
    try:
        return resolved(encode(value))
    except Exception as error:
        return rejected(error)


def _await_all(started: list[tuple[contextvars.Context, Any]]) -> list[Any]:
    async def one(awaitable: Any) -> Any:
        return await awaitable

    async def everything() -> list[Any]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(one(awaitable), context=context) for context, awaitable in started]
        return await asyncio.gather(*tasks, return_exceptions=True)

    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return asyncio.run(everything())
    finally:
        asyncio._set_running_loop(outer)
