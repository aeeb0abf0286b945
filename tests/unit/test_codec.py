"""Laws of ``adapter.codec``: what is stored comes back the same, and what couldn't is refused."""

import datetime as dt
import functools
import json
import sys
from collections import abc
from dataclasses import make_dataclass
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import Runtime, decode, encode, encode_natural, from_data, to_data
from adapter.errors import CodecError
from tests.support.effort import effort
from tests.support.samples import Lost, Selfish, Tree, TwoNames, refused, round_trips, same
from tests.support.values import annotated_values, json_data, junk_anywhere, leaves, plain, typed


@settings(max_examples=effort(100, 400))
@given(annotated_values)
def test_every_supported_value_comes_back_the_same(case: tuple[Any, Any]) -> None:
    """decode(encode(v)) is v with the same types, and encodes to the same text again."""
    round_trips(case[1], case[0])


@pytest.mark.parametrize("case", leaves, ids=lambda case: str(case[0]))
def test_every_leaf_type_comes_back_the_same(case: tuple[Any, Any]) -> None:
    """The law above, with examples for each of the types by itself."""

    @settings(max_examples=effort(10, 15))
    @given(case[1])
    def law(value: Any) -> None:
        round_trips(value, case[0])

    law()


@settings(max_examples=effort(37, 150))
@given(typed, junk_anywhere)
def test_junk_is_refused_under_every_annotation(case: tuple[Any, Any], value: Any) -> None:
    """The codec raises CodecError for it, and nothing else."""
    with pytest.raises(CodecError):
        encode(value, case[0])


@settings(max_examples=effort(25, 100))
@given(junk_anywhere)
def test_junk_has_no_natural_json(value: Any) -> None:
    """The encoder without annotations refuses the same values."""
    with pytest.raises(CodecError):
        encode_natural(value)


@settings(max_examples=effort(100, 400))
@given(typed, json_data)
def test_foreign_json_is_either_decoded_or_refused(case: tuple[Any, Any], data: Any) -> None:
    """Any JSON under any annotation gives a value that can be stored again, or a CodecError."""
    try:
        value = decode(json.dumps(data), case[0])
    except CodecError:
        return
    round_trips(value, case[0])


@given(st.text(max_size=20) | st.sampled_from(["[" * 5000, "9" * 5000, "", '"\\ud800"', '{"\\ud800":1}', "null"]))
def test_any_text_is_either_decoded_or_refused(text: str) -> None:
    """Text that isn't JSON, or too much of it, is a CodecError as well. Any other gives a value that can be stored."""
    try:
        value = decode(text)
    except CodecError:
        return
    round_trips(value, Any)


@settings(max_examples=effort(37, 150))
@given(
    st.sampled_from(
        [5, "int", lambda: 0, type[int], abc.Callable[[int], int], ..., int | abc.Iterator[int], Selfish, Lost]
    )
)
def test_what_is_no_type_of_data_is_refused_when_used(annotation: Any) -> None:
    """Compiling an annotation never fails, but using one that can't be stored does."""
    with pytest.raises(CodecError):
        encode(object(), annotation)
    with pytest.raises(CodecError):
        decode('{"a":[1]}', annotation)


@given(plain)
def test_natural_json_is_accepted_for_plain_values(value: Any) -> None:
    """A value without tuples comes back the same even without a tag."""
    text = encode_natural(value)
    assert encode_natural(decode(text)) == text


def test_what_contains_itself_is_refused() -> None:
    """A cycle, or nesting that another stack may not hold, is a CodecError and no RecursionError."""
    cycle: list[Any] = []
    cycle.append(cycle)
    tree = Tree(1)
    tree.children.append(tree)
    deep: Any = functools.reduce(lambda inner, _: [inner], range(150), 1)
    for value, annotation in ((cycle, Any), (tree, Tree), (deep, Any), (cycle, list), (deep, Runtime)):
        refused(encode, value, annotation)
        refused(encode_natural, value)
    round_trips(functools.reduce(lambda inner, _: [inner], range(95), 1), Any)


def test_many_values_side_by_side_are_not_deep() -> None:
    """The limit counts levels, not brackets."""
    round_trips([[i] for i in range(500)], Any)


def test_equal_sets_give_equal_text() -> None:
    """The order in which a set happens to iterate leaves no trace."""
    words = [f"w{i}" for i in range(50)]
    grown = {"x"}
    for word in reversed(words):
        grown.add(word)
    grown.remove("x")
    assert encode(set(words), set[str]) == encode(grown, set[str])


def test_the_order_of_a_unions_members_decides_for_foreign_json() -> None:
    """Unions of one content compare equal in Python, but keep their own order here."""
    assert type(decode('"2024-01-02"', dt.date | dt.datetime)) is dt.date
    assert type(decode('"2024-01-02"', dt.datetime | dt.date)) is dt.datetime


def test_members_of_one_name_are_told_apart() -> None:
    """Two classes that share their full name are numbered."""
    one, two = (make_dataclass("Same", [("a", int), (extra, int, 0)]) for extra in ("b", "c"))
    round_trips(two(1), one | two)
    assert "#2" in encode(two(1), one | two)


def test_data_for_larger_documents_is_the_same_as_the_text() -> None:
    """to_data and from_data do what encode and decode do, short of the text."""
    value = [b"\xff", dt.date(2024, 1, 2), Decimal("1.0"), {UUID(int=1)}, (1,), dt.datetime(2024, 1, 2, tzinfo=dt.UTC)]
    assert same(from_data(to_data(value, Runtime), Runtime), value)
    zoned = dt.datetime(2024, 1, 2, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert same(from_data(to_data([zoned, zoned.timetz()], Runtime), Runtime), [zoned, zoned.timetz()])


def test_a_model_whose_names_differ_by_direction_is_still_restored() -> None:
    """The codec dumps it under its own names. The model wouldn't understand its aliases."""
    value = TwoNames(it=3)  # type: ignore[call-arg]
    round_trips(value, TwoNames)


def test_unhashable_annotations_are_compiled_each_time() -> None:
    """Metadata may be anything."""
    round_trips([1], list[Annotated[int, []]])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new syntax")
def test_type_statements_are_aliases() -> None:
    """`type X = …` may also be generic and recursive."""
    names: dict[str, Any] = {}
    exec("type Nest[T] = T | list[Nest[T]]", names)  # noqa: S102
    round_trips([[1], 2, [[3]]], names["Nest"][int])
