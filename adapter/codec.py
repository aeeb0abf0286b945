"""Values to JSON text and back, directed by their annotation.

Invariant: ``decode(encode(v, T), T)`` equals ``v`` with the same types all the way down, and encoding that once more
gives the same text. A value that can't keep this promise is a ``CodecError`` when it is encoded, never later.

An annotation is compiled once into a ``Plan``, a pair of functions between values and JSON data. The data is what a
person would write by hand; only where that would be ambiguous is it wrapped in an object whose first key begins with
``$``. Names found in data are compared with names of the annotation, they are never imported or evaluated.
"""

from __future__ import annotations

import binascii
import collections.abc as abc
import datetime as dt
import enum
import functools
import inspect
import json
import math
import operator
import re
import sys
import threading
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from adapter.errors import CodecError
from adapter.exceptions import decode_exception as decode_exception
from adapter.exceptions import encode_exception as encode_exception

Convert = Callable[[Any], Any]

_BIG = 2**63  # many readers of JSON, DynamoDB's console among them, keep no larger integers
_MAX_DEPTH = 100  # so that what one stack could encode, every other, deeper stack can decode
_LOCK = threading.RLock()
_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False, allow_nan=False).encode


class Runtime:
    """An annotation: any supported value by its runtime type, with a tag wherever JSON alone wouldn't tell it."""


class Mismatch(Exception):
    """A value or JSON data that doesn't fit; collects its path while it travels outwards."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path = ""

    def at(self, step: str) -> Mismatch:
        self.path = step + self.path
        return self


class Plan:
    """How the values of one annotation become JSON data and back; ``kinds`` are the classes it stands for."""

    __slots__ = ("decode", "encode", "kinds", "name")

    def __init__(self, name: str, encode: Convert, decode: Convert, *kinds: type) -> None:
        self.name = name
        self.encode = encode
        self.decode = decode
        self.kinds = kinds

    def become(self, other: Plan) -> None:
        """Plans of recursive types refer to a plan before its content is known."""
        self.name, self.encode, self.decode, self.kinds = other.name, other.encode, other.decode, other.kinds


def _expected(name: str, value: object) -> Mismatch:
    got = type(value).__name__
    if got == name:  # two classes of one name, for instance a module that was loaded twice
        got = f"another {type(value).__module__}.{got}"
    return Mismatch(f"expected {name}, got {got}")


def _attempt(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what may raise anything at all on data from outside, such as a constructor."""
    try:
        return function(*args, **kwargs)
    except (RecursionError, Mismatch):
        raise
    except Exception as error:
        raise Mismatch(f"expected {what}: {describe(error)}") from None


def describe(error: BaseException) -> str:
    """The class and text of an exception, even of one that can't be printed."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def refuse(name: str, reason: str) -> Plan:
    """The plan of an annotation without one: compiling never fails, only using it does, and then with a path."""

    def convert(_: Any) -> Any:
        raise Mismatch(reason)

    return Plan(name, convert, convert)


def _name(annotation: object) -> str:
    """What a person would write, with full module names, since it is stored as a union's tag."""
    if annotation is ... or annotation is None or annotation is type(None):
        return "..." if annotation is ... else "None"
    if isinstance(annotation, list | tuple):
        return f"[{', '.join(map(_name, annotation))}]"
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, get_args(annotation)))}]"
    if origin is Union or origin is types.UnionType:
        return " | ".join(map(_name, get_args(annotation)))
    if origin is not None:
        inner = ", ".join(map(_name, get_args(annotation)))
        return f"{_name(origin)}[{inner}]" if inner else _name(origin)
    if isinstance(annotation, type):
        module = annotation.__module__
        return annotation.__qualname__ if module == "builtins" else f"{module}.{annotation.__qualname__}"
    return repr(annotation).removeprefix("typing.")


def _utf8(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Mismatch("expected text, got a str with lone surrogates") from None
    return text


def _leaf(value: Any) -> Any:
    """The JSON data of a None, bool, int, float or str."""
    kind = type(value)
    if kind is str:
        return _utf8(value)
    if kind is int and not -_BIG < value < _BIG:
        return {"$int": hex(value)}
    if kind is float and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _unleaf(data: Any) -> Any:
    if type(data) is str:
        return _utf8(data)
    match data:
        case {"$int": str(text), **rest} if not rest:
            return _attempt("int", int, text, 16)
        case {"$float": str(text), **rest} if not rest:
            return _attempt("float", float, text)
    return data


def _scalar(*kinds: type) -> Plan:
    """One of bool, int, float and str, or a union of them: JSON tells these apart by itself."""
    numbers = {bool, int, float} if float in kinds else {bool, int} if int in kinds else set()
    accepted = frozenset(kinds) | numbers
    name = " | ".join(kind.__name__ for kind in kinds)

    def check(value: Any) -> Any:
        if type(value) not in accepted:
            raise _expected(name, value)
        return value

    return Plan(name, lambda value: _leaf(check(value)), lambda data: check(_unleaf(data)), *kinds)


def _none() -> Plan:
    def convert(value: Any) -> None:
        if value is not None:
            raise _expected("None", value)

    return Plan("None", convert, convert, type(None))


def _textual(cls: type, to_text: Convert, from_text: Convert, *also: type) -> Plan:
    """A class that is written as a string; ``also`` are further JSON types that its decoder takes."""
    name = cls.__name__

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise _expected(name, value)
        return to_text(value)

    def decode(data: Any) -> Any:
        if type(data) is not str and type(data) not in also:
            raise _expected(name, data)
        return _attempt(name, from_text, data)

    return Plan(name, encode, decode, cls)


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


def _unbase64(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?", re.ASCII)


def _duration(value: dt.timedelta) -> str:
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


def _unduration(text: str) -> dt.timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:5]):
        raise ValueError(f"{text[:80]!r} is no ISO 8601 duration of days, hours, minutes and seconds")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:5])
    micros = int((match[6] or "").ljust(6, "0"))
    sign = -1 if match[1] else 1
    return dt.timedelta(sign * days, sign * seconds, sign * micros, 0, sign * minutes, sign * hours)


