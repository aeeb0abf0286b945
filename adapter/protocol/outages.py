"""Why a function's Lambda can't run it, since when, and when it is tried again. Pure.

Only the death of code that ran is an attempt of the function's. Any other failure is ours or AWS's: the engine keeps
the function's message, and sends it again for as long as the outage lasts, after delays that grow.
"""

from __future__ import annotations

from adapter.protocol.addresses import split, version_of
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, NO_TIME, SECOND, Instant
from adapter.protocol.timing import HORIZON, QUIET

MISSING = "missing"
DENIED = "denied"
THROTTLED = "throttled"
RESERVED = "reserved"

FIRST = 30 * SECOND
LONGEST = HORIZON
"""Between two tries: as long as it has lasted, from the first to the longest. A message is delayed no longer than that,
so a longer one would cost as many messages."""

LONGEST_QUEUED = 6 * 60 * MINUTE
"""For so long Lambda keeps what it throttles."""

LONG = 60 * MINUTE
"""A person has to know of an outage that lasts longer: the function is *paused*."""

SOON = 15 * SECOND
"""A try that is so near may be the one that comes just now, by clocks that differ."""

_SAID = {
    MISSING: "is missing",
    DENIED: "may not be invoked",
    THROTTLED: "is throttled",
    RESERVED: "has no reserved concurrency",
}


def next_try(since: Instant, now: Instant) -> Instant:
    """When to try again what can't run since some time."""
    return now + min(max(now - since, FIRST), LONGEST)


def is_out(own: Record, now: Instant) -> bool:
    """Whether its Lambda can't run it, as far as anybody knows: what became of the last try isn't known yet."""
    unknown = QUIET + (LONGEST_QUEUED if own.outage == THROTTLED else NO_TIME)
    return bool(own.outage) and now < own.retry_at + unknown


def is_kept(own: Record, now: Instant, *, again: bool) -> bool:
    """Whether a message is on its way, or with Lambda, that does all that another one is for.

    Args:
        again: that other one may be the very message, and has come back.
    """
    return own.retry_at > now + SOON or (not again and is_out(own, now))


def said(why: str) -> str:
    """Behind a Lambda's name."""
    return _SAID.get(why, f"fails with {why}")


def remedy(why: str, target: str) -> str:
    """What ends an outage of this Lambda."""
    mended = "it goes on by itself once that is mended"
    return f"{mended}; {if_renamed(target)}" if why == MISSING else mended


def if_renamed(target: str) -> str:
    """What to do if a Lambda is missing because it has another name now, or one of its versions was deleted."""
    if version := version_of(target):
        name = split(target)[0]
        return (
            f"version {version} of {name} is gone: durable resume ID --unpin lets an execution go on by the newest"
            f" code; if its own was published again: durable move {target} {name}:VERSION"
        )
    return f"if {target} has another name now: durable move {target} NEW"
