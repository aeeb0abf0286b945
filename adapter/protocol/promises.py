"""Every transition that the record of a durable promise can make. Pure.

A store performs exactly these transitions, atomically per record, and nothing else ever changes a record. The
conditional writes of `adapter.aws.store` are these functions in DynamoDB's language; the contract tests compare the
two, and the interleaving check explores these functions themselves.

Theory of operation. A promise is created ``pending`` and settles once (I1). A function that waits for its children
suspends in one of two ways:

- *direct*: it waits for one child, which carries ``wake = direct``. The child's settlement resumes it, without a write.
  With ``wake = prompt`` the run that settles the child does that itself, and otherwise the stream, as ever. A child
  that carries no ``wake`` yet is watched by its parent's run, which makes it *prompt* before it ends.
- *counted*: it *arms* its own record with a ``threshold``. The resumer adds each settlement of a counted child to
  ``arrivals``, and resumes the function once ``arrivals`` reaches ``threshold``.

``epoch`` counts the runs that took over. Both a claim and an arming move it, so of two runs that loaded the same epoch
at most one arms. ``arrivals`` may count a settlement twice: a function may be woken in vain, but no wake is lost (I3).
It misses a settlement only if AWS puts its stream record aside. Then the watchdog finds the function, and a run makes
up for what is `missing`, so that no later wait is too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from adapter.protocol.ids import parent_of
from adapter.protocol.making import changed
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.times import EPOCH, NO_TIME, Instant, Span
from adapter.protocol.timing import is_expired

MAX_AWAITERS = 1_000
"""Followers of one root. Each registration pays for the whole item, so all of them together for their square."""

MAX_AWAITERS_BYTES = 64_000
"""Of the ids of a root's followers, which share its item with its arguments and its outcome."""


class Refusal(StrEnum):
    """Why a conditional write was refused. Nothing was written."""

    UNKNOWN = "unknown"
    SETTLED = "settled"
    MOVED = "moved"
    SUPERSEDED = "superseded"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused write, with the record that stands (None where there is none)."""

    why: Refusal
    stands: Record | None


Written = Record | Refused


def create(standing: Record | None, new: Record) -> Written:
    """Create the record if no record has its id. A refusal carries what stands, for the caller to compare.

    What has expired stands no more, even if DynamoDB hasn't removed it yet. A child also replaces what expires earlier
    than itself: an earlier execution's, which has expired by the clock that created the root of this one.
    """
    if standing is None or is_expired(standing, new.created_at) or (parent_of(new.id) and _is_earlier(standing, new)):
        return new
    return Refused(Refusal.MOVED, standing)


def _is_earlier(standing: Record, new: Record) -> bool:
    return standing.expires is not None and (new.expires is None or standing.expires < new.expires)


def settle(
    standing: Record | None,
    state: State,
    value: str,
    at: Instant,
    due_at: Instant | None = None,
    by_parent: bool = False,
    unless_objects: bool = False,
    prompted_by: str = "",
    took: Span = NO_TIME,
    retries: int = 0,
) -> Written:
    """Settle a pending promise. The first settlement stands (I1).

    At ``due_at`` the watchdog looks at the record: whether a function that this cancels has cleaned up, or whether a
    root that this ends can be removed. ``by_parent`` says that the function that made the promise cancels it.

    With ``unless_objects`` no look follows: the execution expires. A root with objects refuses that, since DynamoDB
    removes no objects.

    ``prompted_by``: the run of that request settles its own promise, and resumes the parent, if the record then says
    ``wake = prompt``. The parent may have asked for that at any time before.

    ``took`` and ``retries`` say how the settling run went. Nothing is decided by them.
    """
    if standing is None or is_expired(standing, at):
        return Refused(Refusal.UNKNOWN, None)
    if not standing.pending:
        return Refused(Refusal.SETTLED, standing)
    if unless_objects and standing.objects:
        return Refused(Refusal.MOVED, standing)
    return changed(
        standing,
        state=state,
        value=value,
        settled_at=at,
        by_parent=by_parent,
        prompted_by=prompted_by,
        took=took,
        retries=retries,
        expects=None,
        due_at=None if unless_objects else due_at,
        paused="",
    )


def ask(standing: Record | None) -> Written:
    """A parent that watched a child goes to sleep: the child's run resumes it. A settled child refuses."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.pending:
        return Refused(Refusal.SETTLED, standing)
    return changed(standing, wake=Wake.PROMPT)