def _zone_key(zone: Any) -> str | None:
    """The key of a ZoneInfo; None for what the ISO text itself can express."""
    if zone is None or type(zone) is dt.timezone:
        return None
    zoneinfo = sys.modules.get("zoneinfo")  # loaded, if the value has one; else its import isn't worth the time
    if zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        return str(zone.key)
    raise Mismatch(f"expected a fixed offset or a ZoneInfo with a key as tzinfo, got {type(zone).__name__}")


def _clock(cls: Any) -> Plan:
    """datetime and time: ISO text, in an object with the zone's key and the fold, where there are any."""
    name = cls.__name__
    tag = f"${name}"

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise _expected(name, value)
        zone = _zone_key(value.tzinfo)
        if zone is None:
            text = value.isoformat()
            return {tag: text, "fold": 1} if value.fold else text
        data = {tag: value.replace(tzinfo=None).isoformat(), "zone": zone}
        return {**data, "fold": 1} if value.fold else data

    def restore(data: dict[str, Any]) -> Any:
        from zoneinfo import ZoneInfo

        value = cls.fromisoformat(data[tag])
        zone = ZoneInfo(data["zone"]) if "zone" in data else value.tzinfo
        return value.replace(tzinfo=zone, fold=data.get("fold", 0))

    def decode(data: Any) -> Any:
        if type(data) is str:
            return _attempt(name, cls.fromisoformat, data)
        if type(data) is dict and data.keys() <= {tag, "zone", "fold"}:
            return _attempt(name, restore, data)
        raise _expected(name, data)

    return Plan(name, encode, decode, cls)


def _leaf_plan(cls: Any) -> Plan | None:
    """Classes that hold no other values. Decimal and UUID by name: who has a value of them imported their modules."""
    if cls in (bool, int, float, str):
        return _scalar(cls)
    if cls is bytes:
        return _textual(bytes, _base64, _unbase64)
    if cls is bytearray:
        return _textual(bytearray, _base64, lambda text: bytearray(_unbase64(text)))
    if cls is dt.datetime or cls is dt.time:
        return _clock(cls)
    if cls is dt.date:
        return _textual(dt.date, dt.date.isoformat, dt.date.fromisoformat)
    if cls is dt.timedelta:
        return _textual(dt.timedelta, _duration, _unduration)
    if _is_from(cls, "decimal", "Decimal"):
        return _textual(cls, str, cls, int)
    return _textual(cls, str, cls) if _is_from(cls, "uuid", "UUID") else None


def _is_from(cls: object, module: str, name: str) -> bool:
    return cls is getattr(sys.modules.get(module), name, module)


def _enum(cls: Any) -> Plan:
    """By name, a Flag by value, since its combinations have no names of their own; from outside, either will do."""
    name = cls.__name__
    by_value = issubclass(cls, enum.Flag)

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise _expected(name, value)
        return _leaf(value.value) if by_value else value.name

    def decode(data: Any) -> Any:
        member = cls.__members__.get(data) if type(data) is str else None
        if member is None:
            member = _attempt(name, cls, _unleaf(data))
        if type(member) is not cls:  # a Flag with the boundary EJECT gives an int
            raise _expected(name, data)
        return member

    return Plan(name, encode, decode, cls)


def _each(convert: Convert, values: Iterable[Any]) -> list[Any]:
    done: list[Any] = []
    try:
        for value in values:
            done.append(convert(value))  # no comprehension: the length is the index in an error's path
    except Mismatch as error:
        raise error.at(f"[{len(done)}]") from None
    return done


def _collection(name: str, item: Plan, natural: Any, *kinds: type) -> Plan:
    """A JSON list stands for ``natural``; the annotation's other ``kinds`` are tagged."""
    tags = {f"${kind.__name__}": kind for kind in kinds}

    def encode(value: Any) -> Any:
        kind = type(value)
        if kind not in kinds:
            raise _expected(name, value)
        data = _each(item.encode, value)
        if kind is set or kind is frozenset:
            data.sort(key=_dumps)  # equal sets give equal text, in every process
        return data if kind is natural else {f"${kind.__name__}": data}

    def decode(data: Any) -> Any:
        kind = natural
        if type(data) is dict and len(data) == 1:
            [(tag, data)] = data.items()
            kind = tags.get(tag)
        if type(data) is not list or kind is None:
            raise _expected(name, data)
        return _attempt(name, kind, _each(item.decode, data))

    return Plan(name, encode, decode, *kinds)


