"""What a suspended function's record says: what wakes the function, and when the watchdog looks at it. Pure."""

from __future__ import annotations

from adapter.protocol.ids import parent_of
from adapter.protocol.promises import Arming, Firing, missing, threshold_for
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, Instant
from adapter.protocol.timing import is_far, watched
from adapter.replay.known import Known
from adapter.replay.steps import Suspended

OVERDUE = MINUTE
"""The resumer counts a settlement within seconds. If it takes longer, it counts what a run has made up for already, and
the function is woken in vain."""


def wake_at(own: Record, step: Suspended) -> Instant | None:
    """When time resumes the function. A suspended root watches its own deadline, since it has no parent that does."""
    if own.deadline is None or not own.pending or parent_of(own.id) is not None:
        return step.wake_at
    return own.deadline if step.wake_at is None else min(step.wake_at, own.deadline)


def needs_arming(own: Record, step: Suspended, at: Instant | None) -> bool:
    """Whether the function has to be armed. If it waits for one child alone, that child's record resumes it."""
    stale = own.expects is not None or bool(own.paused)
    return not step.direct or at is not None or stale or _is_timed(own, own.due_at)


def is_sent(own: Record, at: Instant, firing: Firing | None) -> bool:
    """Whether a message for this time is on its way. The message that started this run (``firing``) isn't any more."""
    came_by_it = firing is not None and firing.at == at
    return own.sent and own.wake_at == at and not came_by_it


def missed(own: Record, known: Known, now: Instant) -> int:
    """How many settlements the resumer should have counted by now, and hasn't."""
    return 0 if known.consumed <= own.arrivals else missing(known.consumed_by(now - OVERDUE), own.arrivals)


def arming(own: Record, step: Suspended, known: Known, at: Instant | None, now: Instant) -> Arming:
    """How the function suspends. Time resumes it ``at``, if at all."""
    far = at is not None and is_far(at, now)
    return Arming(
        epoch=own.epoch,
        arrivals=own.arrivals,
        made_up=missed(own, known, now),
        state=own.state,
        threshold=None if step.need is None else threshold_for(step.consumed, own.arrivals, step.need),
        expects=_expected(step),
        rejections=step.rejections,
        on_reject=step.on_reject,
        wake_at=at,
        sent=at is not None and not far,
        due_at=_due_at(own, step, at if far else None, now),
    )


def _expected(step: Suspended) -> int | None:
    """How many settlements the watchdog expects; None if the function waits for one child, whose record shows it."""
    if step.direct:
        return None
    return -1 if step.need is None else step.consumed + step.need


def _due_at(own: Record, step: Suspended, far: Instant | None, now: Instant) -> Instant | None:
    """The entry in the index: the far time that the function waits for, or the watchdog's next look.

    The watchdog looks at a root, since no parent would miss it, and at a cancelled function that cleans up. A function
    that only waits for a far time needs no look: its entry stays until a run claims it.
    """
    if (parent_of(own.id) is not None and own.pending) or (far is not None and not step.waiting):
        return far
    standing = own.due_at
    watch = watched(own, now) if standing is None or _is_timed(own, standing) else standing
    return watch if far is None else min(watch, far)


def _is_timed(own: Record, due_at: Instant | None) -> bool:
    """Whether the entry of the index is for the time that the function waited for."""
    return due_at is not None and due_at == own.wake_at
