"""Paths of promises: parent and child undo each other at any depth, and a path is written in one way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.ids import (
    BUCKET,
    WRITTEN_OUT,
    child_id,
    extend,
    id_of,
    is_id,
    is_path,
    key_of,
    last,
    shorten,
)

runs = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3 * WRITTEN_OUT)), max_size=6)


def ordinals_of(runs: list[tuple[int, int]]) -> list[int]:
    return [ordinal for ordinal, count in runs for _ in range(count)]


@given(runs)
def test_the_way_down_is_the_way_up(runs: list[tuple[int, int]]) -> None:
    """This holds through every level, however often an ordinal repeats."""
    way, path = [""], ""
    for ordinal in ordinals_of(runs):
        path = extend(path, ordinal)
        way.append(path)
        assert is_path(path)
        assert last(path) == ordinal
    while path:
        assert path == way.pop()
        path = shorten(path)
    assert way == [""]


@given(runs, runs)
def test_different_ways_have_different_paths(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    """No two promises share an id."""

    def path_of(runs: list[tuple[int, int]]) -> str:
        path = ""
        for ordinal in ordinals_of(runs):
            path = extend(path, ordinal)
        return path

    assert (path_of(first) == path_of(second)) == (ordinals_of(first) == ordinals_of(second))


@given(st.sampled_from(["order-7", "schedule:a", "event:f:sqs:1", "é"]), runs, st.integers(0, 3 * BUCKET))
def test_an_id_follows_from_its_key(root: str, runs: list[tuple[int, int]], ordinal: int) -> None:
    """The item needn't repeat it."""
    promise = root
    for step in ordinals_of(runs):
        promise = child_id(promise, step)
    for one in (promise, child_id(promise, ordinal)):
        assert id_of(*key_of(one)) == one


@given(st.text("o~.*10-", max_size=12), st.integers(-3, 2 * BUCKET))
def test_a_key_is_a_promises_or_is_refused(partition: str, ordinal: int) -> None:
    """No two keys are those of one promise: a record would be written elsewhere than it was read."""
    try:
        promise = id_of(partition, ordinal)
    except ValueError:
        return
    assert is_id(promise)
    assert key_of(promise) == (partition, ordinal)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=1, max_size=5))
def test_a_text_that_no_way_leads_to_is_no_path(steps: list[tuple[int, int]]) -> None:
    """The code would write otherwise whatever it might read in it."""
    text = ".".join(f"{ordinal}*{count}" if count else str(ordinal) for ordinal, count in steps)
    path = ""
    for ordinal, count in steps:
        for _ in range(count or 1):
            path = extend(path, ordinal)
    assert is_path(text) == (text == path)


def test_a_short_path_is_written_out() -> None:
    """Everybody reads it so in a log."""
    path = ""
    for ordinal in (0, 2, 2, 10):
        path = extend(path, ordinal)
    assert path == "0.2.2.10"
    assert not any(is_path(text) for text in ("", ".", "0.", ".0", "00", "-1", "0*", "*9", "0*8", "0*09", "0*9.0", "x"))


def test_a_thousand_levels_fit_into_a_key() -> None:
    """Recursion repeats one ordinal."""
    path = ""
    for _ in range(1_000):
        path = extend(path, 3)
    assert path == "3*1000"