def _fixed_tuple(name: str, items: list[Plan]) -> Plan:
    def convert(values: Any, steps: list[Convert]) -> list[Any]:
        if len(values) != len(steps):
            raise Mismatch(f"expected {name}, got {len(values)} items")
        remaining = iter(steps)
        return _each(lambda value: next(remaining)(value), values)

    def encode(value: Any) -> Any:
        if type(value) is not tuple:
            raise _expected(name, value)
        return convert(value, [item.encode for item in items])

    def decode(data: Any) -> Any:
        if type(data) is not list:
            raise _expected(name, data)
        return tuple(convert(data, [item.decode for item in items]))

    return Plan(name, encode, decode, tuple)


def _object(pairs: list[Any]) -> Any:
    """A JSON object, escaped where one of its own keys could be read as a tag."""
    return {"$dict": pairs} if any(key.startswith("$") for key, _ in pairs) else dict(pairs)


def _entries(name: str, data: Any) -> Any:
    """The pairs of a JSON object, of its escaped form, or of a list of pairs."""
    if type(data) is dict and not (len(data) == 1 and "$dict" in data):
        return data.items()
    pairs = data["$dict"] if type(data) is dict else data
    if type(pairs) is not list or any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise _expected(name, data)
    return pairs


def _pairs(key: Convert, item: Convert, entries: Any) -> list[Any]:
    pairs: list[Any] = []
    name: Any = ""
    try:
        for name, value in entries:
            pairs.append([key(name), item(value)])
    except Mismatch as error:
        raise error.at(f"[{name!r}]" if type(name) in (str, int) else f"[item {len(pairs)}]") from None
    return pairs


def _mapping(name: str, key: Plan, item: Plan) -> Plan:
    """An object, where all keys are strings and written as such, otherwise a list of pairs."""

    def encode(value: Any) -> Any:
        if type(value) is not dict:
            raise _expected(name, value)
        pairs = _pairs(key.encode, item.encode, value.items())
        plain = all(type(name) is str for name in value) and all(type(name) is str for name, _ in pairs)
        return _object(pairs) if plain else pairs

    def decode(data: Any) -> Any:
        return _attempt(name, dict, _pairs(key.decode, item.decode, _entries(name, data)))

    return Plan(name, encode, decode, dict)


_LEAVES = frozenset({type(None), bool, int, float, str})


def _plain(name: str, leaves: Mapping[type, Plan], *kinds: type, hint: str = "") -> Plan:
    """By runtime type: what JSON has, ``kinds`` of collections, and ``leaves``; all that JSON lacks is tagged."""
    plan = refuse(name, "")
    items = _collection(name, plan, list, list, *kinds)
    mapping = _mapping("dict", _scalar(str), plan)
    encoders: dict[type, Convert] = {kind: _tagging(leaf, kind) for kind, leaf in leaves.items()}
    encoders |= dict.fromkeys(_LEAVES, _leaf) | dict.fromkeys(items.kinds, items.encode) | {dict: mapping.encode}
    decoders: dict[object, Convert] = {f"${kind.__name__}": _untagging(leaf, kind) for kind, leaf in leaves.items()}
    decoders |= {"$int": _unleaf, "$float": _unleaf} | {f"${kind.__name__}": items.decode for kind in kinds}

    def encode(value: Any) -> Any:
        convert = encoders.get(type(value))
        if convert is None:
            raise Mismatch(f"expected {name}, got {type(value).__name__}{hint}")
        return convert(value)

    def decode_object(data: dict[str, Any]) -> Any:
        convert = decoders.get(next(iter(data), "")) if leaves or len(data) == 1 else None
        value = data if convert is None else convert(data)
        return mapping.decode(data) if value is data else value

    def decode(data: Any) -> Any:
        kind = type(data)
        if kind is list:
            return items.decode(data)
        if kind is dict:
            return decode_object(data)
        if kind not in _LEAVES:
            raise _expected(name, data)
        return _unleaf(data)

    plan.become(Plan(name, encode, decode))
    return plan


def _tagging(plan: Plan, kind: type) -> Convert:
    def encode(value: Any) -> Any:
        data = plan.encode(value)
        return data if type(data) is dict else {f"${kind.__name__}": data}

    return encode


def _untagging(plan: Plan, kind: type) -> Convert:
    def decode(data: Any) -> Any:
        clock = kind in (dt.datetime, dt.time)  # these understand their own tag
        return plan.decode(data if clock or len(data) > 1 else data[f"${kind.__name__}"])

    return decode