def owes_wake(own: Record, request: str | None = None) -> bool:
    """Whether the run that settled a promise has to resume its parent, and is that of this request, if one is given."""
    mine = own.prompted_by != "" and request in (None, own.prompted_by)
    return not own.pending and own.wake is Wake.PROMPT and mine


def close(standing: Record | None, due_at: Instant | None = None, at: Instant = EPOCH) -> Written:
    """Record when a cancelled function has cleaned up. Nothing runs under its id any more; its outcome stays.

    At ``due_at`` the watchdog looks whether the record can be removed.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    return changed(standing, closed=True, closed_at=at, due_at=due_at)


def remove(standing: Record | None, created_at: Instant) -> Written:
    """Remove a record that is over, and return it. A schedule is refused, and so is a promise that may still change.

    ``created_at`` says which record is meant: another one may have been created under its id since.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if standing.created_at != created_at or not standing.over:
        return Refused(Refusal.MOVED, standing)
    return standing


def copied(state: State, value: str) -> tuple[State, str]:
    """How a follower settles once its root has settled."""
    return state, value if state in (State.RESOLVED, State.REJECTED) else ""


@dataclass(frozen=True, slots=True)
class Firing:
    """A timer's message: the time it was set for, and the epoch that its sender knew (-1: the function was armed)."""

    at: Instant
    epoch: int = -1


def claim(
    standing: Record | None,
    by: str,
    firing: Firing | None = None,
    due_at: Instant | None = None,
    armed: int | None = None,
) -> Written:
    """A run that a count or a timer woke takes over: no run that loaded an older epoch can arm any more. ``by`` is its
    request.

    A firing is refused once another timer, or none, is armed in its place. If ``epoch`` hasn't moved, the run that sent
    the firing hasn't armed yet: the claim makes that run load again. ``wake_at`` stays, so Lambda's retry of the same
    firing can claim again.

    A count is refused once the function isn't armed any more as it was then, in the epoch ``armed``: each batch of the
    stream that finds the count reached resumes the function, and one run is enough. What was counted by then has
    settled before, so whoever claimed or armed meanwhile knows it, or was refused for it. The retry of the request that
    claimed last isn't refused. It is the only one that goes on if that run died.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    if firing is not None and standing.wake_at != firing.at and standing.epoch > firing.epoch:
        return Refused(Refusal.SUPERSEDED, standing)
    if armed is not None and standing.epoch != armed and standing.claimed_by != by:
        return Refused(Refusal.SUPERSEDED, standing)
    return changed(
        standing,
        epoch=standing.epoch + 1,
        claimed_by=by,
        threshold=None,
        expects=None,
        on_reject=False,
        due_at=due_at,
    )


def postpone(standing: Record | None, was: Instant, due_at: Instant | None) -> Written:
    """Set the watchdog's next look; refused if a run has changed the record since the last one."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if standing.due_at != was:
        return Refused(Refusal.MOVED, standing)
    return changed(standing, due_at=due_at)


def mark_objects(standing: Record | None) -> Written:
    """An object is about to be put for the execution of this root, so its removal has to look for objects.

    A root that expires has left the index when it settled. Then it comes back, to be removed by the watchdog.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    return changed(standing, objects=True, due_at=EPOCH if standing.due_at is None else standing.due_at)


def register(standing: Record | None, awaiter: str) -> Written:
    """Register a follower at its root. A settled root refuses: the follower then settles by what stands.

    So does a root with as many followers as its item takes: an item that is full could not settle any more.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.pending:
        return Refused(Refusal.SETTLED, standing)
    if awaiter not in standing.awaiters and len(standing.awaiters) >= most_awaiters(awaiter):
        return Refused(Refusal.FULL, standing)
    return changed(standing, awaiters=standing.awaiters | {awaiter})


