"""The sweeper turns entries of the index into messages, and acts on the messages that fall due. It runs no user code.

There are two queues. `fire` serves the queue of timers, which must fire on the second. `tend` serves the queue of
upkeep: looks and removals, which may take long, and come a hundred at a time. Both understand every message.

`sweep` only sends: an entry stays in the index until its function claims or settles. So a sweep may die anywhere.
Lambda's retry of the same event, or a later sweep, sends the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, assert_never

from aws_lambda_powertools.utilities.batch import EventType

from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.operations import Invoke, PeekPromise, SendAt, Tell, batched
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.errors import BadMessage
from adapter.lambdas.batches import process
from adapter.lambdas.occurrences import occur
from adapter.lambdas.watchdog import look
from adapter.protocol.ids import SCHEDULE, parent_of
from adapter.protocol.messages import Cause, Look, Occur, Resume, Start, Timed, parse_timed
from adapter.protocol.outages import is_out
from adapter.protocol.promises import Firing
from adapter.protocol.records import Record
from adapter.protocol.times import LATEST, MINUTE, SECOND, Instant, floor, instant_of
from adapter.protocol.timing import SHARDS, Due, wanted

AGAIN = 17 * MINUTE
"""Within less than that, the sweeper sends what is overdue again."""

OVERDUE = 2 * MINUTE
"""An entry that is due for longer was sent before."""

LOT = 200
"""Messages that a sweep sends together. They are of several shards, so that few of them share a request, too."""


def sweep(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Lambda's entry, invoked every minute: send the entries of the minute after next, and overdue ones."""
    host = hosts.current()
    host.enter_invocation(context)
    minute = _minute(event)
    sent = 0
    lot: list[SendAt] = []
    try:
        for page in _pages(host, minute):
            lot += [_schedule(due) for due in page]
            if len(lot) >= LOT:
                host.ports.perform(batched(lot))
                sent += len(lot)
                lot = []
    finally:
        # If a shard can't be read, those before it are sent all the same.
        if lot:
            host.ports.perform(batched(lot))
    return {"sent": sent + len(lot)}


def _minute(event: dict[str, Any]) -> Instant:
    """The minute that this sweep is for. A retry has the same one, however late it comes."""
    try:
        at = datetime.fromisoformat(event["time"])
        if at.tzinfo is None:
            raise ValueError("it has no time zone")
    except (KeyError, TypeError, ValueError) as unreadable:
        raise BadMessage(
            f"the sweeper is triggered by a schedule, whose events have a time: {repr(unreadable)[:200]}"
        ) from None
    return floor(instant_of(at), MINUTE)


def _pages(host: EngineHost, minute: Instant) -> Iterator[list[Due]]:
    for shard in SHARDS:
        try:
            for page in host.ports.store.due(shard, minute + 2 * MINUTE):
                if found := [due for due in page if wanted(due.at, minute)]:
                    yield found
        except BadMessage as unreadable:
            # One entry that can't be sent must not hold up the others.
            host.ports.perform(Tell(What.UNHANDLED, "", "", {"error": f"BadMessage: {unreadable}"}))


def _schedule(due: Due) -> SendAt:
    message: Timed = Look(id=due.id, over=due.over)
    if due.id.startswith(SCHEDULE):
        message = Occur(id=due.id, at=due.at)
    elif due.wakes:
        message = Resume(id=due.id, cause=Cause.TIMER, firing=Firing(due.at))
    return SendAt(due.target, message, due.at, due.upkeep)


def fire(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the queue of timers: invoke what is due. It reports each message that failed."""
    host = hosts.current()
    return process(host, EventType.SQS, event, context, lambda record: _act(host, record, upkeep=False))


def tend(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the queue of upkeep: look at what may be lost, remove what is over. It reports as `fire`.

    One look may remove a thousand records. Once half of the invocation's time is over, it sends on what is left of its
    batch, which another invocation gets. Otherwise Lambda would end it, and all of the batch would come again.
    """
    host = hosts.current()
    half = context.get_remaining_time_in_millis() // 2
    removed = 0

    def act(record: dict[str, Any]) -> None:
        nonlocal removed
        late = context.get_remaining_time_in_millis() < half
        removed += _act(host, record, upkeep=True, late=late) == "removed"

    response = process(host, EventType.SQS, event, context, act)
    if removed:
        host.ports.perform(Tell(What.TENDED, "", "", {"removed": removed}))
    return response


def _act(host: EngineHost, record: dict[str, Any], *, upkeep: bool, late: bool = False) -> str:
    """Act on a message. Returns the end of a look; empty for other messages."""
    target, message, at = read(record["body"], host.ports.check)
    if late or at > host.ports.clock.now() + SECOND:
        # There is no time left for it, or it is due later than one message can be delayed, or clocks differ.
        host.ports.perform(Tell(What.SENT_ON, message.id, "", {"at": at}))
        host.ports.perform(SendAt(target, message, at, upkeep))
        return ""
    if _is_held(host, message, at):
        return ""
    match message:
        case Look():
            return drive(look(message.id, at, host.ports.retention, message.over), host.ports.perform)
        case Occur():
            drive(occur(message.id, message.at), host.ports.perform)
        case Start() | Resume():
            # A message that was kept may be kept again, for ever: to send it is no progress.
            timed = isinstance(message, Resume) and message.cause is Cause.TIMER
            host.ports.perform(Tell(What.FIRING if timed else What.TRIED, message.id, "", {"at": at}))
            host.ports.perform(Invoke(target, message))
        case _:
            assert_never(message)
    return ""


def _is_held(host: EngineHost, message: Timed, at: Instant) -> bool:
    """Whether the index sends a timer again whose function can't run: another message is kept for that.

    Only what is overdue is looked at: a timer in time costs no read.
    """
    now = host.ports.clock.now()
    if not isinstance(message, Resume) or message.cause is not Cause.TIMER or now - at < OVERDUE:
        return False
    own: Record | None = host.ports.perform(PeekPromise(message.id))
    if own is None or not is_out(own, now):
        return False
    if own.pending and own.deadline is not None and own.deadline < now + AGAIN and parent_of(own.id) is None:
        # Its own run can't time it out, and its entry is the timer's. The next of these messages may come too late.
        host.ports.perform(SendAt(own.target, Look(id=own.id), max(now, own.deadline)))
    return True


def read(body: str, check: Callable[[object], None]) -> tuple[str, Timed, Instant]:
    """The target, the envelope and the time of a message in the queue.

    Raises:
        BadMessage: the engine didn't send this message.
    """
    try:
        data = json.loads(body)
        target, at = data["target"], data["at"]
        if not isinstance(target, str) or type(at) is not int:
            raise TypeError("target or at is of another type")
        if not 0 <= at < LATEST:
            # Otherwise it would be sent on again and again, until that year.
            raise ValueError("at isn't a time in microseconds, from 1970 on and before the year 10000")
        # Otherwise an outsider that can write to the queue would have its message signed on its way.
        check(data["message"])
        return target, parse_timed(data["message"]), Instant(at)
    except (ValueError, TypeError, KeyError, RecursionError) as unreadable:
        raise BadMessage(f"a message in the queue of timers can't be read: {unreadable!r}") from None
