"""When time has to act, and by which way: a queue's delayed message, or the index that the sweeper reads. Pure.

A message can be delayed by 15 minutes. What is due later is an entry of the index ``due``: an attribute of the record
itself, so it costs no write of its own. Every minute the sweeper turns the entries of one minute, the one after next,
into messages. Entries stay until their function claims, so a sweep that died, or a message that was lost, is made good
by a later sweep: an entry that is overdue is sent again after 1, 3, 7 and 15 minutes, then every 16.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from adapter.errors import ConfigurationError
from adapter.protocol.ids import SCHEDULE
from adapter.protocol.records import Record
from adapter.protocol.times import DAY, LATEST, MINUTE, SECOND

HORIZON = 15 * MINUTE
"""Microseconds by which a message can be delayed."""

WATCH = 20 * MINUTE
"""Microseconds without news after which the watchdog looks: longer than any invocation runs, and then some."""

QUIET = 16 * MINUTE
"""Without news for so long, no invocation is at work on a function: none runs longer than 15 minutes."""

MAX_WATCH = DAY
"""Between two looks at what doesn't move."""

RETENTION = 30 * DAY
"""Microseconds for which an execution that is over is kept, where nothing else is said."""

MIN_RETENTION = DAY
"""The least: within a day no run is left that loaded it, and no event of Lambda's that names it."""

SCHEDULES = "schedules"
"""The shard that has all schedules, so that they can be listed."""

SHARDS = (*map(str, range(8)), SCHEDULES)
"""Of the index: each takes 1,000 writes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What the index tells of a record: due ``at`` (microseconds). ``over``: only to be removed."""

    id: str
    target: str
    at: int
    wake_at: int | None = None
    over: bool = False

    @property
    def wakes(self) -> bool:
        """It is the time that the function waits for; else somebody has to look at it."""
        return self.at == self.wake_at and not self.over


def due_of(record: Record) -> Due | None:
    """The entry of a record, if it has one."""
    if record.due_at is None:
        return None
    return Due(id=record.id, target=record.target, at=record.due_at, wake_at=record.wake_at, over=record.over)


def retention_of(days: str) -> int | None:
    """The microseconds of so many days, by default 30; None for 0: what is over is kept for ever.

    Raises:
        ConfigurationError: no number, or less than a day.
    """
    if not days:
        return RETENTION
    try:
        microseconds = round(float(days) * DAY)
    except (ValueError, OverflowError):
        microseconds = -1
    if microseconds and not MIN_RETENTION <= microseconds < LATEST:
        raise ConfigurationError(f"DURABLE_RETENTION_DAYS is {days!r}: a number of days from 1 on, or 0 for ever")
    return microseconds or None


def kept_until(root: str, ended_at: int, retention: int | None) -> int | None:
    """When the index has somebody remove a root that ended; None: never.

    Spread over an hour by the id: what a night's fan-out ended in one minute isn't removed in one, in a queue in which
    others wait for their moment.
    """
    spread = zlib.crc32(root.encode("utf-8", "surrogatepass")) % (60 * MINUTE // SECOND) * SECOND
    return None if retention is None else ended_at + retention + spread


def shard_of(promise: str) -> str:
    if promise.startswith(SCHEDULE):
        return SCHEDULES
    return SHARDS[zlib.crc32(promise.encode("utf-8", "surrogatepass")) % 8]


def is_far(at: int, now: int) -> bool:
    return at - now > HORIZON


def indexed(root: Record) -> Record:
    """A root enters the index with its creation: no parent would miss it."""
    return replace(root, due_at=watched(root, root.created_at))


def watched(own: Record, now: int) -> int:
    """When the index has somebody look at a function that was set going ``now``. A near deadline has a message."""
    if own.deadline is not None and own.pending and is_far(own.deadline, now):
        return min(now + WATCH, own.deadline)
    return now + WATCH


def wanted(at: int, minute: int) -> bool:
    """Whether the sweep of ``minute`` (its beginning) sends an entry that is due ``at``.

    The minutes' windows tile time, so without a fault each entry is sent once.
    """
    ahead = at // MINUTE - minute // MINUTE
    return ahead == 1 or _is_due_again(-ahead - 1)


def next_sweep(at: int, after: int) -> int:
    """The first minute later than ``after`` whose sweep sends an entry that is due ``at``."""
    minute = (at // MINUTE - 1) * MINUTE
    if minute > after:
        return minute
    late = max(1, after // MINUTE - at // MINUTE)
    while not _is_due_again(late):
        late += 1
    return (at // MINUTE + 1 + late) * MINUTE


def _is_due_again(late: int) -> bool:
    """After 1, 3, 7 and 15 minutes, then every 16: soon at first, and soon after an outage of any length."""
    return late in (1, 3, 7) or (late > 0 and late % 16 == 15)
