"""Leaving the durable loop: the same loop object, as an ordinary event loop with real time and real sockets.

A function that makes no durable call may await real I/O. Its tasks and futures hold a reference to their loop, so the
loop object stays: it changes its class, and keeps its ready callbacks and its pending timers.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Any

from adapter.replay.loop import DurableLoop


class OrdinaryLoop(asyncio.SelectorEventLoop):
    """An ordinary loop whose clock goes on from the logical time at which the durable loop was left."""

    _offset: float = 0.0

    def time(self) -> float:
        return time.monotonic() + self._offset


def become_ordinary(loop: DurableLoop) -> None:
    """Turn a durable loop, in the middle of a turn, into an ordinary one."""
    ready, timers, now = loop.take_ready(), loop.pending_timers(), loop.time()
    changed: Any = loop
    changed.__class__ = OrdinaryLoop
    OrdinaryLoop.__init__(changed)
    changed._offset = now - time.monotonic()
    changed._ready.extend(ready)
    for timer in timers:
        timer._scheduled = True  # type: ignore[attr-defined]
        heapq.heappush(changed._scheduled, timer)


def run_to_end(task: asyncio.Task[Any], loop: Any) -> Any:
    """Do the rest of what `asyncio.run` does: return the task's result, and leave a clean loop."""
    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return loop.run_until_complete(task)
    finally:
        try:
            leftover = [other for other in asyncio.all_tasks(loop) if not other.done()]
            for other in leftover:
                other.cancel()
            loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True)) if leftover else None
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
            asyncio._set_running_loop(outer)
