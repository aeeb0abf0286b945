"""``fn.map``: a fan-out of one function, wide ones in blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from adapter.api import requests
from adapter.api.blocks import map_blocks
from adapter.api.fan_out import fan_out
from adapter.api.requests import Options
from adapter.engine.registry import Definition
from adapter.errors import ConfigurationError
from adapter.replay.steps import Promise

WIDE = 500
"""A map of more items is run in blocks."""


def map_items(
    definition: Definition,
    options: Options,
    items: Iterable[Any],
    max_concurrency: int | None,
    return_exceptions: bool,
) -> asyncio.Task[list[Any]]:
    """Raises ConfigurationError: the limit isn't a positive whole number."""
    if max_concurrency is not None and max_concurrency < 1:
        raise ConfigurationError(f"max_concurrency is at least 1, got {max_concurrency!r}")
    waiting = list(items)
    scope = requests.scope_of(f"{definition.name}.map(...)")

    def call(item: Any) -> Promise[Any]:
        return requests.start_call(definition, options, (item,), {}, scope)

    if len(waiting) > WIDE:
        work = map_blocks(scope, definition, options, waiting, max_concurrency, return_exceptions)
    else:
        work = fan_out(call, waiting, max_concurrency, return_exceptions)
    return asyncio.get_running_loop().create_task(work)
