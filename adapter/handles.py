"""From outside of an execution: start, look at, settle and wait for promises.

What runs the system here (AWS, or a `LocalCloud`) is the *host*: the innermost one entered, else the one that the
environment describes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from adapter.codec import decode, encode_natural
from adapter.errors import (
    AlreadySettled,
    ConfigurationError,
    IdConflict,
    NotDurable,
    PromiseCancelled,
    PromiseTimeout,
    Stuck,
    UnknownPromise,
)
from adapter.exceptions import decode_exception, encode_exception
from adapter.ids import is_id
from adapter.promises import (
    MAX_OBJECT_BYTES,
    MAX_PAYLOAD_BYTES,
    Kind,
    Record,
    Refusal,
    Refused,
    State,
    Written,
    check_payload,
    digest_of,
)
from adapter.steps import Request, current

R = TypeVar("R")
T = TypeVar("T")


class Host(Protocol):
    """What handles and Lambda entries ask of the place they run in."""

    def start(self, record: Record, timeout: float | None = None) -> Record:
        """Create the root, to time out after so many seconds, and invoke it, once; return what stands."""
        ...

    def get(self, promise: str) -> Record | None: ...
    def head(self, promise: str) -> Record | None:
        """The record, of which arguments and outcome aren't read."""
        ...

    def settle(self, promise: str, state: State, value: str) -> Written: ...
    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """The settled record, None when ``timeout`` seconds have passed first."""
        ...

    def handle(
        self, event: Any, context: Any, root: Callable[[str, str], Record], timeout: float | None = None
    ) -> dict[str, Any]:
        """Lambda's entry; ``root`` makes the record of a new root of the function, from an event and an id."""
        ...

    def qualify(self, target: str) -> str:
        """The Lambda's full name, of a target or of none."""
        ...

    def new_id(self) -> str: ...
    def drive(self, steps: Generator[Any, Any, T]) -> T:
        """Perform the operations of a generator, to its end."""
        ...

    def scheduled(self) -> list[str]:
        """The ids of all schedules."""
        ...

    def now(self) -> int:
        """Microseconds since the epoch."""
        ...

    def largest(self) -> int:
        """How many bytes of arguments, or of an outcome, can be stored."""
        ...


_entered: list[Host] = []
_default: list[Callable[[], Host]] = []


def host() -> Host:
    """The innermost host entered, else the environment's."""
    if _entered:
        return _entered[-1]
    if not _default:
        raise ConfigurationError("no host: enter a LocalCloud, or configure AWS access")
    return _default[0]()


def enter(new: Host) -> None:
    _entered.append(new)


def leave(old: Host) -> None:
    _entered.remove(old)


def set_default(factory: Callable[[], Host]) -> None:
    """Where there is no entered host, ``factory`` makes one of the environment."""
    _default[:] = [factory]


def storable(text: str, what: str) -> str:
    """Return an encoded text if it can be stored here.

    Raises:
        PayloadTooLarge: it can't; nothing was written.
    """
    if len(text) <= MAX_PAYLOAD_BYTES // 8:
        # However it is encoded and encrypted. Most texts are, and need no host.
        return text
    try:
        limit = host().largest()
    except ConfigurationError:
        limit = MAX_PAYLOAD_BYTES
    remedy = "" if limit == MAX_OBJECT_BYTES else "; with a bucket (set DURABLE_BUCKET to its name), more"
    return check_payload(text, what, limit, remedy)


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
        """Wait until it settles, at most ``timeout`` seconds; return its value or raise its exception.

        Raises:
            TimeoutError: it is still pending after ``timeout`` seconds; it goes on all the same.
            Paused: it stands still since its code drifted from its history.
            UnknownPromise: there is no such promise.
        """
        record = host().wait(self.id, timeout)
        if record is None:
            self._record()
            raise TimeoutError(f"{self.id} is still pending after {timeout} s")
        value: R = outcome(record, self._read)
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
        return scope.request(self._link).__await__()

    def _link(self, ordinal: int) -> Request:
        digest = digest_of(Kind.LINK, "", self.id)
        return Request(
            ordinal=ordinal,
            kind=Kind.LINK,
            fn="",
            args="",
            digest=digest,
            decode=self._read,
            link=self.id,
            reads=self._fn,
            read_as=_reader if self._fn else None,
        )

    def cancel(self) -> None:
        """Settle it ``rejected_canceled``: its function sees CancelledError. Raises as `resolve` does."""
        cancel(self.id)

    def _record(self) -> Record:
        record = host().get(self.id)
        if record is None:
            raise UnknownPromise(f"there is no promise {self.id!r}")
        return record


