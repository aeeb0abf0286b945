"""Retry policies: what is tried again, after how long; and their way through a record."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter import Retry, errors
from adapter.protocol.retries import LEAF, read
from adapter.protocol.times import SECOND

policies = st.builds(
    Retry,
    attempts=st.integers(1, 100) | st.just(math.inf),
    initial=st.floats(0, 1e6),
    backoff=st.floats(1, 10),
    max_delay=st.none() | st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    on=st.sampled_from([Exception, (ValueError, KeyError), "elsewhere:Error"]),
    never=st.sampled_from([(), OSError]),
    attempt_timeout=st.none() | st.floats(0.1, 1e6),
)


@given(policy=policies)
def test_a_policy_survives_its_record(policy: Retry) -> None:
    """Its classes are names there."""
    assert read(policy.to_text()) == policy


@given(policy=policies, attempt=st.integers(1, 2_000))
def test_a_delay_is_whole_seconds_within_its_bounds(policy: Retry, attempt: int) -> None:
    """Every replay has the same delay."""
    delay = policy.delay(attempt, "seed")
    assert delay == policy.delay(attempt, "seed")
    bound = max(60, policy.initial) if policy.max_delay is None else policy.max_delay
    assert 0 <= delay <= math.ceil(bound) * SECOND
    assert delay % SECOND == 0


@given(attempt=st.integers(1, 6))
def test_delays_double_up_to_their_bound(attempt: int) -> None:
    """The defaults say so."""
    assert LEAF.delay(attempt, "") == min(2 ** (attempt - 1), 60) * SECOND


@pytest.mark.parametrize(("initial", "waited"), [(1, 60), (120, 120), (7_200, 7_200)])
def test_the_first_delay_is_never_cut_short_by_a_default(initial: float, waited: int) -> None:
    """Without a bound of its own, no delay exceeds a minute, or the first delay where that is longer."""
    assert Retry(initial=initial).delay(1, "") == initial * SECOND
    assert Retry(initial=initial).delay(50, "") == waited * SECOND


def test_an_explicit_bound_holds_for_the_first_delay_too() -> None:
    """The user wrote both."""
    assert Retry(initial=120, max_delay=10).delay(1, "") == 10 * SECOND


def test_jitter_only_shortens() -> None:
    """It shortens a delay by its part at most."""
    delays = {Retry(initial=100, max_delay=100, jitter=0.5).delay(1, str(seed)) // SECOND for seed in range(50)}
    assert 50 <= min(delays) < max(delays) <= 100


@pytest.mark.parametrize(
    ("policy", "error", "again"),
    [
        (Retry(), ValueError(), True),
        (Retry(on=ValueError), ValueError(), True),
        (Retry(on=ValueError), UnicodeDecodeError("a", b"", 0, 1, ""), True),
        (Retry(on=ValueError), KeyError(), False),
        (Retry(on=(KeyError, ValueError)), KeyError(), True),
        (Retry(never=ValueError), ValueError(), False),
        (Retry(on=LookupError, never=KeyError), KeyError(), False),
        (Retry(on=LookupError, never=KeyError), IndexError(), True),
        (Retry(attempts=1), ValueError(), False),
        # The code has to change, or a person to act: another attempt fails alike.
        (Retry(), errors.CodecError(), False),
        (Retry(), errors.MixedIO(), False),
        (Retry(), errors.NonDeterminismError(), False),
        (Retry(), errors.RemoteError("x"), True),
        (Retry(), errors.PromiseTimeout(), True),
    ],
    ids=str,
)
def test_what_is_tried_again_after_its_first_attempt(policy: Retry, error: Exception, again: bool) -> None:
    """A policy names classes, and their base classes count."""
    assert policy.again(error, 1) is again


@given(attempts=st.integers(1, 50), attempt=st.integers(1, 60))
def test_attempts_are_counted_in_all(attempts: int, attempt: int) -> None:
    """The first one counts, too."""
    assert Retry(attempts=attempts).again(ValueError(), attempt) is (attempt < attempts)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"initial": -1},
        {"backoff": 0.5},
        {"max_delay": -1},
        {"jitter": 2},
        {"attempt_timeout": 0},
        {"on": int},
        {"on": 3},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    """`Retry` refuses it where the user writes it."""
    with pytest.raises(errors.ConfigurationError):
        Retry(**options)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"attempts": 0}', '{"attempts": 1, "more": 2}', "\ud800"], ids=ascii)
def test_an_unreadable_policy_is_a_bad_message(text: str) -> None:
    """Another version may have written it, or a person."""
    with pytest.raises(errors.BadMessage):
        read(text)
