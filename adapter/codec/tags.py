"""Plans of annotations that leave several types open. A tag says which type it is, if JSON alone doesn't."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapter.codec.annotations import name_of
from adapter.codec.containers import collection_plan, mapping_plan
from adapter.codec.plans import Convert, Mismatch, Plan, Refer, Schema, any_of, attempt, dumps, expected, got, tagged
from adapter.codec.scalars import LEAVES, leaf_plan, read_leaf, scalar_plan, whole, write_leaf


class Runtime:
    """Stands for an annotation that takes any supported value, by its runtime type, tagged if need be."""


def optional_plan(plan: Plan) -> Plan:
    """The plan of an optional type. Only None gives null, so null needs no tag."""

    def encode(value: Any) -> Any:
        return None if value is None else plan.encode(value)

    def decode(data: Any) -> Any:
        return None if data is None else plan.decode(data)

    def schema(of: Refer) -> Schema:
        return any_of([of(plan), {"type": "null"}])

    return Plan(f"{plan.name} | None", encode, decode, type(None), *plan.kinds, schema=schema)


_NONE: Any = object()


class _Guesses(threading.local):
    """What untagged data was taken for, kept while the outermost union around it is decoded."""

    known: dict[tuple[int, int], Any] | None = None


_guesses = _Guesses()


def _first_fit(members: dict[str, Plan], data: Any) -> Any:
    for plan in members.values():
        try:
            return plan.decode(data)
        except Mismatch:
            continue
    return _NONE


def _guessed(members: dict[str, Plan], data: Any) -> Any:
    """Guess once: otherwise each member that doesn't fit would guess all below it again, 2 ** depth times in all."""
    if type(data) is not dict and type(data) is not list:
        return _first_fit(members, data)
    outermost = _guesses.known is None
    known = _guesses.known = {} if _guesses.known is None else _guesses.known
    try:
        key = id(members), id(data)
        if key not in known:
            known[key] = _first_fit(members, data)
        return known[key]
    finally:
        if outermost:
            _guesses.known = None


def union_plan(members: dict[str, Plan]) -> Plan:
    """A union whose members JSON can't tell apart: each value carries the name of its member."""

    def mismatch(value: Any) -> Mismatch:
        return expected(" | ".join(plan.name for plan in members.values()), value)

    def encode(value: Any) -> Any:
        kind = type(value)
        exact = {name: plan for name, plan in members.items() if kind in plan.kinds}
        failures: list[Mismatch] = []
        for name, plan in (exact | members).items():
            try:
                return {"$type": name, "value": plan.encode(value)}
            except Mismatch as error:
                failures.append(error)
        raise failures[0] if len(exact) == 1 else mismatch(value)

    def decode(data: Any) -> Any:
        if type(data) is dict and data.keys() == {"$type", "value"} and type(data["$type"]) is str:
            plan = members.get(data["$type"])
            if plan is not None:
                return plan.decode(data["value"])
        found = _guessed(members, data)
        if found is _NONE:
            raise mismatch(data)
        return found

    kinds = [kind for plan in members.values() for kind in plan.kinds]
    return Plan(" | ".join(members), encode, decode, *kinds, schema=functools.partial(_union_schema, members))


def _union_schema(members: dict[str, Plan], of: Refer) -> Schema:
    untagged = [of(plan) for plan in members.values()]
    if not all(map(_closed, members.values())):
        # Otherwise a tagged object that isn't what its tag says would be taken for an object with any names.
        untagged = [{"anyOf": untagged, "properties": {"$type": False}}]
    named = [tagged("$type", {"const": name}, value=of(plan)) for name, plan in members.items()]
    return any_of([*untagged, *({**each, "required": ["$type", "value"]} for each in named)])


def _closed(plan: Plan) -> bool:
    """Whether the objects of this plan have no names but those of its class."""
    return bool(plan.kinds) and not any(kind is dict or hasattr(kind, "model_fields") for kind in plan.kinds)