def outcome(record: Record, read: Callable[[str], Any]) -> Any:
    """The value of a settled record, decoded, or its exception raised."""
    match record.state:
        case State.RESOLVED:
            return read(record.value)
        case State.REJECTED:
            raise decode_exception(record.value)
        case State.CANCELED:
            raise PromiseCancelled(f"{record.id} was cancelled")
        case State.TIMEDOUT:
            raise PromiseTimeout(f"{record.id} timed out")
        case _:
            raise Stuck(f"{record.id} is pending")


def started(record: Record, read: Callable[[str], Any], timeout: float | None = None) -> Handle[Any]:
    """Start a root, or find the same one.

    Raises:
        IdConflict: the id is taken by another function, or by other arguments.
    """
    stands = host().start(record, timeout)
    if stands.digest != record.digest:
        what = "with other arguments" if stands.fn == record.fn else f"of {stands.fn or 'an external promise'}"
        raise IdConflict(f"{record.id!r} is already an execution {what}; {record.fn} was not started")
    return Handle(record.id, read)


def attach(promise: str) -> Handle[Any]:
    """A handle on a promise. Its value is read by the function's annotation, where that is known here.

    Inside a durable function it is to be awaited; whether it exists shows then.

    Raises:
        UnknownPromise: there is no such promise.
    """
    if current.get() is not None:
        if not is_id(promise):
            raise UnknownPromise(f"there is no promise {promise!r}")
        # What a replay does must not depend on what exists now: the link that the first run made says how it is read.
        known = host().head(promise)
        return Handle(promise, _reader(known.fn) if known else decode, known.fn if known else NOBODY)
    record = host().get(promise)
    if record is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    return Handle(promise, _readers.get(record.fn, decode))


NOBODY = "?"
"""No function's name: whose outcome it will be isn't known."""

_readers: dict[str, Callable[[str], Any]] = {}


def _reader(fn: str) -> Callable[[str], Any]:
    return _readers.get(fn, decode)


def register_reader(fn: str, read: Callable[[str], Any]) -> None:
    """How to read what the durable function ``fn`` returns."""
    _readers[fn] = read


def resolve(promise: str, value: object = None) -> None:
    """Settle a promise with a value, from outside. The first settlement stands.

    The value is written as natural JSON, and read by the type that the promise was made with.

    Raises:
        AlreadySettled: it was settled before; says with what state.
        UnknownPromise: there is no such promise.
        CodecError: the value can't be stored; nothing was written.
    """
    where = f"resolve({promise!r})"
    settle(promise, State.RESOLVED, storable(encode_natural(value, where=where), where))


def reject(promise: str, error: BaseException | str) -> None:
    """Settle a promise with an error, from outside; whoever awaits it sees it raised. Raises as `resolve` does."""
    raised = error if isinstance(error, BaseException) else RuntimeError(error)
    settle(promise, State.REJECTED, encode_exception(raised))


def cancel(promise: str) -> None:
    """Settle a promise ``rejected_canceled``: its function sees CancelledError. Raises as `resolve` does."""
    settle(promise, State.CANCELED, "")


def settle(promise: str, state: State, value: str) -> None:
    """Settle a promise with an outcome as it is stored. Raises as `resolve` does."""
    written = host().settle(promise, state, value)
    if not isinstance(written, Refused):
        return
    if written.why is Refusal.UNKNOWN or written.stands is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    raise AlreadySettled(f"{promise} was settled before: it is {written.stands.state}", written.stands.state)
