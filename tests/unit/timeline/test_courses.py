"""Laws of a timeline, whatever records it is made from: parts follow one another, callers come first, arrows go on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.engine.telling import What
from adapter.protocol.ids import child_id
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import SECOND
from adapter.timeline.happened import TOLD, in_order
from adapter.timeline.making import Maker
from adapter.timeline.model import Part, Sign, Timeline

BEGAN = 1_700_000_000 * SECOND
NOW: Any = BEGAN + 1_000 * SECOND
times = st.integers(BEGAN, NOW)
spans = st.integers(0, 400 * SECOND)
seen = st.none() | st.lists(st.sampled_from(["0", "1", "2", "t0", "c"]), max_size=3).map(",".join)


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """A tree of promises whose times needn't fit together: clocks differ, and anything may have been lost."""
    ids = ["r"]
    for _ in range(draw(st.integers(0, 8))):
        caller = draw(st.sampled_from(ids))
        ids.append(child_id(caller, sum(one.rpartition("~")[0] == caller for one in ids) + draw(st.integers(0, 2))))
    return [_record(draw, one) for one in dict.fromkeys(ids)]


def _record(draw: st.DrawFn, promise: str) -> Record:
    state = draw(st.sampled_from(State))
    settled: Any = 0 if state is State.PENDING else draw(times)
    kind = Kind.CALL if promise == "r" else draw(st.sampled_from([Kind.CALL, Kind.INLINE, Kind.EXTERNAL]))
    closed = state in (State.CANCELED, State.TIMEDOUT) and draw(st.booleans())
    rest: dict[str, Any] = {
        "created_at": draw(times),
        "took": draw(spans) if settled else 0,
        "retries": draw(st.integers(0, 3)),
        "seen": draw(seen),
        "closed": closed,
        "closed_at": draw(times) if closed else 0,
        "wake_at": draw(st.none() | times),
        "outage": draw(st.sampled_from(["", "missing"])),
        "outage_at": draw(times),
    }
    return Record(id=promise, kind=kind, fn="shop:step", state=state, settled_at=settled, **rest)


told = st.lists(
    st.tuples(
        times,
        st.sampled_from(sorted(TOLD)),
        st.sampled_from(["r", "r~0", "r~1"]),
        st.fixed_dictionaries({"by": st.sampled_from(["r~0", "r~1", "gone"]), "attempt": st.integers(1, 3)}),
    ),
    max_size=25,
)


def check(timeline: Timeline, promises: list[Record]) -> None:
    assert sorted(row.id for row in timeline.rows) == sorted(one.id for one in promises)
    for position, row in enumerate(timeline.rows):
        course = row.course
        assert course.begin <= course.end <= timeline.now
        assert sum(one.length for one in course.segments) == course.end - course.begin
        assert all(one.length > 0 for one in course.segments)
        assert all(one.end == following.begin for one, following in pairwise(course.segments))
        assert not course.segments or course.segments[0].begin == course.begin
        assert (row.depth == 0) is (row.parent is None)
        if row.parent is not None:
            assert row.parent < position
            assert timeline.rows[row.parent].depth == row.depth - 1
    ids = {row.id for row in timeline.rows}
    for arrow in timeline.arrows:
        assert arrow.begin <= arrow.end
        assert {arrow.source, arrow.target} <= ids


@given(promises=records())
def test_the_parts_of_a_bar_fill_it_without_gap_or_overlap_whatever_the_table_has(promises: list[Record]) -> None:
    """They sum up to the time from its creation to its end, and each caller comes before what it made."""
    check(Maker(promises, NOW).make("r"), promises)


@given(promises=records(), happened=told)
def test_the_same_holds_with_whatever_was_told(promises: list[Record], happened: Any) -> None:
    """Happenings may be missing, late, doubled, or of another execution."""
    check(Maker(promises, NOW, in_order(happened)).make("r"), promises)


@given(happened=told)
def test_of_what_happens_at_one_instant_the_order_is_kept(happened: Any) -> None:
    """Each is later than the one before, and real times are never moved back."""
    found = in_order(happened)
    assert [(one.what, one.promise) for one in found] == [(what, promise) for _, what, promise, _ in happened]
    assert all(one.at < following.at for one, following in pairwise(found))
    assert all(one.at >= one.clock for one in found)


