"""Blocks of a wide map, each run by a function of its own.

One parent alone would have to write, invoke and read all calls.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapter.api import requests
from adapter.api.fan_out import fan_out, limited, together
from adapter.api.requests import Options
from adapter.codec import Signature
from adapter.engine import registry
from adapter.engine.registry import Definition, define
from adapter.protocol.making import changed
from adapter.protocol.records import BLOCK_FUNCTION
from adapter.replay.blocks import outcomes
from adapter.replay.steps import Place, Promise, Request, Scope

BLOCK = 250
"""Items of a block: one partition holds so many of a function's children."""

BLOCK_CHARACTERS = 40_000
"""Characters of a block's encoded arguments: they are in one record."""


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
    place: Place = Place.LAMBDA


async def run_block(block: Block) -> None:
    """Call the function with each item of a block. The map reads the outcomes from the promises of these calls."""
    definition = registry.find(block.fn)
    options = Options(target=block.target, retry=block.retry, timeout=block.timeout, tags=block.tags, place=block.place)
    scope = requests.scope_of("a block of a map")
    items = [_only(*definition.signature.decode_args(args)) for args in block.args]

    def call(item: Any) -> Promise[Any]:
        return requests.start_call(definition, options, (item,), {}, scope)

    await fan_out(call, items, block.limit, block.collect)


_RUNS_BLOCKS = Definition(
    name=BLOCK_FUNCTION, function=run_block, signature=Signature(run_block, BLOCK_FUNCTION, globals())
)
define(_RUNS_BLOCKS)


def _only(positional: Sequence[Any], named: dict[str, Any]) -> Any:
    return [*positional, *named.values()][0]


def blocks_of(
    definition: Definition, options: Options, items: Sequence[Any], limit: int | None, collect: bool
) -> list[Block]:
    """The items in blocks. ``limit`` is the share of each block."""
    return [
        Block(
            fn=definition.name,
            args=args,
            limit=limit,
            collect=collect,
            target=options.target,
            retry=options.retry,
            timeout=options.timeout,
            tags=dict(options.tags),
            place=options.place,
        )
        for args in _portions([requests.encoded(definition, (item,), {}) for item in items])
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


def start_block(scope: Scope, definition: Definition, block: Block) -> Promise[list[Any]]:
    """Start a block. Its promise gives the results, each decoded as a call's is."""
    read = functools.partial(outcomes, read=definition.signature.decode_result, name=definition.name)
    asked = _call_of(block, scope)
    # A replay that asks for another placement asks for the same block.
    alike = asked if block.place is Place.LAMBDA else _call_of(replace(block, place=Place.LAMBDA), scope)
    return scope.request(changed(asked, digest=alike.digest, decode=read))


def _call_of(block: Block, scope: Scope) -> Request:
    return requests.call(_RUNS_BLOCKS, Options(), requests.encoded(_RUNS_BLOCKS, (block,), {}), scope)


async def map_blocks(
    scope: Scope, definition: Definition, options: Options, items: Sequence[Any], limit: int | None, collect: bool
) -> list[Any]:
    """Run a wide map in blocks. The limit is divided among the blocks that run at a time."""
    at_once = len(items) if limit is None else -(-limit // 10)
    share = None if limit is None else limit // at_once
    blocks = blocks_of(definition, options, items, share, collect)

    async def run(block: Block) -> list[Any]:
        return await start_block(scope, definition, block)

    if at_once >= len(blocks):
        begun = [asyncio.ensure_future(start_block(scope, definition, block)) for block in blocks]
        results = await together(begun, False)
    else:
        results = await limited(run, blocks, at_once, False)
    return [outcome for result in results for outcome in result]
