"""Every transition that the record of a durable promise can make. Pure.

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

from dataclasses import dataclass, replace
from enum import StrEnum

from adapter.protocol.records import Record, State


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
    """How a follower settles once its root has."""
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
    """A follower waits for this root. What has settled already is refused: the follower settles by what stands."""
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
