"""Instants and lengths of time. The type checker reads this file, too: an error that it must find is marked as one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.records import Record
from adapter.protocol.times import (
    EPOCH,
    LATEST,
    MINUTE,
    SECOND,
    Instant,
    Span,
    datetime_of,
    floor,
    instant_of,
    span_of,
)
from adapter.protocol.timing import is_far

instants = st.integers(0, LATEST - 1).map(Instant)


@given(instants)
def test_an_instant_and_its_datetime_are_the_same_moment(at: Instant) -> None:
    """The way to a user and back loses nothing, up to the year 10000."""
    time = datetime_of(at)
    assert time.utcoffset() == dt.timedelta(0)
    assert instant_of(time) == at
    assert instant_of(time.astimezone(dt.timezone(dt.timedelta(hours=-7)))) == at


def test_no_datetime_is_as_late_as_the_latest_instant() -> None:
    """Other code checks this bound for all that has a date."""
    with pytest.raises(OverflowError):
        datetime_of(LATEST)


@given(instants, st.sampled_from([SECOND, MINUTE]))
def test_a_floor_is_the_last_beginning_of_a_unit(at: Instant, unit: Span) -> None:
    """The floor isn't later, is less than a unit earlier, and is a beginning itself."""
    begins = floor(at, unit)
    assert begins <= at < begins + unit
    assert begins % unit == 0
    assert floor(begins, unit) == begins


@given(st.integers(0, 10**15))
def test_seconds_are_exact_to_the_microsecond(microseconds: int) -> None:
    """A century in seconds, as a float, still names each of its microseconds."""
    assert span_of(microseconds / SECOND) == microseconds


def test_a_length_is_no_instant() -> None:
    """At run time both are numbers. The type checker fails once an ignored error isn't one any more."""
    now = EPOCH + MINUTE
    assert is_far(now, MINUTE) is False  # type: ignore[arg-type]
    assert Record(id="a", wake_at=MINUTE)  # type: ignore[arg-type]
    assert Record(id="a", wake_at=60)  # type: ignore[arg-type]
    assert not now < MINUTE  # type: ignore[operator]
    assert now + now  # type: ignore[operator]
    wrong: Instant = now + 5  # type: ignore[assignment]
    assert wrong - now == 5


def test_arithmetic_keeps_the_types() -> None:
    """No place needs a word for it."""
    later: Instant = EPOCH + 2 * MINUTE - SECOND
    between: Span = later - EPOCH
    minutes: int = between // MINUTE
    assert minutes == 1
