"""The check of a value by a schema alone: JSON Schema's own verdict, in words, in a bounded time."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import encode
from adapter.codec.checking import MAX_NESTING, MOST, nested_too_deep, problems
from adapter.codec.scalars import ENCODINGS, FORMATS
from adapter.codec.schemas import describe
from tests.support.effort import effort
from tests.support.values import json_data
from tests.unit.test_schemas import (
    ANYTHING,
    CASES,
    Address,
    Color,
    Decision,
    Options,
    Point,
    changed,
    is_json,
)


def asserted(read: Callable[[str], Any]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if isinstance(value, str):
            read(value)
        return True

    return holds


def encoded(validator: Any, name: Any, value: Any, schema: Any) -> Iterator[Any]:
    try:
        asserted(ENCODINGS[name])(value)
    except ValueError as error:
        yield jsonschema.ValidationError(str(error))


# Formats and encodings are annotations in the draft; here they are asserted, as the codec reads them.
READ = jsonschema.FormatChecker(formats=())
for name, read in FORMATS.items():
    READ.checks(name, raises=Exception)(asserted(read))
JSON_SCHEMA = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"contentEncoding": encoded})


def alike(schema: Any, value: Any) -> None:
    assert (problems(schema, value) == []) is JSON_SCHEMA(schema, format_checker=READ).is_valid(value)


@settings(max_examples=effort(100, 400))
@given(case=CASES, data=st.data())
def test_a_value_fits_if_it_does_by_json_schema(case: tuple[Any, Any], data: st.DataObject) -> None:
    """The judge is a validator of all words of the draft, over the schemas of types."""
    annotation, value = case
    natural = json.loads(encode(value, annotation))
    alike(describe(annotation), data.draw(changed(natural) | json_data.filter(is_json)))


NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0])
COUNTS = st.integers(0, 3)
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]),
    "enum": st.lists(ANYTHING, min_size=1, max_size=3),
    "const": ANYTHING,
    "required": st.lists(st.sampled_from("ab"), unique=True),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], NUMBERS),
    **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"], COUNTS),
}


def combined(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(below, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), below, max_size=2)
    words = {
        **WORDS,
        **dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems"], several),
        **dict.fromkeys(["items", "contains", "additionalProperties", "propertyNames"], below),
        **dict.fromkeys(["properties", "dependentSchemas"], named),
    }
    return st.lists(st.sampled_from(sorted(words)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: words[name] for name in names})
    )


SCHEMAS = st.recursive(st.booleans() | combined(st.booleans()), combined, max_leaves=6)
SMALL = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "bb"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=5,
)


@settings(max_examples=effort(125, 500))
@given(schema=SCHEMAS, value=SMALL)
def test_any_schema_of_known_words_means_what_json_schema_means(schema: Any, value: Any) -> None:
    """pydantic makes the schemas of its own models."""
    alike(schema, value)


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (bool, 1, "$: expected boolean, got integer"),
        (int, "1", "$: expected integer, got string"),
        (int, True, "$: expected integer, got boolean"),
        (str, None, "$: expected string, got null"),
        (dt.date, "tomorrow", "$: expected date"),
        (dt.date, 5, "$: expected date, got integer"),
        (uuid.UUID, "1", "$: expected uuid"),
        (decimal.Decimal, "1,5", "$: expected decimal"),
        (decimal.Decimal, 1.5, "$: expected decimal, got number"),
        (bytes, "?", "$: expected base64"),
        (Color, "GREEN", '$: expected one of "RED", "BLUE", 1, 2'),
        (int | None, "x", "$: expected one of integer, null"),
        (Color | None, "x", '$: expected one of "RED", "BLUE", 1, 2'),
        (int, {}, "$: expected integer, got object"),
        (int, {"$int": "what"}, "$.$int: expected hexadecimal"),
        (float, {"$float": "1"}, '$.$float: expected one of "nan", "inf", "-inf"'),
        (dt.datetime, "soon", "$: expected date-time"),
        (dt.datetime, {"$datetime": "2026-01-01", "zone": "Nowhere"}, "$.zone: expected time-zone"),
        (dt.datetime, {"$datetime": "2026-01-01T00:00Z", "zone": "UTC"}, "$.$datetime: expected local-date-time"),
        (dt.timedelta, "a while", "$: expected duration"),
        (Decision | None, {"approved": 1}, "$.approved: expected boolean, got integer"),
        (tuple[int, str], [1], "$: expected 2 items, got 1"),
        (tuple[int, str], [1, 2], "$[1]: expected string, got integer"),
        (Point, {"y": 1}, "$.x: it is missing"),
        (Point, [], "$: expected at least 1 items, got 0"),
        (dict[str, int], {"$dict": [[1, 2]]}, "$.$dict[0][0]: expected string, got integer"),
        (dict[dt.date, int], {"today": 1}, "$.today: its name: expected date"),
        (Options, {"retries": 1, "$x": 2}, "$.$x: there is no such field"),
        (list[int], [1, "2"], "$[1]: expected integer, got string"),
        (dict[str, int], {"a": "b"}, "$.a: expected integer, got string"),
        (Address, {}, "$.city: it is missing"),
        (Address, {"city": "Bonn", "street": "1"}, "$.street: there is no such field"),
        (Decision, {"approved": True, "sites": [{"city": 3}]}, "$.sites[0].city: expected string, got integer"),
        (Options, {"retries": 1.5}, "$.retries: expected integer, got number"),
        (Address | Options, [], "$: expected one of Address, Options"),
        (Address | Options, {"town": 1}, "$: expected one of Address, Options"),
        (
            Address | Options,
            {"$type": "tests.unit.test_schemas.Address", "value": {"city": 1}},
            "$.value.city: expected string, got integer",
        ),
        (Address, {"x" * 1_000: 1, "city": ""}, f"$.{'x' * 80}…: there is no such field"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_named_by_its_path(annotation: Any, value: Any, found: str) -> None:
    """The sender then knows what to change."""
    assert problems(describe(annotation), value) == [found]


def test_several_things_that_are_wrong_are_told_at_once() -> None:
    """The error tells the first ones."""
    assert problems(describe(Decision), {"reason": 1, "sites": [{}], "more": 1}) == [
        "$.approved: it is missing",
        "$.reason: expected string, got integer",
        "$.sites[0].city: it is missing",
        "$.more: there is no such field",
    ]
    assert len(problems(describe(list[int]), ["x"] * 1_000)) == MOST


@given(
    schema=st.recursive(
        st.none() | st.booleans() | st.text(max_size=8) | st.sampled_from(["null", "object", "#", "#/$defs/a", 1, -1]),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(st.sampled_from([*WORDS, "items", "$ref", "$defs", "a", "format", "anyOf"]), below)
        ),
        max_leaves=8,
    ),
    value=st.recursive(
        st.none() | st.integers() | st.text(max_size=4), lambda b: st.lists(b, max_size=3), max_leaves=4
    ),
)
def test_a_schema_written_by_hand_raises_nothing(schema: Any, value: Any) -> None:
    """A schema is data from a table."""
    problems(schema, value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#"}]}}},
        {"$ref": "https://example.org/schema"},
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "of another draft"},
        {"patternProperties": {"(a+)+$": False}, "additionalProperties": False},
    ],
    ids=range(6),
)
def test_what_a_schema_does_not_say_is_open(schema: Any) -> None:
    """A schema may lead back to itself, elsewhere, or to regular expressions, whose time nobody knows."""
    assert problems(schema, "a" * 50_000 + "!") == []
    assert problems(schema, {"a" * 50_000 + "!": 1}) in ([], ["$: expected string, got object"])


def test_telling_what_is_wrong_in_nested_unions_is_linear() -> None:
    """Each member might go through each level: 2 ** 90 times in all."""
    schema: Any = {
        "$ref": "#/$defs/nest",
        "$defs": {"nest": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/nest"}} for _ in range(2)]}},
    }
    value: Any = "x"
    for _ in range(90):
        value = [value]
    assert problems(schema, value) == ["$: expected array"]
    schema, value = {"type": "integer"}, "x"
    for _ in range(30):
        schema, value = {"anyOf": [{"type": "array", "items": schema}, {"type": "null"}]}, [value]
    assert problems(schema, value) == [f"${'[0]' * 30}: expected integer, got string"]


def test_no_schema_and_no_value_is_too_deep_to_be_checked() -> None:
    """A recursive type's schema goes as deep as the value does."""
    schema: Any = True
    for _ in range(10_000):
        schema = {"allOf": [schema]}
    assert problems(schema, 1) == []
    nest: Any = 1
    for _ in range(10_000):
        nest = [nest]
    assert problems({"items": {"$ref": "#"}}, nest) == []


@given(depth=st.integers(0, 3 * MAX_NESTING), objects=st.booleans())
def test_what_no_stack_might_decode_is_told_by_its_nesting(depth: int, objects: bool) -> None:
    """The codec writes so deep, and no deeper."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value, "b": []} if objects else [value, 2]
    assert nested_too_deep(value) is (depth > MAX_NESTING)
