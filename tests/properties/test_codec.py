"""Laws of ``adapter.codec``: what is stored comes back the same, and what couldn't is refused."""

import datetime as dt
import enum
import functools
import json
import math
import sys
import typing
from collections import abc, namedtuple
from dataclasses import InitVar, dataclass, field, make_dataclass
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
import pytest
import typing_extensions
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.codec import Runtime, Signature, decode, encode, encode_natural, from_data, to_data
from adapter.errors import CodecError

T = TypeVar("T")
Bounded = TypeVar("Bounded", bound=dt.date)
Constrained = TypeVar("Constrained", bytes, dt.date)
UserId = NewType("UserId", int)
Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | None")
Pair = typing_extensions.TypeAliasType("Pair", tuple[T, T], type_params=(T,))
Selfish = typing_extensions.TypeAliasType("Selfish", "Selfish")
Lost = typing_extensions.TypeAliasType("Lost", "NoSuchName")  # noqa: F821


class Color(enum.Enum):
    RED = (1, "r")
    BLUE = object()


class Size(enum.IntEnum):
    S = 1
    L = 2


class Kind(enum.StrEnum):
    CARD = "card"
    BANK = "bank"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Ejecting(enum.IntFlag, boundary=enum.EJECT):
    ONE = 1


@dataclass
class Card:
    number: str
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    iban: str
    opened: dt.date
    key: bytes = b""


@dataclass
class Premium(Card):
    bonus: int = 0


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)
    parent: "Tree | None" = None


@dataclass
class Counted:
    items: list[int]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.items)


@dataclass
class Seeded:
    value: int
    seed: InitVar[int]
    many: list[int] = field(default_factory=list)
    known: str = "yes"

    def __post_init__(self, seed: int) -> None:
        self.value += seed


@dataclass
class Box(Generic[T]):
    content: T
    more: "list[T] | None" = None


@dataclass
class DateBox(Box[dt.date]):
    pass


@dataclass
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("negative")


class Point(NamedTuple):
    x: int
    y: Decimal | dt.date = Decimal(0)


Loose = namedtuple("Loose", "a b")


class Movie(TypedDict):
    title: str
    year: "NotRequired[int]"


class Partial(TypedDict, total=False):
    when: Required[dt.datetime]
    raw: bytes


Dollar = TypedDict("Dollar", {"$type": str, "value": int})


class Model(pydantic.BaseModel):
    raw: bytes
    when: dt.datetime | None = None
    price: Decimal = Decimal(1)
    kind: Kind = Kind.CARD
    tags: set[int] = set()
    renamed: int = pydantic.Field(default=0, alias="re-named")
    ratio: float = 0.0
    nested: list["Model"] = []


class Site(pydantic.BaseModel):
    url: pydantic.HttpUrl


class Secret(pydantic.BaseModel):
    password: pydantic.SecretStr


class Holder(pydantic.BaseModel):
    part: pydantic.BaseModel


class TwoNames(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    it: int = pydantic.Field(serialization_alias="out", validation_alias="in")


@pydantic.dataclasses.dataclass
class Validated:
    count: int
    when: dt.date


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down; a NaN is the same as itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, dt.datetime | dt.time):
        naive = a.replace(tzinfo=None, fold=0) == b.replace(tzinfo=None, fold=0)
        zones = type(a.tzinfo) is type(b.tzinfo) and getattr(a.tzinfo, "key", 0) == getattr(b.tzinfo, "key", 0)
        return naive and zones and a.fold == b.fold and a.utcoffset() == b.utcoffset()
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, n, None), getattr(b, n, None)) for n in a.__dataclass_fields__)
    if isinstance(a, pydantic.BaseModel):
        return same(a.__dict__, b.__dict__)
    return bool(a == b)


def round_trips(value: Any, annotation: Any) -> None:
    text = encode(value, annotation)
    restored = decode(text, annotation)
    assert same(restored, value), (restored, value, text)
    assert encode(restored, annotation) == text


def refused(function: Any, *args: Any) -> None:
    with pytest.raises(CodecError):
        function(*args)


