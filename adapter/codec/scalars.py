"""Plans of classes that hold no other values: what JSON has, or else text that a person would write."""

from __future__ import annotations

import binascii
import datetime as dt
import enum
import math
import re
import sys
from typing import Any

from adapter.codec.plans import Convert, Mismatch, Plan, attempt, expected

_BIG = 2**63  # many readers of JSON, DynamoDB's console among them, keep no larger integers
LEAVES = frozenset({type(None), bool, int, float, str})


def _utf8(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Mismatch("expected text, got a str with lone surrogates") from None
    return text


def write_leaf(value: Any) -> Any:
    """The JSON data of a None, bool, int, float or str."""
    kind = type(value)
    if kind is str:
        return _utf8(value)
    if kind is int and not -_BIG < value < _BIG:
        return {"$int": hex(value)}
    if kind is float and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def read_leaf(data: Any) -> Any:
    if type(data) is str:
        return _utf8(data)
    match data:
        case {"$int": str(text), **rest} if not rest:
            return attempt("int", int, text, 16)
        case {"$float": str(text), **rest} if not rest:
            return attempt("float", float, text)
    return data


def scalar_plan(*kinds: type) -> Plan:
    """One of bool, int, float and str, or a union of them: JSON tells these apart by itself."""
    numbers = {bool, int, float} if float in kinds else {bool, int} if int in kinds else set()
    accepted = frozenset(kinds) | numbers
    name = " | ".join(kind.__name__ for kind in kinds)

    def check(value: Any) -> Any:
        if type(value) not in accepted:
            raise expected(name, value)
        return value

    return Plan(name, lambda value: write_leaf(check(value)), lambda data: check(read_leaf(data)), *kinds)


def none_plan() -> Plan:
    def convert(value: Any) -> None:
        if value is not None:
            raise expected("None", value)

    return Plan("None", convert, convert, type(None))


def _textual_plan(cls: type, to_text: Convert, from_text: Convert, *also: type) -> Plan:
    """A class that is written as a string; ``also`` are further JSON types that its decoder takes."""
    name = cls.__name__

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        return to_text(value)

    def decode(data: Any) -> Any:
        if type(data) is not str and type(data) not in also:
            raise expected(name, data)
        return attempt(name, from_text, data)

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


def _clock_plan(cls: Any) -> Plan:
    """datetime and time: ISO text, in an object with the zone's key and the fold, where there are any."""
    name = cls.__name__
    tag = f"${name}"

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        zone = _zone_key(value.tzinfo)
        if zone is None:
            text = value.isoformat()
            if dt.timedelta() < abs(value.utcoffset() or dt.timedelta()) < dt.timedelta(seconds=1):
                # Python's fromisoformat reads it as none.
                raise Mismatch(f"expected an offset of no part of a second alone, got: {text}")
            return {tag: text, "fold": 1} if value.fold else text
        data = {tag: value.replace(tzinfo=None).isoformat(), "zone": zone}
        return {**data, "fold": 1} if value.fold else data

    def restore(data: dict[str, Any]) -> Any:
        from zoneinfo import ZoneInfo

        value = cls.fromisoformat(data[tag])
        if "zone" in data and value.tzinfo is not None:
            raise ValueError("it has both an offset and a zone")
        zone = ZoneInfo(data["zone"]) if "zone" in data else value.tzinfo
        return value.replace(tzinfo=zone, fold=data.get("fold", 0))

    def decode(data: Any) -> Any:
        if type(data) is str:
            return attempt(name, cls.fromisoformat, data)
        if type(data) is dict and data.keys() <= {tag, "zone", "fold"}:
            return attempt(name, restore, data)
        raise expected(name, data)

    return Plan(name, encode, decode, cls)


def leaf_plan(cls: Any) -> Plan | None:
    """Classes that hold no other values. Decimal and UUID by name: who has a value of them imported their modules."""
    if cls in (bool, int, float, str):
        return scalar_plan(cls)
    if cls is bytes:
        return _textual_plan(bytes, _base64, _unbase64)
    if cls is bytearray:
        return _textual_plan(bytearray, _base64, lambda text: bytearray(_unbase64(text)))
    if cls is dt.datetime or cls is dt.time:
        return _clock_plan(cls)
    if cls is dt.date:
        return _textual_plan(dt.date, dt.date.isoformat, dt.date.fromisoformat)
    if cls is dt.timedelta:
        return _textual_plan(dt.timedelta, _duration, _unduration)
    if _is_from(cls, "decimal", "Decimal"):
        return _textual_plan(cls, str, cls, int)
    return _textual_plan(cls, str, cls) if _is_from(cls, "uuid", "UUID") else None


def _is_from(cls: object, module: str, name: str) -> bool:
    return cls is getattr(sys.modules.get(module), name, module)


def enum_plan(cls: Any) -> Plan:
    """By name, a Flag by value, since its combinations have no names of their own; from outside, either will do."""
    name = cls.__name__
    by_value = issubclass(cls, enum.Flag)

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise expected(name, value)
        return write_leaf(value.value) if by_value else value.name

    def decode(data: Any) -> Any:
        member = cls.__members__.get(data) if type(data) is str else None
        if member is None:
            member = attempt(name, cls, read_leaf(data))
        if type(member) is not cls:  # a Flag with the boundary EJECT gives an int
            raise expected(name, data)
        return member

    return Plan(name, encode, decode, cls)
