"""What a chapter tells, what it costs, and what has to be read beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws.chapters import MAX_BYTES, to_chapter, to_item
from adapter.protocol import chapters
from adapter.protocol.chapters import (
    LARGEST,
    LEAST,
    MOST,
    NEAR,
    TOLD,
    Chapter,
    chapters_of,
    ranges,
    runs,
    told_by,
    untold,
)
from adapter.protocol.ids import child_id
from adapter.protocol.records import BLOCK_FUNCTION, FIELDS, Kind, Record, State, Stored, Wake
from adapter.protocol.times import Instant
from adapter.testing.stats import item_size
from tests.contract.strategies import SETTLED

OWN = Record(id="order~4", created_at=Instant(7), expires=90)

texts = st.text(st.characters(exclude_categories=()), max_size=5)
children = st.builds(
    Record,
    id=st.just(""),
    kind=st.sampled_from(Kind),
    fn=texts,
    args=texts,
    digest=texts,
    state=st.sampled_from(SETTLED),
    value=texts,
    settled_at=st.integers(1, 2**53),
    by=texts,
    by_parent=st.booleans(),
    wake=st.none() | st.sampled_from(Wake),
    seen=st.none() | texts,
    reads=texts,
)


def settled(count: int, first: int = 0, **more: Any) -> list[Record]:
    made = Record(id="", fn="step", digest="d" * 24, state=State.RESOLVED, value="1", wake=Wake.DIRECT)
    return [
        replace(made, id=child_id(OWN.id, number), settled_at=1_000_000 + number, seen=str(number), **more)
        for number in range(first, first + count)
    ]


def told(found: Sequence[Chapter]) -> list[Record]:
    return [record for chapter in found for record in told_by(chapter)]


@given(drawn=st.lists(children, min_size=LEAST, max_size=LEAST + 3), first=st.integers(0, 1_000))
def test_a_chapter_tells_all_that_a_replay_asks_for(drawn: list[Record], first: int) -> None:
    """Each told record is the child's, but for what only others ask for: its arguments, who made it."""
    made = [replace(one, id=child_id(OWN.id, first + place)) for place, one in enumerate(drawn)]
    found = chapters_of(OWN, made, (), 0)
    assert told(found) == [Record(id=one.id, **{name: getattr(one, name) for name in TOLD}) for one in made]


@given(text=texts, number=st.integers(0, 10**6), expires=st.none() | st.integers(1, 2**40))
def test_a_chapter_is_read_as_it_was_written(text: str, number: int, expires: int | None) -> None:
    """The item is smaller than the text, and has all of it."""
    chapter = Chapter(promise="order~4", number=number, since=Instant(5), expires=expires, text=text)
    assert to_chapter(to_item(chapter)) == chapter


def test_a_chapter_is_an_eighth_of_its_records() -> None:
    """Most of it is the digests of what was asked for."""
    (chapter,) = chapters_of(
        OWN, [replace(one, digest=f"{one.ordinal * 7**20:024x}"[-24:]) for one in settled(LEAST)], (), 0
    )
    assert item_size(to_item(chapter)) <= 32 * LEAST


def test_each_chapter_has_room_in_an_item() -> None:
    """Many promises make several chapters, one after the other; each takes its number."""
    found = chapters_of(OWN, settled(2 * MOST + 5, value="ä" * 50), (), 3)
    assert [chapter.number for chapter in found] == [3, 4, 5]
    assert [len(told_by(chapter)) for chapter in found] == [MOST, MOST, 5]
    long = [replace(one, value="x" * (LARGEST - 10)) if one.ordinal < 200 else one for one in settled(2 * MOST)]
    found = chapters_of(OWN, long, (), 0)
    assert len(told(found)) == 2 * MOST
    assert len(told_by(found[0])) < 200
    assert all(len(chapter.text.encode()) < 400_000 for chapter in found)


@pytest.mark.parametrize(
    "change",
    [
        {"state": State.PENDING, "settled_at": 0},
        {"value": "x" * LARGEST},
        {"seen": "1," * LARGEST},
        {"value": Stored("!secret", "order~4.40")},
        {"fn": BLOCK_FUNCTION},
    ],
    ids=["pending", "large", "heard of many", "not opened", "a block of a map"],
)
def test_what_may_change_or_is_large_is_read_from_its_record(change: Mapping[str, Any]) -> None:
    """The chapter tells of all others; the gap is read."""
    made = settled(80)
    made[40] = replace(made[40], **change)
    found = {record.ordinal for record in told(chapters_of(OWN, made, (), 0))}
    assert found == {*range(80)} - {40}
    assert untold(found) == [(40, 40), (80, None)]


