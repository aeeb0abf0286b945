"""Durable promises: states, records and every transition a record can make. Pure.

A store performs exactly these transitions, atomically per record, and nothing else ever changes a record. The
conditional writes of `adapter.aws.store` are these functions in DynamoDB's language; the contract tests hold
them against each other, and the interleaving check explores these functions themselves.

Theory of operation. A promise is created ``pending`` and settles once (I1). A function that waits for its children
is *suspended* in one of two ways:

- *direct*: it waits for one child that carries ``wake = direct``; that child's settlement resumes it, at no write;
- *counted*: its own record is *armed* with a ``threshold``; each settlement of a counted child adds to ``arrivals``,
  and whoever makes ``arrivals`` reach ``threshold`` resumes it.

``epoch`` counts the runs that took over: claiming and arming both move it, so of two runs that loaded the same epoch at
most one arms. ``arrivals`` may count a settlement twice, never zero times: a wake in vain is possible, a lost one isn't
(I3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from adapter.errors import PayloadTooLarge
from adapter.protocol.ids import ordinal_of

VERSION = 1
"""Of the items that this code writes. What an older version would misread is written under the next."""

READABLE = frozenset({VERSION})
"""The versions of items that this code reads: its own, and those from which executions may still be alive."""

MAX_PAYLOAD_BYTES = 160 * 1024
"""Of a promise's arguments, and of its outcome: both share an item, which DynamoDB bounds at 400 KB."""

MAX_OBJECT_BYTES = 50_000_000
"""The same, where a bucket takes what an item doesn't: a Lambda has to hold it, encoded and decoded."""


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

    A detached root's promise settles as soon as the root exists, a link's as the root does. A schedule never settles.
    """

    CALL = "call"
    INLINE = "inline"
    EXTERNAL = "external"
    FOLLOW = "follow"
    DETACH = "detach"
    SCHEDULE = "schedule"


class Wake(StrEnum):
    """How the settlement of a child resumes its parent."""

    DIRECT = "direct"
    COUNTED = "counted"


class Stored(str):
    """A text as the table has it, which hasn't been read: perhaps encrypted, perhaps no more than an object's key.

    ``origin``: the promise that it was stored for.
    """

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, text: str, origin: str) -> Stored:
        made = super().__new__(cls, text)
        made.origin = origin
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One durable promise as stored. Times are microseconds since the epoch; ``args`` and ``value`` are JSON.

    ``wake_at``: when time resumes the function; ``sent``: a message that does so is on its way. ``due_at``: when the
    sweeper has to look at the record. ``expects``: it is armed, and moves once so many of its counted children have
    settled; -1: only time moves it. ``refusals``: how many rejections of counted children that arming knew. ``link``:
    the root that a link settles as, or the promise that a detached root was started by; ``awaiters``: the links that
    settle as this root does. ``by_parent``: the function that made it cancelled it
    itself: a replay cancels it again. ``rule``: when a schedule's occurrences are; of a link without a function, that
    of its root, which says how the outcome is read. ``closed_at``: when a function that was cancelled had cleaned up.
    """

    id: str
    kind: Kind = Kind.CALL
    fn: str = ""
    target: str = ""
    args: str = ""
    digest: str = ""
    state: State = State.PENDING
    value: str = ""
    created_at: int = 0
    settled_at: int = 0
    by: str = ""
    by_parent: bool = False
    wake: Wake | None = None
    reply_to: str = ""
    seen: str | None = None
    epoch: int = 0
    arrivals: int = 0
    threshold: int | None = None
    expects: int | None = None
    refusals: int = 0
    on_reject: bool = False
    wake_at: int | None = None
    sent: bool = False
    due_at: int | None = None
    deadline: int | None = None
    retry: str = ""
    root: str = ""
    detached_by: str = ""
    recurs: str = ""
    reads: str = ""
    awaiters: frozenset[str] = frozenset()
    paused: str = ""
    closed: bool = False
    closed_at: int = 0
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def pending(self) -> bool:
        return self.state is State.PENDING

    @property
    def rejected(self) -> bool:
        return self.state not in (State.PENDING, State.RESOLVED)

    @property
    def ended_at(self) -> int:
        """When it was over, if it is."""
        return max(self.settled_at, self.closed_at)

    @property
    def ordinal(self) -> int:
        return ordinal_of(self.id)

    @property
    def runnable(self) -> bool:
        """A run may still do something: the function isn't settled, or was cancelled and must clean up."""
        return self.pending or (cleans_up(self.state) and not self.closed)

    @property
    def over(self) -> bool:
        """No run does anything for it any more. What isn't a function has nothing to clean up."""
        return is_over(self.kind, self.state, self.closed)


def is_over(kind: Kind, state: State, closed: bool) -> bool:
    """See `Record.over`."""
    return state is not State.PENDING and not (kind is Kind.CALL and cleans_up(state) and not closed)


