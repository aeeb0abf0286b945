"""The ports: what performs the engine's operations in one place, and the protocols of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adapter.engine.operations import (
    Arm,
    Arrive,
    Claim,
    Clear,
    Close,
    Create,
    Delete,
    Invoke,
    Many,
    Now,
    Operation,
    Pause,
    PeekChildren,
    PeekFunction,
    PeekPromise,
    Postpone,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    Register,
    Remaining,
    Remove,
    RunCode,
    RunLeft,
    SendAt,
    Settle,
    Tell,
)
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Message, Timed
from adapter.protocol.promises import MAX_PAYLOAD_BYTES, Arming, Firing, Record, State, Written
from adapter.protocol.timing import RETENTION, WATCH, Due, kept_until
from adapter.replay.outcomes import Outcome


class Store(Protocol):
    """The table. Each write is one transition of `adapter.protocol.promises`, atomic on its record."""

    def read_promise(self, promise: str) -> Record | None: ...
    def peek_promise(self, promise: str) -> Record | None: ...
    def read_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]: ...
    def peek_function(self, promise: str) -> tuple[Record | None, Sequence[Record]]: ...
    def peek_children(self, promise: str) -> Sequence[Record]: ...
    def read_children(self, promise: str, first: int = 0) -> Sequence[Record]: ...
    def create(self, record: Record) -> Written: ...
    def settle(self, promise: str, state: State, value: str, at: int, due_at: int | None = None) -> Written: ...
    def claim(self, promise: str, firing: Firing | None = None, due_at: int | None = None) -> Written: ...
    def postpone(self, promise: str, was: int, due_at: int | None) -> Written: ...
    def register(self, promise: str, awaiter: str) -> Written: ...
    def arm(self, promise: str, arming: Arming) -> Written: ...
    def arrive(self, promise: str, count: int) -> Written: ...
    def close(self, promise: str, due_at: int | None = None, at: int = 0) -> Written: ...
    def delete(self, promise: str) -> Record | None: ...
    def remove(self, promise: str, created_at: int) -> Written: ...
    def clear(self, promise: str, before: int) -> None: ...
    def pause(self, promise: str, why: str) -> Written: ...
    def due(self, shard: str, until: int) -> Iterator[Sequence[Due]]:
        """Pages of what is due before ``until``; may miss what was written in the last seconds."""
        ...


class Payloads(Protocol):
    """Texts that are too large for the table, by key. One that was put is never changed."""

    def put(self, key: str, text: str) -> None: ...
    def get(self, key: str) -> str:
        """The text.

        Raises:
            BadMessage: there is none under the key.
        """
        ...

    def copy(self, key: str, to: str) -> None:
        """Put what is under one key under another one, too. Raises as `get` does."""
        ...

    def clear(self, prefix: str, before: int) -> None:
        """Remove what is under a prefix and was last put before a time, in microseconds."""
        ...


class Cipher(Protocol):
    """Encrypts user data before it is stored. ``context`` isn't secret, and has to be the same for both.

    Threads call it side by side. ``encrypt`` may give another text each time.
    """

    def encrypt(self, text: str, context: Mapping[str, str]) -> str: ...
    def decrypt(self, text: str, context: Mapping[str, str]) -> str: ...


class Invoker(Protocol):
    """Lambda's asynchronous invocation: at least once, some time."""

    def invoke(self, target: str, message: Message) -> None: ...