def test_a_few_long_outcomes_do_not_stand_between_others() -> None:
    """Every fourth is an exception; but if all are long, telling them again would cost more than it spares."""
    few = [replace(one, value="x" * (1 if one.ordinal % 4 else LARGEST // 2)) for one in settled(64)]
    assert len(told(chapters_of(OWN, few, (), 0))) == 64
    all_ = [replace(one, value="x" * (LARGEST // 2)) for one in settled(64)]
    assert chapters_of(OWN, all_, (), 0) == []


def test_few_promises_make_no_chapter() -> None:
    """Nor do many that stand apart: each is read along with its neighbours anyway."""
    assert chapters_of(OWN, settled(LEAST - 1), (), 0) == []
    apart = [one for one in settled(100) if one.ordinal % NEAR]
    assert chapters_of(OWN, apart, (), 0) == []


def test_what_a_chapter_told_is_not_told_again() -> None:
    """A row that goes on counts with what was told before it."""
    made = settled(LEAST, first=50) + settled(3, first=90)
    (chapter,) = chapters_of(OWN, made, range(50), 1)
    assert [record.ordinal for record in told_by(chapter)] == [*range(50, 50 + LEAST)]
    assert chapters_of(OWN, made, range(50 + LEAST), 1) == []


@given(wanted=st.sets(st.integers(0, 300)), end=st.integers(301, 400))
def test_the_ranges_have_all_that_is_wanted_and_skip_long_rows_only(wanted: set[int], end: int) -> None:
    """Whatever else they have saves a request."""
    found = ranges(sorted(wanted), end)
    covered = {number for first, last in found for number in range(first, 401 if last is None else last + 1)}
    assert wanted | {end} <= covered
    assert all(last - first + 1 >= NEAR for first, last in runs(sorted({*range(min(covered), end)} - covered)))


GOOD = json.loads(chapters_of(OWN, settled(LEAST), (), 0)[0].text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        "[" * 100_000,
        *(
            json.dumps({**GOOD, **wrong})
            for wrong in (
                {"v": 2},
                {"ordinals": [[0, 10**15]]},
                {"ordinals": [[5, 4]]},
                {"ordinals": [[-1, LEAST - 2]]},
                {"ordinals": [["0", LEAST - 1]]},
                {"ordinals": None},
                {"times": [1]},
                {"times": [True] * LEAST},
                {"state": "pending"},
                {"state": ["resolved"]},
                {"state": "lost"},
                {"kind": 1},
                {"wake": "later"},
                {"value": [None] * LEAST},
                {"value": {"a": 1}},
                {"by_parent": "yes"},
                {"seen": 1},
                {"digest": None},
            )
        ),
    ],
)
def test_a_chapter_that_cannot_be_read_tells_nothing(text: str) -> None:
    """It may be a later version's, or written by hand. Then the records are read."""
    assert told_by(Chapter(promise="order", number=0, since=Instant(0), expires=None, text=text)) == []


@pytest.mark.parametrize(
    "change",
    [{"text": {"S": "a"}}, {"text": {"B": b"plain"}}, {"since": {"N": "x"}}, {"since": {}}, {"expires": {"S": "a"}}],
)
def test_an_item_that_is_no_chapter_tells_nothing(change: Mapping[str, Any]) -> None:
    """A text is unpacked only as far as a chapter's may go."""
    good = to_item(Chapter(promise="order", number=0, since=Instant(0), expires=None, text="a" * (2 * MAX_BYTES)))
    unpacked = to_chapter(good)
    assert unpacked is not None
    assert len(unpacked.text) == MAX_BYTES
    assert to_chapter({**good, **change}) is None


def test_a_chapter_tells_every_field_that_a_replay_reads() -> None:
    """A new field of a record is told, or named here: a replay doesn't ask for it once the promise has settled."""
    never_asked = {
        "target",
        "args",
        "created_at",
        "by",
        "fork",
        "prompted_by",
        "took",
        "retries",
        "reply_to",
        "retry",
        "root",
        "recurs",
        "tags",
    }
    of_functions = {
        "claimed_by",
        "epoch",
        "arrivals",
        "rejected_arrivals",
        "threshold",
        "expects",
        "rejections",
        "on_reject",
    }
    of_functions |= {"wake_at", "sent", "due_at", "deadline", "paused", "outage", "outage_at", "retry_at"}
    of_executions = {"unpinned", "closed", "closed_at", "expires", "objects", "awaiters", "detached_by"}
    assert {*FIELDS} == {"id"} | chapters.TOLD | never_asked | of_functions | of_executions
