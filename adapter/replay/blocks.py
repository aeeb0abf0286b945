"""What the promise of a map's block is read as: the outcomes of its calls, which stay on their own promises. Pure.

A block's own result says only that they are there; the engine reads them when the block's settlement is delivered to
the map. So no result of a block is ever too large.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from adapter.codec.exceptions import decode_exception
from adapter.errors import PromiseCancelled, PromiseTimeout
from adapter.protocol.promises import Record, State


def gathered(children: Sequence[Record]) -> str:
    """The states and values of a block's calls."""
    return json.dumps([[child.state.value, child.value] for child in children])


def outcomes(text: str, read: Callable[[str], Any], name: str) -> list[Any]:
    """What `gathered` wrote, each read as a call's is; what failed is an exception in its place."""
    return [_outcome(State(state), value, read, name) for state, value in json.loads(text)]


def _outcome(state: State, value: str, read: Callable[[str], Any], name: str) -> Any:
    match state:
        case State.RESOLVED:
            return read(value)
        case State.REJECTED:
            return decode_exception(value)
        case State.TIMEDOUT:
            return PromiseTimeout(f"a call of {name} timed out")
        case _:
            return PromiseCancelled(f"a call of {name} was cancelled")
