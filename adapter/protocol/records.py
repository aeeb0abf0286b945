"""A durable promise as it is stored: the record, its fields, and the versions that are read. Pure.

`Record` is the only place that declares fields. Their types, defaults and marks (`adapter.protocol.fields`) say what a
store keeps of each, which are in the index and which are user data. The table in docs/ARCHITECTURE.md is made from
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from adapter.errors import PayloadTooLarge
from adapter.protocol.fields import Form, Mark, fields_of, marked
from adapter.protocol.ids import id_of, ordinal_of
from adapter.protocol.making import quickly_made
from adapter.protocol.times import EPOCH, NO_TIME, Instant, Span

VERSION = 1
"""The version of the items that this code writes. An item that older code would misread gets the next version."""

READABLE = frozenset({VERSION})
"""The versions of items that this code reads: its own, and older ones of which executions may still be alive."""

MAX_PAYLOAD_BYTES = 160 * 1024
"""Bytes of a promise's arguments, and of its outcome. Both share an item, and DynamoDB's items hold 400 KB."""

MAX_OBJECT_BYTES = 50_000_000
"""The same where there is a bucket for large texts: a Lambda has to hold one in its memory, encoded and decoded."""


BLOCK_FUNCTION = "lambda-await:block"
"""The name of the durable function that runs a block of a wide map."""


class State(StrEnum):
    """The states of the Durable Promise specification."""

    PENDING = "pending"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    CANCELED = "rejected_canceled"
    TIMEDOUT = "rejected_timedout"


class Kind(StrEnum):
    """What settles the promise: a function's own Lambda, its parent's run, the outside world, or another root.

    A detached call's promise settles as soon as its root exists, a follower as its root does. A schedule never settles.
    """

    CALL = "call"
    INLINE = "inline"
    EXTERNAL = "external"
    FOLLOW = "follow"
    DETACH = "detach"
    SCHEDULE = "schedule"


DISPATCHED = (Kind.CALL, Kind.FOLLOW, Kind.DETACH)
"""A promise of these kinds has to be dispatched once it is written."""


class Wake(StrEnum):
    """How the settlement of a child resumes its parent."""

    DIRECT = "direct"
    """By the stream. The parent waits for this child alone."""

    PROMPT = "prompt"
    """As `DIRECT`; but the run that settles its own promise resumes the parent itself, and the stream needn't."""

    COUNTED = "counted"
    """By the stream, once enough of its children have settled."""

    @property
    def alone(self) -> bool:
        """Whether the parent waits for this child alone."""
        return self is not Wake.COUNTED


class Stored(str):
    """A text as the table has it, not yet opened: it may be encrypted, or be only the key of an object.

    ``origin`` is the promise that the text was stored for.
    """

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, text: str, origin: str) -> Stored:
        made = super().__new__(cls, text)
        made.origin = origin
        return made


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One durable promise as stored."""

    id: Annotated[str, Mark.KEY]
    """The promise's id: its parent, its ordinal and its key follow from it, and it from the key."""

    kind: Annotated[Kind, Mark.ALWAYS, Mark.INDEXED] = Kind.CALL
    """What settles it: `call`, `inline`, `external`, `follow`, `detach` or `schedule`."""

    fn: Annotated[str, Mark.INDEXED] = ""
    """The name of the durable function, or of the code of an inline step."""

    target: Annotated[str, Mark.INDEXED] = ""
    """The name of the Lambda that runs the function."""

    unpinned: str = ""
    """The target in place of which it is pinned to a version of its Lambda; empty: it isn't pinned."""

    args: Annotated[str, Mark.SEALED] = ""
    """The function's arguments, as JSON."""

    digest: str = ""
    """A fingerprint of what was asked for, wherever it runs: a replay that asks for something else has drifted."""

    state: Annotated[State, Mark.ALWAYS, Mark.INDEXED] = State.PENDING
    """Pending, or how it settled."""

    value: Annotated[str, Mark.SEALED] = ""
    """The outcome, as JSON: a value or an exception."""

    created_at: Annotated[Instant, Mark.ALWAYS, Mark.INDEXED] = EPOCH
    """When it was created, in microseconds since the epoch."""

    settled_at: Annotated[Instant, Mark.INDEXED] = EPOCH
    """When it settled, in microseconds since the epoch; 0: it is pending."""

    took: Span = NO_TIME
    """For how long the run worked that settled it, in microseconds; of a step, for how long it ran; 0: unknown."""

    retries: int = 0
    """How many attempts came to nothing before the one that settled it."""

    by: str = ""
    """The request id of the invocation that created it: its retry does what was to follow the creation, again."""

    by_parent: bool = False
    """The function that made it cancelled it itself: a replay cancels it again."""

    wake: Wake | None = None
    """How its settlement resumes its parent: `direct`, `prompt` or `counted`; none: not at all, or not yet."""

    prompted_by: str = ""
    """The request id of the run that settled it, which resumes its parent if `wake` is `prompt`; the stream doesn't."""

    reply_to: str = ""
    """The name of the Lambda that runs its parent."""

    seen: str | None = None
    """It leads a turn, and these are the deliveries since the last leader, in order; none: it leads none."""

    epoch: int = 0
    """How often the function was claimed or armed: a run that loaded another epoch can't arm it."""

    claimed_by: str = ""
    """The request id of the invocation that claimed it last: its retry may claim it again."""

    arrivals: int = 0
    """How many settlements of its counted children have been added up, some of them perhaps twice."""

    rejected_arrivals: int = 0
    """How many of these were rejections."""

    threshold: int | None = None
    """The number of arrivals that resumes the function; none: no number does."""

    expects: int | None = None
    """It is armed, and moves once so many counted children have settled; -1: only time moves it."""

    rejections: int = 0
    """How many rejections of counted children the last arming knew."""

    on_reject: bool = False
    """One more rejection of a counted child resumes the function, whatever the number of arrivals."""

    wake_at: Annotated[Instant | None, Mark.INDEXED] = None
    """When time resumes the function, in microseconds since the epoch."""

    sent: bool = False
    """A message that resumes it at `wake_at` is on its way."""

    due_at: Annotated[Instant | None, Mark.INDEXED] = None
    """When the sweeper has to send a message for it, in microseconds since the epoch; none: it isn't in the index."""

    deadline: Annotated[Instant | None, Mark.INDEXED] = None
    """When it times out, in microseconds since the epoch; none: never."""

    retry: str = ""
    """The retry policy of the function, as JSON."""

    root: str = ""
    """The id of the root that it follows, or that a detached call starts."""

    detached_by: str = ""
    """The id of the detached call that started this root."""

    recurs: str = ""
    """When a schedule occurs, as JSON."""

    reads: str = ""
    """Of a follower that has no function itself: that of its root, which says how the outcome is read."""

    awaiters: frozenset[str] = frozenset()
    """The ids of its followers: they settle as this root does."""

    paused: Annotated[str, Mark.SEALED] = ""
    """Why the function is paused: the text of the drift."""

    outage: str = ""
    """Why its Lambda can't run it: `missing`, `denied`, `throttled`, `reserved`, or an error's name; empty: it can."""

    outage_at: Instant = EPOCH
    """Since when it can't, in microseconds since the epoch."""

    retry_at: Instant = EPOCH
    """When that is tried again, or was when it could again, in microseconds since the epoch."""

    closed: Annotated[bool, Mark.INDEXED] = False
    """The function was cancelled, or timed out, and has cleaned up."""

    closed_at: Instant = EPOCH
    """When it had cleaned up, in microseconds since the epoch; 0: it hasn't, or didn't have to."""

    expires: int | None = None
    """When all of its execution is gone, in seconds since the epoch, as DynamoDB's time to live wants; none: never."""

    objects: bool = False
    """Of a root: objects in the bucket may belong to its execution. They are removed with it."""

    fork: str = ""
    """Of what was forked: from which promise, and whose times and chance it repeats until when, as JSON."""

    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The tags that the user gave its function, by name."""

    @property
    def pending(self) -> bool:
        return self.state is State.PENDING

    @property
    def rejected(self) -> bool:
        return self.state not in (State.PENDING, State.RESOLVED)

    @property
    def ended_at(self) -> Instant:
        """When it ended, if it is over."""
        return max(self.settled_at, self.closed_at)

    @property
    def ordinal(self) -> int:
        return ordinal_of(self.id)

    @property
    def runnable(self) -> bool:
        """Whether a run may still do something: the function isn't settled, or it was cancelled and must clean up."""
        return self.pending or (cleans_up(self.state) and not self.closed)

    @property
    def over(self) -> bool:
        """Whether no run does anything for it any more. A promise that is no function has nothing to clean up."""
        return is_over(self.kind, self.state, self.closed)


