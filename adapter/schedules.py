"""Executions that begin by the clock: created at run time, each occurrence once.

A schedule is a record whose next occurrence is in the index of due records. At an occurrence the timers' own Lambda
starts a root whose id is the schedule's name and the occurrence's time, then moves the record on to the next. Died in
between, the message comes again: the root exists already, and the record is moved on.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ParamSpec

from adapter import handles
from adapter.errors import BadMessage, ConfigurationError, IdConflict, UnknownPromise
from adapter.flushing import begin
from adapter.functions import Durable
from adapter.ids import SCHEDULE, check_root_id
from adapter.messages import Occur
from adapter.operations import Arm, Create, Delete, Get, Now, Operation, Schedule, Tell
from adapter.promises import Arming, Kind, Record, Refused, Written, digest_of
from adapter.timers import LATEST, SECOND, is_far

P = ParamSpec("P")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_RATE = re.compile(r"rate\(\s*([1-9][0-9]{0,8})\s+(second|minute|hour|day|week)s?\s*\)")
_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class When:
    """When a schedule's occurrences are.

    Args:
        expression: five fields of cron, ``"0 3 * * *"``, or ``"rate(5 minutes)"``, counted from when it was made.
        timezone: of the cron fields, as ``"Europe/Berlin"``.
        catch_up: what happens to occurrences that were missed, since nothing could run: each is made up for, in order;
            else they are left out.
    """

    expression: str
    timezone: str = "UTC"
    catch_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """As a record keeps it; ``timeout`` is of each execution."""

    when: When
    start: int
    timeout: float | None = None

    def after(self, moment: int) -> int:
        """The first occurrence later than a moment; both in microseconds.

        Raises:
            ConfigurationError: the expression or the time zone can't be read, or there is no further occurrence.
        """
        if rate := _RATE.fullmatch(self.when.expression):
            step = int(rate[1]) * _UNITS[rate[2]] * SECOND
            following = self.start + ((moment - self.start) // step + 1) * step
        else:
            following = self._cron_after(moment)
        if following >= LATEST:
            raise ConfigurationError(f"{self.when.expression[:80]!r} has no further occurrence before the year 10000")
        return following

    def _cron_after(self, moment: int) -> int:
        # Only here: every Lambda loads this module, and few ever ask when an occurrence is.
        import zoneinfo

        from cronsim import CronSim, CronSimError

        try:
            local = (_EPOCH + dt.timedelta(microseconds=moment)).astimezone(zoneinfo.ZoneInfo(self.when.timezone))
            found = next(CronSim(self.when.expression, local))
        except (CronSimError, zoneinfo.ZoneInfoNotFoundError, OSError, ValueError, OverflowError) as unreadable:
            # OSError: the package tzdata takes a name for that of a file, whatever there is under it.
            raise ConfigurationError(
                f"{self.when.expression[:80]!r} in {self.when.timezone[:80]!r} isn't a schedule: five fields of cron,"
                f" as in '0 3 * * *', or a rate, as in 'rate(5 minutes)' ({str(unreadable)[:200]})"
            ) from None
        except StopIteration:
            raise ConfigurationError(f"{self.when.expression[:80]!r} has no further occurrence") from None
        return (found - _EPOCH) // dt.timedelta(microseconds=1)

    def to_text(self) -> str:
        when = self.when
        data = [when.expression, when.timezone, when.catch_up, self.start, self.timeout]
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _rule(record: Record) -> _Rule:
    try:
        expression, timezone, catch_up, start, timeout = json.loads(record.rule)
        known = isinstance(expression, str) and isinstance(timezone, str) and isinstance(catch_up, bool)
        known = known and type(start) is int and 0 <= start < LATEST
        if not known or not (timeout is None or (isinstance(timeout, int | float) and 0 < timeout < LATEST)):
            raise TypeError("something is of another type, or no time")
    except (ValueError, TypeError, RecursionError) as unreadable:
        raise BadMessage(f"the rule of {record.id} can't be read: {unreadable}") from None
    return _Rule(when=When(expression, timezone, catch_up), start=start, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A schedule as it stands."""

    name: str
    fn: str
    when: When
    next_at: dt.datetime


