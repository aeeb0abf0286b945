"""The JSON Schema of a type: never narrower than natural JSON, and where it isn't open, exact."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import sys
import uuid
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import decode, encode, encode_natural
from adapter.codec.checking import problems
from adapter.codec.schemas import MAX_CHARACTERS, describe, schema_text
from tests.support import samples
from tests.support.effort import effort
from tests.support.samples import round_trips
from tests.support.values import annotated_values, json_data, leaves


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
"""The codec stores the member's name, too. A caller outside need not, and `resolve` doesn't."""


def comparable(value: Any) -> bool:
    """Not a signaling NaN."""
    return not isinstance(value, decimal.Decimal) or not value.is_snan()


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation is Any:
        return st.integers()
    if annotation is Scaled:
        return st.builds(Scaled, st.integers(), st.integers())
    return st.from_type(annotation or type(None)).filter(comparable)


CASES = st.one_of(annotated_values, *(values.map(lambda value, kind=kind: (kind, value)) for kind, values in leaves))  # type: ignore[misc]


# The first value of a type costs the import of what makes it, seconds on a busy machine.
@pytest.mark.parametrize("annotation", TYPES + TAGGED, ids=str)
@settings(max_examples=effort(10, 25))
@given(data=st.data())
def test_whatever_is_written_fits_the_schema(annotation: Any, data: st.DataObject) -> None:
    """Otherwise a link would refuse a right answer. It takes what `resolve` writes, and what the codec stores."""
    value = data.draw(values_of(annotation))
    for text in (encode(value, annotation), encode_natural(value)):
        assert problems(describe(annotation), json.loads(text)) == []


@settings(max_examples=effort(50, 200))
@given(case=CASES)
def test_whatever_is_written_fits_the_schema_of_any_type(case: tuple[Any, Any]) -> None:
    """The draft's own schema accepts the schema."""
    annotation, value = case
    schema = describe(annotation)
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (encode(value, annotation), encode_natural(value)):
        assert problems(schema, json.loads(text)) == []


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
    return draw(st.one_of(ANYTHING, st.sampled_from(list(rewritten(value)))))


def rewritten(value: Any) -> Iterator[Any]:
    """What some would write for it, or take for it, rightly or wrongly."""
    yield {"$type": "int", "value": value}
    match value:
        case dict():
            yield from ({"$dict": [list(pair) for pair in value.items()]}, list(value.values()), value.get("value"))
            yield {name: value[name] for name in list(value)[1:]}
        case list():
            yield from ({"$tuple": value}, {"$set": value}, value[1:], [*value, *value[:1]])
        case bool() | None | str():
            yield [value]
        case int() | float():
            yield from (str(value), hex(int(value)), {"$int": hex(int(value))}, int(value))
            yield from [float(value)] if abs(value) < 2**53 else []


def is_exact(schema: Any) -> bool:
    """It leaves nothing open, and no class's own code may refuse what it allows."""
    text = json.dumps(schema)
    return "{}" not in text and not any(f'"{name}"' in text for name in ("Model", "Positive", "Site"))


def decodes_if_it_fits(annotation: Any, value: Any) -> None:
    if not problems(describe(annotation), value) and is_exact(describe(annotation)):
        round_trips(decode(json.dumps(value), annotation), annotation)


@pytest.mark.parametrize("annotation", [kind for kind in TYPES + TAGGED if describe(kind)], ids=str)
@settings(max_examples=effort(12, 50))
@given(data=st.data())
def test_whatever_fits_the_schema_can_be_decoded(annotation: Any, data: st.DataObject) -> None:
    """A link refuses what the codec refuses: no promise settles with a value that its function can't read."""
    natural = json.loads(encode(data.draw(values_of(annotation)), annotation))
    decodes_if_it_fits(annotation, data.draw(changed(natural)))


@settings(max_examples=effort(100, 400))
@given(case=CASES, data=st.data())
def test_whatever_fits_the_schema_of_any_type_can_be_decoded(case: tuple[Any, Any], data: st.DataObject) -> None:
    """The test above, for any type."""
    annotation, value = case
    for text in (encode(value, annotation), encode_natural(value)):
        decodes_if_it_fits(annotation, data.draw(changed(json.loads(text)) | json_data.filter(is_json)))


def is_json(value: Any) -> bool:
    """No NaN."""
    return "NaN" not in (text := json.dumps(value)) and "Infinity" not in text


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (bool, {"type": "boolean"}),
        (dt.date | None, {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}),
        (list[bytes], {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}),
        (Literal["a", 3], {"enum": ["a", 3]}),
        (Color, {"title": "Color", "enum": ["RED", "BLUE", 1, 2], "examples": ["RED", "BLUE"]}),
        (tuple[()], {"type": "array", "maxItems": 0}),
        (
            tuple[str, bool],
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "boolean"}],
                "items": False,
                "minItems": 2,
            },
        ),
        (
            Address,
            {
                "title": "Address",
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "zip": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/$int"}, {"type": "null"}]},
                },
                "required": ["city"],
                "additionalProperties": False,
                "$defs": {
                    "$int": {
                        "description": "An integer of more than 64 bits.",
                        "type": "object",
                        "properties": {"$int": {"type": "string", "format": "hexadecimal"}},
                        "required": ["$int"],
                        "additionalProperties": False,
                    }
                },
            },
        ),
        (
            samples.Access,
            {
                "title": "Access",
                "anyOf": [{"enum": ["READ", "WRITE"]}, {"type": "integer", "minimum": 0, "maximum": 3}],
            },
        ),
        (Any, {}),
    ],
    ids=str,
)
def test_a_schema_is_what_a_person_would_write(annotation: Any, schema: Any) -> None:
    """Forms for values that JSON lacks have names of their own, out of the way."""
    assert describe(annotation) == schema