zones = st.none() | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), dt.UTC])
zones |= st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone)
folds = st.sampled_from([0, 1])
texts = st.text(max_size=6)
datetimes = st.builds(lambda d, z, f: d.replace(tzinfo=z, fold=f), st.datetimes(), zones, folds)
times = st.builds(lambda t, z, f: t.replace(tzinfo=z, fold=f), st.times(), zones, folds)
integers = st.integers() | st.integers(-(2**200), 2**200) | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) + 1])
plain = st.recursive(
    st.none() | st.booleans() | integers | st.floats() | texts | st.sampled_from(["$type", "$tuple"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.sampled_from(["$dict", "$int", "$tuple", "$x", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)
bank = st.builds(Bank, iban=texts, opened=st.dates(), key=st.binary(max_size=5))
card = st.builds(Card, texts, st.none() | st.decimals(allow_nan=False))
hashable_leaves: list[tuple[Any, Any]] = [
    (int, integers),
    (float, st.floats() | integers),
    (bool, st.booleans()),
    (str, texts | st.sampled_from(["$type", "ключ"])),
    (None, st.none()),
    (bytes, st.binary(max_size=8)),
    (dt.datetime, datetimes),
    (dt.date, st.dates()),
    (dt.time, times),
    (dt.timedelta, st.timedeltas() | st.sampled_from([dt.timedelta.min, dt.timedelta.max])),
    (UUID, st.uuids()),
    (Color, st.sampled_from(Color)),
    (Size, st.sampled_from(Size)),
    (Kind, st.sampled_from(Kind)),
    (Access, st.sampled_from([Access(0), Access.READ, Access.READ | Access.WRITE])),
    (UserId, integers),
    (Bounded, st.dates()),
    (Constrained, st.dates() | st.binary(max_size=3)),
    (Annotated[int, "positive"], integers),
    (
        Literal["a", 1, True, None, b"x", Kind.CARD, "CARD"],
        st.sampled_from(["a", 1, True, None, b"x", Kind.CARD, "CARD"]),
    ),
    (Bank, bank),
    (Point, st.builds(Point, integers, st.dates() | st.decimals(allow_nan=False))),
    (Loose, st.builds(Loose, texts, integers)),
    (int | None, st.none() | integers),
    (bool | int | float | str | None, st.none() | integers | st.floats() | texts),
    (int | dt.date | None, st.none() | integers | st.dates()),
]
trees = st.recursive(st.builds(Tree, integers), lambda inner: st.builds(Tree, integers, st.lists(inner, max_size=2)))
models = st.builds(
    lambda raw, when, price, kind, tags, n: Model(
        raw=raw,
        when=when,
        price=price,
        kind=kind,
        tags=tags,
        ratio=math.nan,
        nested=[Model(raw=raw)],
        **{"re-named": n},
    ),
    st.binary(max_size=6),
    st.none() | datetimes.filter(lambda d: type(d.tzinfo) is not dt.timezone),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(Kind),
    st.sets(st.integers(), max_size=3),
    st.integers(),
)
leaves: list[tuple[Any, Any]] = [
    *hashable_leaves,
    (Any, plain),
    (object, plain),
    (typing.Never, plain),
    (T, plain),
    (Decimal, st.decimals() | st.sampled_from([Decimal("-0"), Decimal("sNaN"), Decimal("1E+900"), Decimal("-Inf")])),
    (bytearray, st.binary(max_size=8).map(bytearray)),
    (list, st.lists(plain, max_size=2)),
    (typing.List, st.lists(plain, max_size=2)),  # noqa: UP006
    (tuple, st.lists(plain, max_size=2).map(tuple)),
    (typing.Tuple, st.lists(plain, max_size=2).map(tuple)),  # noqa: UP006
    (tuple[()], st.just(())),
    (dict, st.dictionaries(st.integers() | texts, plain, max_size=2)),
    (set, st.sets(st.integers(), max_size=3)),
    (frozenset, st.frozensets(texts, max_size=3)),
    (abc.Set, st.sets(st.integers(), max_size=3) | st.frozensets(texts, max_size=3)),
    (Card, card),
    (Premium, st.builds(Premium, texts, st.none(), integers)),
    (Card | Premium | bytes, card | st.builds(Premium, texts) | st.binary(max_size=3)),
    (Tree, trees),
    (Counted, st.builds(Counted, st.lists(st.integers(), max_size=3))),
    (Seeded, st.builds(Seeded, st.integers(), st.integers())),
    (Box[dt.date], st.builds(Box, st.dates(), st.none() | st.lists(st.dates(), max_size=2))),
    (DateBox, st.builds(DateBox, st.dates())),
    (Box, st.builds(Box, plain)),
    (Positive, st.builds(Positive, st.integers(0))),
    (Movie, st.fixed_dictionaries({"title": texts}, optional={"year": integers})),
    (Partial, st.fixed_dictionaries({"when": datetimes}, optional={"raw": st.binary(max_size=3)})),
    (Dollar, st.fixed_dictionaries({"$type": texts, "value": integers})),
    (Dollar | Movie, st.fixed_dictionaries({"$type": texts, "value": integers})),
    (Json, st.recursive(st.none() | texts | st.integers(), lambda inner: st.lists(inner, max_size=2))),
    (Pair[dt.date], st.tuples(st.dates(), st.dates())),
    (Json | bytes, st.binary(max_size=3) | texts),
    (Model, models),
    (Site, st.just(Site(url="https://example.org/a"))),  # type: ignore[arg-type]
    (Validated, st.builds(Validated, st.integers(-5, 5), st.dates())),
]


def _union(*members: tuple[Any, Any]) -> tuple[Any, Any]:
    return Union[tuple(annotation for annotation, _ in members)], st.one_of(*(values for _, values in members))  # noqa: UP007


def _hashable_containers(inner: Any) -> Any:
    return (
        inner.map(lambda p: (tuple[p[0], ...], st.lists(p[1], max_size=3).map(tuple)))
        | inner.map(lambda p: (frozenset[p[0]], st.frozensets(p[1], max_size=3)))
        | st.tuples(inner, inner).map(lambda ps: (tuple[ps[0][0], ps[1][0]], st.tuples(ps[0][1], ps[1][1])))
        | st.tuples(inner, inner, inner).map(lambda ps: _union(*ps))
    )


def _containers(inner: Any) -> Any:
    either = st.one_of
    return (
        inner.map(lambda p: (list[p[0]], st.lists(p[1], max_size=3)))
        | inner.map(lambda p: (abc.Sequence[p[0]], st.lists(p[1], max_size=3) | st.lists(p[1], max_size=3).map(tuple)))
        | inner.map(lambda p: (typing.Iterable[p[0]], st.lists(p[1], max_size=3)))
        | inner.map(lambda p: (tuple[p[0], ...], st.lists(p[1], max_size=3).map(tuple)))
        | inner.map(lambda p: (dict[str, p[0]], st.dictionaries(texts, p[1], max_size=3)))
        | inner.map(lambda p: (typing.Optional[p[0]], st.none() | p[1]))  # noqa: UP045
        | inner.map(lambda p: (Box[p[0]], st.builds(Box, p[1], st.none())))
        | hashables.map(lambda p: (set[p[0]], st.sets(p[1], max_size=3)))
        | st.tuples(hashables, inner).map(
            lambda ps: (abc.Mapping[ps[0][0], ps[1][0]], st.dictionaries(ps[0][1], ps[1][1], max_size=3))
        )
        | st.tuples(inner, inner).map(lambda ps: (tuple[ps[0][0], ps[1][0]], st.tuples(ps[0][1], ps[1][1])))
        | st.tuples(inner, inner).map(lambda ps: _union(*ps))
        | either(st.tuples(inner, inner, inner)).map(lambda ps: _union(*ps))
    )


hashables = st.recursive(st.sampled_from(hashable_leaves), _hashable_containers, max_leaves=4)
typed = st.recursive(st.sampled_from(leaves), _containers, max_leaves=6)
annotated_values = typed.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1]))
json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.sampled_from(["RED", "P1D", "2024-01-01", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            texts
            | st.sampled_from(
                [
                    "$type",
                    "value",
                    "$dict",
                    "$tuple",
                    "$int",
                    "$float",
                    "$datetime",
                    "zone",
                    "fold",
                    "x",
                    "number",
                    "$set",
                ]
            ),
            inner,
            max_size=3,
        )
        | inner.map(lambda it: {"$dict": it})
        | st.tuples(st.sampled_from(["$set", "$int", "$float", "$tuple", "$bytes", "$Decimal"]), inner).map(
            lambda p: dict([p])
        )
        | inner.map(lambda it: {"$datetime": it, "zone": it})
    ),
    max_leaves=8,
)


