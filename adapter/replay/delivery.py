"""How a stored outcome reaches the code that awaits it: when, and as what. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter.errors import CodecError
from adapter.protocol.records import Record
from adapter.protocol.times import NEVER
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Request


def due_for_delivery(record: Record) -> int:
    """When a settlement is due for delivery.

    What this function cancelled itself follows from a delivery that may not be in the journal yet: the replay makes it
    again, and cancels again. So everything else comes first.
    """
    return NEVER if record.by_parent else record.settled_at


def deliver(promise: Any, request: Request, record: Record) -> None:
    """Hand the outcome, decoded from what is stored, to the code: the first time as at every replay."""
    outcome = Outcome.of(record)
    try:
        error = outcome.error(promise.id)
        if error is None:
            value = _reader(request, record)(outcome.text)
    except CodecError as unreadable:
        error = unreadable
    if error is None:
        promise.set_result(value)
    elif isinstance(error, StopIteration):
        # A future can't carry it: inside a coroutine it would end the wrong thing.
        promise.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        promise.set_exception(error)


def _reader(request: Request, record: Record) -> Callable[[str], Any]:
    """As it was when the code first asked: a root may be gone by now, or be that of another function."""
    if request.read_as is not None and record.reads:
        return request.read_as(record.reads)
    return request.decode
