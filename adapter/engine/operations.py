"""What the engine asks of the outside world, as frozen values; the ports perform them.

The engine yields operations and is sent their results, so one engine runs against DynamoDB, against memory, and inside
the interleaving check, which stops it between any two of them.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.engine.telling import What
from adapter.protocol.chapters import Chapter
from adapter.protocol.messages import Message, Timed
from adapter.protocol.promises import Arming, Firing
from adapter.protocol.records import Record, State
from adapter.protocol.times import EPOCH, Instant, Span
from adapter.replay.loop import DurableLoop


@dataclass(frozen=True, slots=True)
class Now:
    """The time."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let so much time pass in this invocation."""

    time: Span


@dataclass(frozen=True, slots=True)
class ReadFunction:
    """The promise's record and then those of its children, strongly consistent: ``(record or None, children)``."""

    id: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """How long this invocation may still run. The host answers it, not a port."""


@dataclass(frozen=True, slots=True)
class PeekFunction:
    """As `ReadFunction`, but arguments and outcomes stay as they are stored, large or encrypted ones unread.

    It reads all children, at one more query: a run that died while it created them may have left a gap.
    ``lagging``: at half the price, and it may not show what was written within the last seconds.
    """

    id: str
    lagging: bool = False


@dataclass(frozen=True, slots=True)
class ReadPromise:
    """The promise's record, or None, strongly consistent."""

    id: str


@dataclass(frozen=True, slots=True)
class PeekPromise:
    """As `ReadPromise`, but arguments and outcome stay as they are stored. ``lagging``: see `PeekFunction`."""

    id: str
    lagging: bool = False


@dataclass(frozen=True, slots=True)
class PeekChildren:
    """The records of all children, as `PeekFunction` reads them, of the execution that ``expires`` then."""

    id: str
    expires: int | None
    lagging: bool = False


@dataclass(frozen=True, slots=True)
class ReadChildren:
    """The children's records from an ordinal on, or to the ordinal ``last``, strongly consistent.

    ``expires`` is the function's own: an earlier execution of the id, which expired, may have left records.
    """

    id: str
    expires: int | None
    first: int = 0
    last: int | None = None


@dataclass(frozen=True, slots=True)
class ReadChapters:
    """A function's chapters, strongly consistent, and itself if it is a root: ``(record or None, chapters)``."""

    id: str


@dataclass(frozen=True, slots=True)
class WriteChapter:
    """Write a chapter, in place of any that has its number. Nothing is lost with the one that stood."""

    chapter: Chapter


@dataclass(frozen=True, slots=True)
class PeekChapters:
    """The numbers of the chapters of a function; those of the last seconds may be missing."""

    id: str


@dataclass(frozen=True, slots=True)
class RemoveChapter:
    """Remove a chapter, whatever it tells. It may be gone."""

    id: str
    number: int


@dataclass(frozen=True, slots=True)
class Claim:
    id: str
    by: str
    firing: Firing | None = None
    due_at: Instant | None = None
    armed: int | None = None


@dataclass(frozen=True, slots=True)
class Postpone:
    """Set the watchdog's next look."""

    id: str
    was: Instant
    due_at: Instant | None


@dataclass(frozen=True, slots=True)
class Register:
    """Let the promise ``awaiter`` follow the root ``id``."""

    id: str
    awaiter: str


@dataclass(frozen=True, slots=True)
class Create:
    record: Record


@dataclass(frozen=True, slots=True)
class Settle:
    """Settle a promise. ``guarded``: this cancels a function, and the watchdog sees to it that it cleans up.

    ``by_parent``: the function that made the promise cancels it. ``unless_objects``: the execution expires, so the
    watchdog needn't look at its root; a root that has objects refuses. ``prompted_by``: this run resumes the parent, if
    the record says ``wake = prompt``. ``began_at`` and ``retries`` are the settling run's, for a person to see.
    """

    id: str
    state: State
    value: str
    guarded: bool = False
    by_parent: bool = False
    unless_objects: bool = False
    prompted_by: str = ""
    began_at: Instant = EPOCH
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the settlement of a child, which this run has watched, resume its parent."""

    id: str


@dataclass(frozen=True, slots=True)
class Arm:
    id: str
    arming: Arming


@dataclass(frozen=True, slots=True)
class Arrive:
    id: str
    count: int
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a schedule. Gives its record, or None."""

    id: str


