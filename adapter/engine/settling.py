"""How a run settles its function, and who resumes the caller then; or how another attempt follows it.

Pure: these functions yield operations.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from adapter.codec.exceptions import decode_exception
from adapter.engine import registry
from adapter.engine.caller import Caller
from adapter.engine.ending import Ending, Steps
from adapter.engine.operations import Close, Now, Operation, SendAt, Settle, Tell
from adapter.engine.registry import Definition
from adapter.engine.replaying import Ended, policy_of
from adapter.engine.telling import What
from adapter.engine.waking import Stale, prompts, resume_caller
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Start
from adapter.protocol.promises import Refused, Written, owes_wake
from adapter.protocol.records import Record, State
from adapter.protocol.times import Instant
from adapter.replay.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a function. ``crashes``: how many others died. ``checking``: it was made since they seem lost.

    ``begun``: when its code began in this run.
    """

    number: int
    crashes: int
    checking: bool
    begun: Instant


def settle_leaf(own: Record, caller: Caller, function: Definition, attempt: Attempt, outcome: Outcome) -> Steps:
    """Settle a function that made no durable call. If it failed, its policy may send another attempt instead."""
    if outcome.state is not State.REJECTED or not own.pending:
        return (yield from settle(own, caller, attempt, outcome))
    policy, used = policy_of(function, own), attempt.number + attempt.crashes
    if not policy.again(decode_exception(outcome.text), used):
        return (yield from settle(own, caller, attempt, outcome))
    if attempt.checking and policy.attempts == math.inf:
        # The function's own attempts may go on, and a second row of them wouldn't end either. The next look makes
        # another one.
        return Ending.REFUSED
    at = (yield Now()) + policy.delay(attempt.number, own.id)
    if own.deadline is not None and at >= own.deadline:
        return (yield from settle(own, caller, attempt, outcome))
    # If this run dies before the send, Lambda's retry makes the same attempt again. If it dies after, the next
    # attempt is made twice, and the first settlement stands.
    again = Start(id=own.id, attempt=attempt.number + 1, crashes=attempt.crashes, since=own.created_at)
    yield SendAt(own.target, again, at)
    yield Tell(What.RETRYING, own.id, own.fn, {"attempt": attempt.number, "at": at})
    return Ending.RETRYING


def settle(own: Record, caller: Caller, attempt: Attempt, outcome: Outcome, ended: Ended | None = None) -> Steps:
    """Settle a function, or close one that was cancelled. Raises Stale if it goes on after all."""
    if not own.pending:
        # It was cancelled before: that outcome stands, and its clean-up is complete.
        yield Close(own.id)
        yield Tell(What.CLEANED_UP, own.id, own.fn, {"ended": ended})
        return Ending.CLOSED
    written: Written = yield from _settled(own, caller, attempt, outcome)
    if isinstance(written, Refused):
        if written.stands is not None and written.stands.runnable and registry.find(own.fn).is_async:
            raise Stale
        yield Tell(What.REFUSED, own.id, own.fn, {"state": written.why.value})
        if written.stands is not None and owes_wake(written.stands, caller.request_id):
            # It had settled: the answer was lost, and what was asked again was refused.
            yield from resume_caller(written.stands)
        return Ending.REFUSED
    yield Tell(What.SETTLED, own.id, own.fn, {"state": outcome.state.value, "ended": ended})
    if owes_wake(written):
        # If this run dies before, Lambda's retry of it finds the settled record, and does so.
        yield from resume_caller(written)
    return Ending.SETTLED


def _settled(own: Record, caller: Caller, attempt: Attempt, outcome: Outcome) -> Generator[Operation, Any, Written]:
    """Settle the function. If its execution expires, and has no objects, nobody needs to look at it any more.

    But what failed stays in the index, where a person finds it.
    """
    expires = own.expires is not None and not own.objects and outcome.state is not State.REJECTED
    expires = expires and parent_of(own.id) is None
    used = attempt.number - 1 + attempt.crashes
    asked = Settle(own.id, outcome.state, outcome.text, began_at=attempt.begun, retries=used)
    prompted_by = caller.request_id if prompts(own) else ""
    written: Written = yield replace(asked, unless_objects=expires, prompted_by=prompted_by)
    if not (expires and isinstance(written, Refused) and written.stands is not None and written.stands.objects):
        return written
    # A child has put an object since this run loaded.
    again: Written = yield asked
    return again
