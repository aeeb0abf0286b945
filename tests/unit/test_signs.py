"""Whether a function is alive, waiting, lost or over: each sign, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.signs import (
    BACKLOG,
    LATE,
    QUEUED,
    TOGETHER,
    Deadlocked,
    Expired,
    Lost,
    Over,
    Paused,
    Running,
    Verdict,
    Waiting,
    Why,
    followed,
    last_news,
    may_be_queued,
    sleeps,
    verdict,
)
from adapter.protocol.times import MINUTE, SECOND, Instant
from adapter.protocol.timing import QUIET, WATCH

NOW = 1_767_225_600 * SECOND
HOUR = 60 * MINUTE
BEGUN = NOW - 5 * HOUR
CANCELED: dict[str, Any] = {"state": State.CANCELED, "settled_at": NOW - HOUR}
DIRECT: dict[str, Any] = {"wake": Wake.DIRECT}


def own(**fields: Any) -> Record:
    """A function that was called five hours ago."""
    return replace(Record(id="r", fn="f", target="t", created_at=BEGUN), **fields)


def child(ordinal: int, **fields: Any) -> Record:
    """A promise of its, made then, too."""
    made = Record(id=f"r~{ordinal}", fn="g", wake=Wake.COUNTED, created_at=BEGUN)
    return replace(made, **fields)


def settled(ordinal: int, at: int, state: State = State.RESOLVED) -> Record:
    return child(ordinal, state=state, settled_at=at)


def follower(ordinal: int = 0, **fields: Any) -> Record:
    return child(ordinal, kind=Kind.FOLLOW, root="o", **fields)


def root(*awaiters: str, **fields: Any) -> dict[str, Record | None]:
    """That of another execution, with those that are registered there."""
    return {"o": Record(id="o", fn="g", created_at=BEGUN, awaiters=frozenset(awaiters), **fields)}


def why(found: Verdict) -> Why:
    """Of what should have moved it."""
    assert isinstance(found, Lost)
    return found.expected.why


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (own(state=State.RESOLVED, settled_at=NOW), Over()),
        (own(**CANCELED, closed=True), Over()),
        (own(kind=Kind.EXTERNAL, **CANCELED), Over()),
        (own(deadline=NOW), Expired(late=False)),
        (own(deadline=NOW - LATE), Expired(late=True)),
        (own(paused="drift"), Paused()),
        (own(paused="drift", **CANCELED), Paused()),
        (own(paused="drift", deadline=NOW), Expired(late=False)),
        (own(expects=-1), Deadlocked()),
        (own(expects=-1, wake_at=NOW + 1), Waiting(timer=NOW + 1)),
        (own(expects=-1, wake_at=NOW + 1, deadline=NOW + 1), Waiting(deadline=NOW + 1)),
        (own(kind=Kind.SCHEDULE, wake_at=NOW + 1), Waiting(timer=NOW + 1)),
    ],
    ids=range(12),
)
def test_a_record_says_by_itself_that_it_is_over_expired_or_paused_or_sleeps(record: Record, expected: Verdict) -> None:
    """A deadline holds for what is paused, too: to be settled, a function needs no code that fits."""
    assert verdict(record, [], NOW) == expected


@pytest.mark.parametrize(
    ("record", "children", "expected"),
    [
        (own(), [], Why.BEGINS),
        (own(epoch=1), [], Why.RUNS),
        (own(), [child(0)], Why.CALLED),
        (own(), [settled(0, BEGUN), child(1)], Why.NEWS),
        (own(), [settled(0, BEGUN), child(1, kind=Kind.INLINE)], Why.STEP),
        (own(), [child(0, kind=Kind.DETACH)], Why.STARTS),
        (own(expects=1), [child(0, kind=Kind.DETACH), child(1)], Why.STARTS),
        (own(expects=1), [settled(0, BEGUN), child(1)], Why.ENOUGH),
        (own(expects=0), [], Why.ENOUGH),
        (own(expects=2, on_reject=True), [settled(0, BEGUN, State.REJECTED), child(1)], Why.ENOUGH),
        (own(expects=-1, wake_at=NOW - LATE), [], Why.TIMER),
        (own(**CANCELED), [], Why.HEARS),
        (own(**CANCELED), [child(0, **DIRECT)], Why.HEARS),
    ],
    ids=range(13),
)
def test_what_should_be_at_work_and_is_silent_is_lost(record: Record, children: list[Record], expected: Why) -> None:
    """As long as an invocation may be at work, it runs, for the same reason."""
    found = verdict(record, children, NOW)
    assert why(found) is expected
    assert isinstance(found, Lost)
    assert found.silence == NOW - last_news(record, children, NOW) >= QUIET
    lately = [*children, child(9, state=State.RESOLVED, settled_at=NOW - QUIET + 1, wake=None)]
    if expected not in (Why.BEGINS, Why.RUNS, Why.CALLED, Why.HEARS):
        running = verdict(record, lately, NOW)
        assert isinstance(running, Running)
        assert running.why is expected


@pytest.mark.parametrize(
    ("record", "children", "promises", "need"),
    [
        (own(), [child(0, **DIRECT)], ["r~0"], 0),
        (own(wake_at=NOW - HOUR), [child(0, **DIRECT)], ["r~0"], 0),
        (own(), [follower(**DIRECT)], ["r~0"], 0),
        (own(**CANCELED), [child(0), child(1, **DIRECT, created_at=NOW)], ["r~1"], 0),
        (own(expects=2), [child(0), child(1)], ["r~0", "r~1"], 2),
        (own(expects=2), [settled(0, BEGUN), child(1), child(2)], ["r~1", "r~2"], 1),
        (own(expects=2), [settled(0, BEGUN, State.REJECTED), child(1)], ["r~1"], 1),
        (own(expects=2, on_reject=True, rejections=1), [settled(0, BEGUN, State.REJECTED), child(1)], ["r~1"], 1),
    ],
    ids=range(8),
)
def test_what_waits_is_never_lost_however_long_it_is_silent(
    record: Record, children: list[Record], promises: list[str], need: int
) -> None:
    """The verdict names what it waits for, and how many of them would do."""
    for at in (NOW, NOW + 1000 * HOUR):
        found = verdict(record, children, at)
        assert isinstance(found, Waiting)
        assert ([promise.id for promise in found.promises], found.need) == (promises, need)


@pytest.mark.parametrize("waiting", [{"wake": Wake.DIRECT}, {"wake": Wake.COUNTED}], ids=["direct", "counted"])
def test_a_follower_waits_only_where_its_root_knows_of_it(waiting: dict[str, Any]) -> None:
    """Otherwise no settlement reaches it: its function has to register it, or is lost."""
    function = own(expects=None if waiting["wake"] is Wake.DIRECT else 1)
    children = [follower(**waiting)]
    done: dict[str, Any] = {"state": State.RESOLVED}
    assert followed(function, children, NOW) == ("o",)
    assert isinstance(verdict(function, children, NOW, root("r~0", "x~0")), Waiting)
    for roots in ({"o": None}, root(), root("x~0"), root(**done, settled_at=NOW)):
        assert why(verdict(function, children, NOW, roots)) is Why.STARTS
        assert isinstance(verdict(function, children, BEGUN + QUIET - 1, roots), Running)
    assert why(verdict(function, children, NOW, root("r~0", **done, settled_at=NOW - LATE))) is Why.ROOT
    assert isinstance(verdict(function, children, NOW, root("r~0", **done, settled_at=NOW - LATE + 1)), Running)


def test_a_root_that_could_not_be_read_is_no_sign() -> None:
    """The verdict doesn't ask for it where it doesn't matter."""
    assert isinstance(verdict(own(), [follower(**DIRECT)], NOW), Waiting)
    assert followed(own(), [follower(n) for n in range(3)], NOW) == ("o",)
    over = follower(state=State.RESOLVED)
    for function, children in (
        (own(), [over, child(1)]),
        (own(paused="drift"), [follower()]),
        (own(deadline=NOW), [follower()]),
        (own(state=State.RESOLVED), [follower()]),
    ):
        assert followed(function, children, NOW) == ()


@pytest.mark.parametrize(
    ("kind", "expected"), [(Kind.INLINE, Why.STEP), (Kind.DETACH, Why.STARTS), (Kind.FOLLOW, Why.STARTS)]
)
def test_what_its_callers_run_settles_is_lost_with_that_run(kind: Kind, expected: Why) -> None:
    """What only the outside world, or a root that knows of it, settles is never lost."""
    one = child(0, kind=kind, root="o")
    assert why(verdict(one, [], NOW, root())) is expected
    assert isinstance(verdict(one, [], BEGUN, root()), Running)
    assert isinstance(verdict(child(0, kind=Kind.EXTERNAL), [], NOW), Waiting)
    assert isinstance(verdict(follower(), [], NOW, root("r~0")), Waiting)


def test_a_timer_is_given_time_to_come() -> None:
    """Its message is under way, and then the run that claims by it, of which no record tells a time."""
    armed = own(expects=-1, wake_at=NOW)
    assert isinstance(verdict(armed, [], NOW), Running)
    assert isinstance(verdict(armed, [], NOW + LATE - 1), Running)
    assert why(verdict(armed, [], NOW + LATE)) is Why.TIMER
    claimed = own(epoch=2, wake_at=NOW)
    assert isinstance(verdict(claimed, [], NOW + QUIET - 1), Running)
    assert why(verdict(claimed, [], NOW + QUIET)) is Why.RUNS
    assert last_news(claimed, [], NOW - 1) == BEGUN


def test_what_only_sleeps_is_found_by_its_own_time() -> None:
    """This isn't so if it waits for promises, too, or should be awake."""
    assert sleeps(own(expects=-1, wake_at=NOW + 1), NOW)
    for awake in (own(expects=-1, wake_at=NOW), own(expects=1, wake_at=NOW + 1), own(wake_at=NOW + 1), own(expects=-1)):
        assert not sleeps(awake, NOW)


