"""Blocks of a wide map, each run by a function of its own: one parent would write, invoke and read them all.

A block's results stay where they are, on the promises of its calls. Its own result says only that they are there; the
engine reads them when the block's settlement is delivered to the map. So no result of a block is ever too large.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapter import maps
from adapter.errors import PromiseCancelled, PromiseTimeout
from adapter.exceptions import decode_exception
from adapter.functions import Durable, Options, durable, find
from adapter.outcomes import SPREAD
from adapter.promises import Record, State
from adapter.retries import read
from adapter.steps import Promise, Scope

BLOCK = 250
"""Items: what one partition holds of a function's children."""

BLOCK_CHARACTERS = 40_000
"""Of encoded arguments: a block's are in one record."""


@dataclass(kw_only=True)
class Block:
    """Some items of a map, encoded, with the options of the call."""

    fn: str
    args: list[str]
    limit: int | None
    collect: bool
    target: str
    retry: str
    timeout: float | None
    tags: dict[str, str]


@durable(name=SPREAD)
async def spread(block: Block) -> None:
    """Call the function with each item of a block. Its outcomes are read from the promises of these calls."""
    function: Durable[..., Any] = find(block.fn)
    options = Options(
        target=block.target,
        timeout=block.timeout,
        tags=block.tags,
        retry=read(block.retry) if block.retry else None,
        called_with=block.retry,
    )
    one: Durable[..., Any] = Durable(function.function, function.name, options, function.signature)
    decoded = [_only(*function.signature.decode_args(args)) for args in block.args]
    await maps.map_items(one, decoded, block.limit, block.collect)


def _only(positional: Sequence[Any], named: dict[str, Any]) -> Any:
    return [*positional, *named.values()][0]


def blocks_of(function: Durable[..., Any], items: Sequence[Any], limit: int | None, collect: bool) -> list[Block]:
    """The items in blocks, the limit divided among them."""
    options = function.options
    return [
        Block(
            fn=function.name,
            args=args,
            limit=limit,
            collect=collect,
            target=options.target,
            retry=options.called_with,
            timeout=options.timeout,
            tags=dict(options.tags),
        )
        for args in _portions([function.encode_args((item,), {}) for item in items])
    ]


def _portions(encoded: list[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for text in encoded:
        if portion and (len(portion) == BLOCK or size + len(text) > BLOCK_CHARACTERS):
            yield portion
            portion, size = [], 0
        portion.append(text)
        size += len(text)
    yield portion


def begin(scope: Scope, function: Durable[..., Any], block: Block) -> Promise[list[Any]]:
    """Run a block; its results, each decoded as a call's is."""
    request = spread._request(spread.encode_args((block,), {}), scope)
    return scope.request(lambda ordinal: replace(request(ordinal), decode=lambda text: _outcomes(function, text)))


def gathered(children: Sequence[Record]) -> str:
    """What a block's promise is read as: the states and values of its calls."""
    return json.dumps([[child.state.value, child.value] for child in children])


def _outcomes(function: Durable[..., Any], text: str) -> list[Any]:
    return [_outcome(function, State(state), value) for state, value in json.loads(text)]


def _outcome(function: Durable[..., Any], state: State, value: str) -> Any:
    match state:
        case State.RESOLVED:
            return function.read(value)
        case State.REJECTED:
            return decode_exception(value)
        case State.TIMEDOUT:
            return PromiseTimeout(f"a call of {function.name} timed out")
        case _:
            return PromiseCancelled(f"a call of {function.name} was cancelled")


async def map_blocks(
    scope: Scope, function: Durable[..., Any], items: Sequence[Any], limit: int | None, collect: bool
) -> list[Any]:
    """A wide map by blocks; as many of them at a time as the limit allows, each with its part of it."""
    at_once = len(items) if limit is None else -(-limit // 10)
    share = None if limit is None else limit // at_once
    blocks = blocks_of(function, items, share, collect)

    async def run(block: Block) -> list[Any]:
        return await begin(scope, function, block)

    if at_once >= len(blocks):
        results = await maps.together([asyncio.ensure_future(begin(scope, function, block)) for block in blocks], False)
    else:
        results = await maps.limited(run, blocks, at_once, False)
    return [outcome for result in results for outcome in result]


maps.spreader.append(map_blocks)
