"""What the promise of a map's block is read as: the outcomes of its calls, which stay on their own promises. Pure.

A block's own result says only that they are there; the engine reads them when the block's settlement is delivered to
the map. So no result of a block is ever too large.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from adapter.protocol.records import Record, State
from adapter.replay.outcomes import Outcome


def gathered(children: Sequence[Record]) -> str:
    """The states and values of a block's calls."""
    return json.dumps([[child.state.value, child.value] for child in children])


def outcomes(text: str, read: Callable[[str], Any], name: str) -> list[Any]:
    """What `gathered` wrote, each read as a call's is; what failed is an exception in its place."""
    return [_read(Outcome(State(state), value), read, f"a call of {name}") for state, value in json.loads(text)]


def _read(outcome: Outcome, read: Callable[[str], Any], name: str) -> Any:
    error = outcome.error(name)
    return read(outcome.text) if error is None else error