def _optional(plan: Plan) -> Plan:
    """No plan but that of None itself gives null, so null needs no tag."""

    def encode(value: Any) -> Any:
        return None if value is None else plan.encode(value)

    def decode(data: Any) -> Any:
        return None if data is None else plan.decode(data)

    return Plan(f"{plan.name} | None", encode, decode, type(None), *plan.kinds)


def _tagged(members: dict[str, Plan]) -> Plan:
    """A union whose members JSON can't tell apart: each value carries the name of its member."""

    def mismatch(value: Any) -> Mismatch:
        return _expected(" | ".join(plan.name for plan in members.values()), value)

    def encode(value: Any) -> Any:
        kind = type(value)
        exact = {name: plan for name, plan in members.items() if kind in plan.kinds}
        failures: list[Mismatch] = []
        for name, plan in (exact | members).items():
            try:
                return {"$type": name, "value": plan.encode(value)}
            except Mismatch as error:
                failures.append(error)
        raise failures[0] if len(exact) == 1 else mismatch(value)

    def decode(data: Any) -> Any:
        if type(data) is dict and data.keys() == {"$type", "value"} and type(data["$type"]) is str:
            plan = members.get(data["$type"])
            if plan is not None:
                return plan.decode(data["value"])
        for plan in members.values():
            try:
                return plan.decode(data)
            except Mismatch:
                continue
        raise mismatch(data)

    return Plan(" | ".join(members), encode, decode, *(kind for plan in members.values() for kind in plan.kinds))


def _literal(name: str, values: tuple[Any, ...]) -> Plan:
    """The values as such; one that reads like an earlier one, such as an Enum's name, is tagged with its class."""
    forward: dict[tuple[type, Any], Any] = {}
    backward: dict[str, Any] = {}
    for value in values:
        kind = type(value)
        data = _leaf(value) if kind in _LEAVES else _SHARED.plan(kind).encode(value)
        if _dumps(data) in backward:
            data = {"$type": _name(kind), "value": data}
        forward[kind, value] = data
        backward[_dumps(data)] = value
    kinds = tuple({kind for kind, _ in forward})

    def encode(value: Any) -> Any:
        if type(value) not in kinds or (type(value), value) not in forward:
            raise _expected(name, value)
        return forward[type(value), value]

    def decode(data: Any) -> Any:
        text = _attempt(name, _dumps, data)
        if text not in backward:
            raise _expected(name, data)
        return backward[text]

    return Plan(name, encode, decode, *kinds)


class _Record:
    """A class with named, annotated fields; the plans of these are made at first use, when all names are defined."""

    def __init__(self, compiler: _Compiler, kind: Any, args: tuple[Any, ...], runtime: type) -> None:
        self.compiler = compiler
        self.kind = kind
        self.args = args
        self.runtime = runtime
        self.plans: dict[str, Plan] = {}
        self.required: set[str] = set()

    def plan(self) -> Plan:
        return Plan(self.kind.__name__, self.encode, self.decode, self.runtime)

    def fields(self) -> dict[str, Plan]:
        if not self.plans:
            hints = self.hints()
            self.required = self.needed(hints)
            self.plans = {name: self.compiler.plan(hints.get(name, Any)) for name in self.names(hints)}
        return self.plans

    def hints(self) -> dict[str, Any]:
        # Local names are for local classes: elsewhere they would shadow what the class's own module means by them.
        local = "<locals>" in self.kind.__qualname__
        names = {**self.compiler.namespace, self.kind.__name__: self.kind} if local else {}
        what = f"{self.kind.__name__}, its annotations"
        hints = _attempt(what, typing.get_type_hints, self.kind, localns=names, include_extras=True)
        bound = _bindings(self.kind, self.args)
        return {name: _substitute(hint, bound) for name, hint in hints.items()}

    def encode(self, value: Any) -> Any:
        if type(value) is not self.runtime:
            raise _expected(self.kind.__name__, value)
        return _object(self.convert(self.read(value), encoding=True))

    def decode(self, data: Any) -> Any:
        if type(data) is not dict:
            raise _expected(self.kind.__name__, data)
        given = dict(self.convert(_entries(self.kind.__name__, data), encoding=False))
        self.complete(given)
        return _attempt(self.kind.__name__, self.build, given)

    def complete(self, given: Mapping[str, Any]) -> None:
        missing = self.required - given.keys()
        if missing:
            first = next(name for name in self.plans if name in missing)
            raise Mismatch(f"expected {self.kind.__name__}, its field {first!r} is missing")

    def convert(self, entries: Any, *, encoding: bool) -> list[Any]:
        plans, pairs, name = self.fields(), [], ""
        try:
            for name, value in entries:
                if type(name) is not str or name not in plans:
                    raise Mismatch(f"{self.kind.__name__} has no such field")
                plan = plans[name]
                pairs.append([name, plan.encode(value) if encoding else plan.decode(value)])
        except Mismatch as error:
            raise error.at(f".{name}" if type(name) is str and name.isidentifier() else f"[{name!r}]") from None
        return pairs

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        return hints

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        raise NotImplementedError

    def read(self, value: Any) -> Iterable[tuple[str, Any]]:
        what = f"{self.kind.__name__} with all its fields"
        return [(name, _attempt(what, getattr, value, name)) for name in self.fields()]

    def build(self, given: dict[str, Any]) -> Any:
        return given