class Hostile(type):
    """A class whose classes can't even be hashed."""

    def __eq__(cls, other: object) -> bool:
        return False


class HostileInstance(metaclass=Hostile):
    """Nothing more."""


def _generator() -> Any:
    yield 1


class SubInt(int): ...


class SubStr(str):
    __slots__ = ()


class SubList(list): ...  # type: ignore[type-arg]


junk = st.sampled_from(
    [
        object(),
        lambda: None,
        _generator(),
        sys,
        HostileInstance(),
        HostileInstance,
        SubInt(1),
        SubStr("a"),
        SubList(),
        1j,
        Color,
        int,
        len,
        range(3),
        memoryview(b""),
        "\ud800",
        iter([]),
        Ellipsis,
        NotImplemented,
        ValueError("x"),
    ]
)
junk_anywhere = st.recursive(
    junk,
    lambda inner: (
        inner.map(lambda it: [1, it])
        | inner.map(lambda it: (it,))
        | inner.map(lambda it: {"a": it})
        | inner.map(lambda it: Box(it))
    ),
    max_leaves=3,
)


@settings(max_examples=400, deadline=None)
@given(annotated_values)
def test_every_supported_value_comes_back_the_same(case: tuple[Any, Any]) -> None:
    """decode(encode(v)) is v with the same types, and encodes to the same text again."""
    round_trips(case[1], case[0])


