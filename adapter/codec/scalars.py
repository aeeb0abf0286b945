"""Plans of classes that hold no other values: a JSON scalar, or else text that a person would write."""

from __future__ import annotations

import binascii
import datetime as dt
import enum
import functools
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from adapter.codec.plans import (
    Convert,
    Form,
    Mismatch,
    Plan,
    Refer,
    Schema,
    any_of,
    attempt,
    dumps,
    expected,
    tagged,
)

_BIG = 2**63  # Many readers of JSON, DynamoDB's console among them, keep no larger integers.
LEAVES = frozenset({type(None), bool, int, float, str})

_BIG_INT = tagged("$int", {"type": "string", "format": "hexadecimal"})
BIG_INT = Form("$int", lambda of: {"description": "An integer of more than 64 bits.", **_BIG_INT})
NOT_FINITE = Form("$float", lambda of: tagged("$float", {"enum": ["nan", "inf", "-inf"]}))
_SCALARS: dict[type, tuple[Schema, tuple[Form, ...]]] = {
    bool: ({"type": "boolean"}, ()),
    int: ({"type": "integer"}, (BIG_INT,)),
    float: ({"type": "number"}, (BIG_INT, NOT_FINITE)),
    str: ({"type": "string"}, ()),
}


def _utf8(text: str) -> str:
    """Return a text that isn't ASCII if it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Mismatch("expected text, got a str with lone surrogates") from None
    return text


def write_leaf(value: Any) -> Any:
    """The JSON data of a None, bool, int, float or str."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _utf8(value)
    if kind is int and not -_BIG < value < _BIG:
        return {"$int": hex(value)}
    if kind is float and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def read_leaf(data: Any) -> Any:
    if type(data) is str:
        return data if data.isascii() else _utf8(data)
    match data:
        case {"$int": str(text), **rest} if not rest:
            return attempt("int", int, text, 16)
        case {"$float": str(text), **rest} if not rest:
            return attempt("float", float, text)
    return data


def whole(data: Any) -> Any:
    """Read an integer. JSON has one kind of number, and some writers write 1 as 1.0."""
    return int(data) if type(data) is float and data.is_integer() else data


def scalar_plan(*kinds: type) -> Plan:
    """The plan of bool, int, float, str, or a union of them: JSON tells these apart by itself."""
    numbers = {bool, int, float} if float in kinds else {bool, int} if int in kinds else set()
    accepted = frozenset(kinds) | numbers
    name = " | ".join(kind.__name__ for kind in kinds)

    def encode(value: Any) -> Any:
        if type(value) not in accepted:
            raise expected(name, value)
        return write_leaf(value)

    def decode(data: Any) -> Any:
        value = read_leaf(data)
        if int in accepted and float not in accepted:
            value = whole(value)
        if type(value) not in accepted:
            raise expected(name, value)
        return value

    def schema(of: Refer) -> Schema:
        forms = [form for kind in kinds for form in _SCALARS[kind][1]]
        return any_of([*(_SCALARS[kind][0] for kind in kinds), *map(of, forms)])

    return Plan(name, encode, decode, *kinds, schema=schema)


def none_plan() -> Plan:
    def convert(value: Any) -> None:
        if value is not None:
            raise expected("None", value)

    return Plan("None", convert, convert, type(None), schema=lambda of: {"type": "null"})


def _textual_plan(cls: type, looks: Schema, to_text: Convert, from_text: Convert, *also: type) -> Plan:
    """The plan of a class that is written as a string, with the schema ``looks``. Its decoder also takes ``also``."""
    name = cls.__name__

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        return to_text(value)

    def decode(data: Any) -> Any:
        data = whole(data) if int in also else data
        if type(data) is not str and type(data) not in also:
            raise expected(name, data)
        return attempt(name, from_text, data)

    return Plan(name, encode, decode, cls, schema=lambda of: looks)


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


def _decimal(text: Any) -> Any:
    from decimal import Decimal  # Imported late, like the next ones: most processes never need them.

    return Decimal(text)


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


