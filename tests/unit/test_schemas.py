"""Descriptions of types: never narrower than the codec, and exact about what is wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import encode
from adapter.schemas import describe, problems


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


TYPES: list[Any] = [
    None,
    bool,
    int,
    float,
    str,
    bytes,
    dt.datetime,
    dt.date,
    decimal.Decimal,
    uuid.UUID,
    Color,
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
    Address | None,
    Address | Options,
    Literal["a", "b", 3],
    Annotated[int, "meta"],
    Any,
]


def comparable(value: Any) -> bool:
    """Not a signaling NaN."""
    return not isinstance(value, decimal.Decimal) or not value.is_snan()


# The first value of a type costs the import of what makes it, seconds on a busy machine.
@pytest.mark.parametrize("annotation", TYPES, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_the_codec_writes_fits_the_description(annotation: Any, data: st.DataObject) -> None:
    """Else a right answer would be refused."""
    strategy = st.integers() if annotation is Any else st.from_type(annotation or type(None))
    value = data.draw(strategy.filter(comparable))
    written = json.loads(encode(value, annotation))
    assert list(problems(describe(annotation), written)) == []


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
