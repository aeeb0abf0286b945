"""What a promise's type looks like as JSON: a small part of JSON Schema, written once, checked without the user's code.

Whoever settles a promise from the outside world has neither its type nor the code that defines it. The description is
never narrower than natural JSON, which `resolve` writes, too: what it can't express it leaves open, and the function
that awaits the promise decodes the value by the type itself. Where it isn't open, what fits it can be decoded. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from adapter.codec.text import from_data
from adapter.errors import CodecError

Schema = dict[str, Any]

MAX_DEPTH = 12
"""Of types in types; a recursive type is left open below."""

MAX_NESTING = 100
"""Of lists and objects in a value: what any stack can decode."""

_SIMPLE: dict[Any, Schema] = {
    None: {"type": "null"},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "base64"},
    bytearray: {"type": "string", "format": "base64"},
    dt.datetime: {"type": "string", "format": "datetime"},
    dt.date: {"type": "string", "format": "date"},
    dt.time: {"type": "string", "format": "time"},
    dt.timedelta: {"type": "string", "format": "duration"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}
_ARRAYS = (list, tuple, set, frozenset)


def describe(annotation: Any, depth: int = 0) -> Schema:
    """The description of a type; empty where anything goes."""
    try:
        if depth < MAX_DEPTH:
            return _described(annotation, depth + 1)
    except Exception:
        # An annotation that can't be resolved here, whatever it raises, is the codec's to complain about.
        pass
    return {}


def _described(annotation: Any, depth: int) -> Schema:
    if typing.get_origin(annotation) is typing.Annotated:
        return describe(typing.get_args(annotation)[0], depth)
    if isinstance(annotation, typing.NewType):
        return describe(annotation.__supertype__, depth)
    if annotation in _SIMPLE:
        return dict(_SIMPLE[annotation])
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union(args, depth)
    if origin is typing.Literal:
        return {"enum": list(args)} if all(type(arg) in (str, int, bool, type(None)) for arg in args) else {}
    if args:
        return _generic(origin, args, depth)
    return _class(annotation, depth) if isinstance(annotation, type) else {}


def _generic(origin: Any, args: tuple[Any, ...], depth: int) -> Schema:
    if origin is tuple and args[-1] is not ...:
        return {"type": "array", "prefixItems": [describe(arg, depth) for arg in args]}
    if origin in _ARRAYS:
        return {"type": "array", "items": describe(args[0], depth)}
    if origin is dict and args[0] is str:
        return {"type": "object", "values": describe(args[1], depth)}
    return {}


def _union(args: tuple[Any, ...], depth: int) -> Schema:
    members = [describe(arg, depth) for arg in args]
    return {"anyOf": members} if all(members) else {}


def _class(kind: type, depth: int) -> Schema:
    if issubclass(kind, enum.Flag):
        return {}
    if issubclass(kind, enum.Enum):
        return {"enum": list(kind.__members__)}
    if dataclasses.is_dataclass(kind):
        fields = dataclasses.fields(kind)
        absent = dataclasses.MISSING
        needed = [f.name for f in fields if f.init and f.default is absent and f.default_factory is absent]
        return _object(kind, [field.name for field in fields], needed, depth)
    if typing.is_typeddict(kind):
        return _object(kind, list(kind.__annotations__), _required(kind), depth)
    if issubclass(kind, tuple) and hasattr(kind, "_field_defaults"):
        names: tuple[str, ...] = getattr(kind, "_fields", ())
        return _object(kind, list(names), [name for name in names if name not in kind._field_defaults], depth)
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
        "properties": {name: describe(hints.get(name), depth) if name in hints else {} for name in names},
        "required": needed,
    }


# The codec reads these by the type itself, its own forms for what JSON lacks (``{"$float": "nan"}``) included.
_READ_AS: Mapping[str, Any] = {
    "null": None,
    "boolean": bool,
    "integer": int,
    "number": float,
    "string": str,
    "base64": bytes,
    "datetime": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "duration": dt.timedelta,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
}
_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def nested_too_deep(value: Any) -> bool:
    """Whether some stack might be too small to decode it."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [node for branch in inner for node in branch]
    return bool(level)


def problems(schema: Any, value: Any, path: str = "$") -> Iterator[str]:
    """What is wrong with a value, each with its path; nothing where it fits."""
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("anyOf"), list):
        yield from _in_union(schema, value, path)
    elif isinstance(schema.get("enum"), list):
        if not any(type(value) is type(one) and value == one for one in schema["enum"]):
            yield f"{path}: expected one of {', '.join(map(repr, schema['enum']))}"
    elif schema.get("type") == "array":
        yield from _in_array(schema, value, path)
    elif schema.get("type") == "object":
        yield from _in_object(schema, value, path)
    elif not _readable(schema, value):
        got = "" if _type(schema) == _kind_of(value) else f", got {_kind_of(value)}"
        yield f"{path}: expected {_named(schema)}{got}"


def _in_union(schema: Schema, value: Any, path: str) -> Iterator[str]:
    members = schema["anyOf"]
    meant = []
    for member in members:
        found = problems(member, value, path)
        first = next(found, None)
        if first is None:
            return
        if _type(member) == _kind_of(value):
            meant.append((first, found))
    if len(meant) == 1:
        # Gone on with, not begun again: at each level of unions in unions that would double it.
        yield meant[0][0]
        yield from meant[0][1]
    else:
        yield f"{path}: expected one of {', '.join(map(_named, members))}"


def _in_array(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected array, got {_kind_of(value)}"
        return
    fixed = schema.get("prefixItems")
    if isinstance(fixed, list) and len(fixed) != len(value):
        yield f"{path}: expected {len(fixed)} items, got {len(value)}"
        return
    for position, item in enumerate(value):
        described = fixed[position] if isinstance(fixed, list) else schema.get("items")
        yield from problems(described, item, f"{path}[{position}]")


def _in_object(schema: Schema, value: Any, path: str) -> Iterator[str]:
    entries = _entries(value)
    if entries is None:
        yield f"{path}: expected object, got {_kind_of(value)}"
        return
    known, required = schema.get("properties"), schema.get("required")
    values = schema.get("values")
    names = {name for name, _ in entries}
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in names:
            yield f"{path}.{name}: it is missing"
    for name, item in entries:
        if isinstance(known, dict) and name not in known:
            yield f"{path}.{name}: there is no such field"
        else:
            yield from problems(known[name] if isinstance(known, dict) else values, item, f"{path}.{name}")


def _entries(value: Any) -> list[tuple[str, Any]] | None:
    """Those of an object; the codec writes one with a ``$`` in front of a name as ``{"$dict": [[name, value], …]}``."""
    if not isinstance(value, dict):
        return None
    if value.keys() != {"$dict"}:
        return list(value.items())
    pairs = value["$dict"]
    if not isinstance(pairs, list):
        return None
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        return None
    return [(name, item) for name, item in pairs]


def _readable(schema: Schema, value: Any) -> bool:
    name = _named(schema)
    if name not in _READ_AS:
        return True
    if isinstance(value, bool) and name != "boolean":
        # The codec takes it for a number; whoever sends true where one is expected is mistaken.
        return False
    try:
        from_data(value, _READ_AS[name])
    except CodecError:
        return False
    return True


def _type(schema: Any) -> str:
    return str(schema.get("type")) if isinstance(schema, dict) else ""


def _named(schema: Any) -> str:
    return str(schema.get("format") or schema.get("type") or "another type") if isinstance(schema, dict) else "anything"


def _kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "something else")
