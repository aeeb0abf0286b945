"""The JSON text itself: what is written, what is understood, and how the rest is refused."""

import datetime as dt
import json
import math
from dataclasses import InitVar, dataclass, make_dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import pytest

from adapter.codec import decode, encode, encode_natural
from adapter.errors import CodecError
from tests.support.samples import (
    Access,
    Bank,
    Box,
    Card,
    Counted,
    Dollar,
    Ejecting,
    Holder,
    Json,
    Kind,
    Model,
    Movie,
    Point,
    Positive,
    Premium,
    Secret,
    Seeded,
    Size,
    Validated,
)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Card("1", Decimal("2.50")), Card),
        (Bank(iban="x", opened=dt.date(2024, 1, 2), key=b"\xff"), Bank),
        (Bank(iban="x", opened=dt.date(2024, 1, 2)), Card | Bank),
        ([Point(1, Decimal(2))], list[Point]),
        ((1, "a"), tuple[int, str]),
        ({1, 2}, frozenset[int] | set[int]),
        ({dt.date(2024, 1, 2): Kind.CARD}, dict[dt.date, Kind]),
        ({"$type": "x", "value": 1}, Dollar),
        (dt.datetime(2024, 1, 2, 3, tzinfo=ZoneInfo("Europe/Berlin")), dt.datetime),
        (Model(raw=b"\xff"), Model),
        (Size.L, Size),
        (2**80, int),
        (math.inf, float),
        (Box(Box(1)), Box[Box[int]]),
        (Seeded(1, 2), Seeded),
    ],
)
def test_natural_json_decodes_under_the_right_annotation(value: Any, annotation: Any) -> None:
    """A resolver outside doesn't know the annotation; the awaiting function does."""
    restored = decode(encode_natural(value), annotation)
    assert restored == (frozenset(value) if isinstance(value, set) else value)


@pytest.mark.parametrize(
    ("value", "annotation", "text"),
    [
        (Card("4", Decimal("9.90")), Card, '{"number":"4","limit":"9.90"}'),
        (dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC), dt.datetime, '"2024-01-02T03:04:00+00:00"'),
        (dt.datetime(2024, 1, 2, fold=1), dt.datetime, '{"$datetime":"2024-01-02T00:00:00","fold":1}'),  # noqa: DTZ001
        (dt.timedelta(-1, 1, 5), dt.timedelta, '"-P0DT86398.999995S"'),
        (Kind.CARD, Kind, '"CARD"'),
        (3, int | str, "3"),
        (None, dt.date | None, "null"),
        (dt.date(2024, 1, 2), dt.date | bytes, '{"$type":"datetime.date","value":"2024-01-02"}'),
        ([1], list[int] | bytes, '{"$type":"list[int]","value":[1]}'),
        ((1, 2), Any, '{"$tuple":[1,2]}'),
        ((1, 2), tuple[int, ...], "[1,2]"),
        ({"$a": 1}, Any, '{"$dict":[["$a",1]]}'),
        ({1: "b"}, dict[int, str], '[[1,"b"]]'),
        ({3, 1, 2}, set[int], "[1,2,3]"),
        (2**63, int, '{"$int":"0x8000000000000000"}'),
        (math.nan, float, '{"$float":"nan"}'),
        ("ü", str, '"ü"'),
        (b"\xff\x00", bytes, '"/wA="'),
    ],
)
def test_the_text_is_what_a_person_would_write(value: Any, annotation: Any, text: str) -> None:
    """Stored text can be read in a console, and stays as it is: a digest of it is an identity."""
    assert encode(value, annotation) == text


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ('"2024-01-02T03:04:05Z"', dt.datetime, dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ('"2024-01-02"', dt.datetime | bytes, dt.datetime(2024, 1, 2)),  # noqa: DTZ001
        ('{"number":"4"}', Card | Bank, Card("4")),
        ('{"iban":"x","opened":"2024-01-02"}', Card | Bank | None, Bank(iban="x", opened=dt.date(2024, 1, 2))),
        ('{"items":[1,2]}', Counted, Counted([1, 2])),
        ('{"value":1}', Seeded, Seeded(1, 0)),
        ("[1]", Point, Point(1)),
        ("12", Decimal, Decimal(12)),
        ('"card"', Kind, Kind.CARD),
        ("2", Size, Size.L),
        ('"READ"', Access, Access.READ),
        ("[2,1,2]", set[int], {1, 2}),
        ('{"$ref":"#/a"}', Any, {"$ref": "#/a"}),
        ('{"$tuple":1,"b":2}', Any, {"$tuple": 1, "b": 2}),
        ('{"$int":5}', Any, {"$int": 5}),
        ('{"2024-01-02":1}', dict[dt.date, int], {dt.date(2024, 1, 2): 1}),
        ('{"$type":"x","value":1}', Dollar | None, {"$type": "x", "value": 1}),
        ("null", Json | bytes, None),
        ('"PT1H2M"', dt.timedelta, dt.timedelta(hours=1, minutes=2)),
    ],
)
def test_natural_json_from_outside_is_understood(text: str, annotation: Any, value: Any) -> None:
    """Webhooks and events know no tags, leave out what has defaults, and write lists for everything."""
    assert decode(text, annotation) == value


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("1", int, "expected int, got str"),
        (Size.S, int, "expected int, got Size"),
        (1, str, "expected str, got int"),
        (Premium("1"), Card, "expected Card, got Premium"),
        ((1,), list[int], "expected list[int], got tuple"),
        ((1,), tuple[int, int], "expected tuple[int, int], got 1 items"),
        ([1], tuple[int, int], "expected tuple[int, int], got list"),
        (dt.datetime(2024, 1, 2), dt.date, "expected date, got datetime"),  # noqa: DTZ001
        (dt.datetime(2024, 1, 2), Any, "expected plain JSON, got datetime; annotate it with its type"),  # noqa: DTZ001
        ([Card("1", 1.5)], list[Card], "[0].limit: expected Decimal, got float"),  # type: ignore[arg-type]
        ([1, "x"], list[int] | bytes, "[1]: expected int, got str"),
        (1, dt.date | bytes, "expected date | bytes, got int"),
        ({"a": {"b": 1j}}, Any, "['a']['b']: expected plain JSON, got complex; annotate it with its type"),
        ({1: 2}, dict[str, int], "[1]: expected str, got int"),
        ({(1,): 1j}, dict[tuple[int], int], "[item 0]: expected int, got complex"),
        ({"title": "x", "z": 1}, Movie, ".z: Movie has no such field"),
        ({"title": "x", 1: 1}, Movie, "[1]: Movie has no such field"),
        ({}, Movie, "expected Movie, its field 'title' is missing"),
        ([], Movie, "expected Movie, got list"),
        (2, Literal[1], "expected Literal[1], got int"),
        (True, Literal[1], "expected Literal[1], got bool"),
        ([], Literal[1], "expected Literal[1], got list"),
        (1, None, "expected None, got int"),
        ("\ud800", str, "expected text, got a str with lone surrogates"),
        (object(), object(), None),
        (dt.datetime(2024, 1, 2, tzinfo=type("Z", (dt.tzinfo,), {})()), dt.datetime, None),
        (1, bytes, "expected bytes, got int"),
        (1, dt.time, "expected time, got int"),
        (1, Kind, "expected Kind, got int"),
        (1, set[int], "expected set[int], got int"),
        (1, dict[str, int], "expected dict[str, int], got int"),
        (1, Card, "expected Card, got int"),
        (1, Model, "expected Model, got int"),
        (Secret(password="x"), Secret, None),  # type: ignore[arg-type]
        (Holder(part=Model(raw=b"")), Holder, None),
        (make_dataclass("Card", ["number"], namespace={"__module__": "old"})("1"), Card, None),
    ],
)
def test_a_value_that_breaks_its_annotation_is_refused_with_its_path(
    value: Any, annotation: Any, message: str | None
) -> None:
    """Nothing is coerced when it is stored, and the error says where it is and what was expected."""
    with pytest.raises(CodecError) as caught:
        encode(value, annotation, where="f(): result")
    assert message is None or str(caught.value) in (f"f(): result: {message}", f"f(): result: {message.strip()}")


