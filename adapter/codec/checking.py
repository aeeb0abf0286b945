"""Whether a JSON value fits a schema, checked without the type and the code that defines it. Pure.

Invariant: the answer is that of JSON Schema (draft 2020-12) for the words that the codec's schemas use, with formats as
    the codec reads them. Words that this module doesn't know, regular expressions among them, restrict nothing, and
    neither does a schema that no version wrote. A check takes at most as many steps as the sizes of value and schema
    multiplied.

No library does this: for that bound, and since a click starts this Lambda, which must load quickly (ADR 0017).
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from adapter.codec.scalars import ENCODINGS, FORMATS

MAX_NESTING = 100
"""Levels of lists and objects in a value: any stack can decode so many."""

MOST = 5
"""So many problems of one value are told."""

_LONGEST = 80  # characters of a name or a constant in a sentence
_LISTED = 20  # of what may stand in one place


class Problem(NamedTuple):
    """What is wrong with a part of a value. ``foreign``: it has a wrong JSON type altogether."""

    path: str
    text: str
    foreign: bool = False


Found = list[Problem]
Asked = Generator[tuple[Any, Any], Found, Found]
"""A check under way: it asks for what is wrong with a value under a schema, and is sent it."""


def stored(text: str) -> Any:
    """The schema that a promise keeps of its value's type. One that this version didn't write restricts nothing."""
    try:
        schema = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return {} if nested_too_deep(schema) else schema


def nested_too_deep(value: Any) -> bool:
    """Whether a stack might be too small to decode it."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [node for branch in inner for node in branch]
    return bool(level)


def problems(schema: Any, value: Any) -> list[str]:
    """The first ``MOST`` problems of a value, each with its path; none if it fits."""
    return [f"${found.path}: {found.text}" for found in _Check(schema).run(value)]


