"""The ports: they perform the engine's operations in one place (AWS, or a `LocalCloud`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from adapter.engine.caller import Waking
from adapter.engine.keeping import keep
from adapter.engine.operations import (
    Arm,
    Arrive,
    Ask,
    Claim,
    Clear,
    Close,
    Create,
    Delete,
    Hold,
    Invoke,
    Many,
    Now,
    Operation,
    Pause,
    PeekChapters,
    PeekChildren,
    PeekFunction,
    PeekPromise,
    Pin,
    Postpone,
    PutAside,
    ReadChapters,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    Register,
    Remaining,
    Remove,
    RemoveChapter,
    RunCode,
    RunLeft,
    SendAt,
    SendBatch,
    Settle,
    Sleep,
    Tell,
    WriteChapter,
)
from adapter.errors import ConfigurationError, Unreachable, UnsignedEnvelope
from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import parent_of
from adapter.protocol.making import changed
from adapter.protocol.messages import Message, Timed
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.promises import Arming, Firing, Written
from adapter.protocol.records import MAX_PAYLOAD_BYTES, Record, State
from adapter.protocol.times import EPOCH, NO_TIME, Instant, Span
from adapter.protocol.timing import RETENTION, WATCH, Due, expires_at, kept_until
from adapter.replay.outcomes import Outcome

T = TypeVar("T")


class Store(Protocol):
    """The table. Each write is one transition of `adapter.protocol.promises`, atomic on its record.

    A read that is ``lagging`` costs half, and may show each record as it was a few seconds before. Where it reads a
    function's children, records come without arguments and outcomes.
    """

    def read_promise(self, promise: str) -> Record | None: ...
    def peek_promise(self, promise: str, lagging: bool = False) -> Record | None: ...
    def read_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]: ...
    def peek_function(self, promise: str, lagging: bool = False) -> tuple[Record | None, Sequence[Record]]: ...
    def peek_children(self, promise: str, expires: int | None = None, lagging: bool = False) -> Sequence[Record]: ...
    def read_children(
        self, promise: str, first: int = 0, last: int | None = None, expires: int | None = None
    ) -> Sequence[Record]: ...
    def read_chapters(self, promise: str) -> tuple[Record | None, Sequence[Chapter]]: ...
    def write_chapter(self, chapter: Chapter) -> None: ...
    def peek_chapters(self, promise: str) -> Sequence[int]: ...
    def remove_chapter(self, promise: str, number: int) -> None: ...
    def create(self, record: Record) -> Written: ...
    def settle(
        self,
        promise: str,
        state: State,
        value: str,
        at: Instant,
        due_at: Instant | None = None,
        by_parent: bool = False,
        unless_objects: bool = False,
        prompted_by: str = "",
        took: Span = NO_TIME,
        retries: int = 0,
    ) -> Written: ...
    def ask(self, promise: str) -> Written: ...
    def claim(
        self,
        promise: str,
        by: str,
        firing: Firing | None = None,
        due_at: Instant | None = None,
        armed: int | None = None,
    ) -> Written: ...
    def postpone(self, promise: str, was: Instant, due_at: Instant | None) -> Written: ...
    def mark_objects(self, promise: str) -> Written: ...
    def register(self, promise: str, awaiter: str) -> Written: ...
    def arm(self, promise: str, arming: Arming) -> Written: ...
    def arrive(self, promise: str, count: int, rejected: int = 0) -> Written: ...
    def close(self, promise: str, due_at: Instant | None = None, at: Instant = EPOCH) -> Written: ...
    def delete(self, promise: str) -> Record | None: ...
    def remove(self, promise: str, created_at: Instant) -> Written: ...
    def clear(self, promise: str, before: Instant) -> None: ...
    def portable(self, record: Record) -> Record:
        """A record that was peeked, with the texts that are outside of the table. An encrypted text stays so."""
        ...

    def pause(self, promise: str, why: str) -> Written: ...
    def hold(self, promise: str, why: str, since: Instant, retry_at: Instant) -> Written: ...
    def pin(self, promise: str, was: str, target: str, unpinned: str) -> Written: ...
    def due(self, shard: str, until: Instant) -> Iterator[Sequence[Due]]:
        """Pages of the index's entries that are due before ``until``. Entries of the last seconds may be missing."""
        ...


