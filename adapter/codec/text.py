"""Values to JSON text and back. Any failure inside leaves this module as a ``CodecError`` with its path."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterable
from typing import Any, NoReturn

from adapter.codec.compiler import SHARED
from adapter.codec.containers import convert_pairs, each, json_object
from adapter.codec.plans import MAX_DEPTH, Mismatch, describe, dumps
from adapter.codec.scalars import LEAVES
from adapter.errors import CodecError

MAX_MESSAGE = 1_000


def refuse(where: str, error: Exception) -> NoReturn:
    """The border of this module: any failure inside leaves it as a ``CodecError``, which says where."""
    match error:
        case Mismatch():
            # A path has keys of the data in it, of any length, and a class's own message may show its arguments.
            path, key, _ = error.path.replace('["', "['").partition("['")
            message = _joined(where, error.path, str(error))
            brief = _joined(where, f"{path}[…]" if key else path, str(error).partition(":")[0])
            raise CodecError(message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…", brief) from None
        case RecursionError():
            deep = _joined(where, "nested too deep, or contains itself")
            raise CodecError(deep, deep) from None
        case _:  # Classes may have hashes, comparisons and metaclasses that raise.
            brief = _joined(where, "can't be stored")
            raise CodecError(_joined(brief, describe(error)), _joined(brief, type(error).__name__)) from error


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def json_text(data: Any) -> str:
    text = dumps(data)
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise Mismatch(f"nested deeper than {MAX_DEPTH} levels of JSON")
    return text


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while level:
        branches = [node.values() if type(node) is dict else node for node in level if type(node) in (dict, list)]
        depth, level = depth + 1, [node for branch in branches for node in branch]
    return depth - 1


def parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError) as error:
        raise Mismatch(f"expected JSON text: {error}") from None


def encode(value: object, annotation: object = Any, *, where: str = "") -> str:
    """The compact JSON text of a value under its annotation."""
    try:
        return json_text(SHARED.plan(annotation).encode(value))
    except Exception as error:
        refuse(where, error)


def decode(text: str, annotation: object = Any, *, where: str = "") -> Any:
    """The value that ``encode`` was given. Natural JSON from elsewhere will do, too."""
    try:
        return SHARED.plan(annotation).decode(parse(text))
    except Exception as error:
        refuse(where, error)


def to_data(value: object, annotation: object) -> Any:
    """The same as ``encode``, as data for a larger JSON document."""
    try:
        return parse(json_text(SHARED.plan(annotation).encode(value)))
    except Exception as error:
        refuse("", error)


def from_data(data: object, annotation: object) -> Any:
    try:
        return SHARED.plan(annotation).decode(data)
    except Exception as error:
        refuse("", error)


def encode_natural(value: object, *, where: str = "") -> str:
    """JSON text made from the value alone, for a reader whose annotation isn't known here: ``decode`` takes it."""
    try:
        return json_text(_natural(value))
    except Exception as error:
        refuse(where, error)


def _natural(value: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple):
        return each(_natural, value)
    if kind in (set, frozenset):
        return sorted(each(_natural, value), key=dumps)
    if kind is dict:
        pairs = convert_pairs(_natural, _natural, value.items())
        return json_object(pairs) if all(type(name) is str for name in value) else pairs
    if kind not in LEAVES and not issubclass(kind, enum.Enum):
        # Not ``__dataclass_fields__``: it has class variables, too.
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        names = [field.name for field in fields] or (issubclass(kind, tuple) and getattr(kind, "_fields", None))
        if names:
            return _natural_fields(value, names)
    return SHARED.plan(kind).encode(value)


def _natural_fields(value: Any, names: Iterable[str]) -> Any:
    pairs: list[Any] = []
    name = ""
    try:
        for name in names:
            if hasattr(value, name):  # Neither ClassVar nor InitVar is stored, but an InitVar may have a default.
                pairs.append([name, _natural(getattr(value, name))])
    except Mismatch as error:
        raise error.at(f".{name}") from None
    return json_object(pairs)