def called(count: int = BACKLOG, **fields: Any) -> list[Record]:
    """Siblings that left no trace, in one Lambda."""
    return [child(n, **{"target": "t", "created_at": NOW - HOUR, **fields}) for n in range(count)]


def held(calls: list[Record], now: Instant = NOW) -> int:
    return sum(may_be_queued(one, calls, now) for one in calls if one.pending)


def test_of_many_that_left_no_trace_one_is_taken_for_lost_at_each_look() -> None:
    """Each look takes another one. Few are no queue, and Lambda keeps nothing for longer than six hours."""
    calls = called()
    assert held(calls) == BACKLOG - 1
    free = {next(one.id for one in calls if not may_be_queued(one, calls, NOW + n * WATCH)) for n in range(5)}
    assert len(free) == 5
    assert held(called(BACKLOG - 1)) == 0
    assert held(calls, NOW - HOUR + QUEUED) == 0
    assert held([*called(BACKLOG - 1), *called(BACKLOG - 1, target="other")]) == 0
    assert held(called(epoch=1)) == held(called(expects=1)) == 0


def test_while_siblings_settle_the_others_are_held_back_and_not_once_that_has_ended() -> None:
    """They aren't either once a later call has come through."""
    for ago, expected in ((QUIET - 1, BACKLOG), (QUIET, 0)):
        done = child(90, target="t", created_at=NOW - HOUR, state=State.RESOLVED, settled_at=NOW - ago)
        assert held([*called(), done]) == expected
    paused = [
        child(90 + n, target="t", created_at=NOW - HOUR, state=State.RESOLVED, settled_at=NOW - ago)
        for n, ago in enumerate((QUIET, 0))
    ]
    assert held([*called(), *paused]) == 0
    for after, expected in ((TOGETHER + 1, 0), (TOGETHER, BACKLOG)):
        later = child(90, target="t", created_at=NOW - HOUR + after, state=State.RESOLVED, settled_at=NOW)
        assert held([*called(), later]) == expected
