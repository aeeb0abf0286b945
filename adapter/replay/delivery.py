"""How a stored outcome reaches the code that awaits it: when, and as what. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter.errors import CodecError
from adapter.protocol.records import Record
from adapter.protocol.times import NEVER, Instant
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Request


def due_for_delivery(record: Record) -> Instant:
    """When a settlement is due for delivery.

    A promise that this function cancelled itself comes last. The cancellation follows from a delivery that may not be
    in the journal yet, so a replay has to make that delivery first, and then cancels again.
    """
    return NEVER if record.by_parent else record.settled_at


def deliver(promise: Any, request: Request, record: Record) -> None:
    """Hand the outcome, decoded from what is stored, to the code. The first run does the same as every replay."""
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
        # A future can't carry a StopIteration: it would end the coroutine that awaits it.
        promise.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        promise.set_exception(error)


def _reader(request: Request, record: Record) -> Callable[[str], Any]:
    """The reader that the code's first request found: the root may be gone by now, or be another function's."""
    if request.read_as is not None and record.reads:
        return request.read_as(record.reads)
    return request.decode
