"""What a run does if it was started because something may be lost: it makes up for counts, and begins a function anew.

Pure: these functions yield operations, and return the function's own record as it is then.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

from adapter.engine.operations import Arrive, Hold, Now, Operation, Tell
from adapter.engine.registry import Definition
from adapter.engine.replaying import policy_of
from adapter.engine.suspending import missed
from adapter.engine.telling import What
from adapter.protocol.making import changed
from adapter.protocol.records import Record
from adapter.protocol.signs import LATE
from adapter.protocol.times import EPOCH, MINUTE, NO_TIME, Instant, Span
from adapter.replay.known import Known


def make_up(own: Record, children: Sequence[Record]) -> Generator[Operation, Any, Record]:
    """Count what the resumer never will. First of all: further arrivals would hide that any are missing.

    The run goes on from what it loaded. If the resumer has counted anything since, this run hasn't seen what that
    was, and mustn't arm.
    """
    count = missed(own, Known(children), (yield Now()))
    if not count:
        return own
    yield Tell(What.MADE_UP, own.id, own.fn, {"arrivals": count})
    yield Arrive(own.id, count)
    return changed(own, arrivals=own.arrivals + count)


def begin_anew(
    own: Record, function: Definition, looked_at: Instant, limit: Span
) -> Generator[Operation, Any, Record | None]:
    """Begin a function that left no trace, unless another look has to judge that; then None.

    Its record says that it begins, for other checks to leave it alone. A check that came late waited in Lambda's queue,
    since Lambda throttles. The start that seemed lost may have waited there, too, and run now. The next look judges
    again. With endless attempts nothing is said: no other attempt follows this one, and each look is to make one.
    """
    if looked_at and own.retry_at == looked_at:
        # This is Lambda's retry of the check.
        return own
    now: Instant = yield Now()
    if now - (looked_at or now) > LATE or not _is_given_up(own, function, limit, now):
        return None
    if policy_of(function, own).attempts == math.inf:
        return own
    begun = looked_at or now
    yield Hold(own.id, "", EPOCH, begun)
    return changed(own, outage="", outage_at=EPOCH, retry_at=begun)


def _is_given_up(own: Record, function: Definition, limit: Span, now: Instant) -> bool:
    """Whether a function that left no trace has had time for all its attempts: then it isn't between two."""
    policy = policy_of(function, own)
    # Endless attempts are never over. For them this run makes one more, which no other follows.
    attempts = 1 if policy.attempts == math.inf else int(policy.attempts)
    delays = sum((policy.delay(attempt, own.id) for attempt in range(1, attempts)), NO_TIME)
    # An outage is over, or a check has begun it anew: its attempts begin then.
    begun = max(own.created_at, own.retry_at)
    return now > begun + delays + attempts * limit + 5 * MINUTE