class _Dataclass(_Record):
    """Built by its own ``__init__``, unless that takes what isn't stored; then the fields alone are restored."""

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        from dataclasses import fields  # loaded already, by whoever defined the class

        return [field.name for field in fields(self.kind)]

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        from dataclasses import MISSING, fields

        optional = {f.name for f in fields(self.kind) if f.default is not MISSING or f.default_factory is not MISSING}
        if self.initializes():
            optional |= {field.name for field in fields(self.kind) if not field.init}
        return {field.name for field in fields(self.kind)} - optional

    def initializes(self) -> bool:
        own = vars(self.kind)
        made = "__dataclass_params__" in own and own["__dataclass_params__"].init
        return made and not any(_is_init_var(field) for field in own["__dataclass_fields__"].values())

    def build(self, given: dict[str, Any]) -> Any:
        from dataclasses import fields

        if self.initializes():
            names = [field.name for field in fields(self.kind) if field.init and field.name in given]
            value = self.kind(**{name: given.pop(name) for name in names})
        else:
            value = object.__new__(self.kind)
            given = {
                field.name: given[field.name] if field.name in given else _default(field) for field in fields(self.kind)
            }
        for name, item in given.items():
            object.__setattr__(value, name, item)  # also on frozen classes
        return value


def _default(field: Any) -> Any:
    from dataclasses import MISSING

    return field.default if field.default_factory is MISSING else field.default_factory()


def _is_init_var(field: Any) -> bool:
    return str(field._field_type) == "_FIELD_INITVAR"


class _NamedTuple(_Record):
    """An object of its fields; from outside also a list."""

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        return tuple(self.kind._fields)

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        return set(self.kind._fields) - set(self.kind._field_defaults)

    def decode(self, data: Any) -> Any:
        names = self.kind._fields
        if type(data) is list and len(data) <= len(names):
            data = dict(zip(names, data, strict=False))
        return super().decode(data)

    def build(self, given: dict[str, Any]) -> Any:
        every = {**self.kind._field_defaults, **given}
        return self.kind._make(every[name] for name in self.kind._fields)


class _TypedDict(_Record):
    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        # Under ``from __future__ import annotations`` the class's own __required_keys__ overlook NotRequired.
        marks = {name: get_origin(hint) for name, hint in hints.items()}
        optional = self.kind.__optional_keys__
        return {
            name
            for name, mark in marks.items()
            if mark is typing.Required or (mark is not typing.NotRequired and name not in optional)
        }

    def encode(self, value: Any) -> Any:
        data = super().encode(value)
        self.complete(value)
        return data

    def read(self, value: Any) -> Iterable[tuple[str, Any]]:
        return list(value.items())


def _model(kind: Any, runtime: Plan) -> Plan:
    """A pydantic model: what its own dump and validation bring back equal, which is checked at every encoding."""
    name = kind.__name__
    ways: list[dict[str, Any]] = [
        {"mode": "python", "by_alias": True},
        {"mode": "python", "by_alias": False},
        {"mode": "json", "by_alias": True},  # for types that only pydantic knows, such as URLs
    ]

    def dump(value: Any, way: dict[str, Any]) -> Any:
        dumped = _attempt(f"a {name} that can be dumped", value.model_dump, round_trip=True, warnings=False, **way)
        return runtime.encode(_without_enums(dumped))

    def holds(value: Any, way: dict[str, Any], data: Any) -> bool:
        restored = decode(data)
        if _attempt(f"a {name} that can be compared", lambda: bool(restored == value)):
            return True
        return '"$float":"nan"' in _dumps(data) and bool(_dumps(dump(restored, way)) == _dumps(data))

    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise _expected(name, value)
        failure = Mismatch(f"expected a {name} that its own model_validate restores from its model_dump")
        for way in ways:
            try:
                data = dump(value, way)
                if holds(value, way, data):
                    return data
            except Mismatch as error:
                failure = error
        raise failure

    def decode(data: Any) -> Any:
        return _attempt(name, kind.model_validate, runtime.decode(data))

    return Plan(name, encode, decode, kind)


def _without_enums(value: Any) -> Any:
    """Models validate an Enum from its value."""
    if isinstance(value, enum.Enum):
        return value.value
    kind = type(value)
    if kind is dict:
        return {_without_enums(key): _without_enums(item) for key, item in value.items()}
    return kind(map(_without_enums, value)) if kind in (list, tuple, set, frozenset) else value


def _bindings(kind: Any, args: Iterable[Any]) -> dict[Any, Any]:
    """What each type parameter of a generic class and of its bases stands for."""
    bound = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    for base in getattr(kind, "__orig_bases__", ()):
        origin = get_origin(base)
        if origin is not None and origin is not kind:
            bound = _bindings(origin, [_substitute(arg, bound) for arg in get_args(base)]) | bound
    return bound