@dataclass
class Tree:
    value: bool
    below: list[Tree]


def test_a_type_that_refers_to_itself_has_a_schema_that_does() -> None:
    """Its values go to any depth."""
    value: Any = {"value": True, "below": []}
    wrong: Any = {"value": 1, "below": []}
    for _ in range(40):
        value, wrong = ({"value": True, "below": [one]} for one in (value, wrong))
    below = describe(Tree)["$defs"]["Tree"]["properties"]["below"]
    assert below == {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert problems(describe(Tree), value) == []
    assert problems(describe(Tree), wrong) == [f"${'.below[0]' * 40}.value: expected boolean, got integer"]


T = TypeVar("T")


@dataclass
class Growing(Generic[T]):
    """Never the same type twice."""

    value: T
    more: Growing[list[T]] | None = None


def test_a_type_without_end_is_left_open_somewhere() -> None:
    """A schema ends, and still takes all that the codec writes."""
    schema = describe(Growing[int])
    assert len(json.dumps(schema)) < 200_000
    assert problems(schema, json.loads(encode(Growing(1, Growing([2])), Growing[int]))) == []
    assert problems(schema, {"value": 1, "more": {"value": 2}})


def test_a_schema_that_outweighs_its_values_is_left_open() -> None:
    """The table stores it with each promise."""
    large: Any = Literal[tuple(f"{number:04}" * 10 for number in range(2_000))]
    assert schema_text(large) == ""
    assert schema_text(Any) == ""
    assert json.loads(schema_text(Tree)) == describe(Tree)
    assert len(schema_text(Tree)) < MAX_CHARACTERS


def test_types_that_share_a_name_are_told_apart() -> None:
    """One class name in two modules is an example."""
    other = dataclass(type("Address", (), {"__annotations__": {"street": str, "number": str, "floor": str}}))
    schema = describe(tuple[Address, other, Address, other])
    assert {"Address", "Address-2"} <= schema["$defs"].keys()
    assert [item["$ref"] for item in schema["prefixItems"]] == ["#/$defs/Address", "#/$defs/Address-2"] * 2


class Order(pydantic.BaseModel):
    """What pydantic describes, and what the codec makes of its values."""

    amount: decimal.Decimal
    lines: dict[str, set[int]] = {}
    span: dt.timedelta = dt.timedelta()
    place: tuple[float, float] | None = None
    kind: Literal["a", b"b"] = "a"
    plain: Any = None
    color: Color = Color.RED
    parts: list[Order] = pydantic.Field(default=[], alias="in")
    secret: pydantic.SecretStr | None = None

    @pydantic.field_serializer("place")
    def written(self, place: Any) -> Any:
        return place and {"x": place[0], "y": place[1]}

    @pydantic.field_validator("place", mode="before")
    @classmethod
    def read(cls, place: Any) -> Any:
        return (place["x"], place["y"]) if isinstance(place, dict) else place


orders = st.builds(
    lambda amount, lines, days, place, kind, parts: Order(
        amount=amount, lines=lines, span=dt.timedelta(days), place=place, kind=kind, **{"in": parts}
    ),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dictionaries(st.sampled_from(["a", "$a"]), st.sets(st.integers(), max_size=2), max_size=2),
    st.integers(-999, 999),
    st.none() | st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    st.sampled_from(["a", b"b"]),
    st.lists(st.builds(Order, amount=st.integers()), max_size=2),
)


@settings(max_examples=effort(12, 50))
@given(order=orders)
def test_a_models_schema_takes_what_is_written_of_it(order: Order) -> None:
    """The codec, `resolve` and pydantic itself write it."""
    schema = describe(Order)
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (encode(order, Order), encode_natural(order), order.model_dump_json(by_alias=True)):
        assert problems(schema, json.loads(text)) == []


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (Order, {"amount": "much", "in": [{}]}, ["$.amount: expected decimal", "$.in[0].amount: it is missing"]),
        (Order, {"amount": 1, "lines": {"a": ["x"]}}, ["$.lines.a[0]: expected integer, got string"]),
        (Order, {"amount": 1, "color": 3}, ["$.color: expected one of 1, 2"]),
        (samples.Model, {"raw": "", "when": "x"}, ["$.when: expected date-time"]),
        (samples.TwoNames, {"it": 1}, []),
        (samples.TwoNames, {"in": 1}, []),
        (samples.TwoNames, {}, ["$: expected TwoNames"]),
        (samples.Holder, {"part": 1}, ["$.part: expected object, got integer"]),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_model_is_found_without_its_code(annotation: Any, value: Any, found: list[str]) -> None:
    """The Lambda of links doesn't have the code."""
    assert problems(describe(annotation), value) == found


def test_an_annotation_that_cannot_be_read_is_left_open() -> None:
    """The codec complains where it decodes the value."""
    broken = dataclass(type("Broken", (), {"__annotations__": {"x": "1 +"}}))
    assert describe(broken) == {}
    assert describe(list[list["Unknown"]]) == {"type": "array", "items": {"type": "array", "items": {}}}  # type: ignore[name-defined]  # noqa: F821
    deep: Any = int
    for _ in range(2 * sys.getrecursionlimit()):
        deep = list[deep]
    assert describe(deep) == {}