def is_readable(version: object) -> bool:
    """Whether this code reads items of a version, as DynamoDB's JSON has it: a number's text."""
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
    """What a replay compares: a fingerprint of what was asked for."""
    return hashlib.sha256(f"{kind}\0{fn}\0{args}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


class Refusal(StrEnum):
    """Why a conditional write was refused. Nothing was written."""

    UNKNOWN = "unknown"
    SETTLED = "settled"
    MOVED = "moved"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused write, with the record that stands (None where there is none)."""

    why: Refusal
    stands: Record | None


Written = Record | Refused


def create(standing: Record | None, new: Record) -> Written:
    """Create if no record has the id. A refusal carries what stands, for the caller to compare."""
    return new if standing is None else Refused(Refusal.MOVED, standing)


def settle(
    standing: Record | None, state: State, value: str, at: int, due_at: int | None = None, by_parent: bool = False
) -> Written:
    """I1: only a pending promise settles; the first settlement stands.

    ``at``: microseconds since the epoch, and so is ``due_at``: when somebody has to look whether a function that is
    cancelled by this has cleaned up, or whether a root that ends with this is to be removed. ``by_parent``: the
    function that made the promise cancels it.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.pending:
        return Refused(Refusal.SETTLED, standing)
    return replace(
        standing,
        state=state,
        value=value,
        settled_at=at,
        by_parent=by_parent,
        expects=None,
        due_at=due_at,
        paused="",
    )


def cleans_up(state: State) -> bool:
    """Whether a function that was settled so from above goes on until it is closed."""
    return state in (State.CANCELED, State.TIMEDOUT)


def close(standing: Record | None, due_at: int | None = None, at: int = 0) -> Written:
    """A cancelled function has cleaned up ``at`` this time: nothing runs under this id any more. Its outcome stays.

    ``due_at``: when somebody has to look whether it is to be removed.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    return replace(standing, closed=True, closed_at=at, due_at=due_at)


def remove(standing: Record | None, created_at: int) -> Written:
    """What is over may go: the record is removed, and returned. A schedule, or what still moves, is refused.

    ``created_at``: of the record that is meant. Another one may have been created under its id since.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if standing.created_at != created_at or not standing.over:
        return Refused(Refusal.MOVED, standing)
    return standing


def copied(state: State, value: str) -> tuple[State, str]:
    """How a link settles once its root has."""
    return state, value if state in (State.RESOLVED, State.REJECTED) else ""


@dataclass(frozen=True, slots=True)
class Firing:
    """A timer's message: what it was set for, and the epoch that the run which sent it knew (-1: it was armed)."""

    at: int
    epoch: int = -1


def claim(standing: Record | None, firing: Firing | None = None, due_at: int | None = None) -> Written:
    """A run that was woken by count or by time takes over: whoever loaded an older epoch can't arm any more.

    A firing is refused once another timer, or none, is armed in its place. While ``epoch`` hasn't moved, the run that
    sent it is still on its way to arm: the claim makes it load again. ``wake_at`` stays, so that the platform's retry
    of the same firing claims again.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    if firing is not None and standing.wake_at != firing.at and standing.epoch > firing.epoch:
        return Refused(Refusal.SUPERSEDED, standing)
    epoch = standing.epoch + 1
    return replace(standing, epoch=epoch, threshold=None, expects=None, on_reject=False, due_at=due_at)


def postpone(standing: Record | None, was: int, due_at: int | None) -> Written:
    """The watchdog has looked, and will again; unless a run has been here meanwhile."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if standing.due_at != was:
        return Refused(Refusal.MOVED, standing)
    return replace(standing, due_at=due_at)


def register(standing: Record | None, awaiter: str) -> Written:
    """A link waits for this root. What has settled already is refused: the link settles by what stands."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.pending:
        return Refused(Refusal.SETTLED, standing)
    return replace(standing, awaiters=standing.awaiters | {awaiter})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arming:
    """How a run suspends: what it knew (``epoch``, ``arrivals``, ``state``), and what is to wake the function.

    ``threshold`` None: no settlement wakes it. ``on_reject``: a rejection wakes it whatever the count. ``expects``
    and ``refusals``: as in `Record`.
    """

    epoch: int
    arrivals: int
    state: State = State.PENDING
    threshold: int | None = None
    expects: int | None = None
    refusals: int = 0
    on_reject: bool = False
    wake_at: int | None = None
    sent: bool = False
    due_at: int | None = None


def arm(standing: Record | None, arming: Arming) -> Written:
    """Suspend, if nothing happened since this run loaded.

    A moved ``epoch`` means that another run took over (`SUPERSEDED`: leave everything to it); moved ``arrivals``, or
    another state, that there is news (`MOVED`: load again and go on). Arming moves the epoch itself, so a second run
    that loaded the same epoch can't overwrite this threshold with what it knew.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    if standing.epoch != arming.epoch:
        return Refused(Refusal.SUPERSEDED, standing)
    if standing.arrivals != arming.arrivals or standing.state is not arming.state:
        return Refused(Refusal.MOVED, standing)
    return replace(
        standing,
        epoch=standing.epoch + 1,
        threshold=arming.threshold,
        expects=arming.expects,
        refusals=arming.refusals,
        on_reject=arming.on_reject,
        wake_at=arming.wake_at,
        sent=arming.sent,
        due_at=arming.due_at,
        paused="",
    )


def arrive(standing: Record | None, count: int) -> Written:
    """``count`` settlements of counted children reached the parent. Only ever adds."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    return replace(standing, arrivals=standing.arrivals + count)


def pause(standing: Record | None, why: str) -> Written:
    """The replay drifted: keep everything, say why. Any later run tries again, and arming clears it."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    return replace(standing, paused=why)


def threshold_for(consumed: int, arrivals: int, need: int) -> int:
    """The count of arrivals at which ``need`` further settlements have come in.

    ``consumed`` counted settlements are known to the run, ``arrivals`` were counted before it loaded. Whichever is
    larger already covers the other: arrivals that lag behind ``consumed`` will still be added, and arrivals in excess
    of it were added twice.
    """
    return max(consumed, arrivals) + need


def wakes(parent: Record, *, rejected: bool) -> bool:
    """Whether a parent, as it stands after an arrival, is to be resumed.

    Level-triggered: a resumer that died between counting and invoking counts again and comes here again.
    """
    if parent.threshold is None:
        return False
    return parent.arrivals >= parent.threshold or (rejected and parent.on_reject)
