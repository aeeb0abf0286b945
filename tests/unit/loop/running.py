"""A durable loop by itself, and a program that runs in it to its end."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from adapter.replay.loop import DurableLoop, new_loop

NOW = 1_767_225_600_000_000
"""Logical microseconds, as large as they are in this century."""


class Left(Exception):
    """What ``on_io`` raises here."""


def make(name: str = "promise", now: int = NOW) -> tuple[DurableLoop, list[dict[str, Any]]]:
    """A loop, and what was told to its ``on_error``."""

    def refuse(operation: str) -> None:
        raise Left(operation)

    errors: list[dict[str, Any]] = []
    return new_loop(name, now, refuse, errors.append), errors


def run(loop: DurableLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """To its end, firing each timer when it is its turn."""
    task = loop.create_task(main)
    loop.run_ready()
    while not task.done() and (timer := loop.next_timer()) is not None:
        loop.fire(timer)
        loop.run_ready()
    return task.result()
