"""Plans of classes with annotated fields: dataclasses, named tuples and TypedDicts become JSON objects."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_origin

from adapter.codec.annotations import bindings, substitute
from adapter.codec.containers import NOT_ESCAPED, entries_of, fixed, json_object
from adapter.codec.plans import Mismatch, Plan, Refer, Schema, any_of, attempt, expected, tagged


def record_plan(
    kind: type, args: tuple[Any, ...], plan_of: Callable[[Any], Plan], namespace: Mapping[str, object]
) -> Plan | None:
    """The plan of a class with annotated fields, else None. A local class may use the names of ``namespace``."""
    if hasattr(kind, "__dataclass_fields__"):
        return _Dataclass(kind, args, plan_of, namespace).plan()
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _NamedTuple(kind, args, plan_of, namespace).plan()
    if issubclass(kind, dict) and hasattr(kind, "__optional_keys__"):
        return _TypedDict(kind, args, plan_of, namespace, dict).plan()
    return None


class _Record:
    """A class with annotated fields. Their plans are made at first use, when all names are defined."""

    def __init__(
        self,
        kind: Any,
        args: tuple[Any, ...],
        plan_of: Callable[[Any], Plan],
        namespace: Mapping[str, object],
        runtime: type | None = None,
    ) -> None:
        self.kind = kind
        self.args = args
        self.plan_of = plan_of
        self.namespace = namespace
        self.runtime = runtime or kind
        self.plans: dict[str, Plan] = {}
        self.required: set[str] = set()

    def plan(self) -> Plan:
        return Plan(self.kind.__name__, self.encode, self.decode, self.runtime, schema=self.schema)

    def fields(self) -> dict[str, Plan]:
        if not self.plans:
            hints = self.hints()
            self.required = self.needed(hints)
            self.plans = {name: self.plan_of(hints.get(name, Any)) for name in self.names(hints)}
        return self.plans

    def hints(self) -> dict[str, Any]:
        # Only local classes see local names: for others, they would shadow the names of the class's own module.
        local = "<locals>" in self.kind.__qualname__
        names = {**self.namespace, self.kind.__name__: self.kind} if local else {}
        what = f"{self.kind.__name__}, its annotations"
        hints = attempt(what, typing.get_type_hints, self.kind, localns=names, include_extras=True)
        bound = bindings(self.kind, self.args)
        return {name: substitute(hint, bound) for name, hint in hints.items()}

    def schema(self, of: Refer) -> Schema:
        fields = {name: of(plan) for name, plan in self.fields().items()}
        return any_of(self.forms(fields, [name for name in fields if name in self.required]))

    def forms(self, fields: dict[str, Schema], required: list[str]) -> list[Schema]:
        looks: Schema = {"title": self.kind.__name__, "type": "object", "properties": fields, "required": required}
        looks |= {"additionalProperties": False} | (NOT_ESCAPED if "$dict" in fields else {})
        return [looks, _escaped(fields, required)] if any(name.startswith("$") for name in fields) else [looks]

    def encode(self, value: Any) -> Any:
        if type(value) is not self.runtime:
            raise expected(self.kind.__name__, value)
        return json_object(self.convert(self.read(value), encoding=True))

    def decode(self, data: Any) -> Any:
        if type(data) is not dict:
            raise expected(self.kind.__name__, data)
        given = dict(self.convert(entries_of(self.kind.__name__, data), encoding=False))
        self.complete(given)
        return attempt(self.kind.__name__, self.build, given)

    def complete(self, given: Mapping[str, Any]) -> None:
        missing = self.required - given.keys()
        if missing:
            first = next(name for name in self.plans if name in missing)
            raise Mismatch(f"expected {self.kind.__name__}, its field {first!r} is missing")

    def convert(self, entries: Any, *, encoding: bool) -> list[Any]:
        plans, pairs, name = self.fields(), [], ""
        try:
            for name, value in entries:
                if type(name) is not str or name not in plans:
                    raise Mismatch(f"{self.kind.__name__} has no such field")
                plan = plans[name]
                pairs.append([name, plan.encode(value) if encoding else plan.decode(value)])
        except Mismatch as error:
            raise error.at(f".{name}" if type(name) is str and name.isidentifier() else f"[{name!r}]") from None
        return pairs

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        return hints

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        raise NotImplementedError

    def read(self, value: Any) -> Iterable[tuple[str, Any]]:
        what = f"{self.kind.__name__} with all its fields"
        return [(name, attempt(what, getattr, value, name)) for name in self.fields()]

    def build(self, given: dict[str, Any]) -> Any:
        return given


def _escaped(fields: dict[str, Schema], required: list[str]) -> Schema:
    pairs: Schema = {"type": "array", "items": any_of(fixed({"const": name}, looks) for name, looks in fields.items())}
    if required:
        pairs["allOf"] = [{"contains": {"prefixItems": [{"const": name}]}} for name in required]
    return tagged("$dict", pairs)


class _Dataclass(_Record):
    """Built by its own ``__init__``. If that takes arguments that aren't stored, only the fields are restored."""

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        from dataclasses import fields  # The module that defined the class has loaded it already.

        return [field.name for field in fields(self.kind)]

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        from dataclasses import MISSING, fields

        optional = {f.name for f in fields(self.kind) if f.default is not MISSING or f.default_factory is not MISSING}
        if self.initializes():
            optional |= {field.name for field in fields(self.kind) if not field.init}
        return {field.name for field in fields(self.kind)} - optional

    def initializes(self) -> bool:
        own = vars(self.kind)
        made = "__dataclass_params__" in own and own["__dataclass_params__"].init
        return made and not any(_is_init_var(field) for field in own["__dataclass_fields__"].values())

    def build(self, given: dict[str, Any]) -> Any:
        from dataclasses import fields

        if self.initializes():
            names = [field.name for field in fields(self.kind) if field.init and field.name in given]
            value = self.kind(**{name: given.pop(name) for name in names})
        else:
            value = object.__new__(self.kind)
            given = {
                field.name: given[field.name] if field.name in given else _default(field) for field in fields(self.kind)
            }
        for name, item in given.items():
            object.__setattr__(value, name, item)  # Works on frozen classes, too.
        return value


