"""From outside of an execution: start, look at, settle and wait for promises.

All of it goes through this process's host: `adapter.engine.host`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from adapter.codec import decode, encode_natural
from adapter.codec.exceptions import encode_exception
from adapter.engine import hosts
from adapter.engine.registry import reader
from adapter.errors import (
    AlreadySettled,
    CodecError,
    IdConflict,
    NotDurable,
    UnknownPromise,
)
from adapter.protocol.ids import is_id
from adapter.protocol.promises import Refusal, Refused
from adapter.protocol.records import Kind, Record, State, digest_of
from adapter.replay.execution import Execution
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Request, current

R = TypeVar("R")
T = TypeVar("T")


class Handle(Generic[R]):
    """A promise, seen from outside."""

    def __init__(self, promise: str, read: Callable[[str], Any], fn: str = "") -> None:
        self.id = promise
        self._read = read
        self._fn = fn

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    def status(self) -> State:
        """The state that stands now.

        Raises:
            UnknownPromise: there is no such promise.
        """
        return self._record().state

    def result(self, timeout: float | None = None) -> R:
        """Wait until it settles, for at most ``timeout`` seconds. Return its value or raise its exception.

        Raises:
            TimeoutError: it is still pending after ``timeout`` seconds. It goes on all the same.
            Paused: its code drifted from its history, so it stands still.
            UnknownPromise: there is no such promise.
        """
        record = hosts.current().wait(self.id, timeout)
        if record is None:
            self._record()
            raise TimeoutError(f"{self.id} is still pending after {timeout} s")
        value: R = Outcome.of(record).unwrap(self._read, record.id)
        return value

    def __await__(self) -> Generator[Any, None, R]:
        """Inside a durable function: wait until it settles, as for any promise.

        Raises:
            UnknownPromise: there is no such promise.
            NotDurable: outside of a durable function; there, `result` waits.
        """
        scope = current.get()
        if scope is None:
            raise NotDurable(f"await {self!r} outside of a durable function: use .result()")
        return scope.request(self._follow()).__await__()

    def _follow(self) -> Request:
        return Request(
            kind=Kind.FOLLOW,
            fn="",
            args="",
            digest=digest_of(Kind.FOLLOW, "", self.id),
            decode=self._read,
            root=self.id,
            reads=self._fn,
            read_as=reader if self._fn else None,
        )

    def cancel(self) -> None:
        """Settle it ``rejected_canceled``: its function sees CancelledError. Raises as `resolve` does."""
        cancel(self.id)

    def _record(self) -> Record:
        record = hosts.current().read_promise(self.id)
        if record is None:
            raise UnknownPromise(f"there is no promise {self.id!r}")
        return record


def started(record: Record, read: Callable[[str], Any], timeout: float | None = None) -> Handle[Any]:
    """Start a root, or find it if the same one was started before.

    Raises:
        IdConflict: the id is taken by another function, or by other arguments.
    """
    stands = hosts.current().start(record, timeout)
    if stands.digest != record.digest:
        what = "with other arguments" if stands.fn == record.fn else f"of {stands.fn or 'an external promise'}"
        raise IdConflict(f"{record.id!r} is already an execution {what}; {record.fn} was not started")
    return Handle(record.id, read)


def attach(promise: str) -> Handle[Any]:
    """A handle on a promise. It reads the value by the function's annotation, if this process knows the function.

    Inside a durable function, await the handle. Only the await notices that there is no such promise.

    Raises:
        UnknownPromise: there is no such promise.
    """
    if current.get() is not None:
        if not is_id(promise):
            raise UnknownPromise(f"there is no promise {promise!r}")
        # A replay must not depend on what exists now: the promise that the first run made says how the value is read.
        known = hosts.current().peek_promise(promise)
        return Handle(promise, reader(known.fn) if known else decode, known.fn if known else NOBODY)
    record = hosts.current().read_promise(promise)
    if record is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    return Handle(promise, reader(record.fn))


NOBODY = "?"
"""It stands for a function that isn't known yet. No function has this name."""


def resolve(promise: str, value: object = None) -> None:
    """Settle a promise with a value, from outside. The first settlement stands.

    The value is written as natural JSON, and read by the type that the promise was made with. What doesn't fit that
    type is refused, as far as a JSON Schema can tell: the promise stays open for a right answer. That takes one read.

    Raises:
        AlreadySettled: it was settled before. The error says with what state.
        UnknownPromise: there is no such promise.
        CodecError: the value can't be stored, or doesn't fit the promise's type; nothing was written.
        NotDurable: called by the body of an async durable function, outside of an inline step.
    """
    where = f"resolve({promise!r})"
    text = hosts.storable(encode_natural(value, where=where), where)
    _refuse_in_body(promise)
    _check_type(promise, text, where)
    settle(promise, State.RESOLVED, text)


def _check_type(promise: str, text: str, where: str) -> None:
    """Raises CodecError: an external promise has a type, and the value isn't of it."""
    stands = hosts.current().read_promise(promise)
    if stands is None or stands.kind is not Kind.EXTERNAL or not stands.pending:
        return
    from adapter.codec import checking  # Imported late: most Lambdas settle nothing from outside.

    if found := checking.problems(checking.stored(stands.args), json.loads(text)):
        raise CodecError(f"{where}: {'; '.join(found)}. It was made as promise({stands.fn}), and stays open")


def reject(promise: str, error: BaseException | str) -> None:
    """Settle a promise with an error, from outside; code that awaits it raises the error. Raises as `resolve` does."""
    raised = error if isinstance(error, BaseException) else RuntimeError(error)
    settle(promise, State.REJECTED, encode_exception(raised))


def cancel(promise: str) -> None:
    """Settle a promise ``rejected_canceled``: its function sees CancelledError. Raises as `resolve` does."""
    settle(promise, State.CANCELED, "")


def settle(promise: str, state: State, value: str) -> None:
    """Settle a promise with an outcome as it is stored. Raises as `resolve` does."""
    _refuse_in_body(promise)
    written = hosts.current().settle(promise, state, value)
    if not isinstance(written, Refused):
        return
    if written.why is Refusal.UNKNOWN or written.stands is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    raise AlreadySettled(f"{promise} was settled before: it is {written.stands.state}", written.stands.state)


def _refuse_in_body(promise: str) -> None:
    if isinstance(current.get(), Execution):
        raise NotDurable(
            f"the body of a durable function settled {promise!r}: each replay would do it again; make it an inline"
            " step: await run(resolve, ...), run(reject, ...) or run(cancel, ...)"
        )
