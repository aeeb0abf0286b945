"""Instants and lengths of time: whole microseconds, since 1970 or between two instants. Pure.

Both are an ``int`` when the code runs, so they cost nothing, and are stored and sent as numbers. For the type checker
they are types of their own. It refuses a length, or a bare number, where an instant is expected, and the reverse; it
refuses to compare an instant with a length, and to add two instants.

Arithmetic needs no word for it: an instant and a length make an instant, two instants differ by a length, and a length
can be multiplied. Everything else makes a bare number, as ``at // MINUTE`` does.
"""

# An instant can do less than a number, and is used as one all the same where it is stored or sent.
# mypy: disable-error-code="override"

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:

    class Span(int):
        """A length of time, in microseconds."""

        def __add__(self, other: Span) -> Span: ...
        def __sub__(self, other: Span) -> Span: ...
        def __mul__(self, other: int) -> Span: ...
        def __rmul__(self, other: int) -> Span: ...
        def __lt__(self, other: Span) -> bool: ...
        def __le__(self, other: Span) -> bool: ...
        def __gt__(self, other: Span) -> bool: ...
        def __ge__(self, other: Span) -> bool: ...

    class Instant(int):
        """A point in time, in microseconds since 1970."""

        def __add__(self, other: Span) -> Instant: ...
        @overload
        def __sub__(self, other: Instant) -> Span: ...
        @overload
        def __sub__(self, other: Span) -> Instant: ...
        def __sub__(self, other: int) -> int: ...
        def __lt__(self, other: Instant) -> bool: ...
        def __le__(self, other: Instant) -> bool: ...
        def __gt__(self, other: Instant) -> bool: ...
        def __ge__(self, other: Instant) -> bool: ...

else:
    Instant = Span = int

NO_TIME = Span(0)
MILLISECOND = Span(1_000)
SECOND = 1_000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = Instant(0)
"""The beginning of 1970: stands for no time at all, in a field that always has one."""

LATEST = EPOCH + 253_402_300_800 * SECOND
"""The year 10000: nothing is due then or later."""

NEVER = Instant(2**62)
"""Later than any instant: a timer at infinity."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def span_of(seconds: float) -> Span:
    """So many seconds, to the nearest microsecond."""
    return Span(round(seconds * SECOND))


def floor(at: Instant, unit: Span) -> Instant:
    """Where the second, the minute and so on begins that an instant lies in."""
    return EPOCH + at // unit * unit


def datetime_of(at: Instant) -> dt.datetime:
    """An instant as a user sees it: aware, in UTC.

    Raises:
        OverflowError: it isn't before `LATEST`, or long before 1970.
    """
    return _EPOCH + dt.timedelta(microseconds=at)


def instant_of(time: dt.datetime) -> Instant:
    """The instant of an aware time."""
    return Instant((time - _EPOCH) // dt.timedelta(microseconds=1))
