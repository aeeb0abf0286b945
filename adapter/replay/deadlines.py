"""Deadlines of a function's promises: each is a timer of the function's own loop. Pure."""

from __future__ import annotations

import asyncio

from adapter.protocol.times import SECOND, Instant
from adapter.replay.loop import DurableLoop


class Deadlines:
    """The deadlines that a function watches, and those that have ``passed`` since they were last taken."""

    def __init__(self, loop: DurableLoop) -> None:
        self._loop = loop
        self._watched: dict[int, asyncio.TimerHandle] = {}
        self.passed: list[int] = []

    def watch(self, ordinal: int, deadline: Instant) -> None:
        """``deadline`` in logical microseconds."""
        self._watched[ordinal] = self._loop.call_at(deadline / SECOND, self.passed.append, ordinal)

    def drop(self, ordinal: int) -> None:
        """Stop watching: the code has heard of the promise, or doesn't want to any more."""
        timer = self._watched.pop(ordinal, None)
        if timer is not None:
            timer.cancel()

    def take_passed(self) -> list[int]:
        passed = self.passed[:]
        # In place: the timers append to this very list.
        self.passed.clear()
        return passed
