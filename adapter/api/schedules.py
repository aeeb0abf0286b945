"""Executions that begin by the clock: created at run time, each occurrence once.

A schedule is a record whose next occurrence is in the index ``due``. When it comes, `adapter.lambdas.occurrences`
starts it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ParamSpec

from adapter.api import requests
from adapter.api.durable import Durable
from adapter.engine import hosts
from adapter.engine.operations import Create, Delete, Operation, SendAt
from adapter.errors import BadMessage, ConfigurationError, IdConflict, UnknownPromise
from adapter.protocol.ids import SCHEDULE, check_root_id
from adapter.protocol.messages import Occur
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record, digest_of
from adapter.protocol.recurrence import Recurrence, When, recurrence
from adapter.protocol.times import EPOCH, LATEST, SECOND, datetime_of, floor
from adapter.protocol.timing import is_far

P = ParamSpec("P")


MAX_NAME = 200


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
    It is idempotent by name: the same schedule again changes nothing. After a crash it is either made or not.

    Args:
        when: five fields of cron in UTC, ``"0 3 * * *"``, or ``"rate(5 minutes)"``; a `When` for more.

    Raises:
        ConfigurationError: the expression can't be read.
        CodecError: an argument can't be stored.
        IdConflict: another schedule has the name.
    """
    host = hosts.current()
    now = host.now()
    when = when if isinstance(when, When) else When(when)
    recurs = Recurrence(when=when, start=floor(now, SECOND), timeout=fn.options.timeout)
    first = recurs.after(now)
    encoded = requests.encoded(fn.definition, args, kwargs)
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
        recurs=recurs.to_text(),
        retry=fn.options.retry,
        tags=fn.options.tags,
    )
    stands = host.drive(_create(record))
    if stands.digest != record.digest:
        raise IdConflict(f"there is another schedule {name!r}; unschedule({name!r}) first")
    return _seen(stands)


def unschedule(name: str) -> None:
    """Remove a schedule. Its executions go on.

    Raises:
        UnknownPromise: there is no schedule of this name.
    """
    if hosts.current().drive(_delete(_id(name))) is None:
        raise UnknownPromise(f"there is no schedule {name!r}")


def schedules() -> list[Scheduled]:
    """All schedules, by name. One that was made seconds ago may be missing."""
    host = hosts.current()
    found = [host.read_promise(promise) for promise in host.scheduled()]
    return sorted(
        (_seen(record) for record in found if record is not None and record.kind is Kind.SCHEDULE),
        key=lambda each: each.name,
    )


def _create(record: Record) -> Generator[Operation, Any, Record]:
    written: Written = yield Create(record)
    stands = written.stands if isinstance(written, Refused) else written
    assert stands is not None
    if stands.wake_at is not None and not is_far(stands.wake_at, record.created_at):
        # Also if the schedule stands already: the call that made it may have died before this.
        yield SendAt(stands.target, Occur(id=stands.id, at=stands.wake_at), stands.wake_at)
    return stands


def _delete(promise: str) -> Generator[Operation, Any, Record | None]:
    deleted: Record | None = yield Delete(promise)
    return deleted


def _id(name: str) -> str:
    if len(check_root_id(name)) > MAX_NAME:
        raise ConfigurationError(f"a schedule's name has at most {MAX_NAME} characters")
    return f"{SCHEDULE}{name}"


def _seen(record: Record) -> Scheduled:
    recurs = recurrence(record.recurs, record.id)
    next_at = record.wake_at or EPOCH
    if not 0 <= next_at < LATEST:
        raise BadMessage(f"{record.id} is to occur at {record.wake_at}, which is no time in microseconds")
    return Scheduled(
        name=record.id.removeprefix(SCHEDULE),
        fn=record.fn,
        when=recurs.when,
        next_at=datetime_of(next_at),
    )
