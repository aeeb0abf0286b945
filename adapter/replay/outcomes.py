"""How a promise ends: with a value or an exception. It stays encoded until a caller unwraps it. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.errors import CodecError, PayloadTooLarge, PromiseCancelled, PromiseTimeout, Stuck
from adapter.protocol.records import Record, State

if TYPE_CHECKING:
    from adapter.replay.steps import Request


@dataclass(frozen=True, slots=True)
class Outcome:
    """A state, and the encoded value or exception. Only this class says which exception a state becomes."""

    state: State
    text: str = ""

    @classmethod
    def of(cls, record: Record) -> Outcome:
        """The outcome that a record holds."""
        return cls(record.state, record.value)

    def error(self, promise: str) -> BaseException | None:
        """The exception that awaiting it raises; None for a value. ``promise`` is its id.

        Raises:
            CodecError: the stored exception can't be read.
            Stuck: it is pending.
        """
        match self.state:
            case State.RESOLVED:
                return None
            case State.REJECTED:
                return decode_exception(self.text)
            case State.CANCELED:
                return PromiseCancelled(f"{promise} was cancelled")
            case State.TIMEDOUT:
                return PromiseTimeout(f"{promise} timed out")
            case _:
                raise Stuck(f"{promise} is pending")

    def unwrap(self, read: Callable[[str], Any], promise: str) -> Any:
        """Return the decoded value, or raise the exception. ``promise`` is its id."""
        error = self.error(promise)
        if error is not None:
            raise error
        return read(self.text)


def resolved(text: str) -> Outcome:
    """The outcome of a function that returned: its encoded value."""
    return Outcome(State.RESOLVED, text)


def rejected(error: BaseException) -> Outcome:
    """The outcome of a function that raised."""
    return Outcome(State.REJECTED, encode_exception(error))


def of_task(task: asyncio.Task[Any], encode: Callable[[Any], str], name: str) -> Outcome:
    """The outcome of the function ``name``, whose task is done. ``encode`` encodes what it returned."""
    if task.cancelled():
        return Outcome(State.CANCELED, rejected(PromiseCancelled(f"{name} was cancelled from within")).text)
    error = task.exception()
    if error is None:
        try:
            return resolved(encode(task.result()))
        except (CodecError, PayloadTooLarge) as unstorable:
            error = unstorable
    return rejected(error)


def deliver(promise: asyncio.Future[Any], request: Request, record: Record) -> None:
    """Hand the outcome, decoded from what is stored, to the code. The first run does the same as every replay."""
    outcome = Outcome(record.state, record.value)
    try:
        error = outcome.error(record.id)
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