class _Check:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.known: dict[tuple[int, int], Found] = {}
        self.stack: list[tuple[tuple[int, int], Asked]] = []
        self.constants: dict[int, tuple[set[Any], list[Any]]] = {}

    def run(self, value: Any) -> Found:
        """Run a check on a stack of its own, since a schema may lead to any depth."""
        answer = self.answer(self.root, value)
        while self.stack:
            key, asked = self.stack[-1]
            try:
                # A generator that hasn't begun can only be sent None.
                schema, part = asked.send(answer)  # type: ignore[arg-type]
            except StopIteration as ended:
                self.stack.pop()
                answer = self.known[key] = ended.value[:MOST]
            else:
                answer = self.answer(self.target(schema), part)
        return answer or []

    def answer(self, schema: Any, value: Any) -> Found | None:
        """The answer, if it is known. If None, a check is on the stack: only one, or unions would multiply it."""
        found = self.at_once(schema, value)
        if found is not None:
            return found
        key = id(schema), id(value)
        if key in self.known:
            return self.known[key]
        # A schema that leads back to itself at the same value adds nothing.
        self.known[key] = []
        self.stack.append((key, self.check(schema, value)))
        return None

    def at_once(self, schema: Any, value: Any) -> Found | None:
        """The problem of a value as a whole; None if its parts have to be checked, too."""
        if not isinstance(schema, dict):
            return [Problem("", "nothing may stand here")] if schema is False else []
        found = _wrong_type(schema, value) or self.constant(schema, value) or _beyond(schema, value)
        if found or not (isinstance(value, dict | list) or _APPLIED.keys() & schema.keys()):
            return found
        return None

    def check(self, schema: Any, value: Any) -> Asked:
        found: Found = []
        for keyword, law in _APPLIED.items():
            if keyword in schema:
                found += yield from law(self, schema[keyword], value)
        if isinstance(value, dict):
            found += yield from self.in_object(schema, value)
        elif isinstance(value, list):
            found += yield from self.in_array(schema, value)
        return found

    def constant(self, schema: Any, value: Any) -> Found:
        if "const" in schema and not _equal(schema["const"], value):
            return [Problem("", f"expected {_brief(schema['const'])}")]
        listed = schema.get("enum")
        if not isinstance(listed, list) or self.among(listed, value):
            return []
        return [Problem("", f"expected {_one_of(map(_brief, listed))}")]

    def among(self, listed: list[Any], value: Any) -> bool:
        key = id(listed)
        if key not in self.constants:
            plain = {(type(one) is bool, one) for one in listed if not isinstance(one, dict | list)}
            self.constants[key] = plain, [one for one in listed if isinstance(one, dict | list)]
        plain, others = self.constants[key]
        if isinstance(value, dict | list):
            return any(_equal(one, value) for one in others)
        return (type(value) is bool, value) in plain

    def referred(self, reference: Any, value: Any) -> Asked:
        return (yield self.resolve(reference), value)

    def resolve(self, reference: Any) -> Any:
        """The schema that a reference leads to; an open one if it leads elsewhere."""
        if reference == "#":
            return self.root
        head, _, name = str(reference).rpartition("/")
        defined = self.root.get("$defs") if isinstance(self.root, dict) and head == "#/$defs" else None
        return defined.get(name) if isinstance(defined, dict) else None

    def every(self, members: Any, value: Any) -> Asked:
        found: Found = []
        for member in _list(members):
            found += yield member, value
        return found

    def one(self, members: Any, value: Any) -> Asked:
        """Exactly one of these schemas must fit."""
        found: list[Found] = []
        for member in _list(members):
            found.append((yield member, value))
        if sum(not each for each in found) > 1:
            return [Problem("", "it fits more than one of what may stand here")]
        return self.meant(members, found, value) if found and all(found) else []

    def any(self, members: Any, value: Any) -> Asked:
        found: list[Found] = []
        for member in _list(members):
            found.append((yield member, value))
            if not found[-1]:
                return []
        return self.meant(_list(members), found, value)

    def meant(self, members: list[Any], found: list[Found], value: Any) -> Found:
        """The problem under the member that the sender had in mind, if that is plain; otherwise all members' names."""
        tags = [self.tag(member) for member in members]
        tagged = [
            each
            for tag, each in zip(tags, found, strict=True)
            if tag and isinstance(value, dict) and tag[0] in value and tag[1] in (None, value[tag[0]])
        ]
        natural = [(member, each) for member, tag, each in zip(members, tags, found, strict=True) if not tag]
        native = [each for _, each in natural if not each[0].foreign]
        for one in (tagged, [each for _, each in natural], native):
            if len(one) == 1:
                return one[0]
        names = dict.fromkeys(name for member, _ in natural for name in self.names(member))
        return [Problem("", f"expected {_one_of(names)}", foreign=not native)] if names else []

    def tag(self, schema: Any) -> tuple[str, Any] | None:
        """The tag's name of a tagged object, and its value, if that is fixed."""
        schema = self.target(schema)
        required = schema.get("required") if isinstance(schema, dict) else None
        if not isinstance(required, list) or not required or not str(required[0]).startswith("$"):
            return None
        if schema.get("additionalProperties") is not False or "title" in schema:
            return None
        said = _dict(_dict(schema.get("properties")).get(str(required[0]))).get("const")
        return str(required[0]), said if isinstance(said, str) else None

    def target(self, schema: Any) -> Any:
        """The schema behind a mere reference."""
        for _ in range(MAX_NESTING):
            if not isinstance(schema, dict) or len(schema) > 1 or "$ref" not in schema:
                break
            schema = self.resolve(schema["$ref"])
        return schema

    def names(self, schema: Any, depth: int = 0) -> Iterable[str]:
        """What a person calls the values that fit."""
        schema = self.target(schema)
        if not isinstance(schema, dict):
            return ["anything" if schema is not False else "nothing"]
        if isinstance(schema.get("title"), str):
            return [schema["title"][:_LONGEST]]
        if isinstance(schema.get("enum"), list):
            return map(_brief, schema["enum"])
        members = schema.get("anyOf")
        if isinstance(members, list) and depth < MOST:
            return [name for one in members if not self.tag(one) for name in self.names(one, depth + 1)]
        return [_named(schema)]

    def in_object(self, schema: Any, value: dict[str, Any]) -> Asked:
        found = [
            Problem(_step(name), "it is missing")
            for name in _list(schema.get("required"))
            if isinstance(name, str) and name not in value
        ]
        known = _dict(schema.get("properties"))
        # Regular expressions match its names, and this module tries none.
        others = None if "patternProperties" in schema else schema.get("additionalProperties")
        for name, item in value.items():
            below = known.get(name, others)
            if below is False:
                found.append(Problem(_step(name), "there is no such field"))
            else:
                found += _at(_step(name), (yield below, item))
            if "propertyNames" in schema:
                found += [
                    Problem(_step(name), f"its name: {text}") for _, text, _ in (yield schema["propertyNames"], name)
                ]
            if name in _dict(schema.get("dependentSchemas")):
                found += yield schema["dependentSchemas"][name], value
            if len(found) >= MOST:
                break
        return found

    def in_array(self, schema: Any, value: list[Any]) -> Asked:
        first = _list(schema.get("prefixItems"))
        wrong = _wrong_length(schema, len(first), len(value))
        if wrong:
            return wrong
        found: Found = []
        for position, item in enumerate(value):
            below = first[position] if position < len(first) else schema.get("items")
            found += _at(f"[{position}]", (yield below, item))
            if len(found) >= MOST:
                return found
        if "contains" in schema:
            for item in value:
                if not (yield schema["contains"], item):
                    return found
            found.append(Problem("", "an item is missing"))
        return found


