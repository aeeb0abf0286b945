"""What an annotation stands for, behind names, aliases, type variables and unions."""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from adapter.codec.plans import MAX_DEPTH, Mismatch


def name_of(annotation: object) -> str:
    """An annotation as a person would write it, with full module names: it is stored as a union's tag."""
    if annotation is ... or annotation is None or annotation is type(None):
        return "..." if annotation is ... else "None"
    if isinstance(annotation, list | tuple):
        return f"[{', '.join(map(name_of, annotation))}]"
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, get_args(annotation)))}]"
    if origin is Union or origin is types.UnionType:
        return " | ".join(map(name_of, get_args(annotation)))
    if origin is not None:
        inner = ", ".join(map(name_of, get_args(annotation)))
        return f"{name_of(origin)}[{inner}]" if inner else name_of(origin)
    if isinstance(annotation, type):
        module = annotation.__module__
        return annotation.__qualname__ if module == "builtins" else f"{module}.{annotation.__qualname__}"
    return repr(annotation).removeprefix("typing.")


def bindings(kind: Any, args: Iterable[Any]) -> dict[Any, Any]:
    """What each type parameter of a generic class and of its bases stands for."""
    bound = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    for base in getattr(kind, "__orig_bases__", ()):
        origin = get_origin(base)
        if origin is not None and origin is not kind:
            bound = bindings(origin, [substitute(arg, bound) for arg in get_args(base)]) | bound
    return bound


def substitute(hint: Any, bound: Mapping[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return bound.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    return hint[tuple(bound.get(parameter, parameter) for parameter in parameters)] if parameters and bound else hint


def _unwrap(annotation: Any) -> Any:
    """What an alias, NewType, type variable or annotated type stands for. This takes off one layer."""
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
        return substitute(_aliased(origin), dict(zip(origin.__type_params__, get_args(annotation), strict=False)))
    return annotation


def _aliased(alias: Any) -> Any:
    """An alias's value. Before Python 3.12 an alias refers to itself in a string."""
    holder = types.SimpleNamespace(__annotations__={"it": alias.__value__})
    names = vars(sys.modules[alias.__module__]) if alias.__module__ in sys.modules else {}
    return typing.get_type_hints(holder, names, include_extras=True)["it"]


def unwrapped(annotation: Any) -> Any:
    for _ in range(MAX_DEPTH):
        inner = _unwrap(annotation)
        if inner is annotation:
            return annotation
        annotation = inner
    raise Mismatch(f"{name_of(annotation)} stands for nothing but itself")


def union_members(annotation: Any) -> list[Any]:
    """The distinct members of a union, including those of unions behind aliases."""
    annotation = unwrapped(annotation)
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    found: list[Any] = []
    for member in get_args(annotation):
        found += [inner for inner in union_members(member) if inner not in found]
    return found
