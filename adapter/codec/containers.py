"""Plans of collections and mappings: JSON lists and objects, escaped or tagged only where those are ambiguous."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapter.codec.plans import (
    Convert,
    Mismatch,
    Plan,
    Refer,
    Schema,
    any_of,
    attempt,
    dumps,
    expected,
    tagged,
)


def each(convert: Convert, values: Iterable[Any]) -> list[Any]:
    done: list[Any] = []
    try:
        for value in values:
            done.append(convert(value))  # No comprehension: the length so far is the index in an error's path.
    except Mismatch as error:
        raise error.at(f"[{len(done)}]") from None
    return done


def collection_plan(name: str, item: Plan, natural: Any, *kinds: type) -> Plan:
    """A plain JSON list is ``natural``; the other ``kinds`` of the annotation are tagged."""
    tags = {f"${kind.__name__}": kind for kind in kinds}

    def encode(value: Any) -> Any:
        kind = type(value)
        if kind not in kinds:
            raise expected(name, value)
        data = each(item.encode, value)
        if kind is set or kind is frozenset:
            data.sort(key=dumps)  # equal sets give equal text, in every process
        return data if kind is natural else {f"${kind.__name__}": data}

    def decode(data: Any) -> Any:
        kind = natural
        if type(data) is dict and len(data) == 1:
            [(tag, data)] = data.items()
            kind = tags.get(tag)
        if type(data) is not list or kind is None:
            raise expected(name, data)
        return attempt(name, kind, each(item.decode, data))

    def schema(of: Refer) -> Schema:
        found: dict[Any, Schema] = {
            kind: {"type": "array", "items": of(item)} for kind in dict.fromkeys((natural, *kinds))
        }
        if not hashable(item):
            found |= {kind: fixed() for kind in found if kind in (set, frozenset)}
        return any_of(looks if kind is natural else tagged(f"${kind.__name__}", looks) for kind, looks in found.items())

    return Plan(name, encode, decode, *kinds, schema=schema)


def hashable(plan: Plan) -> bool:
    """False if no value can be in a set, or be a key."""
    return any(kind.__hash__ is not None for kind in plan.kinds) or not plan.kinds


def fixed(*items: Schema, needed: int | None = None) -> Schema:
    """An array of these items. Those after the first ``needed`` may be left out."""
    shape: Schema = {"type": "array", "prefixItems": list(items), "items": False}
    if not items:
        return {"type": "array", "maxItems": 0}
    return shape | {"minItems": len(items) if needed is None else needed}


def tuple_plan(name: str, items: list[Plan]) -> Plan:
    def convert(values: Any, steps: list[Convert]) -> list[Any]:
        if len(values) != len(steps):
            raise Mismatch(f"expected {name}, got {len(values)} items")
        remaining = iter(steps)
        return each(lambda value: next(remaining)(value), values)

    def encode(value: Any) -> Any:
        if type(value) is not tuple:
            raise expected(name, value)
        return convert(value, [item.encode for item in items])

    def decode(data: Any) -> Any:
        if type(data) is not list:
            raise expected(name, data)
        return tuple(convert(data, [item.decode for item in items]))

    return Plan(name, encode, decode, tuple, schema=lambda of: fixed(*map(of, items)))


def json_object(pairs: list[Any]) -> Any:
    """A JSON object. It is escaped if one of its own keys could be read as a tag."""
    return {"$dict": pairs} if any(key.startswith("$") for key, _ in pairs) else dict(pairs)


NOT_ESCAPED: Schema = {"dependentSchemas": {"$dict": {"minProperties": 2}}}
"""The schema of an object that can't be taken for an escaped one."""


def entries_of(name: str, data: Any) -> Any:
    """The pairs of a JSON object, of its escaped form, or of a list of pairs."""
    if type(data) is dict and not (len(data) == 1 and "$dict" in data):
        return data.items()
    pairs = data["$dict"] if type(data) is dict else data
    if type(pairs) is not list or any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise expected(name, data)
    return pairs


def convert_pairs(key: Convert, item: Convert, entries: Any) -> list[Any]:
    pairs: list[Any] = []
    name: Any = ""
    try:
        for name, value in entries:
            pairs.append([key(name), item(value)])
    except Mismatch as error:
        raise error.at(f"[{name!r}]" if type(name) in (str, int) else f"[item {len(pairs)}]") from None
    return pairs


def mapping_plan(name: str, key: Plan, item: Plan) -> Plan:
    """An object if all keys are strings and are written as such, otherwise a list of pairs."""

    def encode(value: Any) -> Any:
        if type(value) is not dict:
            raise expected(name, value)
        pairs = convert_pairs(key.encode, item.encode, value.items())
        plain = all(type(name) is str for name in value) and all(type(name) is str for name, _ in pairs)
        return json_object(pairs) if plain else pairs

    def decode(data: Any) -> Any:
        return attempt(name, dict, convert_pairs(key.decode, item.decode, entries_of(name, data)))

    def schema(of: Refer) -> Schema:
        names = {} if key.name == "str" else {"propertyNames": of(key)}
        pairs: Schema = {"type": "array", "items": fixed(of(key), of(item))} if hashable(key) else fixed()
        forms: list[Schema] = [{"type": "object", **NOT_ESCAPED, "additionalProperties": of(item)} | names]
        if key.kinds != (str,):
            forms.append(pairs)
        if str in key.kinds or not key.kinds:
            forms.append(tagged("$dict", pairs))
        return any_of(forms)

    return Plan(name, encode, decode, dict, schema=schema)
