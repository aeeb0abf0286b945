"""How a run leaves a function that waits: armed for what wakes it, unless the child that it waits for does that.

Pure: `Suspender` yields operations, and the functions below say what the suspended function's record tells.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from adapter.engine.caller import Caller
from adapter.engine.ending import Ending, go_on_afresh
from adapter.engine.memory import read_news
from adapter.engine.operations import Arm, Operation, Remaining, SendAt, Tell
from adapter.engine.telling import What
from adapter.engine.waking import Stale
from adapter.protocol.ids import parent_of
from adapter.protocol.making import changed
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.promises import Arming, Firing, Refusal, Refused, Written, missing, threshold_for
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, Instant
from adapter.protocol.timing import entry, is_far, watched
from adapter.replay.execution import Execution
from adapter.replay.known import Known
from adapter.replay.steps import Suspended

OVERDUE = MINUTE
"""The resumer counts a settlement within seconds. If it takes longer, it counts what a run has made up for already, and
the function is woken in vain."""


class Suspender:
    """Suspends the function of one run. ``firing``: the timer whose message started the run."""

    def __init__(self, caller: Caller, firing: Firing | None = None) -> None:
        self._caller = caller
        self._firing = firing
        self._sent: Firing | None = None

    def suspend(self, execution: Execution, step: Suspended, now: Instant) -> Generator[Operation, Any, Ending | None]:
        """How the run ends; None if there was news instead, which the execution has now."""
        own = execution.own
        at = wake_at(own, step)
        if needs_arming(own, step, at):
            planned = arming(own, step, execution.known, at, now)
            if at is not None and planned.sent:
                yield from self._send(own, at, execution.known.long)
            written: Written = yield Arm(own.id, planned)
            if isinstance(written, Refused):
                return (yield from self._take_news(execution, written))
            execution.own = written
        yield Tell(What.SUSPENDED, own.id, own.fn, {"waiting": step.waiting, "wake_at": at})
        return Ending.SUSPENDED if step.waiting or at is not None else Ending.STUCK

    def _send(self, own: Record, at: Instant, long: bool) -> Generator[Operation, Any, None]:
        """Send the message that resumes the function at a near time, unless it is on its way.

        It is sent before arming: a run that finds the function armed relies on it. If the message overtakes the arming,
        its claim moves the epoch, and this run loads again.
        """
        # The message that started this run isn't on its way any more.
        came_by_it = self._firing is not None and self._firing.at == at
        firing = Firing(at, own.epoch)
        # After a refused arming, the first message does for any arming from this epoch.
        if (own.sent and own.wake_at == at and not came_by_it) or firing == self._sent:
            return
        resume = Resume(id=own.id, cause=Cause.TIMER, firing=firing, since=own.created_at, long=long)
        yield SendAt(own.target, resume, at)
        self._sent = firing

    def _take_news(self, execution: Execution, refused: Refused) -> Generator[Operation, Any, Ending | None]:
        """What follows when the arming was refused: None once the execution has the news.

        The last run that arms must know everything. Where only arrivals or the state have moved, no other run has
        claimed or armed since this one loaded: what it knows is right, and merely behind (I1). So it reads its own
        record, which the refusal carries, and then what may have changed below, as a run does that goes on from memory.
        Where another run took over, perhaps with records older than this run's writes, or has written promises that
        this run doesn't know, it loads everything rather than leave.
        """
        own = execution.own
        if refused.why is Refusal.SETTLED or refused.why is Refusal.UNKNOWN:
            yield Tell(What.REFUSED, own.id, own.fn, {"state": refused.why.value})
            return Ending.REFUSED
        if refused.why is not Refusal.MOVED or refused.stands is None:
            raise Stale
        # While settlements keep coming, each arming may be refused. A fresh invocation has all its time.
        if (yield Remaining()) < self._caller.limit // 10:
            return (yield from go_on_afresh(own, long=execution.known.long))
        if not execution.resume(changed(refused.stands, args=own.args), (yield from read_news(execution))):
            raise Stale
        return None


def wake_at(own: Record, step: Suspended) -> Instant | None:
    """When time resumes the function. A root has no parent that watches its deadline.

    The watchdog does: its looks lead up to the deadline, and a claim that moves the entry beyond it sends a message. So
    a root that waits for others needn't be armed for the sake of its deadline. But a timer's entry goes with the timer.
    """
    if own.deadline is None or not own.pending or parent_of(own.id) is not None:
        return step.wake_at
    if step.wake_at is None:
        return None if step.waiting and not _is_timed(own, own.due_at) else own.deadline
    return min(step.wake_at, own.deadline)


def needs_arming(own: Record, step: Suspended, at: Instant | None) -> bool:
    """Whether the function has to be armed. If it waits for one child alone, that child's record resumes it."""
    stale = own.expects is not None or bool(own.paused)
    return not step.direct or at is not None or stale or _is_timed(own, own.due_at)


def missed(own: Record, known: Known, now: Instant) -> int:
    """How many settlements the resumer should have counted by now, and hasn't."""
    return 0 if known.consumed <= own.arrivals else missing(known.consumed_by(now - OVERDUE), own.arrivals)


def arming(own: Record, step: Suspended, known: Known, at: Instant | None, now: Instant) -> Arming:
    """How the function suspends. Time resumes it ``at``, if at all."""
    far = at is not None and is_far(at, now)
    return Arming(
        epoch=own.epoch,
        arrivals=own.arrivals,
        rejected_arrivals=own.rejected_arrivals,
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
    return entry(watch, far)


def _is_timed(own: Record, due_at: Instant | None) -> bool:
    """Whether the entry of the index is for the time that the function waited for."""
    return due_at is not None and due_at == own.wake_at
