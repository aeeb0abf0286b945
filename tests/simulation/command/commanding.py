"""Executions that the command `durable` looks at and acts on, and the command as a person calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import CliRunner, Result

from adapter import durable, promise, run
from adapter.cli.commands import durable as command
from adapter.testing import LocalCloud
from tests.support.laws import slow, step

SECRET = "4711-0815"


@durable(name="command:approval")
async def approval(order: str) -> bool:
    return await promise(bool)


@durable(name="command:checkout")
async def checkout(order: str) -> list[Any]:
    await run(str, order)
    return await asyncio.gather(approval(order), slow(1, 48))


@durable(name="command:deadlock")
async def deadlock() -> None:
    await asyncio.Event().wait()


@durable(name="command:wide")
async def wide(count: int) -> None:
    await asyncio.gather(*(step(n) for n in range(count)), promise(str), promise(int))


changed = [False]


@durable(name="command:drifts")
async def drifts(secret: str) -> str:
    if changed[0]:
        await step(99)
    return await promise(str)


@durable(name="command:calls drifting")
async def calls_drifting() -> str:
    return await drifts(SECRET)


def invoke(*arguments: str, **options: Any) -> Result:
    """A command as the shell runs it; what isn't meant to end so fails the test."""
    result = CliRunner().invoke(command, list(arguments), **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(*arguments: str) -> str:
    """What a command that succeeds prints."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str, **options: Any) -> str:
    """What a command says that fails, in one line; it prints nothing else."""
    result = invoke(*arguments, **options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@contextmanager
def unchanged(cloud: LocalCloud) -> Iterator[None]:
    """Nothing is written, and nobody invoked."""
    before, accepted = cloud.records(), cloud.service.accepted
    yield
    assert (cloud.records(), cloud.service.accepted) == (before, accepted)
