"""Descriptions of types: never narrower than the codec, and exact about what is wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import decode, encode, encode_natural
from adapter.codec.schemas import MAX_NESTING, describe, nested_too_deep, problems


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Address:
    city: str
    zip: int | None = None


@dataclass
class Decision:
    approved: bool
    reason: str = ""
    limit: decimal.Decimal | None = None
    sites: list[Address] = field(default_factory=list)


class Options(TypedDict):
    retries: int
    note: NotRequired[str]


class Point(NamedTuple):
    x: int
    y: int = 0


@dataclass
class Counter:
    name: str
    count: int = field(init=False, default=0)


@dataclass
class Scaled:
    value: int
    factor: InitVar[int]

    def __post_init__(self, factor: int) -> None:
        self.value *= factor


Cents = NewType("Cents", int)

TYPES: list[Any] = [
    None,
    bool,
    int,
    float,
    str,
    bytes,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    bytearray,
    decimal.Decimal,
    uuid.UUID,
    Cents,
    Color,
    Point,
    Counter,
    Scaled,
    Address,
    Decision,
    Options,
    list[int],
    set[str],
    tuple[int, str],
    tuple[int, ...],
    dict[str, float],
    dict[int, str],
    int | None,
    int | str,
    float | str,
    Address | None,
    list[Address | None] | None,
    tuple[Address, int | None],
    Literal["a", "b", 3],
    Annotated[int, "meta"],
    Any,
]
TAGGED: list[Any] = [int | list[int], dt.date | str | None, Address | Options, Address | dict[str, int]]
"""The codec stores the member's name, too. Whoever settles from outside doesn't, and `resolve` neither."""


def comparable(value: Any) -> bool:
    """Not a signaling NaN."""
    return not isinstance(value, decimal.Decimal) or not value.is_snan()


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation is Any:
        return st.integers()
    if annotation is Scaled:
        return st.builds(Scaled, st.integers(), st.integers())
    return st.from_type(annotation or type(None)).filter(comparable)


# The first value of a type costs the import of what makes it, seconds on a busy machine.
@pytest.mark.parametrize("annotation", TYPES, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_the_codec_writes_fits_the_description(annotation: Any, data: st.DataObject) -> None:
    """Else a right answer would be refused."""
    written = json.loads(encode(data.draw(values_of(annotation)), annotation))
    assert list(problems(describe(annotation), written)) == []


@pytest.mark.parametrize("annotation", TYPES + TAGGED, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_resolve_writes_fits_the_description(annotation: Any, data: st.DataObject) -> None:
    """A link takes what `resolve` takes."""
    written = json.loads(encode_natural(data.draw(values_of(annotation))))
    assert list(problems(describe(annotation), written)) == []


TAGS = st.sampled_from(["$int", "$float", "$dict", "$type", "value", "$datetime", "zone", "fold", "city", "x", "y"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4) | TAGS, below, max_size=3),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value, with something in its place somewhere."""
    if isinstance(value, list) and value and draw(st.booleans()):
        position = draw(st.integers(0, len(value) - 1))
        return [*value[:position], draw(changed(value[position])), *value[position + 1 :]]
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(changed(value[name]))}
    return draw(ANYTHING)


@pytest.mark.parametrize("annotation", [kind for kind in TYPES + TAGGED if describe(kind)], ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_fits_the_description_can_be_decoded(annotation: Any, data: st.DataObject) -> None:
    """Else a promise would be settled with a value that nobody can read."""
    natural = json.loads(encode(data.draw(values_of(annotation)), annotation))
    value = data.draw(changed(natural))
    if not list(problems(describe(annotation), value)):
        decode(json.dumps(value), annotation)


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (bool, 1, "$: expected boolean, got integer"),
        (int, "1", "$: expected integer, got string"),
        (int, True, "$: expected integer, got boolean"),
        (str, None, "$: expected string, got null"),
        (dt.date, "tomorrow", "$: expected date"),
        (uuid.UUID, "1", "$: expected uuid"),
        (decimal.Decimal, "1,5", "$: expected decimal"),
        (bytes, "?", "$: expected base64"),
        (Color, "GREEN", "$: expected one of 'RED', 'BLUE'"),
        (int | None, "x", "$: expected one of integer, null"),
        (int, {}, "$: expected integer, got object"),
        (int, {"$int": "what"}, "$: expected integer, got object"),
        (dt.datetime, {"$datetime": "2026-01-01", "zone": "Nowhere"}, "$: expected datetime, got object"),
        (dt.timedelta, "a while", "$: expected duration"),
        (Decision | None, {"approved": 1}, "$.approved: expected boolean, got integer"),
        (tuple[int, str], [1], "$: expected 2 items, got 1"),
        (tuple[int, str], [1, 2], "$[1]: expected string, got integer"),
        (Point, {"y": 1}, "$.x: it is missing"),
        (dict[str, int], {"$dict": [[1, 2]]}, "$: expected object, got object"),
        (Options, {"retries": 1, "$x": 2}, "$.$x: there is no such field"),
        (list[int], [1, "2"], "$[1]: expected integer, got string"),
        (dict[str, int], {"a": "b"}, "$.a: expected integer, got string"),
        (Address, {}, "$.city: it is missing"),
        (Address, {"city": "Bonn", "street": "1"}, "$.street: there is no such field"),
        (Decision, {"approved": True, "sites": [{"city": 3}]}, "$.sites[0].city: expected string, got integer"),
        (Options, {"retries": 1.5}, "$.retries: expected integer, got number"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_by_its_path(annotation: Any, value: Any, found: str) -> None:
    """For whoever sent it."""
    assert list(problems(describe(annotation), value)) == [found]


def test_a_recursive_type_is_left_open_somewhere() -> None:
    """A description ends."""
    assert len(json.dumps(describe(Tree))) < 2_000


@dataclass
class Tree:
    value: int
    below: list[Tree]


@given(
    schema=st.recursive(
        st.none() | st.booleans() | st.text(max_size=8) | st.sampled_from(["null", "object", "array", "string"]),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "items", "properties", "format", "values", "x"]), below)
        ),
        max_leaves=6,
    ),
    value=st.recursive(
        st.none() | st.integers() | st.text(max_size=4), lambda b: st.lists(b, max_size=3), max_leaves=4
    ),
)
def test_a_description_written_by_hand_raises_nothing(schema: Any, value: Any) -> None:
    """It is data from a table."""
    list(problems(schema, value))


@given(depth=st.integers(0, 3 * MAX_NESTING), objects=st.booleans())
def test_what_no_stack_might_decode_is_told_by_its_nesting(depth: int, objects: bool) -> None:
    """As deep as the codec writes, and no deeper."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value, "b": []} if objects else [value, 2]
    assert nested_too_deep(value) is (depth > MAX_NESTING)


def test_an_annotation_that_cannot_be_read_is_left_open() -> None:
    """The codec complains, where the value is decoded."""
    broken = dataclass(type("Broken", (), {"__annotations__": {"x": "1 +"}}))
    assert describe(broken) == {}
    assert describe(list[list["Unknown"]]) == {"type": "array", "items": {"type": "array", "items": {}}}  # type: ignore[name-defined]  # noqa: F821
