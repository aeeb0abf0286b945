"""The result of a map's block: the outcomes of its calls, which stay on the calls' own promises. Pure.

A block's own result only says that they are there. The engine reads them when it delivers the block's settlement to the
map. So no block's result is ever too large.
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
    """The outcomes that `gathered` wrote, each read as a call's is. A failed call's place holds its exception."""
    return [_read(Outcome(State(state), value), read, f"a call of {name}") for state, value in json.loads(text)]


def _read(outcome: Outcome, read: Callable[[str], Any], name: str) -> Any:
    error = outcome.error(name)
    return read(outcome.text) if error is None else error