class Payloads(Protocol):
    """Texts that are too large for the table, by key. A text that was put never changes."""

    def put(self, key: str, text: str) -> None: ...
    def get(self, key: str) -> str:
        """The text.

        Raises:
            BadMessage: there is none under the key.
        """
        ...

    def copy(self, key: str, to: str) -> None:
        """Copy the text of one key to another. Raises as `get` does."""
        ...

    def clear(self, prefix: str, before: Instant) -> None:
        """Remove the texts under a prefix that were last put before a time."""
        ...


class Cipher(Protocol):
    """Encrypts user data before it is stored. ``context`` isn't secret; decrypting needs the one that encrypted.

    Several threads may call it at a time. ``encrypt`` may give another text each time.
    """

    def encrypt(self, text: str, context: Mapping[str, str]) -> str: ...
    def decrypt(self, text: str, context: Mapping[str, str]) -> str: ...


class Invoker(Protocol):
    """Invokes Lambdas asynchronously: at least once, at some time."""

    def invoke(self, target: str, message: Message) -> None:
        """Raises Unreachable: Lambda didn't accept it."""
        ...


class Timers(Protocol):
    """Delivers a message at a time, however far off: at least once, rarely early, at most seconds late.

    Upkeep may come later than that, and doesn't delay anything else.
    """

    def send_at(self, target: str, message: Timed, at: Instant, upkeep: bool = False) -> None: ...
    def send_batch(self, sends: Sequence[SendAt]) -> None: ...


class Aside(Protocol):
    """Where stream records wait that were put aside: some to come again, others for a person."""

    def put_aside(self, text: str, again_in: int | None) -> None:
        """Keep a text. It comes again in so many seconds; None: once a person sends it."""
        ...

    def unhandled(self) -> Iterator[tuple[str, str]]:
        """What waits for a person: receipts and texts. Others don't see it for two minutes."""
        ...

    def give_back(self, receipt: str) -> None:
        """Others may see it again."""
        ...

    def forget(self, receipt: str) -> None: ...
    def reread(self, stream: str, shard: str, first: str, last: str) -> list[dict[str, Any]]:
        """The records of a stream between two numbers, as far as the stream still keeps them."""
        ...


class NoAside:
    """Without queues. It refuses, so that the stream itself gives the record again."""

    def put_aside(self, text: str, again_in: int | None) -> None:
        raise ConfigurationError("set DURABLE_AGAIN and DURABLE_UNHANDLED to put stream records aside")

    def unhandled(self) -> Iterator[tuple[str, str]]:
        raise ConfigurationError("set DURABLE_UNHANDLED to the URL of the queue UnhandledRecords")

    def give_back(self, receipt: str) -> None:
        self.unhandled()

    def forget(self, receipt: str) -> None:
        self.unhandled()

    def reread(self, stream: str, shard: str, first: str, last: str) -> list[dict[str, Any]]:
        return []


class Signer(Protocol):
    """Signs the envelopes that are sent, and knows those that were."""

    def sign(self, envelope: Mapping[str, Any]) -> dict[str, Any]: ...
    def check(self, envelope: Mapping[str, Any]) -> None:
        """Return if it was signed, and is as it was.

        Raises:
            UnsignedEnvelope: it came from outside.
        """
        ...

    def rotate(self, *, drop: bool = False) -> None:
        """Sign with another key from now on. Those before stay good for 30 days, unless they are dropped."""
        ...


class Moved(Protocol):
    """Knows under which names renamed Lambdas are found."""

    def known(self) -> Moves:
        """As it was a minute ago, at most."""
        ...

    def read(self) -> Moves: ...
    def change(self, change: Callable[[Moves], Moves]) -> Moves:
        """Write what ``change`` makes of those that stand. It may be called again, for what others wrote meanwhile."""
        ...


class NeverMoved:
    """Without a place for moves."""

    def known(self) -> Moves:
        return UNMOVED

    def read(self) -> Moves:
        return UNMOVED

    def change(self, change: Callable[[Moves], Moves]) -> Moves:
        raise ConfigurationError("set DURABLE_TABLE to the name of the promises' table, which keeps the moves")


