"""What a promise's type looks like as JSON: a small part of JSON Schema, written once, checked without the user's code.

Whoever settles a promise from the outside world has neither its type nor the code that defines it. The description is
never narrower than the codec: what it can't express it leaves open, and the function that awaits the promise decodes
the value by the type itself. Pure.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

MAX_DEPTH = 12
"""Of types in types; a recursive type is left open below."""

_SIMPLE: dict[Any, Schema] = {
    None: {"type": "null"},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "base64"},
    dt.datetime: {"type": "string", "format": "datetime"},
    dt.date: {"type": "string", "format": "date"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}
_ARRAYS = (list, tuple, set, frozenset)


def describe(annotation: Any, depth: int = 0) -> Schema:
    """The description of a type; empty where anything goes."""
    try:
        if depth < MAX_DEPTH:
            return _described(annotation, depth + 1)
    except (TypeError, NameError, AttributeError):
        # An annotation that can't be resolved here is the codec's to complain about.
        pass
    return {}


def _described(annotation: Any, depth: int) -> Schema:
    if typing.get_origin(annotation) is typing.Annotated:
        return describe(typing.get_args(annotation)[0], depth)
    if annotation in _SIMPLE:
        return dict(_SIMPLE[annotation])
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union([describe(arg, depth) for arg in args])
    if origin is typing.Literal:
        return {"enum": list(args)} if all(type(arg) in (str, int, bool, type(None)) for arg in args) else {}
    if origin in _ARRAYS and args:
        fixed = origin is tuple and args[-1] is not Ellipsis
        return {"type": "array"} if fixed else {"type": "array", "items": describe(args[0], depth)}
    if origin is dict and args and args[0] is str:
        return {"type": "object", "values": describe(args[1], depth)}
    if isinstance(annotation, type) and not args:
        return _class(annotation, depth)
    return {}


def _union(members: list[Schema]) -> Schema:
    """Where the codec needs tags to tell the members apart, the description leaves them open."""
    kinds = [member.get("type") for member in members]
    plain = all(kind in ("null", "boolean", "integer", "string", "array") for kind in kinds)
    return {"anyOf": members} if plain and len(set(kinds)) == len(kinds) else {}


def _class(kind: type, depth: int) -> Schema:
    if issubclass(kind, enum.Flag):
        return {}
    if issubclass(kind, enum.Enum):
        return {"enum": list(kind.__members__)}
    if dataclasses.is_dataclass(kind):
        fields = [field for field in dataclasses.fields(kind) if field.init]
        absent = dataclasses.MISSING
        needed = [f.name for f in fields if f.default is absent and f.default_factory is absent]
        return _object(kind, [field.name for field in fields], needed, depth)
    if typing.is_typeddict(kind):
        return _object(kind, list(kind.__annotations__), _required(kind), depth)
    return {}


def _required(kind: Any) -> list[str]:
    """Where annotations are text, ``__required_keys__`` doesn't know what they say."""
    hints = typing.get_type_hints(kind, include_extras=True)
    optional = {name for name, hint in hints.items() if typing.get_origin(hint) is typing.NotRequired}
    return sorted(kind.__required_keys__ - optional)


def _object(kind: type, names: list[str], needed: list[str], depth: int) -> Schema:
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "properties": {name: describe(hints[name], depth) for name in names},
        "required": needed,
    }


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
# Large integers and what JSON has no number for are objects with a tag, to the codec.
_TAGGED = ("integer", "number")

_FORMATS: Mapping[str, Callable[[str], object]] = {
    "base64": lambda text: base64.b64decode(text, validate=True),
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
}


def problems(schema: Any, value: Any, path: str = "$") -> Iterator[str]:
    """What is wrong with a value, each with its path; nothing where it fits."""
    if not isinstance(schema, dict):
        return
    if "anyOf" in schema:
        if all(any(problems(member, value, path)) for member in schema["anyOf"]):
            yield f"{path}: expected one of {', '.join(_named(member) for member in schema['anyOf'])}"
        return
    if "enum" in schema:
        if not any(type(value) is type(one) and value == one for one in schema["enum"]):
            yield f"{path}: expected one of {', '.join(map(repr, schema['enum']))}"
        return
    kind = str(schema.get("type"))
    if kind in _KINDS:
        if not _KINDS[kind](value):
            if not (kind in _TAGGED or "format" in schema) or not isinstance(value, dict):
                yield f"{path}: expected {_named(schema)}, got {_kind_of(value)}"
            return
        # Names that begin so are the codec's tags.
        if not (isinstance(value, dict) and any(name.startswith("$") for name in value)):
            yield from _inside(schema, value, path)


def _inside(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str) and "format" in schema:
        try:
            _FORMATS[schema["format"]](value)
        except (KeyError, ValueError, ArithmeticError):
            yield f"{path}: expected {_named(schema)}"
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from problems(schema.get("items"), item, f"{path}[{position}]")
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name}: it is missing"
        for name, item in value.items():
            if "properties" in schema and name not in known:
                yield f"{path}.{name}: there is no such field"
            yield from problems(known.get(name, schema.get("values")), item, f"{path}.{name}")


def _named(schema: Any) -> str:
    return str(schema.get("format") or schema.get("type") or "another type") if isinstance(schema, dict) else "anything"


def _kind_of(value: Any) -> str:
    return next((kind for kind, test in _KINDS.items() if test(value)), "something else")
