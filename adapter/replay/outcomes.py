"""How a promise ends: a value or an exception, as it is stored, unwrapped where it is wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.errors import PromiseCancelled, PromiseTimeout, Stuck
from adapter.protocol.records import Record, State


@dataclass(frozen=True, slots=True)
class Outcome:
    """A state, and the encoded value or exception. The one place that says which exception a state is."""

    state: State
    text: str = ""

    @classmethod
    def of(cls, record: Record) -> Outcome:
        """What stands."""
        return cls(record.state, record.value)

    def error(self, promise: str) -> BaseException | None:
        """What awaiting it raises; None for a value. ``promise`` names it.

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
        """The value, decoded; or its exception raised. ``promise`` names it."""
        error = self.error(promise)
        if error is not None:
            raise error
        return read(self.text)


def resolved(text: str) -> Outcome:
    """It ended with an encoded value."""
    return Outcome(State.RESOLVED, text)


def rejected(error: BaseException) -> Outcome:
    """It raised."""
    return Outcome(State.REJECTED, encode_exception(error))
