"""How a promise ends: with a value or an exception. It stays encoded until a caller unwraps it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.errors import PromiseCancelled, PromiseTimeout, Stuck
from adapter.protocol.records import Record, State


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