class Clock(Protocol):
    def now(self) -> Instant: ...


class Runner(Protocol):
    """Runs user code: inline steps, plain functions, and functions that do real I/O."""

    def run(self, operations: Sequence[RunCode]) -> list[Outcome]:
        """Run sync code in order, and async code side by side. The outcomes are in order."""
        ...

    def run_left(self, operation: RunLeft) -> Outcome: ...


class Watcher(Protocol):
    def tell(self, told: Tell) -> None: ...


class Pool(Protocol):
    """Maps items side by side. The results are in order; the first failure is raised when all have ended."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]: ...


def _sleep_not(time: Span) -> None:
    """Outside of a Lambda nothing lingers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the engine needs where it runs.

    ``prefix`` turns the target ``charge`` into the Lambda's name ``mystack-charge``, and ``alias`` stands for the
    version of what names none. ``default_target`` is the Lambda
    of a function that has no target, where no Lambda called it. ``largest`` is how many bytes arguments, or an outcome,
    may have. ``retention`` is for how long an execution that is over is kept; None: for ever. ``retention_given``: it
    was set, and isn't a default. ``wake`` is how calls resume functions that don't say so themselves.
    ``sleep`` lets time pass in an invocation.
    """

    store: Store
    invoker: Invoker
    timers: Timers
    signer: Signer
    clock: Clock
    runner: Runner
    watcher: Watcher
    pool: Pool
    aside: Aside = field(default_factory=NoAside)
    moves: Moved = field(default_factory=NeverMoved)
    prefix: str = ""
    alias: str = ""
    default_target: str = ""
    largest: int = MAX_PAYLOAD_BYTES
    retention: Span | None = RETENTION
    retention_given: bool = True
    wake: Waking = Waking.STREAM
    sleep: Callable[[Span], None] = _sleep_not

    def perform(self, operation: Operation) -> Any:
        """Perform one operation. It is one call to the outside, which either happens or raises."""
        ready = _READY.get(type(operation))
        if ready is None:
            raise TypeError(f"{operation!r} is no operation")
        method, arguments = ready
        return method(self)(*arguments(operation))

    def check(self, event: object) -> None:
        """Return if an event is an envelope that was signed. Raises as `Signer.check` does."""
        if not isinstance(event, Mapping):
            raise UnsignedEnvelope(f"an envelope must be an object, got {type(event).__name__}")
        self.signer.check(event)

    def _create(self, operation: Create) -> Written:
        return self.store.create(self._lasting(operation.record))

    def _settle(self, operation: Settle) -> Written:
        now = self.clock.now()
        due_at = now + WATCH if operation.guarded else self._kept_until(operation.id, now)
        return self.store.settle(
            operation.id,
            operation.state,
            operation.value,
            now,
            due_at,
            operation.by_parent,
            operation.unless_objects,
            operation.prompted_by,
            max(NO_TIME, now - operation.began_at) if operation.began_at else NO_TIME,
            operation.retries,
        )

    def _close(self, operation: Close) -> Written:
        now = self.clock.now()
        return self.store.close(operation.id, self._kept_until(operation.id, now), now)

    def _run_code(self, operation: RunCode) -> Outcome:
        return self.runner.run([operation])[0]

    def _many(self, operation: Many) -> list[Any]:
        codes = [each for each in operation.operations if isinstance(each, RunCode)]
        return self.runner.run(codes) if codes else self.pool.map(self.perform, operation.operations)

    def _remaining(self, operation: Remaining) -> Span:
        # Outside of a Lambda no time runs out. Inside of one, the host answers this.
        return Span(2**62)

    def _sleep(self, operation: Sleep) -> None:
        self.sleep(operation.time)

    def _invoke(self, operation: Invoke) -> bool:
        """A run that invokes has other calls to see to: it doesn't fail because this one can't be reached."""
        try:
            self.invoker.invoke(operation.target, operation.message)
        except Unreachable as refused:
            try:
                keep(self.perform, refused.target, operation.message, refused.why)
            except ConfigurationError:
                # Without a queue nothing can be kept.
                raise refused from None
            return False
        return True

    def _lasting(self, record: Record) -> Record:
        """With the time at which its execution expires, which a root's children take from it."""
        if parent_of(record.id) is not None:
            return record
        # Once it is written, nobody can keep the execution for longer: a default must not decide that.
        retention = self.retention if self.retention_given else None
        return changed(record, expires=expires_at(record, retention))

    def _kept_until(self, promise: str, now: Instant) -> Instant | None:
        """When the watchdog looks whether a root that ends now can be removed, with all below it."""
        return None if parent_of(promise) is not None else kept_until(promise, now, self.retention)


