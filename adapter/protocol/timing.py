"""When a timer acts, and by which way: as a queue's delayed message, or through the index that the sweeper reads. Pure.

A message can be delayed by 15 minutes. A timer that is due later is an entry of the index ``due``: an attribute of the
record itself, so it costs no write of its own. Every minute the sweeper sends messages for the entries of one minute,
the one after next. An entry stays until its function claims. So if a sweep dies, or a message is lost, a later sweep
sends the overdue entry again: after 1, 3, 7 and 15 minutes, then every 16.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from adapter.errors import ConfigurationError
from adapter.protocol.ids import SCHEDULE
from adapter.protocol.making import changed
from adapter.protocol.records import Record, State
from adapter.protocol.times import DAY, EPOCH, HOUR, LATEST, MINUTE, SECOND, Instant, Span, floor

HORIZON = 15 * MINUTE
"""The longest delay of a message."""

WATCH = 20 * MINUTE
"""The watchdog looks at what has no news for so long: somewhat longer than any invocation runs."""

QUIET = 16 * MINUTE
"""After so long without news, no invocation is at work on a function: none runs longer than 15 minutes."""

MAX_WATCH = DAY
"""The longest time between two looks at a root that doesn't move."""

RETENTION = 30 * DAY
"""An execution that is over is kept for so long by default."""

MIN_RETENTION = DAY
"""The shortest retention. After a day no run is left that loaded the execution, and no event that names it."""

GRACE = 7 * DAY
"""So much later than the watchdog would remove an execution, it expires."""

LONGEST = 366 * DAY
"""An execution with a later deadline doesn't expire: to store it for so long may cost more than to remove it."""

SOON = 3 * MINUTE
"""If an entry is in the index so long before its time, the sweeper sends it in time."""

CLOSING = HOUR
"""Before an execution expires, no run of it begins for so long. No invocation takes as long, and clocks differ less."""

SCHEDULES = "schedules"
"""The shard of all schedules, so that one query lists them."""

SHARDS = (*map(str, range(8)), SCHEDULES)
"""The shards of the index: each takes 1,000 writes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What the index says of a record: it is due ``at``. ``over``: it waits for its removal.

    A list of executions goes by the function, the state and the times, without a read of each record.
    """

    id: str
    target: str
    at: Instant
    wake_at: Instant | None = None
    deadline: Instant | None = None
    over: bool = False
    fn: str = ""
    state: State = State.PENDING
    created_at: Instant = EPOCH
    settled_at: Instant = EPOCH

    @property
    def wakes(self) -> bool:
        """Whether the function waits for this time. Otherwise the watchdog has to look at it then."""
        return self.at == self.wake_at and not self.over

    @property
    def upkeep(self) -> bool:
        """Whether nobody waits for this time: the watchdog looks whether the record moves, or removes it."""
        return self.over or self.at not in (self.wake_at, self.deadline)


def due_of(record: Record) -> Due | None:
    """The entry of a record, if it has one."""
    if record.due_at is None:
        return None
    return Due(
        id=record.id,
        target=record.target,
        at=record.due_at,
        wake_at=record.wake_at,
        deadline=record.deadline,
        over=record.over,
        fn=record.fn,
        state=record.state,
        created_at=record.created_at,
        settled_at=record.settled_at,
    )


def retention_of(days: str) -> Span | None:
    """So many days, by default 30; None for 0: executions that are over are kept for ever.

    Raises:
        ConfigurationError: no number, or less than a day.
    """
    if not days:
        return RETENTION
    try:
        retention = Span(round(float(days) * DAY))
    except (ValueError, OverflowError):
        retention = Span(-1)
    if retention and not MIN_RETENTION <= retention < LATEST - EPOCH:
        raise ConfigurationError(f"DURABLE_RETENTION_DAYS is {days!r}: a number of days from 1 on, or 0 for ever")
    return retention or None


def kept_until(root: str, ended_at: Instant, retention: Span | None) -> Instant | None:
    """When the watchdog removes a root that ended; None: never.

    The id spreads these times over an hour: a night's fan-out may end in one minute, and its removals would hold up
    each other. They are whole minutes, so that those of one minute are sent, received and deleted together.
    """
    if retention is None:
        return None
    spread = zlib.crc32(root.encode("utf-8", "surrogatepass")) % (HOUR // MINUTE) * MINUTE
    return floor(ended_at + retention + spread, MINUTE) + MINUTE


def expires_at(root: Record, retention: Span | None) -> int | None:
    """When DynamoDB removes all of an execution for nothing, in seconds since the epoch; None: it doesn't.

    An execution with a deadline has settled by then, or its timers were out of order for weeks. So this time can be
    written into each record when it is created.
    """
    if root.deadline is None or retention is None or root.deadline - root.created_at > LONGEST:
        return None
    return -(-(root.deadline + retention + GRACE) // SECOND)


def is_expired(record: Record, now: Instant) -> bool:
    """Whether the record doesn't exist any more. DynamoDB may take two days to remove it."""
    return record.expires is not None and now >= EPOCH + record.expires * SECOND


def is_closing(record: Record, now: Instant) -> bool:
    """Whether no run of the function may begin any more: its children are about to vanish, in any order."""
    return record.expires is not None and now >= EPOCH + record.expires * SECOND - CLOSING


def shard_of(promise: str) -> str:
    if promise.startswith(SCHEDULE):
        return SCHEDULES
    return SHARDS[zlib.crc32(promise.encode("utf-8", "surrogatepass")) % 8]


def is_far(at: Instant, now: Instant) -> bool:
    return at - now > HORIZON


def indexed(root: Record) -> Record:
    """A root enters the index with its creation: no parent would miss it."""
    return changed(root, due_at=watched(root, root.created_at))


def watched(own: Record, now: Instant) -> Instant:
    """When the watchdog first looks at a function that starts ``now``.

    A near deadline has its own message. The look comes a minute later, should that message not have been sent.
    """
    if own.deadline is None or not own.pending:
        return now + WATCH
    if is_far(own.deadline, now):
        return entry(now + WATCH, own.deadline)
    return min(now + WATCH, own.deadline + MINUTE)


def entry(look: Instant, timed: Instant | None) -> Instant:
    """The time in the index of a function at which the watchdog is to look, and for which a timer is set.

    A look may come some seconds late. So it gives way to a timer that is due soon after it.
    """
    return timed if timed is not None and timed < look + SOON else look


def wanted(at: Instant, minute: Instant) -> bool:
    """Whether the sweep of ``minute`` (the time at which it begins) sends an entry that is due ``at``.

    The sweeps' windows don't overlap and leave no gap, so without a fault each entry is sent once.
    """
    ahead = at // MINUTE - minute // MINUTE
    return ahead == 1 or _is_due_again(-ahead - 1)


def next_sweep(at: Instant, after: Instant) -> Instant:
    """The first minute later than ``after`` whose sweep sends an entry that is due ``at``."""
    minute = floor(at, MINUTE) - MINUTE
    if minute > after:
        return minute
    late = max(1, after // MINUTE - at // MINUTE)
    while not _is_due_again(late):
        late += 1
    return floor(at, MINUTE) + (1 + late) * MINUTE


def _is_due_again(late: int) -> bool:
    """After 1, 3, 7 and 15 minutes, then every 16: soon at first, and soon after an outage of any length."""
    return late in (1, 3, 7) or (late > 0 and late % 16 == 15)