def _default(field: Any) -> Any:
    from dataclasses import MISSING

    return field.default if field.default_factory is MISSING else field.default_factory()


def _is_init_var(field: Any) -> bool:
    return str(field._field_type) == "_FIELD_INITVAR"


class _NamedTuple(_Record):
    """An object of its fields. From outside a list will do, too."""

    def names(self, hints: Mapping[str, Any]) -> Iterable[str]:
        return tuple(self.kind._fields)

    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        return set(self.kind._fields) - set(self.kind._field_defaults)

    def decode(self, data: Any) -> Any:
        names = self.kind._fields
        if type(data) is list and len(data) <= len(names):
            data = dict(zip(names, data, strict=False))
        return super().decode(data)

    def forms(self, fields: dict[str, Schema], required: list[str]) -> list[Schema]:
        return [*super().forms(fields, required), fixed(*fields.values(), needed=len(required))]

    def build(self, given: dict[str, Any]) -> Any:
        every = {**self.kind._field_defaults, **given}
        return self.kind._make(every[name] for name in self.kind._fields)


class _TypedDict(_Record):
    def needed(self, hints: Mapping[str, Any]) -> set[str]:
        # Under ``from __future__ import annotations`` the class's own __required_keys__ misses NotRequired.
        marks = {name: get_origin(hint) for name, hint in hints.items()}
        optional = self.kind.__optional_keys__
        return {
            name
            for name, mark in marks.items()
            if mark is typing.Required or (mark is not typing.NotRequired and name not in optional)
        }

    def encode(self, value: Any) -> Any:
        data = super().encode(value)
        self.complete(value)
        return data

    def read(self, value: Any) -> Iterable[tuple[str, Any]]:
        return list(value.items())