def _substitute(hint: Any, bound: Mapping[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return bound.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    return hint[tuple(bound.get(parameter, parameter) for parameter in parameters)] if parameters and bound else hint


def _unwrap(annotation: Any) -> Any:
    """What an alias, NewType, type variable or annotated type stands for, one layer of it."""
    origin = get_origin(annotation)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return get_args(annotation)[0]
    if isinstance(annotation, typing.NewType):
        return annotation.__supertype__
    if isinstance(annotation, typing.TypeVar):
        constraints = annotation.__constraints__
        bound = Any if annotation.__bound__ is None else annotation.__bound__
        return functools.reduce(operator.or_, constraints) if constraints else bound
    if type(annotation).__name__ == "TypeAliasType":
        return _aliased(annotation)
    if type(origin).__name__ == "TypeAliasType":
        return _substitute(_aliased(origin), dict(zip(origin.__type_params__, get_args(annotation), strict=False)))
    return annotation


def _aliased(alias: Any) -> Any:
    """An alias's value; before Python 3.12 those that refer to themselves do so in strings."""
    holder = types.SimpleNamespace(__annotations__={"it": alias.__value__})
    names = vars(sys.modules[alias.__module__]) if alias.__module__ in sys.modules else {}
    return typing.get_type_hints(holder, names, include_extras=True)["it"]


def _unwrapped(annotation: Any) -> Any:
    for _ in range(_MAX_DEPTH):
        inner = _unwrap(annotation)
        if inner is annotation:
            return annotation
        annotation = inner
    raise Mismatch(f"{_name(annotation)} stands for nothing but itself")


def _members(annotation: Any) -> list[Any]:
    """The distinct members of a union, those of unions behind aliases included."""
    annotation = _unwrapped(annotation)
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    found: list[Any] = []
    for member in get_args(annotation):
        found += [inner for inner in _members(member) if inner not in found]
    return found


_COLLECTIONS: dict[Any, tuple[type, ...]] = {
    **{kind: (kind,) for kind in (list, tuple, set, frozenset)},
    abc.MutableSequence: (list,),
    abc.Sequence: (list, tuple),
    abc.MutableSet: (set,),
    abc.Set: (set, frozenset),
    **dict.fromkeys((abc.Iterable, abc.Collection, abc.Container), (list, tuple, set, frozenset)),
    abc.Reversible: (list, tuple),
}
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)


class _Compiler:
    """The plans of annotations, each compiled once; ``namespace`` are local names that these may use."""

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self.namespace = namespace
        self.plans: dict[Any, Plan] = {}

    def plan(self, annotation: Any) -> Plan:
        # Unions compare equal whatever the order of their members, but are decoded in that order: hence the repr.
        with _LOCK:
            try:
                key = annotation if isinstance(annotation, type) else (repr(annotation), annotation)
                found = self.plans.get(key)
            except Exception:  # unhashable metadata, for instance
                return self.compile(annotation)
            if found is None:
                found = self.plans[key] = refuse("", "")
                found.become(self.compile(annotation))
            return found

    def compile(self, annotation: Any) -> Plan:
        try:
            return self.build(_unwrapped(annotation))
        except Mismatch as error:
            return refuse("?", str(error))
        except Exception as error:
            return refuse("?", f"an annotation can't be read: {describe(error)}")

    def build(self, annotation: Any) -> Plan:
        if annotation in (Any, object, inspect.Parameter.empty, typing.NoReturn, typing.Never):
            return _ANY
        if annotation is None or annotation is type(None):
            return _none()
        if annotation is Runtime:
            return _runtime()
        origin = get_origin(annotation)
        if origin is Union or origin is types.UnionType:
            return self.union(_members(annotation))
        if origin is typing.Literal:
            return _literal(_name(annotation), get_args(annotation))
        plan = self.generic(annotation, origin or annotation, get_args(annotation))
        if plan is None:
            plan = self.of_class(origin or annotation, get_args(annotation))
        return plan or refuse(_name(annotation), _unsupported(annotation))

    def union(self, members: list[Any]) -> Plan:
        others = [member for member in members if member is not None and member is not type(None)]
        if all(member in (bool, int, float, str) for member in others):
            plan = _scalar(*others)
        elif len(others) == 1:
            plan = self.plan(others[0])
        else:
            plan = _tagged(dict(zip(_distinct(map(_name, others)), map(self.plan, others), strict=True)))
        return plan if len(others) == len(members) else _optional(plan)

    def generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Plan | None:
        name = _name(annotation)
        if origin in _MAPPINGS:
            key, item = args or (Any, Any)
            return _mapping(name, self.plan(key), self.plan(item))
        if origin is tuple and (args or annotation == tuple[()]) and args[1:] != (...,):
            return _fixed_tuple(name, [self.plan(arg) for arg in args])
        if origin in _COLLECTIONS:
            kinds = _COLLECTIONS[origin]
            return _collection(name, self.plan(args[0] if args else Any), kinds[0], *kinds)
        return None

    def of_class(self, kind: Any, args: tuple[Any, ...]) -> Plan | None:
        if not isinstance(kind, type):
            return None
        if issubclass(kind, enum.Enum):
            return _enum(kind)
        base_model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
        if base_model is not None and issubclass(kind, base_model):
            return _model(kind, _runtime())
        if hasattr(kind, "__dataclass_fields__"):
            return _Dataclass(self, kind, args, kind).plan()
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return _NamedTuple(self, kind, args, kind).plan()
        if issubclass(kind, dict) and hasattr(kind, "__optional_keys__"):
            return _TypedDict(self, kind, args, dict).plan()
        return _leaf_plan(kind)


def _distinct(names: Iterable[str]) -> list[str]:
    """Two classes may have the same name, for instance if a function defines them."""
    found: list[str] = []
    for name in names:
        taken = sum(other == name or other.startswith(f"{name}#") for other in found)
        found.append(f"{name}#{taken + 1}" if taken else name)
    return found


def _unsupported(annotation: Any) -> str:
    if isinstance(annotation, str | typing.ForwardRef):
        return f"the annotation {annotation!r} can't be resolved"
    return f"{_name(annotation)} can't be stored as JSON; use a dataclass, a TypedDict or a pydantic model"


_ANY = _plain("plain JSON", {}, tuple, hint="; annotate it with its type")
_SHARED = _Compiler({})


@functools.cache
def _runtime() -> Plan:
    from decimal import Decimal  # this and the next only now: most processes never need them
    from uuid import UUID

    kinds: tuple[type, ...] = (bytes, bytearray, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, UUID)
    leaves = {kind: plan for kind in kinds if (plan := _leaf_plan(kind)) is not None}
    return _plain("a value of a known type", leaves, tuple, set, frozenset)


def _run(where: str, function: Callable[[], Any]) -> Any:
    """The border of this module: whatever happens inside leaves it as a ``CodecError``."""
    try:
        return function()
    except Mismatch as error:
        message = ": ".join(part for part in (where, error.path, str(error)) if part)
        raise CodecError(message) from None
    except RecursionError:
        raise CodecError(f"{where}: nested too deep, or contains itself".removeprefix(": ")) from None
    except Exception as error:  # classes can bring hashes, comparisons and metaclasses that raise
        raise CodecError(f"{where}: can't be stored: {describe(error)}".removeprefix(": ")) from error


def _text(data: Any) -> str:
    text = _dumps(data)
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(data) > _MAX_DEPTH:
        raise Mismatch(f"nested deeper than {_MAX_DEPTH} levels of JSON")
    return text


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while level:
        branches = [node.values() if type(node) is dict else node for node in level if type(node) in (dict, list)]
        depth, level = depth + 1, [node for branch in branches for node in branch]
    return depth - 1


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError) as error:
        raise Mismatch(f"expected JSON text: {error}") from None


