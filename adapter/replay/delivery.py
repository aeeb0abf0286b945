"""How a stored outcome reaches the code that awaits it: when, and as what. Pure."""

from __future__ import annotations

from typing import Any

from adapter.codec.exceptions import decode_exception
from adapter.errors import CodecError, PromiseCancelled, PromiseTimeout
from adapter.protocol.promises import Record, State
from adapter.protocol.times import NEVER

BY_PARENT = '"by its parent"'
"""The value of a promise that the function which made it has cancelled."""


def due_for_delivery(record: Record) -> int:
    """When a settlement is due for delivery.

    What this function cancelled itself follows from a delivery that may not be in the journal yet: the replay makes it
    again, and cancels again. So everything else comes first.
    """
    own = record.state is State.CANCELED and record.value == BY_PARENT
    return NEVER if own else record.settled_at


def deliver(promise: Any, record: Record) -> None:
    """Hand the outcome, decoded from what is stored, to the code: the first time as at every replay."""
    match record.state:
        case State.RESOLVED:
            try:
                request = promise.request
                # As it was when the link was made: its root may be gone by now, or be that of another function.
                stored = request.read_as is not None and record.reads
                decode = request.read_as(record.reads) if stored else request.decode
                promise.set_result(decode(record.value))
            except CodecError as unreadable:
                _reject(promise, unreadable)
        case State.REJECTED:
            try:
                error: BaseException = decode_exception(record.value)
            except CodecError as unreadable:
                error = unreadable
            _reject(promise, error)
        case State.CANCELED:
            _reject(promise, PromiseCancelled(f"{promise.id} was cancelled"))
        case _:
            _reject(promise, PromiseTimeout(f"{promise.id} timed out"))


def _reject(promise: Any, error: BaseException) -> None:
    if isinstance(error, StopIteration):
        # A future can't carry it: inside a coroutine it would end the wrong thing.
        error = RuntimeError(f"StopIteration: {error}")
    promise.set_exception(error)