FIELDS = fields_of(Record)
"""All fields of a record, by name."""

ATTRIBUTES = {name: field for name, field in FIELDS.items() if Mark.KEY not in field.marks}
"""The fields that are attributes of an item. The key isn't repeated: it may be long, and a kilobyte has its price."""

STORED_ALWAYS = frozenset(marked(FIELDS, Mark.ALWAYS))
INDEXED = frozenset(marked(FIELDS, Mark.INDEXED))
"""The fields of a record that the index ``due`` holds."""

SEALED = marked(FIELDS, Mark.SEALED)
"""User data."""


def attribute(item: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A field's attribute in an item of DynamoDB's JSON; ``default`` if the item has none of the field's form."""
    typed = item.get(name)
    return typed.get(FIELDS[name].form.tag, default) if isinstance(typed, dict) else default


def id_in(item: Mapping[str, Any]) -> str:
    """The id of the promise that has an item's key in DynamoDB's JSON; empty if none has."""
    try:
        return id_of(item["pk"]["S"], int(item["sk"]["N"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def texts_of(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Texts in an item of DynamoDB's JSON, by field; an empty one where there is none."""
    found = {}
    for name in names:
        typed = item.get(name)
        text = typed.get(Form.TEXT.tag) if isinstance(typed, dict) else None
        found[name] = text if isinstance(text, str) else ""
    return found


def cleans_up(state: State) -> bool:
    """Whether a function that settled so goes on until it has cleaned up and is closed."""
    return state in (State.CANCELED, State.TIMEDOUT)


def is_over(kind: Kind, state: State, closed: bool) -> bool:
    """See `Record.over`."""
    return state is not State.PENDING and not (kind is Kind.CALL and cleans_up(state) and not closed)


def is_readable(version: object) -> bool:
    """Whether this code reads items of a version, which DynamoDB's JSON gives as a number's text."""
    return version in {str(known) for known in READABLE}


def check_payload(text: str, what: str, limit: int = MAX_PAYLOAD_BYTES, remedy: str = "") -> str:
    """Return the text if it can be stored.

    Raises:
        PayloadTooLarge: it has more than ``limit`` bytes in UTF-8.
    """
    if len(text) > limit // 4 and (size := len(text.encode())) > limit:
        raise PayloadTooLarge(f"{what}: {size} bytes as JSON; at most {limit} can be stored{remedy}")
    return text


def digest_of(kind: Kind, fn: str, args: str) -> str:
    """A fingerprint of what the code asked for, and not of where that runs: a replay compares it with what is stored.

    A call is one of kind ``CALL`` also where its caller ran it, and its record is ``INLINE``.
    """
    return hashlib.sha256(f"{kind}\0{fn}\0{args}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