_APPLIED: Mapping[str, Callable[[_Check, Any, Any], Asked]] = {
    "$ref": _Check.referred,
    "allOf": _Check.every,
    "anyOf": _Check.any,
    "oneOf": _Check.one,
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


def _kinds(value: Any) -> tuple[str, ...]:
    """The JSON types of a value. The first one is its name in a message."""
    kind = _KINDS.get(type(value), "something else")
    if kind == "integer":
        return kind, "number"
    return (kind, "integer") if type(value) is float and value.is_integer() else (kind,)


def _wrong_type(schema: Any, value: Any) -> Found:
    allowed, kinds = schema.get("type"), _kinds(value)
    if allowed == kinds[0]:
        return []
    allowed = [allowed] if isinstance(allowed, str) else _list(allowed)
    if not allowed or any(kind in allowed for kind in kinds) or not all(kind in _KINDS.values() for kind in allowed):
        return []
    return [Problem("", f"expected {_named(schema)}, got {kinds[0]}", foreign=True)]


def _wrong_length(schema: Any, fixed: int, length: int) -> Found:
    least, most = _number(schema.get("minItems"), 0), _number(schema.get("maxItems"), math.inf)
    if schema.get("items") is False:
        most = min(most, fixed)
    if least <= length <= most:
        return []
    wanted = f"{least}" if least == most else f"at least {least}" if length < least else f"at most {most}"
    return [Problem("", f"expected {wanted} items, got {length}")]


def _unreadable(schema: Any, value: str) -> Found:
    for keyword, readers in (("format", FORMATS), ("contentEncoding", ENCODINGS)):
        name = schema.get(keyword)
        try:
            if isinstance(name, str) and name in readers:
                readers[name](value)
        except Exception:
            return [Problem("", f"expected {name}")]
    return []


_LIMITS: Mapping[str, tuple[tuple[type, ...], Callable[[Any, Any], bool], str]] = {
    "minimum": ((int, float), operator.ge, "at least {}"),
    "maximum": ((int, float), operator.le, "at most {}"),
    "exclusiveMinimum": ((int, float), operator.gt, "more than {}"),
    "exclusiveMaximum": ((int, float), operator.lt, "less than {}"),
    "minLength": ((str,), operator.ge, "at least {} characters"),
    "maxLength": ((str,), operator.le, "at most {} characters"),
    "minProperties": ((dict,), operator.ge, "at least {} fields"),
    "maxProperties": ((dict,), operator.le, "at most {} fields"),
}


def _beyond(schema: Any, value: Any) -> Found:
    found = _unreadable(schema, value) if isinstance(value, str) else []
    for keyword in _LIMITS.keys() & schema.keys():
        kinds, holds, words = _LIMITS[keyword]
        limit = _number(schema[keyword], None)
        if type(value) in kinds and limit is not None:
            size = len(value) if isinstance(value, str | dict) else value
            if not holds(size, limit):
                found.append(Problem("", f"expected {words.format(limit)}"))
    return found


def _equal(one: Any, other: Any) -> bool:
    """Equality as in JSON: true isn't 1, but 1.0 is."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return (type(one) is bool) == (type(other) is bool) and bool(one == other)


def _at(step: str, found: Found) -> Found:
    return [Problem(step + path, text) for path, text, _ in found]


def _step(name: str) -> str:
    return f".{_cut(name)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _brief(constant: Any) -> str:
    return _cut(json.dumps(constant, ensure_ascii=False))


def _one_of(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(every[:_LISTED]) + (", …" if len(every) > _LISTED else "")
    return shown if len(every) == 1 else f"one of {shown}"


def _named(schema: Any) -> str:
    """What its texts have to be, or else its JSON types."""
    kinds = schema.get("format") or schema.get("contentEncoding") or schema.get("type") or "another type"
    return _cut(kinds if isinstance(kinds, str) else " or ".join(map(str, _list(kinds))))


def _number(limit: Any, otherwise: Any) -> Any:
    return limit if isinstance(limit, int | float) and not isinstance(limit, bool) else otherwise


def _list(part: Any) -> list[Any]:
    return part if isinstance(part, list) else []


def _dict(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {}