class Timers(Protocol):
    """Delivers a message at a time, however far: at least once, rarely early, at most seconds late."""

    def send_at(self, target: str, message: Timed, at: int) -> None: ...


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch."""
        ...


class Runner(Protocol):
    """Runs user code: inline steps, plain functions, functions that do real I/O."""

    def run(self, operations: Sequence[RunCode]) -> list[Outcome]:
        """Sync code in order, async code side by side; the outcomes in order."""
        ...

    def run_left(self, operation: RunLeft) -> Outcome: ...


class Watcher(Protocol):
    def tell(self, told: Tell) -> None: ...


class Pool(Protocol):
    """Maps side by side; results in order; the first failure is raised when all have ended."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the engine needs of one place it runs in.

    ``prefix`` turns the target ``charge`` into the Lambda's name ``mystack-charge``; ``default_target`` is where a
    function without a target runs if nobody called it from a Lambda. ``largest``: bytes of arguments, or of an outcome.
    ``retention``: for how many microseconds an execution is kept that is over; None: for ever.
    """

    store: Store
    invoker: Invoker
    timers: Timers
    clock: Clock
    runner: Runner
    watcher: Watcher
    pool: Pool
    prefix: str = ""
    default_target: str = ""
    largest: int = MAX_PAYLOAD_BYTES
    retention: int | None = RETENTION

    def perform(self, operation: Operation) -> Any:
        """Perform one operation: one call to the outside, which either happened or raised."""
        return _PERFORM[type(operation)](self, operation)

    def settle(self, operation: Settle) -> Written:
        now = self.clock.now()
        due_at = now + WATCH if operation.guarded else self._kept_until(operation.id, now)
        return self.store.settle(operation.id, operation.state, operation.value, now, due_at)

    def close(self, operation: Close) -> Written:
        now = self.clock.now()
        return self.store.close(operation.id, self._kept_until(operation.id, now), now)

    def many(self, operation: Many) -> list[Any]:
        codes = [each for each in operation.operations if isinstance(each, RunCode)]
        return self.runner.run(codes) if codes else self.pool.map(self.perform, operation.operations)

    def _kept_until(self, promise: str, now: int) -> int | None:
        """When the index has somebody look whether a root that ends now is to be removed, with all below it."""
        return None if parent_of(promise) is not None else kept_until(promise, now, self.retention)


_PERFORM: dict[type[Any], Callable[[Ports, Any], Any]] = {
    Now: lambda ports, _: ports.clock.now(),
    # Nothing ends what runs outside of a Lambda; what runs in one is answered by its host.
    Remaining: lambda ports, _: 2**62,
    ReadPromise: lambda ports, read: ports.store.read_promise(read.id),
    ReadFunction: lambda ports, read: ports.store.read_function(read.id),
    ReadChildren: lambda ports, read: ports.store.read_children(read.id, read.first),
    PeekPromise: lambda ports, read: ports.store.peek_promise(read.id),
    PeekFunction: lambda ports, read: ports.store.peek_function(read.id),
    PeekChildren: lambda ports, read: ports.store.peek_children(read.id),
    Create: lambda ports, write: ports.store.create(write.record),
    Settle: Ports.settle,
    Close: Ports.close,
    Claim: lambda ports, write: ports.store.claim(write.id, write.firing, write.due_at),
    Postpone: lambda ports, write: ports.store.postpone(write.id, write.was, write.due_at),
    Register: lambda ports, write: ports.store.register(write.id, write.awaiter),
    Arm: lambda ports, write: ports.store.arm(write.id, write.arming),
    Arrive: lambda ports, write: ports.store.arrive(write.id, write.count),
    Pause: lambda ports, write: ports.store.pause(write.id, write.why),
    Delete: lambda ports, write: ports.store.delete(write.id),
    Remove: lambda ports, write: ports.store.remove(write.id, write.created_at),
    Clear: lambda ports, write: ports.store.clear(write.id, write.before),
    Invoke: lambda ports, call: ports.invoker.invoke(call.target, call.message),
    SendAt: lambda ports, call: ports.timers.send_at(call.target, call.message, call.at),
    RunCode: lambda ports, code: ports.runner.run([code])[0],
    RunLeft: lambda ports, code: ports.runner.run_left(code),
    Tell: lambda ports, told: ports.watcher.tell(told),
    Many: Ports.many,
}
"""Each operation's one call. A test holds the table against `Operation`."""