def literal_plan(name: str, values: tuple[Any, ...], plan_of: Callable[[type], Plan]) -> Plan:
    """The plan of a Literal: its values as they are; a value that reads like an earlier one has a tag."""
    forward: dict[tuple[type, Any], Any] = {}
    backward: dict[str, Any] = {}
    for value in values:
        kind = type(value)
        data = write_leaf(value) if kind in LEAVES else plan_of(kind).encode(value)
        if _text(data) in backward:
            data = {"$type": name_of(kind), "value": data}
        forward[kind, value] = data
        backward[_text(data)] = value
    kinds = tuple({kind for kind, _ in forward})

    def encode(value: Any) -> Any:
        if type(value) not in kinds or (type(value), value) not in forward:
            raise expected(name, value)
        return forward[type(value), value]

    def decode(data: Any) -> Any:
        text = attempt(name, _text, data)
        if text not in backward:
            raise expected(name, data)
        return backward[text]

    return Plan(name, encode, decode, *kinds, schema=lambda of: {"enum": list(forward.values())})


def _text(data: Any) -> str:
    """One text for all values that are the same in JSON."""
    return dumps(dict(sorted(data.items())) if type(data) is dict else whole(data))


class _Plain:
    """Values by runtime type: JSON's own, ``kinds`` of collections, and ``leaves``. Types not in JSON are tagged."""

    def __init__(self, name: str, leaves: Mapping[type, Plan], *kinds: type, hint: str = "") -> None:
        self.name = name
        self.hint = hint
        self.tagged_leaves = bool(leaves)
        self.plan = Plan(name, self.encode, self.decode)
        self.items = items = collection_plan(name, self.plan, list, list, *kinds)
        self.mapping = mapping_plan("dict", scalar_plan(str), self.plan)
        self.encoders: dict[type, Convert] = {kind: _tagging(leaf, kind) for kind, leaf in leaves.items()}
        self.encoders |= dict.fromkeys(LEAVES, write_leaf) | dict.fromkeys(items.kinds, items.encode)
        self.encoders[dict] = self.mapping.encode
        self.decoders: dict[object, Convert] = {_tag(kind): _untagging(leaf, kind) for kind, leaf in leaves.items()}
        self.decoders |= {"$int": read_leaf, "$float": read_leaf} | {_tag(kind): items.decode for kind in kinds}

    def encode(self, value: Any) -> Any:
        convert = self.encoders.get(type(value))
        if convert is None:
            hint = "" if isinstance(value, Awaitable) else self.hint
            raise Mismatch(f"expected {self.name}, got {got(self.name, value)}{hint}")
        return convert(value)

    def decode(self, data: Any) -> Any:
        kind = type(data)
        if kind is list:
            return self.items.decode(data)
        if kind is dict:
            return self.decode_object(data)
        if kind not in LEAVES:
            raise expected(self.name, data)
        return read_leaf(data)

    def decode_object(self, data: dict[str, Any]) -> Any:
        convert = self.decoders.get(next(iter(data), "")) if self.tagged_leaves or len(data) == 1 else None
        value = data if convert is None else convert(data)
        return self.mapping.decode(data) if value is data else value


def _tag(kind: type) -> str:
    return f"${kind.__name__}"


def _tagging(plan: Plan, kind: type) -> Convert:
    def encode(value: Any) -> Any:
        data = plan.encode(value)
        return data if type(data) is dict else {_tag(kind): data}

    return encode


def _untagging(plan: Plan, kind: type) -> Convert:
    def decode(data: Any) -> Any:
        clock = kind in (dt.datetime, dt.time)  # These plans read their own tag.
        return plan.decode(data if clock or len(data) > 1 else data[_tag(kind)])

    return decode


ANY = _Plain("plain JSON", {}, tuple, hint="; annotate it with its type").plan


@functools.cache
def runtime_plan() -> Plan:
    from decimal import Decimal  # This and the next are imported late: most processes never need them.
    from uuid import UUID

    kinds: tuple[type, ...] = (bytes, bytearray, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, UUID)
    leaves = {kind: plan for kind in kinds if (plan := leaf_plan(kind)) is not None}
    return _Plain("a value of a known type", leaves, tuple, set, frozenset).plan
