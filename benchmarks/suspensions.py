"""Many suspensions in one process, none resumed there: ``python -m benchmarks.suspensions [COUNT] [SECONDS]``.

A busy orchestrator whose resumes always come to other sandboxes. It prints how much memory the process takes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from adapter.aws.sandbox import resident
from adapter.engine.memory import Memory
from adapter.protocol.records import Kind, Record
from adapter.replay.execution import Execution
from adapter.replay.steps import Flush, Request, Suspended, current


def ask() -> Any:
    scope = current.get()
    assert scope is not None
    return scope.request(Request(kind=Kind.EXTERNAL, fn="", args="", digest="d", decode=str))


async def one(text: str) -> None:
    async with asyncio.timeout(3_600):
        await ask()


async def body() -> None:
    """Three tasks in a group, and 100 KB in its variables."""
    text = "x" * 100_000
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(one(text))


def suspended(number: int) -> Execution:
    execution = Execution(Record(id=f"r{number}", created_at=1), (), body, encode_result=str)
    while not isinstance(step := execution.advance(1), Suspended):
        assert isinstance(step, Flush)
        for request in step.requests:
            seen = step.seen if request is step.leader else None
            execution.learn(Record(id=request.id, kind=Kind.EXTERNAL, digest="d", seen=seen, created_at=1))
    return execution


def main(count: int, seconds: float) -> None:
    """Keep each as a sandbox does. What the memory has no room for is abandoned."""
    memory, begun = Memory(size=2**20), time.monotonic()
    for number in range(count):
        memory.keep(f"r{number}", suspended(number), number)
        if number + 1 in (1_000, 3_000) or not (number + 1) % (count // 10):
            took = time.monotonic() - begun
            print(
                f"{number + 1:>9} suspensions: {resident() / 2**20:6.1f} MB, {1e6 * took / (number + 1):.0f} µs each",
                flush=True,
            )
            if took > seconds:
                print("out of time")
                return


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    main(int(arguments[0]) if arguments else 1_000_000, arguments[1] if len(arguments) > 1 else 1_200)