@pytest.mark.parametrize("case", leaves, ids=lambda case: str(case[0]))
def test_every_leaf_type_comes_back_the_same(case: tuple[Any, Any]) -> None:
    """The law above, with examples for each of the types by itself."""

    @settings(max_examples=15, deadline=None)
    @given(case[1])
    def law(value: Any) -> None:
        round_trips(value, case[0])

    law()


@settings(max_examples=150, deadline=None)
@given(typed, junk_anywhere)
def test_junk_is_refused_under_every_annotation(case: tuple[Any, Any], value: Any) -> None:
    """Whatever isn't supported is a CodecError and nothing else."""
    with pytest.raises(CodecError):
        encode(value, case[0])


@settings(max_examples=100, deadline=None)
@given(junk_anywhere)
def test_junk_has_no_natural_json(value: Any) -> None:
    """The encoder without annotations refuses the same values."""
    with pytest.raises(CodecError):
        encode_natural(value)


@settings(max_examples=400, deadline=None)
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
    """Text that isn't JSON, or too much of it, is a CodecError as well."""
    try:
        decode(text)
    except CodecError:
        return


@settings(max_examples=150, deadline=None)
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
    """What has no tuples comes back the same even without a tag."""
    text = encode_natural(value)
    assert encode_natural(decode(text)) == text


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
    """Dumped under its own names, where its aliases wouldn't be understood."""
    value = TwoNames(it=3)  # type: ignore[call-arg]
    round_trips(value, TwoNames)


def test_unhashable_annotations_are_compiled_each_time() -> None:
    """Metadata may be anything."""
    round_trips([1], list[Annotated[int, []]])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new syntax")
def test_type_statements_are_aliases() -> None:
    """`type X = …`, also generic and recursive."""
    names: dict[str, Any] = {}
    exec("type Nest[T] = T | list[Nest[T]]", names)  # noqa: S102
    round_trips([[1], 2, [[3]]], names["Nest"][int])


# Signatures


async def charge(order: Card, /, amount: Decimal = Decimal(1), *tips: int, note: str = "", **labels: dt.date) -> Point:
    raise NotImplementedError


def plain_function(a, b=2, *args, **kwargs):  # type: ignore[no-untyped-def]
    raise NotImplementedError


signature = Signature(charge, "charge")
amounts = st.decimals(allow_nan=False)