@pytest.mark.parametrize(
    ("text", "annotation", "message"),
    [
        ('[{"number":"1","zip":2}]', list[Card], "[0].zip: Card has no such field"),
        ('[{"limit":null}]', list[Card], "[0]: expected Card, its field 'number' is missing"),
        ('[{"number":"1","limit":1.5}]', list[Card], "[0].limit: expected Decimal, got float"),
        ('{"value":-1}', Positive, "expected Positive: ValueError: negative"),
        ('"5 days"', dt.timedelta, None),
        ('"P"', dt.timedelta, None),
        ("{}", dt.datetime, None),
        ("1", dt.datetime, "expected datetime, got int"),
        ('{"$datetime":"2024-01-02T00:00:00","zone":"../passwd"}', dt.datetime, None),
        ("4", Ejecting, "expected Ejecting, got int"),
        ("[[1],2]", dict[int, int], "expected dict[int, int], got list"),
        ("[[[],2]]", dict[list[int], int], None),
        ("[[1]]", set[list[int]], None),
        ('{"$set":[1]}', list[int], None),
        ("1", list[int], "expected list[int], got int"),
        ("1", tuple[int, int], "expected tuple[int, int], got int"),
        ("1", Card, "expected Card, got int"),
        ("[1,2,3]", Point, "expected Point, got list"),
        ("1", Card | bytes, "expected Card | bytes, got int"),
        ("2", Literal[1], "expected Literal[1], got int"),
        ('{"raw":1}', Model, None),
        ('{"count":"3","when":"2024-01-02"}', Validated, None),
        ('{"$int":"zz"}', int, None),
        ("{", Any, None),
    ],
)
def test_json_that_breaks_its_annotation_is_refused_with_its_path(
    text: str, annotation: Any, message: str | None
) -> None:
    """Leniency ends where a value would have to be guessed."""
    with pytest.raises(CodecError) as caught:
        decode(text, annotation)
    assert message is None or str(caught.value) == message


def test_what_resolve_writes_of_a_dataclass_are_its_fields() -> None:
    """It writes no class variables, and nothing that only the constructor takes."""

    @dataclass
    class Scaled:
        kind: ClassVar[str] = "scaled"
        value: int
        scale: InitVar[int] = 1

    assert json.loads(encode_natural(Scaled(3))) == {"value": 3}
