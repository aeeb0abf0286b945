"""A plan: how the values of one annotation become JSON data and back, and how what doesn't fit is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Convert = Callable[[Any], Any]
MAX_DEPTH = 100  # so that what one stack could encode, every other, deeper stack can decode
dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False, allow_nan=False).encode


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


def expected(name: str, value: object) -> Mismatch:
    got = type(value).__name__
    if got == name:  # two classes of one name, for instance a module that was loaded twice
        got = f"another {type(value).__module__}.{got}"
    return Mismatch(f"expected {name}, got {got}")


def attempt(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
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