def most_awaiters(awaiter: str) -> int:
    """How many followers a root takes whose ids are as long as this one's."""
    return min(MAX_AWAITERS, MAX_AWAITERS_BYTES // len(awaiter.encode("utf-8", "surrogatepass")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arming:
    """How a run suspends: what it knew (``epoch``, both kinds of arrivals, ``state``), and what wakes the function.

    With ``threshold`` None, no number of settlements wakes it. With ``on_reject``, one rejection does. ``expects`` and
    ``rejections`` are as in `Record`. ``made_up`` arrivals are added, since the resumer won't count them any more.
    """

    epoch: int
    arrivals: int
    rejected_arrivals: int = 0
    made_up: int = 0
    state: State = State.PENDING
    threshold: int | None = None
    expects: int | None = None
    rejections: int = 0
    on_reject: bool = False
    wake_at: Instant | None = None
    sent: bool = False
    due_at: Instant | None = None


def arm(standing: Record | None, arming: Arming) -> Written:
    """Suspend, if nothing has happened since this run loaded that could let its code move.

    If ``epoch`` has moved, another run has taken over: `SUPERSEDED`. If the state has moved, or what has arrived since
    may be what the function waits for, there is news: `MOVED`, read it and go on. Arming moves the epoch itself, so a
    second run that loaded the same epoch can't overwrite this threshold with what it knew.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    if standing.epoch != arming.epoch:
        return Refused(Refusal.SUPERSEDED, standing)
    if _has_arrived(standing, arming) or standing.state is not arming.state:
        return Refused(Refusal.MOVED, standing)
    return changed(
        standing,
        epoch=standing.epoch + 1,
        arrivals=standing.arrivals + arming.made_up,
        threshold=arming.threshold,
        expects=arming.expects,
        rejections=arming.rejections,
        on_reject=arming.on_reject,
        wake_at=arming.wake_at,
        sent=arming.sent,
        due_at=arming.due_at,
        paused="",
    )


def _has_arrived(standing: Record, arming: Arming) -> bool:
    """Whether what was counted since the run loaded may be what it wants to wait for.

    While the count is below the threshold, the settlement that reaches the threshold is still to be counted, and wakes
    the function. Only where one rejection is to wake it, whatever the count, may any arrival be that rejection.
    """
    if arming.on_reject and standing.rejected_arrivals != arming.rejected_arrivals:
        return True
    return arming.threshold is not None and standing.arrivals + arming.made_up >= arming.threshold


def arrive(standing: Record | None, count: int, rejected: int = 0) -> Written:
    """Add ``count`` settlements of counted children to the parent's ``arrivals``. Nothing ever subtracts.

    So many of them are rejections, as ``rejected`` says.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    return changed(
        standing, arrivals=standing.arrivals + count, rejected_arrivals=standing.rejected_arrivals + rejected
    )


def pause(standing: Record | None, why: str) -> Written:
    """Record why a replay drifted, and change nothing else. Any later run tries again, and arming clears the reason."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    return changed(standing, paused=why)


def hold(standing: Record | None, why: str, since: Instant, retry_at: Instant) -> Written:
    """Its Lambda can't run it, ``since`` a time, and that is tried again ``retry_at``.

    Without a ``why``: it can, since ``retry_at``.
    """
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    return changed(standing, outage=why, outage_at=since, retry_at=retry_at)


def pin(standing: Record | None, was: str, target: str, unpinned: str) -> Written:
    """Have a function that goes by ``was`` go by another name of its Lambda. The first of two versions stands."""
    if standing is None:
        return Refused(Refusal.UNKNOWN, None)
    if not standing.runnable:
        return Refused(Refusal.SETTLED, standing)
    if standing.target != was:
        return Refused(Refusal.MOVED, standing)
    return changed(standing, target=target, unpinned=unpinned)


def threshold_for(consumed: int, arrivals: int, need: int) -> int:
    """The number of arrivals at which ``need`` further settlements have come in.

    The run knows ``consumed`` counted settlements; ``arrivals`` were counted before it loaded. The larger number covers
    the other: if ``arrivals`` is behind ``consumed``, the rest will still be added, and if it is ahead, some were added
    twice.
    """
    return max(consumed, arrivals) + need


def missing(overdue: int, arrivals: int) -> int:
    """How many arrivals a run makes up for; the resumer should have counted ``overdue`` settlements by now.

    If it counts one of them after all, that one was counted twice.
    """
    return max(0, overdue - arrivals)


def wakes(parent: Record, *, rejected: bool) -> bool:
    """Whether the resumer has to resume a parent that stands so after an arrival.

    The answer is the same until the parent runs: a resumer that died between counting and invoking counts again, and
    asks again.
    """
    if parent.threshold is None:
        return False
    return parent.arrivals >= parent.threshold or (rejected and parent.on_reject)
