"""Wide fan-outs of one function: results in order, at most so many calls at a time. Pure asyncio.

The limit needs no record of its own: calls that are pending are counted by the code, and a replay counts them alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from adapter.errors import ConfigurationError
from adapter.steps import current

WIDE = 500
"""Items beyond which a map is run in blocks."""

spreader: list[Callable[..., Coroutine[Any, Any, list[Any]]]] = []
"""What runs a map in blocks; `adapter.spreading` puts it here, which knows durable functions."""


def map_items(
    function: Callable[[Any], Any], items: Iterable[Any], max_concurrency: int | None, return_exceptions: bool
) -> asyncio.Task[list[Any]]:
    """Raises ConfigurationError: the limit isn't a positive whole number."""
    if max_concurrency is not None and max_concurrency < 1:
        raise ConfigurationError(f"max_concurrency is at least 1, got {max_concurrency!r}")
    waiting = list(items)
    if len(waiting) > WIDE and spreader:
        work = spreader[0](current.get(), function, waiting, max_concurrency, return_exceptions)
    elif max_concurrency is None or max_concurrency >= len(waiting):
        work = together([function(item) for item in waiting], return_exceptions)
    else:
        work = limited(function, waiting, max_concurrency, return_exceptions)
    return asyncio.get_running_loop().create_task(work)


async def limited(
    function: Callable[[Any], Any], waiting: list[Any], max_concurrency: int, return_exceptions: bool
) -> list[Any]:
    results: list[Any] = [None] * len(waiting)
    numbered = iter(enumerate(waiting))

    async def worker() -> None:
        for position, item in numbered:
            try:
                results[position] = await function(item)
            except Exception as error:
                if not return_exceptions:
                    raise
                results[position] = error

    await together([asyncio.ensure_future(worker()) for _ in range(max_concurrency)], False)
    return results


async def together(futures: list[asyncio.Future[Any]], return_exceptions: bool) -> list[Any]:
    try:
        return await asyncio.gather(*futures, return_exceptions=return_exceptions)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