def encode(value: object, annotation: object = Any, *, where: str = "") -> str:
    """The compact JSON text of a value under its annotation."""
    return str(_run(where, lambda: _text(_SHARED.plan(annotation).encode(value))))


def decode(text: str, annotation: object = Any, *, where: str = "") -> Any:
    """The value that ``encode`` was given; takes natural JSON from elsewhere, too."""
    return _run(where, lambda: _SHARED.plan(annotation).decode(_parse(text)))


def to_data(value: object, annotation: object) -> Any:
    """What ``encode`` gives, as data to be put into a larger JSON document."""
    return _run("", lambda: _parse(_text(_SHARED.plan(annotation).encode(value))))


def from_data(data: object, annotation: object) -> Any:
    return _run("", lambda: _SHARED.plan(annotation).decode(data))


def encode_natural(value: object, *, where: str = "") -> str:
    """JSON text by the value alone, for a reader whose annotation isn't known here: ``decode`` accepts it there."""
    return str(_run(where, lambda: _text(_natural(value))))


def _natural(value: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple):
        return _each(_natural, value)
    if kind in (set, frozenset):
        return sorted(_each(_natural, value), key=_dumps)
    if kind is dict:
        pairs = _pairs(_natural, _natural, value.items())
        return _object(pairs) if all(type(name) is str for name in value) else pairs
    if kind not in _LEAVES and not issubclass(kind, enum.Enum):
        names = getattr(kind, "__dataclass_fields__", None) or (
            issubclass(kind, tuple) and getattr(kind, "_fields", None)
        )
        if names:
            return _natural_fields(value, names)
    return _SHARED.plan(kind).encode(value)


def _natural_fields(value: Any, names: Iterable[str]) -> Any:
    pairs: list[Any] = []
    name = ""
    try:
        for name in names:
            if hasattr(value, name):  # neither ClassVar nor InitVar are stored, but the latter may have defaults
                pairs.append([name, _natural(getattr(value, name))])
    except Mismatch as error:
        raise error.at(f".{name}") from None
    return _object(pairs)


_Parameter = inspect.Parameter
_BARE = inspect.Signature([_Parameter("args", _Parameter.VAR_POSITIONAL), _Parameter("kwargs", _Parameter.VAR_KEYWORD)])


