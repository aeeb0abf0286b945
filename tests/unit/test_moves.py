"""Where renamed Lambdas are found: the laws of the pure moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import BadMessage
from adapter.protocol.moves import LONGEST, MOST, UNMOVED, Moves, moves, named

names = st.sampled_from("abcdef")


def made(pairs: list[tuple[str, str]]) -> Moves:
    """What is left of these moves, given one after the other: some are refused."""
    found = UNMOVED
    for old, new in pairs:
        if found.objection(old, new) is None:
            found = found.moved(old, new)
    return found


@given(pairs=st.lists(st.tuples(names, names), max_size=12))
def test_moves_have_no_circle_and_every_way_ends_where_nothing_was_moved(pairs: list[tuple[str, str]]) -> None:
    """Whoever follows it comes to an end, by each name once."""
    found = made(pairs)
    for name in found.to:
        way = found.way(name)
        assert len({name, *way}) == len(way) + 1
        assert way[-1] not in found.to


@given(pairs=st.lists(st.tuples(names, names), max_size=12), old=names)
def test_a_move_that_is_taken_back_moves_nothing(pairs: list[tuple[str, str]], old: str) -> None:
    """Those of other names stay."""
    found = made(pairs)
    after = found.undone(old)
    assert after.way(old) == ()
    assert after.to == {name: new for name, new in found.to.items() if name != old}


@given(pairs=st.lists(st.tuples(names, names), max_size=12))
def test_moves_are_read_as_they_were_written(pairs: list[tuple[str, str]]) -> None:
    """They are written only in place of what was read, so equal ones have one text."""
    found = made(pairs)
    assert moves(found.to_text()) == found
    assert Moves(dict(reversed(found.to.items()))).to_text() == found.to_text()


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a":1}', '{"a":null}', "NaN", "[" * 100_000], ids=range(7))
def test_what_is_no_moves_is_refused_by_name(text: str) -> None:
    """A person may have written the item by hand."""
    with pytest.raises(BadMessage, match="moves of Lambdas"):
        moves(text)


def test_a_circle_that_a_person_wrote_by_hand_ends_too() -> None:
    """The command refuses to make one; each name is tried once."""
    assert moves('{"a":"b","b":"c","c":"a"}').way("a") == ("b", "c")
    assert Moves({"a": "a"}).way("a") == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("x", "x", "x is its old name and its new one"),
        ("c", "a", "a was moved to b, then c: this would be a circle"),
        ("b", "a", "a was moved to b: this would be a circle"),
        ("", "x", "no Lambda can have the name ''"),
        ("x", "y z", "no Lambda can have the name 'y z'"),
        ("x", "y\n", "no Lambda can have the name"),
        ("x", "y" * 65, "no Lambda can have the name"),
        ("x", "arn:aws:sqs:us-east-1:123456789012:y", "no Lambda can have the name"),
    ],
)
def test_a_move_that_cannot_be_is_refused(old: str, new: str, why: str) -> None:
    """The refusal says why."""
    assert why in str(Moves({"a": "b", "b": "c"}).objection(old, new))


@pytest.mark.parametrize(
    "name",
    [
        "y" * 64,
        "shop-bill:live",
        "shop-bill:$LATEST",
        "123456789012:function:shop-bill",
        "arn:aws:lambda:us-east-1:123456789012:function:shop-bill:7",
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:shop-bill",
    ],
)
def test_every_name_that_lambda_takes_can_be_moved(name: str) -> None:
    """A target may have an alias, or be an ARN."""
    assert UNMOVED.objection("old", name) is UNMOVED.objection(name, "new") is None


def test_a_row_of_moves_is_bounded_and_so_are_all_of_them() -> None:
    """Each step of the way costs a call, and the item has room for so many."""
    row = Moves({f"n{number}": f"n{number + 1}" for number in range(LONGEST)})
    assert len(row.way("n0")) == LONGEST
    assert "moves in a row" in str(row.objection(f"n{LONGEST}", "x"))
    assert "moves in a row" in str(row.objection("before", "n0"))
    assert row.objection("before", "n1") is None
    longer = Moves({**row.to, f"n{LONGEST}": "x"})
    assert longer.way("n0") == row.way("n0")
    full = Moves({f"n{number}": "x" for number in range(MOST)})
    assert "there are 1,000 moves" in str(full.objection("another", "x"))
    assert full.objection("n0", "y") is None


def test_a_lambda_is_named_with_the_names_that_it_has_had() -> None:
    """All of them, in order."""
    assert [named("a", way) for way in ((), ("b",), ("b", "c"))] == ["a", "a (moved to b)", "a (moved to b, then c)"]
