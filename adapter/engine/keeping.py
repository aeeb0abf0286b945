"""Messages whose Lambda can't run are kept in the queue of timers, and sent again for as long as that lasts.

One message is kept for each function: it makes the function load all that there is, so it stands for every other.
The engine first sends it, then the record says so. A Lambda that dies in between is repeated, and then there are two
messages; once one of them fails again, it finds the other and ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from adapter.engine.operations import Hold, Now, Operation, PeekPromise, SendAt, Tell
from adapter.engine.telling import What
from adapter.engine.waking import resume_caller
from adapter.errors import DurableError
from adapter.protocol import messages, outages
from adapter.protocol.messages import Cause, Look, Message, Resume, Start, Timed
from adapter.protocol.promises import owes_wake
from adapter.protocol.records import Record
from adapter.protocol.times import EPOCH, Instant

Perform = Callable[[Operation], Any]


def keep(perform: Perform, target: str, message: Message, why: str) -> None:
    """Keep a message that the Lambda ``target`` couldn't be invoked with, or couldn't run, and say ``why``.

    The promise may name its Lambda otherwise, by an older name.
    """
    is_check = isinstance(message, Resume) and message.cause is Cause.CHECK
    # Whether what a check is for has still to be done is judged again.
    sent = Look(id=message.id) if is_check else again(message)
    try:
        own: Record | None = perform(PeekPromise(message.id))
    except DurableError:
        raise
    except Exception:
        # The table can't be asked, which is perhaps why its function failed.
        send_later(perform, target, sent)
        return
    now: Instant = perform(Now())
    if own is not None:
        resume_owed(perform, own, message)
    if own is None or not is_meant(own, message) or outages.is_kept(own, now, again=sent == message):
        return
    since = own.outage_at if own.outage else now
    at = outages.next_try(since, now)
    perform(SendAt(own.target, sent, at, upkeep=is_check))
    # A look may leave alone what it finds, so it stands for no other message.
    perform(Hold(own.id, why, since, EPOCH if is_check else at))
    long, where = now - since >= outages.LONG, target or own.target
    ends = outages.remedy(why, where)
    told = Tell(
        What.STALLED if long else What.HELD,
        own.id,
        own.fn,
        {"why": why, "since": since, "target": where, "remedy": ends},
    )
    perform(told)


def resume_owed(perform: Perform, own: Record, message: Message) -> None:
    """Resume the caller of a call that has settled, where the run that settled it had to do that and couldn't."""
    if owes_wake(own) and messages.is_meant(own, message.since, _called_at(message)):
        for operation in resume_caller(own):
            perform(operation)


def send_later(perform: Perform, target: str, message: Timed) -> None:
    """Keep a message without a look at its promise."""
    now: Instant = perform(Now())
    perform(SendAt(target, message, now + outages.LONGEST))


def is_meant(own: Record, message: Message) -> bool:
    """Whether there is something to do for the promise, and it isn't a later execution of its id."""
    return own.runnable and messages.is_meant(own, message.since, _called_at(message))


def _called_at(message: Message) -> Instant:
    return message.called_at if isinstance(message, Resume) else EPOCH


def again(message: Message) -> Message:
    """The message that stands for this one later on."""
    match message:
        case Start():
            return message
        case Resume():
            # Another run may have claimed its wake by then: it loads everything, and arms anew.
            return replace(message, cause=Cause.AGAIN, firing=None, looked_at=EPOCH, armed=None)
        case _:
            assert_never(message)