CALLS: dict[type[Any], tuple[str, str, tuple[str, ...] | None]] = {
    Now: ("clock", "now", ()),
    ReadPromise: ("store", "read_promise", ("id",)),
    ReadFunction: ("store", "read_function", ("id",)),
    ReadChildren: ("store", "read_children", ("id", "first", "last", "expires")),
    ReadChapters: ("store", "read_chapters", ("id",)),
    WriteChapter: ("store", "write_chapter", ("chapter",)),
    PeekChapters: ("store", "peek_chapters", ("id",)),
    RemoveChapter: ("store", "remove_chapter", ("id", "number")),
    PeekPromise: ("store", "peek_promise", ("id", "lagging")),
    PeekFunction: ("store", "peek_function", ("id", "lagging")),
    PeekChildren: ("store", "peek_children", ("id", "expires", "lagging")),
    Claim: ("store", "claim", ("id", "by", "firing", "due_at", "armed")),
    Postpone: ("store", "postpone", ("id", "was", "due_at")),
    Register: ("store", "register", ("id", "awaiter")),
    Ask: ("store", "ask", ("id",)),
    Arm: ("store", "arm", ("id", "arming")),
    Arrive: ("store", "arrive", ("id", "count", "rejected")),
    Pause: ("store", "pause", ("id", "why")),
    Hold: ("store", "hold", ("id", "why", "since", "retry_at")),
    Pin: ("store", "pin", ("id", "was", "target", "unpinned")),
    Delete: ("store", "delete", ("id",)),
    Remove: ("store", "remove", ("id", "created_at")),
    Clear: ("store", "clear", ("id", "before")),
    SendAt: ("timers", "send_at", ("target", "message", "at", "upkeep")),
    SendBatch: ("timers", "send_batch", ("sends",)),
    PutAside: ("aside", "put_aside", ("text", "again_in")),
    RunLeft: ("runner", "run_left", None),
    Tell: ("watcher", "tell", None),
    Create: ("", "_create", None),
    Settle: ("", "_settle", None),
    Close: ("", "_close", None),
    Invoke: ("", "_invoke", None),
    RunCode: ("", "_run_code", None),
    Many: ("", "_many", None),
    Remaining: ("", "_remaining", None),
    Sleep: ("", "_sleep", None),
}
"""How each operation is performed: the port's name (empty: `Ports` itself, where it is more than one call of a port),
the method, and the fields that it takes (None: the operation itself)."""


def _arguments(fields: tuple[str, ...] | None) -> Callable[[Any], Sequence[Any]]:
    """What reads the arguments off an operation."""
    if fields is None:
        return lambda operation: (operation,)
    if len(fields) > 1:
        several: Callable[[Any], Sequence[Any]] = attrgetter(*fields)
        return several
    return lambda operation: [getattr(operation, field) for field in fields]


_READY = {
    kind: (attrgetter(f"{port}.{method}" if port else method), _arguments(fields))
    for kind, (port, method, fields) in CALLS.items()
}
"""`CALLS`, read once: several operations are performed at each step of a function."""


def drive(
    steps: Generator[Operation, Any, T],
    perform: Callable[[Operation], Any],
    remaining: Callable[[], Span] | None = None,
) -> T:
    """Perform the operations that a generator yields, until it ends.

    Args:
        remaining: how long this invocation may still run; None where no Lambda's time runs out.
    """
    result: Any = None
    try:
        while True:
            operation = steps.send(result)
            result = remaining() if remaining and isinstance(operation, Remaining) else perform(operation)
    except StopIteration as ended:
        value: T = ended.value
        return value
    finally:
        # Also when an operation raised: the generator then drops its suspended code without running it.
        steps.close()
