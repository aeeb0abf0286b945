"""What code does to a promise in place of its value. Each is an error that says that an ``await`` is missing. Pure."""

from __future__ import annotations

from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
_OF_VALUES = (
    *(f"__{name}__" for name in _ARITHMETIC),
    *(f"__r{name}__" for name in _ARITHMETIC),
    *("__bool__", "__lt__", "__le__", "__gt__", "__ge__", "__neg__", "__abs__", "__round__"),
    *("__len__", "__getitem__", "__contains__", "__int__", "__float__", "__index__", "__call__"),
    *("__enter__", "__aenter__", "__aiter__"),
)


def refusing(promise: _Class) -> _Class:
    """Let a class of promises refuse what only their values can do. ``promise.fn`` names what was called.

    Type checkers don't see these methods, so they go on to refuse the same.
    """
    for name in _OF_VALUES:
        setattr(promise, name, _refusal(name))
    promise.__getattr__ = _no_attribute  # type: ignore[attr-defined]
    return promise


def _refusal(name: str) -> Any:
    def refuse(promise: Any, *_: object) -> Any:
        raise TypeError(_missing(promise))

    refuse.__name__ = name
    return refuse


def _no_attribute(promise: Any, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(f"{_missing(promise)} The promise itself has no {name!r}")


def _missing(promise: Any) -> str:
    called = promise.fn.rpartition(":")[2]
    return f"this is the promise of {called}, not its value: await it, as in `await {called}(...)`."
