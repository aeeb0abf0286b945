"""How a promise stands, in words: each combination of what a record can hold, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter.engine.telling import What
from adapter.errors import Paused
from adapter.protocol.records import BLOCK_FUNCTION, Kind, Record, State, Stored, Wake
from adapter.protocol.standing import Way, span, standing, time_in_words
from adapter.protocol.times import LATEST, MINUTE, SECOND
from adapter.testing.happenings import Happening
from adapter.testing.simulated_aws.lambdas import Invocation
from adapter.testing.standstill import LINES, Failures, stuck

NOW = 1_767_225_600 * SECOND
HOUR = 60 * MINUTE


def own(**fields: Any) -> Record:
    """A function that was called a minute ago."""
    return Record(id="r", fn="f", target="t", created_at=NOW - MINUTE, **fields)


def child(ordinal: int, **fields: Any) -> Record:
    """One of its promises."""
    made = Record(id=f"r~{ordinal}", fn="g", wake=Wake.COUNTED, created_at=NOW - MINUTE)
    return replace(made, **fields)


def settled(ordinal: int, state: State = State.RESOLVED) -> Record:
    return child(ordinal, state=state, settled_at=NOW - 2 * SECOND)


DIRECT: dict[str, Any] = {"wake": Wake.DIRECT}
CANCELED: dict[str, Any] = {"state": State.CANCELED, "settled_at": NOW - 2 * SECOND}
DUE = "2026-01-01 00:00:00Z"

WAYS: list[tuple[Record, list[Record], Way, str]] = [
    # Settled.
    (own(state=State.RESOLVED, settled_at=NOW), [], Way.SETTLED, "resolved just now, after 60 s"),
    (own(**CANCELED, closed=True), [child(0)], Way.SETTLED, "cancelled 2 s ago, after 58 s"),
    (own(kind=Kind.EXTERNAL, **CANCELED), [], Way.SETTLED, "cancelled 2 s ago, after 58 s"),
    # What is no function.
    (own(kind=Kind.EXTERNAL), [], Way.WAITING, "to be settled from outside: durable resolve r JSON, a signed link,"),
    (own(kind=Kind.EXTERNAL, deadline=NOW + HOUR), [], Way.WAITING, "; times out 2026-01-01 01:00:00Z (in 60 min)"),
    (own(kind=Kind.FOLLOW, root="other"), [], Way.WAITING, "settles as the execution other does"),
    (own(kind=Kind.DETACH, root="other"), [], Way.RUNNING, "starts the execution other"),
    (own(kind=Kind.INLINE), [], Way.RUNNING, "is run by its caller's Lambda"),
    (own(kind=Kind.SCHEDULE, wake_at=NOW + HOUR), [], Way.WAITING, "next occurs 2026-01-01 01:00:00Z (in 60 min)"),
    # Paused: the first line, which shows no arguments.
    (own(paused="f drifted\n  stored: secret"), [], Way.PAUSED, "paused: f drifted; deploy code that replays"),
    (own(paused=Stored("!x", "r")), [], Way.PAUSED, "paused: why is encrypted, and wasn't read; deploy"),
    (own(paused="drift", **CANCELED), [], Way.PAUSED, "cancelled 2 s ago, after 58 s; cleans up: paused: drift"),
    # Not armed.
    (own(), [], Way.RUNNING, "is about to begin, runs, or is between two attempts"),
    (own(epoch=1), [], Way.RUNNING, "runs"),
    (own(), [child(0, **DIRECT)], Way.WAITING, "waits for g (r~0)"),
    (own(deadline=NOW + HOUR), [child(0, **DIRECT)], Way.WAITING, "waits for g (r~0); times out 2026-01-01 01:00"),
    (own(wake_at=NOW + HOUR), [child(0, **DIRECT)], Way.WAITING, "waits for g (r~0)"),
    (own(), [child(0)], Way.RUNNING, "runs: it has called g (r~0)"),
    (own(), [settled(0)], Way.RUNNING, "runs: g (r~0) was resolved 2 s ago"),
    (own(), [settled(0), child(1, kind=Kind.INLINE)], Way.RUNNING, "runs g (r~1)"),
    (own(), [child(0, kind=Kind.DETACH, root="o")], Way.RUNNING, "starts the execution o (r~0)"),
    # Armed.
    (own(expects=2), [child(0), child(1)], Way.WAITING, "waits for g (r~0), g (r~1)"),
    (own(expects=1), [child(0), child(1)], Way.WAITING, "waits for 1 of 2: g (r~0), g (r~1)"),
    (own(expects=9), [child(n) for n in range(9)], Way.WAITING, "g (r~2) and 6 more"),
    (own(expects=1), [child(0, fn=BLOCK_FUNCTION)], Way.WAITING, "waits for a block of a map (r~0)"),
    (own(expects=1), [child(0, kind=Kind.EXTERNAL)], Way.WAITING, "waits for the promise r~0, to be settled from out"),
    (own(expects=1), [child(0, kind=Kind.FOLLOW, root="o")], Way.WAITING, "waits for the execution o (r~0)"),
    (own(expects=1), [settled(0)], Way.RUNNING, "is about to be resumed: g (r~0) was resolved 2 s ago"),
    (own(expects=2, on_reject=True), [child(0), settled(1, State.REJECTED)], Way.RUNNING, "g (r~1) was rejected 2 s"),
    (own(expects=2), [child(0), settled(1, State.REJECTED)], Way.WAITING, "waits for g (r~0)"),
    (own(expects=-1, wake_at=NOW + HOUR), [child(0)], Way.WAITING, "sleeps until 2026-01-01 01:00:00Z (in 60 min)"),
    (own(expects=1, wake_at=NOW + HOUR), [child(0)], Way.WAITING, "waits for g (r~0), or until 2026-01-01 01:00:00Z"),
    (own(expects=-1, wake_at=NOW), [], Way.RUNNING, f"is about to be resumed: a timer fell due {DUE} (just now)"),
    (own(expects=-1, wake_at=NOW + 1, deadline=NOW + 1), [], Way.WAITING, f"waits for its deadline: times out {DUE}"),
    (own(expects=-1), [child(0)], Way.DEADLOCKED, "waits for nothing that could settle"),
    (own(expects=-1, deadline=NOW), [], Way.RUNNING, f"is about to time out: its deadline was {DUE} (just now)"),
    # Cancelled, and not closed.
    (own(**CANCELED), [], Way.RUNNING, "cancelled 2 s ago, after 58 s; cleans up: is about to hear of it"),
    (own(**CANCELED), [child(0, **DIRECT)], Way.RUNNING, "cleans up: is about to hear of it"),
    (own(**CANCELED), [child(0), child(1, **DIRECT, created_at=NOW)], Way.WAITING, "cleans up: waits for g (r~1)"),
    (own(**CANCELED, expects=-1, wake_at=NOW + HOUR, deadline=NOW + HOUR), [], Way.WAITING, "cleans up: sleeps until"),
]


@pytest.mark.parametrize(("record", "children", "way", "text"), WAYS, ids=range(len(WAYS)))
def test_each_way_to_stand_has_words_of_its_own(record: Record, children: list[Record], way: Way, text: str) -> None:
    """A function that waits says for what."""
    found = standing(record, children, NOW)
    assert found.way is way
    assert text in found.text
    assert bool(found.waits) is (way is Way.WAITING)
    assert found.cleans_up is (way is not Way.SETTLED and not record.pending)


def test_silence_is_said_where_something_should_have_moved_it() -> None:
    """Where it waits, silence may last for ever."""
    lost = standing(own(due_at=NOW + HOUR), [], NOW + 20 * MINUTE)
    assert lost.way is Way.LOST
    assert "but no news for 21 min: the watchdog looks 2026-01-01 01:00:00Z (in 40 min), durable resume r" in lost.text
    assert "by way of its caller" in standing(own(), [], NOW + 20 * MINUTE).text
    waits = standing(own(), [child(0, **DIRECT)], NOW + 24 * HOUR)
    assert waits.way is Way.WAITING


def test_of_a_follower_it_is_said_whether_its_root_knows_of_it() -> None:
    """Its function says it, and the promise itself."""
    follower = child(0, kind=Kind.FOLLOW, root="o", wake=Wake.DIRECT)
    root = Record(id="o", fn="g", created_at=NOW - HOUR)
    done = replace(root, state=State.RESOLVED, settled_at=NOW - 2 * SECOND, awaiters=frozenset({"r~0"}))
    for record, found, text in (
        (own(), root, "is about to follow the execution o (r~0)"),
        (own(), None, "is about to follow the execution o (r~0)"),
        (own(), done, "is about to hear that the execution o (r~0) has settled 2 s ago"),
        (own(), replace(root, awaiters=frozenset({"r~0"})), "waits for the execution o (r~0)"),
    ):
        assert standing(record, [follower], NOW, {"o": found}).text == text
    assert standing(follower, [], NOW, {"o": root}).text == "is about to follow the execution o (r~0)"
    assert standing(follower, [], NOW, {"o": done}).text.endswith("has settled 2 s ago")


def test_of_what_is_late_it_is_said_who_is_to_be_asked() -> None:
    """An operator asks the caller of a step, and takes a function past its deadline for a silent one."""
    step = standing(own(kind=Kind.INLINE), [], NOW + 20 * MINUTE)
    assert (step.way, step.text) == (
        Way.LOST,
        "is run by its caller's Lambda; but no news for 21 min: durable show says more of its caller",
    )
    late = standing(own(deadline=NOW - HOUR), [], NOW)
    assert late.way is Way.LOST
    assert "its deadline was 2025-12-31 23:00:00Z (60 min ago); the watchdog looks by way of its caller" in late.text


@pytest.mark.parametrize(
    ("length", "text"),
    [(-5, "0 s"), (0, "0 s"), (119 * SECOND, "119 s"), (2 * MINUTE, "2 min"), (50 * HOUR, "2 d"), (3 * HOUR, "3 h")],
)
def test_lengths_of_time_are_short(length: int, text: str) -> None:
    """The largest unit of which there are two."""
    assert span(length) == text


@pytest.mark.parametrize("at", [-1, LATEST, 2**62])
def test_no_stored_number_is_too_large_to_be_shown(at: int) -> None:
    """As a time it makes no sense, and the text says so."""
    assert time_in_words(at, NOW) == "at no time"
    assert standing(own(expects=-1, wake_at=2**62), [], NOW).text == "sleeps until at no time"


# What a cloud says that stands still.


def test_whoever_is_stuck_is_told_of_the_invocations_that_failed() -> None:
    """`Stuck` says which Lambda failed, and with what, unless a later invocation got on."""
    failures = Failures()
    failures.observe(Happening.FAILED, "local-f", {"error": "ConfigurationError: set DURABLE_TIMERS", "attempt": 1})
    failures.observe(Happening.FAILED, "local-f", {"error": "ConfigurationError: set DURABLE_TIMERS", "attempt": 2})
    failures.observe(Happening.KILLED, "local-g", {"attempt": 1})
    failures.observe(Happening.LOST, "", {"of": "local-h"})
    failures.observe(Happening.KILLED, "local-i", {"attempt": 1})
    failures.observe(What.RUNNING, "local-i", {})
    failures.observe(What.SUSPENDED, "local-i", {})
    lost = Invocation(function="local-j", body="{}", request_id="1", attempt=3)
    text = str(stuck(own(), [own()], NOW, failures, [lost]))
    assert text.splitlines() == [
        "f (r) can't move any more:",
        "  f (r) is about to begin, runs, or is between two attempts",
        "  2 invocations of local-f in a row came to nothing; the last failed with"
        " ConfigurationError: set DURABLE_TIMERS",
        "  an invocation of local-g was killed",
        "  an invocation of local-h was lost",
        "  an invocation of local-j failed 3 times: {}",
    ]


def test_whoever_is_stuck_is_told_of_many_functions_in_few_lines() -> None:
    """It tells a pause as such, with the whole drift."""
    calls = [child(ordinal) for ordinal in range(100)]
    text = str(stuck(own(expects=100), [own(expects=100), *calls], NOW, Failures(), []))
    assert text.count("\n") == LINES + 1
    assert text.endswith("and 81 more functions")
    paused = stuck(own(), [own(), child(0, paused="drift\n  stored: 1")], NOW, Failures(), [])
    assert isinstance(paused, Paused)
    assert str(paused) == "drift\n  stored: 1"