def test_a_leaf_waits_and_then_runs_for_as_long_as_its_settlement_says() -> None:
    """A settlement tells how long its run worked, and how many attempts came to nothing before."""
    leaf = Record(id="r", fn="f", state=State.RESOLVED, created_at=BEGAN, settled_at=BEGAN + 10, took=4, retries=1)
    (row,) = Maker([leaf], NOW).make("r").rows
    assert [(one.part, one.length) for one in row.course.segments] == [(Part.WAITING, 6), (Part.RUNNING, 4)]
    assert [(mark.sign, mark.at, mark.text) for mark in row.course.marks] == [
        (Sign.RETRY, BEGAN + 6, "1 attempt came to nothing before")
    ]


def _caller(*children: Record, **rest: Any) -> Timeline:
    own = Record(id="r", fn="f", created_at=BEGAN, **rest)
    return Maker([own, *children], NOW).make("r")


def test_a_caller_is_suspended_until_the_settlement_that_moved_it() -> None:
    """The leader of its next turn says which that was, and an arrow shows it."""
    first: dict[str, Any] = {"created_at": BEGAN + 5, "settled_at": BEGAN + 50, "seen": "", "took": 20}
    second: dict[str, Any] = {"created_at": BEGAN + 58, "settled_at": BEGAN + 90, "seen": "0", "took": 20}
    children = [
        Record(id="r~0", fn="g", state=State.RESOLVED, **first),
        Record(id="r~1", fn="g", state=State.RESOLVED, **second),
    ]
    made = _caller(*children, state=State.RESOLVED, settled_at=BEGAN + 100, took=4)
    course = made.rows[0].course
    parts = [(one.part, one.begin - BEGAN, one.end - BEGAN) for one in course.segments]
    assert parts == [
        (Part.WAITING, 0, 5),
        (Part.SUSPENDED, 5, 50),
        (Part.WAITING, 50, 58),
        (Part.SUSPENDED, 58, 90),
        (Part.WAITING, 90, 96),
        (Part.RUNNING, 96, 100),
    ]
    arrows = [(one.source, one.begin - BEGAN, one.target, one.end - BEGAN) for one in made.arrows]
    assert arrows == [("r~0", 50, "r", 58), ("r~1", 90, "r", 96)]


def test_a_timer_moves_a_caller_on_without_an_arrow() -> None:
    """It heard of a settlement before, went to sleep, and went on once its timer had fallen due."""
    first: dict[str, Any] = {"created_at": BEGAN, "settled_at": BEGAN + 5, "seen": ""}
    second: dict[str, Any] = {"created_at": BEGAN + 500, "seen": "0,t0"}
    made = _caller(Record(id="r~0", fn="g", state=State.RESOLVED, **first), Record(id="r~1", fn="g", **second))
    assert made.arrows == []
    assert [(mark.sign, mark.at - BEGAN) for mark in made.rows[0].course.marks] == [(Sign.TIMER, 500)]
    assert (Part.SUSPENDED, 500) in [(one.part, one.end - BEGAN) for one in made.rows[0].course.segments]


@pytest.mark.parametrize("settled", [0, 7])
def test_what_is_pending_is_open_up_to_now(settled: int) -> None:
    """What is over is shown to its end, however long ago that was."""
    state = State.RESOLVED if settled else State.PENDING
    own = Record(id="r", fn="f", state=state, created_at=BEGAN, settled_at=settled and BEGAN + settled)
    made = Maker([own], NOW).make("r")
    assert made.rows[0].course.open is not settled
    assert (made.rows[0].course.open, made.now) == ((False, BEGAN + 7) if settled else (True, NOW))


def test_a_detached_execution_stands_below_the_call_that_started_it() -> None:
    """Its id tells nothing of that; its record does."""
    call = Record(id="r~0", kind=Kind.DETACH, root="other", state=State.RESOLVED)
    made = Maker([Record(id="r", fn="f"), call, Record(id="other", fn="g", detached_by="r~0")], NOW).make("r")
    assert [(row.id, row.depth) for row in made.rows] == [("r", 0), ("r~0", 1), ("other", 2)]


def test_a_run_that_another_one_follows_without_an_end_is_two_runs() -> None:
    """A doubled message begins a run while another one is under way; the bar doesn't overlap itself."""
    happened: Any = [
        (BEGAN + 1, What.RUNNING, "r", {"why": "started"}),
        (BEGAN + 3, What.RUNNING, "r", {"why": "again"}),
    ]
    made = Maker([Record(id="r", fn="f", created_at=BEGAN)], BEGAN + 9, in_order(happened)).make("r")
    assert [(one.part, one.length) for one in made.rows[0].course.segments] == [
        (Part.WAITING, 1),
        (Part.RUNNING, 2),
        (Part.RUNNING, 6),
    ]
