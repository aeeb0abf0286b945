"""Compiles annotations to plans, each once. A type that can't be stored gets a plan that refuses.

Compiling fails only if the stack is too deep, and then leaves nothing behind.
"""

from __future__ import annotations

import collections.abc as abc
import enum
import inspect
import sys
import threading
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from adapter.codec.annotations import name_of, union_members, unwrapped
from adapter.codec.containers import collection_plan, mapping_plan, tuple_plan
from adapter.codec.plans import Mismatch, Plan, describe, refuse
from adapter.codec.records import record_plan
from adapter.codec.scalars import enum_plan, leaf_plan, none_plan, scalar_plan
from adapter.codec.tags import ANY, Runtime, literal_plan, optional_plan, runtime_plan, union_plan

_LOCK = threading.RLock()


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


class Compiler:
    """The plans of annotations, each compiled once. ``namespace`` has the local names that they may use."""

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self.namespace = namespace
        self.plans: dict[Any, Plan] = {}

    def plan(self, annotation: Any) -> Plan:
        # Unions compare equal in any order of their members, but decode in that order: so the key has the repr.
        with _LOCK:
            try:
                key = annotation if isinstance(annotation, type) else (repr(annotation), annotation)
                found = self.plans.get(key)
            except Exception:  # The annotation can't be hashed, for instance for its metadata.
                return self.compile(annotation)
            if found is None:
                found = self._kept(key, annotation)
            return found

    def _kept(self, key: Any, annotation: Any) -> Plan:
        before = len(self.plans)
        found = self.plans[key] = refuse("", "")
        try:
            found.become(self.compile(annotation))
        except RecursionError:
            # The stack was too deep here, for instance under nested data; elsewhere it may not be. Plans that were
            # compiled meanwhile may refer to this one, so they go, too.
            for late in list(self.plans)[before:]:
                del self.plans[late]
            raise
        return found

    def compile(self, annotation: Any) -> Plan:
        try:
            return self.build(unwrapped(annotation))
        except RecursionError:
            raise
        except Mismatch as error:
            return refuse("?", str(error))
        except Exception as error:
            return refuse("?", f"an annotation can't be read: {describe(error)}")

    def build(self, annotation: Any) -> Plan:
        if annotation in (Any, object, inspect.Parameter.empty, typing.NoReturn, typing.Never):
            return ANY
        if annotation is None or annotation is type(None):
            return none_plan()
        if annotation is Runtime:
            return runtime_plan()
        origin = get_origin(annotation)
        if origin is Union or origin is types.UnionType:
            return self.union(union_members(annotation))
        if origin is typing.Literal:
            return literal_plan(name_of(annotation), get_args(annotation), SHARED.plan)
        plan = self.generic(annotation, origin or annotation, get_args(annotation))
        if plan is None:
            plan = self.of_class(origin or annotation, get_args(annotation))
        return plan or refuse(name_of(annotation), _unsupported(annotation))

    def union(self, members: list[Any]) -> Plan:
        others = [member for member in members if member is not None and member is not type(None)]
        if all(member in (bool, int, float, str) for member in others):
            plan = scalar_plan(*others)
        elif len(others) == 1:
            plan = self.plan(others[0])
        else:
            plan = union_plan(dict(zip(_distinct(map(name_of, others)), map(self.plan, others), strict=True)))
        return plan if len(others) == len(members) else optional_plan(plan)

    def generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Plan | None:
        name = name_of(annotation)
        if origin in _MAPPINGS:
            key, item = args or (Any, Any)
            return mapping_plan(name, self.plan(key), self.plan(item))
        if origin is tuple and (args or annotation == tuple[()]) and args[1:] != (...,):
            return tuple_plan(name, [self.plan(arg) for arg in args])
        if origin in _COLLECTIONS:
            kinds = _COLLECTIONS[origin]
            return collection_plan(name, self.plan(args[0] if args else Any), kinds[0], *kinds)
        return None

    def of_class(self, kind: Any, args: tuple[Any, ...]) -> Plan | None:
        if not isinstance(kind, type):
            return None
        if issubclass(kind, enum.Enum):
            return enum_plan(kind)
        base_model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
        if base_model is not None and issubclass(kind, base_model):
            from adapter.codec.models import model_plan  # A process without pydantic doesn't pay for it.

            return model_plan(kind, runtime_plan())
        return record_plan(kind, args, self.plan, self.namespace) or leaf_plan(kind)


def _distinct(names: Iterable[str]) -> list[str]:
    """Give plans distinct names: two classes may have the same one, for instance if a function defines them."""
    found: list[str] = []
    for name in names:
        taken = sum(other == name or other.startswith(f"{name}#") for other in found)
        found.append(f"{name}#{taken + 1}" if taken else name)
    return found


def _unsupported(annotation: Any) -> str:
    if isinstance(annotation, str | typing.ForwardRef):
        return f"the annotation {annotation!r} can't be resolved"
    return f"{name_of(annotation)} can't be stored as JSON; use a dataclass, a TypedDict or a pydantic model"


SHARED = Compiler({})
