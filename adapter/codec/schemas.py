"""The JSON Schema (draft 2020-12) of a type, put together from the schemas of the codec's plans.

Invariant: a schema takes all natural JSON, which `resolve` writes, too; and a value that fits a schema can be decoded,
    unless the schema is open. A type that refers to itself has a schema that does. A type that can't be described has
    an empty schema: then the function that awaits a promise checks the value, when it decodes it.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import Any

from adapter.codec.compiler import SHARED
from adapter.codec.plans import Form, Plan, Schema, refuse

MAX_FORMS = 300
"""Types in one schema. A generic class that holds itself with ever new arguments is left open beyond."""

MAX_CHARACTERS = 64 * 1024
"""Bytes of a schema as text. A larger one would weigh more than the values that it checks."""

_SMALL = 100  # So many characters are repeated rather than referred to.
_DEEP = 24  # Levels of lists and objects; deeper parts are referred to.

_DATA = frozenset({"const", "default", "enum", "examples"})
_BY_NAME = frozenset({"dependentSchemas", "properties"})


def schema_text(annotation: object) -> str:
    """The schema of a type as JSON text; empty if anything fits, or if it would be too large."""
    return _text(_plan(annotation))


@functools.lru_cache(maxsize=256)
def _text(plan: Plan) -> str:
    """Made once per type: a function asks for it at each replay."""
    schema = _described(plan)
    text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False) if schema else ""
    return text if len(text) <= MAX_CHARACTERS else ""


def describe(annotation: object) -> Schema:
    """The schema of a type; empty if anything fits."""
    return _described(_plan(annotation))


def _plan(annotation: object) -> Plan:
    try:
        return SHARED.plan(annotation)
    except RecursionError:
        return refuse("?", "it is nested too deep")


def _described(plan: Plan) -> Schema:
    try:
        return _Drawing(plan).whole()
    except RecursionError:
        return {}


class _Drawing:
    """Draws each form of a schema once. Forms that others refer to have a name in ``$defs``."""

    def __init__(self, root: Form) -> None:
        self.root = root
        self.forms: dict[int, Form] = {id(root): root}
        self.schemas: dict[int, Schema] = {}
        self.uses: Counter[int] = Counter()
        self.names: dict[int, str] = {}
        while undrawn := [form for key, form in self.forms.items() if key not in self.schemas]:
            for form in undrawn:
                self.schemas[id(form)] = self.draw(form)

    def draw(self, form: Form) -> Schema:
        try:
            return form.schema(self.refer)
        except Exception:
            # The codec will complain about a class whose annotations can't be resolved, when it is used.
            return {}

    def refer(self, form: Form) -> Schema:
        if id(form) not in self.forms:
            if len(self.forms) >= MAX_FORMS:
                return {}
            self.forms[id(form)] = form
        self.uses[id(form)] += 1
        return {"$ref": form}

    def whole(self) -> Schema:
        schema = self.put({"$ref": self.root})
        defined: dict[str, Schema] = {}
        while undefined := [(key, name) for key, name in self.names.items() if name not in defined]:
            for key, name in undefined:
                defined[name] = self.put(self.schemas[key])
        return {**schema, "$defs": defined} if defined else schema

    def put(self, node: Any, depth: int = 0, by_name: bool = False) -> Any:
        """The drawn schema, with other forms put in their places."""
        if type(node) is list:
            return [self.put(one, depth + 1) for one in node]
        if type(node) is not dict:
            return node
        form = node.get("$ref")
        if isinstance(form, Form):
            schema = self.schemas[id(form)]
            return self.put(schema, depth) if self.inline(form, depth) else {**node, "$ref": self.named(form)}
        if by_name:
            return {name: self.put(schema, depth + 1) for name, schema in node.items()}
        put = {
            key: value if key in _DATA else self.put(value, depth + 1, key in _BY_NAME) for key, value in node.items()
        }
        return _flattened(put) if "anyOf" in put else put

    def inline(self, form: Form, depth: int) -> bool:
        uses = self.uses[id(form)]
        if form is self.root:
            return not uses
        if type(form) is Form or (depth > _DEEP and not _is_small(self.schemas[id(form)])):
            return False
        return uses == 1 or _is_small(self.schemas[id(form)])

    def named(self, form: Form) -> str:
        if id(form) not in self.names:
            self.names[id(form)] = _unlike(self.names.values(), form.name)
        return f"#/$defs/{self.names[id(form)]}"


def _is_small(schema: Schema) -> bool:
    text = json.dumps(schema, default=lambda form: "…" * _SMALL if isinstance(form, Plan) else form.name)
    return len(text) <= _SMALL


def _flattened(union: Schema) -> Schema:
    """One union, made of the unions in it; open if one of them is open."""
    found: list[Schema] = []
    for member in union["anyOf"]:
        inner = member["anyOf"] if member.keys() == {"anyOf"} else [member]
        found += [one for one in inner if one not in found]
    if len(union) == 1 and {} in found:
        return {}
    return found[0] if len(union) == len(found) == 1 else {**union, "anyOf": found}


def _unlike(taken: Any, name: str) -> str:
    """A name that can stand in a reference as it is, and differs from all others."""
    plain = re.sub(r"[^\w.$-]+", "_", name, flags=re.ASCII)[:80] or "_"
    found, number = plain, 1
    while found in taken:
        number += 1
        found = f"{plain}-{number}"
    return found
