"""Generated values: those that the codec stores, foreign JSON, and junk."""

import datetime as dt
import math
import sys
import typing
from collections import abc
from decimal import Decimal
from typing import Annotated, Any, Literal, Union
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.support.samples import (
    Access,
    Bank,
    Bounded,
    Box,
    Card,
    Color,
    Constrained,
    Counted,
    DateBox,
    Dollar,
    Json,
    Kind,
    Loose,
    Model,
    Movie,
    Pair,
    Partial,
    Point,
    Positive,
    Premium,
    Seeded,
    Site,
    Size,
    T,
    Tree,
    UserId,
    Validated,
)

zones = st.none() | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), dt.UTC])
# Less than a second is refused.
offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))
zones |= offsets.filter(lambda offset: not offset or abs(offset) >= dt.timedelta(seconds=1)).map(dt.timezone)
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
