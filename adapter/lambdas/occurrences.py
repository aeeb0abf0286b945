"""An occurrence of a schedule: start its root, then move the schedule's record on to the next occurrence.

The root's id is the schedule's name and the occurrence's time. If the Lambda dies in between, the message comes again:
the root exists already, and the record moves on.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from adapter.engine.operations import Arm, Now, Operation, ReadPromise, SendAt, Tell
from adapter.engine.roots import start_root
from adapter.engine.telling import What
from adapter.errors import BadMessage
from adapter.protocol.ids import SCHEDULE, occurrence_id
from adapter.protocol.messages import Occur
from adapter.protocol.promises import Arming
from adapter.protocol.records import Kind, Record, digest_of
from adapter.protocol.recurrence import recurrence
from adapter.protocol.times import LATEST, Instant, span_of
from adapter.protocol.timing import is_far


def occur(promise: str, at: Instant) -> Generator[Operation, Any, str]:
    """An occurrence has come: start its root, and move the schedule on."""
    record: Record | None = yield ReadPromise(promise)
    if record is None or record.wake_at != at:
        # The schedule has moved on, was removed, or was made anew.
        return "stale"
    if not 0 <= at < LATEST:
        raise BadMessage(f"{promise} is to occur at {at}, which is no time in microseconds")
    now = yield Now()
    recurs = recurrence(record.recurs, record.id)
    following = recurs.after(at)
    if following <= now and not recurs.when.catch_up:
        following = recurs.after(now)
    root = _root(record, at, now, recurs.timeout)
    _, stands = yield from start_root(root)
    if stands.digest != root.digest:
        # No caller can choose this id: a schedule of the same name, since removed, had this time.
        error = f"IdConflict: {root.id} began with another function or other arguments; this occurrence is left out"
        yield Tell(What.UNHANDLED, root.id, root.fn, {"error": error})
    yield Tell(What.OCCURRED, root.id, root.fn, {"schedule": promise})
    if not is_far(following, now):
        yield SendAt(record.target, Occur(id=promise, at=following), following)
    # Last: as long as the record stands at this occurrence, a repeated message does all of this again.
    yield Arm(promise, Arming(epoch=record.epoch, arrivals=0, wake_at=following, sent=True, due_at=following))
    return "occurred"


def _root(record: Record, at: Instant, now: Instant, timeout: float | None) -> Record:
    return Record(
        id=occurrence_id(record.id.removeprefix(SCHEDULE), at),
        fn=record.fn,
        target=record.target,
        args=record.args,
        digest=digest_of(Kind.CALL, record.fn, record.args),
        created_at=now,
        # ``by`` is the occurrence's own: if the message comes again, it invokes the root that it created.
        by=f"{record.id}@{at}",
        deadline=None if timeout is None else now + span_of(timeout),
        retry=record.retry,
        tags=record.tags,
    )
