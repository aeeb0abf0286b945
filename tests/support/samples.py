"""Classes of every kind that the codec stores, and what it means that a value comes back."""

import datetime as dt
import enum
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import Any, Generic, NamedTuple, NewType, NotRequired, Required, TypedDict, TypeVar

import pydantic
import pytest
import typing_extensions

from adapter.codec import decode, encode
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
