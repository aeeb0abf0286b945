"""A plan: how the values of one annotation become JSON data and back, what that data looks like, and what doesn't fit.

A plan's schema is JSON Schema (draft 2020-12), made only when it is asked for. A function that it is given refers to
the plans within it, so that recursive types have a schema, too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Convert = Callable[[Any], Any]
Schema = dict[str, Any]
Refer = Callable[["Form"], Schema]
Describe = Callable[[Refer], Schema]
MAX_DEPTH = 100  # So that every deeper stack can decode what one stack could encode.
dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False, allow_nan=False).encode


class Mismatch(Exception):
    """A value or JSON data doesn't fit. The exception collects the path while it travels outwards."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path = ""

    def at(self, step: str) -> Mismatch:
        self.path = step + self.path
        return self


def anything(_: Refer) -> Schema:
    """The schema that anything fits."""
    return {}


class Form:
    """What some JSON data looks like, with a name by which schemas may refer to it."""

    __slots__ = ("name", "schema")

    def __init__(self, name: str, schema: Describe) -> None:
        self.name = name
        self.schema = schema


class Plan(Form):
    """How the values of one annotation become JSON data and back; ``kinds`` are the classes it stands for.

    Data that fits its schema can be decoded, unless a class's own code refuses it. Data that ``encode`` or
    ``encode_natural`` writes fits the schema. A bool in an int's place is the exception: its sender is mistaken.
    """

    __slots__ = ("decode", "encode", "kinds")

    def __init__(self, name: str, encode: Convert, decode: Convert, *kinds: type, schema: Describe = anything) -> None:
        super().__init__(name, schema)
        self.encode = encode
        self.decode = decode
        self.kinds = kinds

    def become(self, other: Plan) -> None:
        """Fill the plan in. A recursive type's plan is referred to before its content is known."""
        self.name, self.encode, self.decode, self.kinds = other.name, other.encode, other.decode, other.kinds
        self.schema = other.schema


def tagged(tag: str, content: Schema, **optional: Schema) -> Schema:
    """The schema of an object that stands for a value that JSON lacks, or would take for something else."""
    properties = {tag: content, **optional}
    return {"type": "object", "properties": properties, "required": [tag], "additionalProperties": False}


def any_of(schemas: Iterable[Schema]) -> Schema:
    """The schema of anything that fits one of these. It repeats none."""
    found: list[Schema] = []
    for schema in schemas:
        found += [] if schema in found else [schema]
    return found[0] if len(found) == 1 else {"anyOf": found}


def expected(name: str, value: object) -> Mismatch:
    return Mismatch(f"expected {name}, got {got(name, value)}")


def got(name: str, value: object) -> str:
    """What a value is, where ``name`` was expected."""
    if isinstance(value, Awaitable):
        return "a promise or coroutine that nobody awaited: await it first"
    got = type(value).__name__
    if got == name:  # Two classes have one name, for instance if a module was loaded twice.
        got = f"another {type(value).__module__}.{got}"
    return got


def attempt(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call code that may raise anything at all on data from outside, such as a constructor."""
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
    """The plan of an annotation that can't be stored. Compiling it succeeds; using it fails, with a path."""

    def convert(_: Any) -> Any:
        raise Mismatch(reason)

    return Plan(name, convert, convert)
