"""What the engine asks of the outside world, as frozen values; the ports perform them.

The engine yields operations and is sent their results, so one engine runs against DynamoDB, against memory, and inside
the interleaving check, which stops it between any two of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.engine.telling import What
from adapter.protocol.messages import Message, Timed
from adapter.protocol.promises import Arming, Firing
from adapter.protocol.records import Record, State
from adapter.replay.loop import DurableLoop


@dataclass(frozen=True, slots=True)
class Now:
    """The time, in microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ReadFunction:
    """The promise's record and then those of its children, strongly consistent: ``(record or None, children)``."""

    id: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """How long this invocation may still run, in microseconds. The host answers it, not a port."""


@dataclass(frozen=True, slots=True)
class PeekFunction:
    """As `ReadFunction`, but arguments and outcomes stay as they are stored, large or encrypted ones unread.

    It reads all children, also behind a gap that a run left which died while it created them, at one more query.
    """

    id: str


@dataclass(frozen=True, slots=True)
class ReadPromise:
    """The promise's record, or None, strongly consistent."""

    id: str


@dataclass(frozen=True, slots=True)
class PeekPromise:
    """As `ReadPromise`, but arguments and outcome stay as they are stored."""

    id: str


@dataclass(frozen=True, slots=True)
class PeekChildren:
    """The children's records, to the very last, as `PeekFunction` reads them."""

    id: str


@dataclass(frozen=True, slots=True)
class ReadChildren:
    """The children's records from an ordinal on, strongly consistent."""

    id: str
    first: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    id: str
    firing: Firing | None = None
    due_at: int | None = None


@dataclass(frozen=True, slots=True)
class Postpone:
    """The watchdog's next look."""

    id: str
    was: int
    due_at: int | None


@dataclass(frozen=True, slots=True)
class Register:
    """The promise ``awaiter`` follows the root ``id``."""

    id: str
    awaiter: str


@dataclass(frozen=True, slots=True)
class Create:
    record: Record


@dataclass(frozen=True, slots=True)
class Settle:
    """``guarded``: a function is cancelled by this, and the watchdog sees to it that it cleans up.

    ``by_parent``: the function that made the promise cancels it.
    """

    id: str
    state: State
    value: str
    guarded: bool = False
    by_parent: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    id: str
    arming: Arming


@dataclass(frozen=True, slots=True)
class Arrive:
    id: str
    count: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a schedule; its record, or None."""

    id: str


@dataclass(frozen=True, slots=True)
class Close:
    id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a record that is over and was created at a time."""

    id: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove what the execution of a root has beside the table, as far as it was put before a time."""

    id: str
    before: int


@dataclass(frozen=True, slots=True)
class Pause:
    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke the Lambda ``target`` asynchronously."""

    target: str
    message: Message


@dataclass(frozen=True, slots=True)
class SendAt:
    """Invoke the Lambda ``target`` at a time, in microseconds: not earlier, at least once."""

    target: str
    message: Timed
    at: int


@dataclass(frozen=True, slots=True)
class RunCode:
    """Run user code, sync or async, and get ``(state, encoded outcome)``.

    ``scope`` is the promise that it runs for, ``encode`` encodes what it returns.
    """

    scope: str
    now: int
    code: Callable[[], Any]
    encode: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class RunLeft:
    """Run a function that left the durable loop to its end, in an ordinary one: ``(state, encoded outcome)``."""

    task: asyncio.Task[Any]
    loop: DurableLoop
    encode: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for the log, and for those who watch a local cloud; never a decision."""

    what: What
    id: str
    fn: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Many:
    """Operations without an order among them, performed side by side; the results in order."""

    operations: tuple[Operation, ...]


Operation = (
    Now
    | Remaining
    | ReadPromise
    | PeekPromise
    | PeekChildren
    | PeekFunction
    | ReadFunction
    | ReadChildren
    | Claim
    | Register
    | Create
    | Settle
    | Arm
    | Arrive
    | Close
    | Postpone
    | Delete
    | Remove
    | Clear
    | Pause
    | Invoke
    | SendAt
    | RunCode
    | RunLeft
    | Tell
    | Many
)