@dataclass(frozen=True, slots=True)
class Close:
    id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a record that is over, if it was created at this time."""

    id: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove the objects of a root's execution that were last put before a time."""

    id: str
    before: Instant


@dataclass(frozen=True, slots=True)
class Pause:
    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Say why a function's Lambda can't run it, since when, and when that is tried again.

    Without a ``why``: that it can, since ``retry_at``.
    """

    id: str
    why: str
    since: Instant
    retry_at: Instant


@dataclass(frozen=True, slots=True)
class Pin:
    """Have a function that goes by the Lambda's name ``was`` go by ``target`` from now on.

    ``unpinned`` is the name by which it goes on, should somebody take that back; empty: it isn't pinned any more.
    """

    id: str
    was: str
    target: str
    unpinned: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke the Lambda ``target`` asynchronously: whether it accepted the message. If not, the message is kept."""

    target: str
    message: Message


@dataclass(frozen=True, slots=True)
class SendAt:
    """Invoke the Lambda ``target`` at a time (microseconds): not earlier, and at least once.

    ``upkeep``: it may come late, and may take long. It never holds up a timer that must fire on the second.
    """

    target: str
    message: Timed
    at: Instant
    upkeep: bool = False


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Some `SendAt` in one call: at most `BATCH` of them, and either all are upkeep or none is."""

    sends: tuple[SendAt, ...]


@dataclass(frozen=True, slots=True)
class PutAside:
    """Put a stream record aside. It comes again in so many seconds; None: once a person sends it."""

    text: str
    again_in: int | None


@dataclass(frozen=True, slots=True)
class RunCode:
    """Run user code, sync or async. Gives its outcome.

    ``id`` is the promise that it runs for, ``encode`` encodes what it returns, and ``fork`` is that of the promise. It
    runs in a copy of ``context``, or of the engine's.
    """

    id: str
    now: Instant
    code: Callable[[], Any]
    encode: Callable[[Any], str]
    context: contextvars.Context | None = None
    fork: str = ""


@dataclass(frozen=True, slots=True)
class RunLeft:
    """Run a function that left the durable loop to its end, in an ordinary one. Gives its outcome."""

    task: asyncio.Task[Any]
    loop: DurableLoop
    encode: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the log, and the watchers of a `LocalCloud`, what happened. It decides nothing."""

    what: What
    id: str
    fn: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Many:
    """Operations that may be performed in any order, side by side. Gives their results in order."""

    operations: tuple[Operation, ...]


BATCH = 10
"""Messages that one call sends: the most that SQS takes."""


def batched(sends: Sequence[SendAt]) -> Many:
    """The same messages in as few calls as possible. Timers come first, upkeep last."""
    kinds = [[send for send in sends if send.upkeep is upkeep] for upkeep in (False, True)]
    return Many(
        tuple(SendBatch(tuple(kind[first : first + BATCH])) for kind in kinds for first in range(0, len(kind), BATCH))
    )


Operation = (
    Now
    | Sleep
    | Remaining
    | ReadPromise
    | PeekPromise
    | PeekChildren
    | PeekFunction
    | ReadFunction
    | ReadChildren
    | ReadChapters
    | WriteChapter
    | PeekChapters
    | RemoveChapter
    | Claim
    | Register
    | Create
    | Settle
    | Ask
    | Arm
    | Arrive
    | Close
    | Postpone
    | Delete
    | Remove
    | Clear
    | Pause
    | Hold
    | Pin
    | Invoke
    | SendAt
    | SendBatch
    | PutAside
    | RunCode
    | RunLeft
    | Tell
    | Many
)