def _zone(key: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _local(from_text: Convert) -> Convert:
    """The text of a datetime or time whose zone stands beside it."""

    def convert(text: str) -> Any:
        value = from_text(text)
        if value.tzinfo is not None:
            raise ValueError("it has both an offset and a zone")
        return value

    return convert


FORMATS: Mapping[str, Convert] = {
    "date": dt.date.fromisoformat,
    "date-time": dt.datetime.fromisoformat,
    "decimal": _decimal,
    "duration": _unduration,
    "hexadecimal": lambda text: int(text, 16),
    "local-date-time": _local(dt.datetime.fromisoformat),
    "local-time": _local(dt.time.fromisoformat),
    "time": dt.time.fromisoformat,
    "time-zone": _zone,
    "uuid": _uuid,
}
"""How a text of each format is read. JSON Schema's own formats mean what Python reads: an offset may be missing."""

ENCODINGS: Mapping[str, Convert] = {"base64": _unbase64}


def _zone_key(zone: Any) -> str | None:
    """The key of a ZoneInfo; None if the ISO text can express the zone."""
    if zone is None or type(zone) is dt.timezone:
        return None
    zoneinfo = sys.modules.get(
        "zoneinfo"
    )  # zoneinfo is loaded if the value has such a zone; otherwise importing it isn't worth the time.
    if zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        return str(zone.key)
    raise Mismatch(f"expected a fixed offset or a ZoneInfo with a key as tzinfo, got {type(zone).__name__}")


@functools.cache
def _clock_form(name: str, format: str) -> Form:
    fields: dict[str, Schema] = {"zone": {"type": "string", "format": "time-zone"}, "fold": {"enum": [0, 1]}}
    schema = tagged(f"${name}", {"type": "string", "format": format}, **fields)
    # The zone stands beside the text, not in it.
    schema["dependentSchemas"] = {"zone": {"properties": {f"${name}": {"format": f"local-{format}"}}}}
    return Form(f"${name}", lambda of: schema)


def _clock_plan(cls: Any, format: str) -> Plan:
    """The plans of datetime and time: ISO text, in an object with the zone's key and the fold if there are any."""
    name = cls.__name__
    tag = f"${name}"
    form = _clock_form(name, format)

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        zone = _zone_key(value.tzinfo)
        if zone is None:
            text = value.isoformat()
            if dt.timedelta() < abs(value.utcoffset() or dt.timedelta()) < dt.timedelta(seconds=1):
                # Python's fromisoformat reads such an offset as none.
                raise Mismatch(f"expected an offset of no part of a second alone, got: {text}")
            return {tag: text, "fold": 1} if value.fold else text
        data = {tag: value.replace(tzinfo=None).isoformat(), "zone": zone}
        return {**data, "fold": 1} if value.fold else data

    def restore(data: dict[str, Any]) -> Any:
        fold = whole(data.get("fold", 0))
        if "zone" not in data:
            return FORMATS[format](data[tag]).replace(fold=fold)
        return FORMATS[f"local-{format}"](data[tag]).replace(tzinfo=_zone(data["zone"]), fold=fold)

    def decode(data: Any) -> Any:
        if type(data) is str:
            return attempt(name, FORMATS[format], data)
        if type(data) is dict and data.keys() <= {tag, "zone", "fold"}:
            return attempt(name, restore, data)
        raise expected(name, data)

    return Plan(name, encode, decode, cls, schema=lambda of: any_of([{"type": "string", "format": format}, of(form)]))


def leaf_plan(cls: Any) -> Plan | None:
    """The plan of a class that holds no other values. It finds Decimal and UUID by name, without importing them."""
    if cls in (bool, int, float, str):
        return scalar_plan(cls)
    if cls is bytes or cls is bytearray:
        looks: Schema = {"type": "string", "contentEncoding": "base64"}
        return _textual_plan(cls, looks, _base64, lambda text: cls(_unbase64(text)))
    if cls is dt.datetime or cls is dt.time:
        return _clock_plan(cls, "date-time" if cls is dt.datetime else "time")
    if cls is dt.date:
        return _formatted_plan(cls, "date", dt.date.isoformat)
    if cls is dt.timedelta:
        return _formatted_plan(cls, "duration", _duration)
    if _is_from(cls, "decimal", "Decimal"):
        return _textual_plan(cls, {"type": ["string", "integer"], "format": "decimal"}, str, cls, int)
    return _formatted_plan(cls, "uuid", str) if _is_from(cls, "uuid", "UUID") else None


def _formatted_plan(cls: type, format: str, to_text: Convert) -> Plan:
    return _textual_plan(cls, {"type": "string", "format": format}, to_text, FORMATS[format])


def _is_from(cls: object, module: str, name: str) -> bool:
    return cls is getattr(sys.modules.get(module), name, module)


def enum_plan(cls: Any) -> Plan:
    """The plan of an Enum: its name; of a Flag: its value, since combinations have no names. Either is read."""
    name = cls.__name__
    by_value = issubclass(cls, enum.Flag)

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        return write_leaf(value.value) if by_value else value.name

    def decode(data: Any) -> Any:
        member = cls.__members__.get(data) if type(data) is str else None
        if member is None:
            member = attempt(name, cls, whole(read_leaf(data)))
        if type(member) is not cls:  # A Flag with the boundary EJECT gives an int.
            raise expected(name, data)
        return member

    def schema(of: Refer) -> Schema:
        return _flags(cls, of) if by_value else _members(cls, decode)

    return Plan(name, encode, decode, cls, schema=schema)


def _members(cls: Any, decode: Convert) -> Schema:
    """The schema of an Enum: its names, and its values that are JSON."""
    names = list(cls.__members__)
    values = [member.value for member in cls if type(member.value) in LEAVES]
    every: dict[str, Any] = {dumps(name): name for name in names}
    for value in values:
        try:
            data = write_leaf(value)
            decode(data)
        except Mismatch:  # A NaN equals nothing.
            continue
        every.setdefault(dumps(data), data)
    # A person writes a name.
    examples = {} if len(every) == len(names) else {"examples": names}
    return {"title": cls.__name__, "enum": list(every.values()), **examples}


def _flags(cls: Any, of: Refer) -> Schema:
    """The schema of a Flag: its names, and the numbers of all combinations. Numbers are left open if they have gaps."""
    mask: int = cls._flag_mask_
    numbers: list[Schema] = [{"type": "integer", "minimum": 0, "maximum": mask}]
    if cls._boundary_ in (enum.KEEP, enum.CONFORM):
        numbers = [{"type": "integer"}, of(BIG_INT)]
    elif mask & (mask + 1) or mask >= _BIG:
        return {}
    return {"title": cls.__name__, **any_of([{"enum": list(cls.__members__)}, *numbers])}
