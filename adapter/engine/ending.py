"""Ending what a function started, when the function's code can't hear of it any more. Pure: it yields operations."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from adapter.codec.exceptions import encode_exception
from adapter.engine.operations import Close, Operation, Settle, Tell
from adapter.engine.telling import What
from adapter.errors import FunctionCrashed
from adapter.protocol.records import Kind, Record, State


def end(children: Sequence[Record]) -> Generator[Operation, Any, None]:
    """Cancel the promises whose outcome no code will hear."""
    for child in children:
        if child.pending:
            yield Settle(child.id, State.CANCELED, "", guarded=child.kind is Kind.CALL, by_parent=True)


def crashed(own: Record, children: Sequence[Record]) -> Generator[Operation, Any, str]:
    """Settle a function whose Lambda died too often. Its children end first: nothing else would end them."""
    yield from end(children)
    if not own.pending:
        yield Close(own.id)
        return "closed"
    error = FunctionCrashed(f"{own.fn} ({own.id}): its Lambda died, or failed outside of the function, too often")
    yield Settle(own.id, State.REJECTED, encode_exception(error))
    yield Tell(What.CRASHED, own.id, own.fn, {})
    return "settled"