@settings(deadline=None)
@given(card, st.lists(st.integers(), max_size=2), st.dictionaries(texts, st.dates(), max_size=2), texts, amounts)
def test_arguments_come_back_as_they_were_passed(
    order: Card, tips: list[int], labels: dict[str, dt.date], note: str, amount: Decimal
) -> None:
    """Variadic parameters included; the call is the same call."""
    labels = {f"${key}": value for key, value in labels.items()}
    args, kwargs = signature.decode_args(signature.encode_args((order, amount, *tips), {"note": note, **labels}))
    assert same(args, (order, amount, *tips))
    assert same(kwargs, {"note": note, **labels})


@given(plain, plain)
def test_the_text_is_the_same_by_position_and_by_keyword(a: Any, b: Any) -> None:
    """How an argument is passed isn't what is passed."""
    bare = Signature(plain_function, "plain_function")
    assert bare.encode_args((a, b), {}) == bare.encode_args((), {"b": b, "a": a}) == bare.encode_args((a,), {"b": b})


def test_defaults_are_not_stored() -> None:
    """The callee's own code knows them."""
    assert signature.encode_args((Card("1"),), {}) == '{"order":{"number":"1","limit":null}}'
    assert signature.decode_args('{"order":{"number":"1"}}') == ((Card("1"),), {})


def test_errors_name_function_argument_and_path() -> None:
    """The whole way to the value."""
    with pytest.raises(CodecError, match=r"^charge\(\): argument 'order': \.limit: expected Decimal, got float$"):
        signature.encode_args((Card("1", 1.5),), {})  # type: ignore[arg-type]
    with pytest.raises(CodecError, match=r"^charge\(\): result: expected Point, got int$"):
        signature.encode_result(5)


def test_a_wrong_call_is_pythons_own_type_error() -> None:
    """As if the function had been called, and named."""
    with pytest.raises(TypeError, match=r"^charge\(\) missing a required argument: 'order'$"):
        signature.encode_args((), {})
    with pytest.raises(TypeError, match=r"^len\(\) too many positional arguments$"):
        Signature(len, "len").encode_args((1, 2), {})


def test_results_come_back() -> None:
    """Under the return annotation."""
    assert same(signature.decode_result(signature.encode_result(Point(1))), Point(1))


@pytest.mark.parametrize("text", ["[]", "{", '{"order":{"number":"1"},"other":1}', "{}", '{"order":1}'])
def test_stored_arguments_that_no_longer_fit_are_refused(text: str) -> None:
    """After a deployment that changed the parameters, say."""
    with pytest.raises(CodecError, match=r"^charge\(\)"):
        signature.decode_args(text)


@given(json_data)
def test_an_event_becomes_the_only_argument(event: Any) -> None:
    """Stored as if it had been passed, whatever it is."""

    def handler(event, context=None):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    it = Signature(handler, "handler")
    try:
        text = it.encode_event(event)
    except CodecError:
        return
    args, kwargs = it.decode_args(text)
    assert it.encode_args(args, kwargs) == text


def test_events_are_validated_and_made_canonical() -> None:
    """Under the parameter's annotation; a function without parameters ignores it."""
    no_arguments = Signature(lambda: None, "f")
    variadic = Signature(lambda *args: None, "f")
    assert no_arguments.encode_event({"a": 1}) == "{}"
    assert Signature(lambda **kw: None, "f").encode_event(1) == "{}"
    assert variadic.decode_args(variadic.encode_event(7)) == ((7,), {})
    assert signature.encode_event({"number": "1"}) == '{"order":{"number":"1","limit":null}}'
    refused(signature.encode_event, {"numbr": "1"})
    refused(signature.encode_event, object())
    with pytest.raises(CodecError, match="all of a, b are required"):
        Signature(lambda a, b: None, "f").encode_event(1)


class Service:
    def method(self, when: dt.date) -> None:
        raise NotImplementedError

    def __call__(self, when: dt.date) -> None:
        raise NotImplementedError


