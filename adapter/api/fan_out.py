"""Many calls at a time, with or without a limit: plain asyncio.

A limit needs no record of its own: this code counts the pending calls, and a replay counts them in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any


async def limited(
    call: Callable[[Any], Any], items: Sequence[Any], max_concurrency: int, return_exceptions: bool
) -> list[Any]:
    """The results in the order of the items. At most ``max_concurrency`` calls are pending at a time."""
    results: list[Any] = [None] * len(items)
    numbered = iter(enumerate(items))

    async def worker() -> None:
        for position, item in numbered:
            try:
                results[position] = await call(item)
            except Exception as error:
                if not return_exceptions:
                    raise
                results[position] = error

    await together([asyncio.ensure_future(worker()) for _ in range(max_concurrency)], False)
    return results


async def together(futures: Sequence[asyncio.Future[Any]], return_exceptions: bool) -> list[Any]:
    """The same as `asyncio.gather`, but the first failure cancels the others."""
    try:
        return await asyncio.gather(*futures, return_exceptions=return_exceptions)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def fan_out(
    call: Callable[[Any], Any], items: Sequence[Any], max_concurrency: int | None, return_exceptions: bool
) -> Coroutine[Any, Any, list[Any]]:
    """Call with each item, at most so many at a time. Without a limit, all calls are made before this returns."""
    if max_concurrency is None or max_concurrency >= len(items):
        return together([call(item) for item in items], return_exceptions)
    return limited(call, items, max_concurrency, return_exceptions)