class Signature:
    """How one function's arguments and result are stored. Annotations are resolved when first needed."""

    def __init__(
        self, function: Callable[..., object], name: str, namespace: Mapping[str, object] | None = None
    ) -> None:
        self._name = name
        self._function = _underlying(function)
        self._signature = _signature(function)
        is_module = namespace is getattr(self._function, "__globals__", None)
        self._locals = {**({} if is_module or namespace is None else namespace), **_enclosing(self._function)}
        # Local classes may share names with others; all other functions share their plans.
        self._compiler = _Compiler(self._locals) if self._locals else _SHARED
        self._plans: dict[str, Plan] = {}

    def encode_args(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """The arguments by parameter name; defaults stay out, so that the callee's own code gives them."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._name}() {error}") from None
        return self._encode(bound.arguments)

    def decode_args(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with."""
        data = _run(f"{self._name}()", lambda: _parse(text))
        if type(data) is not dict:
            raise CodecError(f"{self._name}(): expected an object of arguments, got {type(data).__name__}")
        unknown = data.keys() - self._signature.parameters.keys()
        if unknown:
            raise CodecError(f"{self._name}(): has no parameter {min(unknown)!r}, but it is stored")
        for parameter in self._signature.parameters.values():
            if _is_required(parameter) and parameter.name not in data:
                raise CodecError(f"{self._name}(): argument {parameter.name!r} is missing")
        return self._call({name: self._convert(name, data[name], decoding=True) for name in data})

    def encode_event(self, event: object) -> str:
        """A Lambda event as the function's only argument."""
        parameters = self._signature.parameters.values()
        required = [parameter.name for parameter in parameters if _is_required(parameter)]
        if len(required) > 1:
            names = ", ".join(required)
            raise CodecError(f"{self._name}(): an event is one argument, but all of {names} are required")
        usable = required or [
            parameter.name for parameter in parameters if parameter.kind is not _Parameter.VAR_KEYWORD
        ]
        if not usable:
            return "{}"
        many = self._signature.parameters[usable[0]].kind is _Parameter.VAR_POSITIONAL
        value = self._convert(usable[0], [event] if many else event, decoding=True)
        return self._encode({usable[0]: value})

    def encode_result(self, value: object) -> str:
        return str(_run(f"{self._name}(): result", lambda: _text(self._plan("return").encode(value))))

    def decode_result(self, text: str) -> Any:
        return _run(f"{self._name}(): result", lambda: self._plan("return").decode(_parse(text)))

    def _encode(self, arguments: Mapping[str, object]) -> str:
        data = {name: self._convert(name, value, decoding=False) for name, value in arguments.items()}
        return str(_run(f"{self._name}()", lambda: _text(data)))

    def _call(self, arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = inspect.BoundArguments(self._signature, OrderedDict(arguments))
        return bound.args, bound.kwargs

    def _convert(self, name: str, value: object, *, decoding: bool) -> Any:
        def convert() -> Any:
            plan = self._plan(name)
            return plan.decode(value) if decoding else plan.encode(value)

        return _run(f"{self._name}(): argument {name!r}", convert)

    def _plan(self, name: str) -> Plan:
        """Kept only once it is resolved: a name that is unknown now may be defined below the function."""
        if name not in self._plans:
            self._plans[name] = self._compiler.plan(self._annotation(name))
        return self._plans[name]

    def _annotation(self, name: str) -> Any:
        if name == "return":
            return self._resolved(self._signature.return_annotation)
        parameter = self._signature.parameters[name]
        annotation = self._resolved(parameter.annotation)
        if parameter.kind is _Parameter.VAR_POSITIONAL:
            return types.GenericAlias(tuple, (annotation, ...))
        if parameter.kind is not _Parameter.VAR_KEYWORD:
            return annotation
        unpacked = get_origin(annotation) is typing.Unpack
        return get_args(annotation)[0] if unpacked else types.GenericAlias(dict, (str, annotation))

    def _resolved(self, annotation: Any) -> Any:
        if annotation is inspect.Signature.empty:
            return Any
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        names = getattr(self._function, "__globals__", {})
        local = {**self._locals, **_enclosing(self._function)}  # again: cells are filled as the outer function runs
        what = f"an annotation that can be resolved instead of {annotation!r}"
        hints = _attempt(what, typing.get_type_hints, holder, names, local, include_extras=True)
        return hints["it"]


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)
    return parameter.default is _Parameter.empty and not variadic


def _signature(function: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have none
        return _BARE


def _underlying(function: Any) -> Any:
    """The function that holds the annotations, inside of wrappers, methods, partials and callable objects."""
    for _ in range(_MAX_DEPTH):
        for attribute in ("__wrapped__", "__func__", "func"):
            inner = getattr(function, attribute, None)
            if callable(inner):
                break
        else:
            return function if hasattr(function, "__globals__") else _call_method(function)
        function = inner
    return function


def _call_method(function: Any) -> Any:
    found = [vars(kind)["__call__"] for kind in type(function).__mro__ if "__call__" in vars(kind)]
    return found[0] if found else function


def _enclosing(function: Any) -> dict[str, object]:
    """The variables of outer functions that this one uses, and its own type parameters."""
    found: dict[str, object] = {parameter.__name__: parameter for parameter in getattr(function, "__type_params__", ())}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found