@functools.wraps(charge)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("function", [Service().method, Service(), functools.partial(Service.method, Service())])
def test_any_callable_with_annotations_uses_them(function: Any) -> None:
    """Methods, callable objects, partials."""
    it = Signature(function, "f")
    assert it.encode_args((dt.date(2024, 1, 2),), {}) == '{"when":"2024-01-02"}'


@pytest.mark.parametrize("function", [len, lambda obj: None, dict, print, functools.partial(max, 1), type])
def test_any_callable_without_annotations_takes_plain_json(function: Any) -> None:
    """Builtins have no annotations, some not even a signature."""
    it = Signature(function, "f")
    args, kwargs = it.decode_args(it.encode_args(([1],), {}))
    assert (args, kwargs) == (([1],), {})


def test_wrappers_show_what_they_wrap() -> None:
    """As inspect does."""
    assert Signature(wrapped, "w").encode_args((Card("1"),), {}) == signature.encode_args((Card("1"),), {})


def _module(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    exec("from __future__ import annotations\n" + source, names)  # noqa: S102
    return names


def test_local_classes_are_found_by_name() -> None:
    """In what the function encloses, and in the namespace of the place where it was decorated."""
    names = _module(
        "from dataclasses import dataclass\n"
        "def make():\n"
        "    @dataclass\n"
        "    class Inner:\n"
        "        n: int\n"
        "        inner: Inner | None = None\n"
        "        other: Other | None = None\n"
        "    @dataclass\n"
        "    class Other:\n"
        "        n: int\n"
        "    def enclosing(x: Inner) -> Inner:\n"
        "        return Inner, Other\n"
        "    def not_enclosing(x: Inner) -> Inner:\n"
        "        pass\n"
        "    return enclosing, not_enclosing, locals()\n"
    )
    enclosing, not_enclosing, namespace = names["make"]()
    value = namespace["Inner"](1, namespace["Inner"](2), namespace["Other"](3))
    for it in (Signature(enclosing, "f"), Signature(not_enclosing, "f", namespace)):
        assert it.decode_args(it.encode_args((value,), {})) == ((value,), {})
        assert it.decode_result(it.encode_result(value)) == value
    with pytest.raises(CodecError, match=r"argument 'x': .*'Inner'.*can't|argument 'x': .*'Inner'"):
        Signature(not_enclosing, "f").encode_args((value,), {})


def test_names_may_be_defined_after_the_first_failure() -> None:
    """What can't be resolved is tried again, function and class alike."""
    names = _module("def f(x: Later) -> None: ...\ndef later(): return unset\n")
    it = Signature(names["f"], "f")
    refused(it.encode_args, (1,), {})
    names["Later"] = int
    assert it.encode_args((1,), {}) == '{"x":1}'


def test_variables_that_are_not_assigned_yet_are_passed_over() -> None:
    """An enclosing function that hasn't run to its end has empty cells."""

    def f(x: int) -> Any:
        return unset

    assert Signature(f, "f").encode_args((1,), {}) == '{"x":1}'
    unset = 1


def test_names_mean_what_they_mean_where_they_are_written() -> None:
    """Neither a nested class nor a local variable shadows a name of another class's module."""
    names = _module(
        "from dataclasses import dataclass\n"
        "Item = int\n"
        "class Order:\n"
        "    @dataclass\n"
        "    class Item:\n"
        "        n: Item\n"
    )
    nested = names["Order"].Item
    sys.modules[nested.__module__].__dict__["Item"] = int

    def f(x: Any) -> Any:
        raise NotImplementedError

    f.__annotations__["x"] = nested
    it = Signature(f, "f", {"Item": str})
    assert it.encode_args((nested(1),), {}) == '{"x":{"n":1}}'
    assert Signature(charge, "charge", charge.__globals__).encode_args((Card("1"),), {}) == signature.encode_args(
        (Card("1"),), {}
    )


def test_keyword_arguments_can_be_a_typed_dict() -> None:
    """Unpack names the whole, not each."""

    def f(**kwargs: typing.Unpack[Movie]) -> None:
        raise NotImplementedError

    it = Signature(f, "f")
    assert it.decode_args(it.encode_args((), {"title": "x", "year": 1})) == ((), {"title": "x", "year": 1})
    refused(it.encode_args, (), {"title": 1})