def schedule(
    name: str,
    when: str | When,
    fn: Durable[P, Any],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Scheduled:
    """Start executions of a function by the clock, from now on, until `unschedule`.

    Each occurrence is the root ``NAME@2026-01-01T03:00:00Z``. Inside a durable function: ``await run(schedule, …)``.
    Idempotent by name: the same schedule again changes nothing. A crash leaves it made or not.

    Args:
        when: five fields of cron in UTC, ``"0 3 * * *"``, or ``"rate(5 minutes)"``; a `When` for more.

    Raises:
        ConfigurationError: the expression can't be read.
        CodecError: an argument can't be stored.
        IdConflict: another schedule has the name.
    """
    host = handles.host()
    now = host.now()
    when = when if isinstance(when, When) else When(when)
    rule = _Rule(when=when, start=now // SECOND * SECOND, timeout=fn.options.timeout)
    first = rule.after(now)
    encoded = fn.encode_args(args, kwargs)
    record = Record(
        id=_id(name),
        kind=Kind.SCHEDULE,
        fn=fn.name,
        target=host.qualify(fn.options.target),
        args=encoded,
        digest=digest_of(Kind.SCHEDULE, fn.name, f"{when}\0{encoded}"),
        created_at=now,
        wake_at=first,
        due_at=first,
        rule=rule.to_text(),
        retry=fn.options.called_with,
        tags=fn.options.tags,
    )
    stands = host.drive(_create(record))
    if stands.digest != record.digest:
        raise IdConflict(f"there is another schedule {name!r}; unschedule({name!r}) first")
    return _seen(stands)


def unschedule(name: str) -> None:
    """Remove a schedule. What it has started goes on.

    Raises:
        UnknownPromise: there is none of this name.
    """
    if handles.host().drive(_delete(_id(name))) is None:
        raise UnknownPromise(f"there is no schedule {name!r}")


def schedules() -> list[Scheduled]:
    """All of them, by name; one that was made a moment ago may be missing."""
    host = handles.host()
    found = [host.get(promise) for promise in host.scheduled()]
    return sorted(
        (_seen(record) for record in found if record is not None and record.kind is Kind.SCHEDULE),
        key=lambda each: each.name,
    )


def occur(promise: str, at: int) -> Generator[Operation, Any, str]:
    """An occurrence has come: start its root, and move the schedule on."""
    record: Record | None = yield Get(promise)
    if record is None or record.wake_at != at:
        # Moved on, removed, or made anew.
        return "stale"
    if not 0 <= at < LATEST:
        raise BadMessage(f"{promise} is to occur at {at}, which is no time in microseconds")
    now = yield Now()
    rule = _rule(record)
    following = rule.after(at)
    if following <= now and not rule.when.catch_up:
        following = rule.after(now)
    root = _root(record, at, now, rule.timeout)
    yield from begin(root)
    yield Tell("occurred", root.id, root.fn, {"schedule": promise})
    if not is_far(following, now):
        yield Schedule(record.target, Occur(id=promise, at=following), following)
    # Last: while it stands at this occurrence, the message may come again and do all of this again.
    yield Arm(promise, Arming(epoch=record.epoch, arrivals=0, wake_at=following, sent=True, due_at=following))
    return "occurred"


def _create(record: Record) -> Generator[Operation, Any, Record]:
    written: Written = yield Create(record)
    stands = written.stands if isinstance(written, Refused) else written
    assert stands is not None
    if stands.wake_at is not None and not is_far(stands.wake_at, record.created_at):
        # Also where it stands already: whoever made it may have died before this.
        yield Schedule(stands.target, Occur(id=stands.id, at=stands.wake_at), stands.wake_at)
    return stands


def _delete(promise: str) -> Generator[Operation, Any, Record | None]:
    deleted: Record | None = yield Delete(promise)
    return deleted


def _root(record: Record, at: int, now: int, timeout: float | None) -> Record:
    name = record.id.removeprefix(SCHEDULE)
    moment = _EPOCH + dt.timedelta(microseconds=at)
    return Record(
        id=f"{name}@{moment.strftime('%Y-%m-%dT%H:%M:%S')}Z",
        fn=record.fn,
        target=record.target,
        args=record.args,
        digest=digest_of(Kind.CALL, record.fn, record.args),
        created_at=now,
        # The occurrence's own: a message that comes again invokes what it created.
        by=f"{record.id}@{at}",
        deadline=None if timeout is None else now + round(timeout * SECOND),
        retry=record.retry,
        tags=record.tags,
    )


def _id(name: str) -> str:
    if len(check_root_id(name)) > MAX_NAME:
        raise ConfigurationError(f"a schedule's name has at most {MAX_NAME} characters")
    return f"{SCHEDULE}{name}"


def _seen(record: Record) -> Scheduled:
    rule = _rule(record)
    if not 0 <= (record.wake_at or 0) < LATEST:
        raise BadMessage(f"{record.id} is to occur at {record.wake_at}, which is no time in microseconds")
    return Scheduled(
        name=record.id.removeprefix(SCHEDULE),
        fn=record.fn,
        when=rule.when,
        next_at=_EPOCH + dt.timedelta(microseconds=record.wake_at or 0),
    )
