"""The schema of a pydantic model: pydantic's own, with the codec's form beside each type that JSON lacks.

Pydantic dumps a model's values, and the codec then writes them by their runtime types. So a tagged set may stand where
pydantic takes an array. Parts that only the model's own code knows, such as custom serializers, are left open.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from adapter.codec.containers import NOT_ESCAPED, fixed
from adapter.codec.plans import Form, Plan, Refer, Schema, any_of, tagged
from adapter.codec.scalars import BIG_INT, LEAVES, NOT_FINITE, leaf_plan

_KIND = "x-codec"  # Marks a part with its pydantic kind, until the codec's forms of that kind are put beside it.
_LEAVES: Mapping[str, type] = {
    "bytes": bytes,
    "date": dt.date,
    "datetime": dt.datetime,
    "decimal": Decimal,
    "time": dt.time,
    "timedelta": dt.timedelta,
    "uuid": UUID,
}
_PLANS: Mapping[str, Plan] = {name: plan for name, kind in _LEAVES.items() if (plan := leaf_plan(kind))}
_COLLECTIONS = ("tuple", "set", "frozenset")
_KINDS = (*_PLANS, *_COLLECTIONS, "int", "float", "dict")
_DATA = frozenset({"const", "default", "enum", "examples"})
_BY_NAME = frozenset({"patternProperties", "properties"})


def model_schema(kind: type[BaseModel], of: Refer) -> Schema:
    """The schema of a model with its fields' aliases. If the model also takes their names, either may be given."""
    named = kind.model_config.get("populate_by_name") or kind.model_config.get("validate_by_name")
    return any_of(_Beside(kind, by_alias, of).schema for by_alias in ([True, False] if named else [True]))


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which marks each part's kind, and leaves open a part that it can't describe."""

    def build_schema_type_to_method(self) -> Any:
        methods: dict[Any, Callable[[Any], Schema]] = dict(super().build_schema_type_to_method())
        return methods | {kind: functools.partial(_marked, kind, methods[kind]) for kind in _KINDS}

    def generate_inner(self, schema: Any) -> Schema:
        function = (schema.get("serialization") or {}).get("function")
        ours = function is None or str(getattr(function, "__module__", "")).startswith("pydantic")
        return super().generate_inner(schema) if ours else {}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Silent: a default that isn't JSON is simply left out."""

    def enum_schema(self, schema: Any) -> Schema:
        values = [member.value for member in schema["members"]]
        return super().enum_schema(schema) if _are_leaves(values) else {}

    def literal_schema(self, schema: Any) -> Schema:
        values = [getattr(value, "value", value) for value in schema["expected"]]
        return super().literal_schema(schema) if _are_leaves(values) else {}

    def decimal_schema(self, schema: Any) -> Schema:
        # Pydantic's pattern knows no exponent, though pydantic reads and writes one.
        return {**super().decimal_schema(schema)["anyOf"][0], "type": ["number", "string"], "format": "decimal"}

    def timedelta_schema(self, schema: Any) -> Schema:
        # Not a "duration": pydantic reads and writes years, of 365 days.
        return {"type": ["string", "number"]}


def _are_leaves(values: list[Any]) -> bool:
    return all(type(value) in LEAVES for value in values)


def _marked(kind: str, method: Callable[[Any], Schema], schema: Any) -> Schema:
    return {**method(schema), _KIND: kind}


class _Beside:
    """The schema of a model, in which the codec's forms stand beside pydantic's."""

    def __init__(self, kind: type[BaseModel], by_alias: bool, of: Refer) -> None:
        made = kind.model_json_schema(by_alias=by_alias, schema_generator=_Generator)
        defined = made.pop("$defs", {})
        self.forms = {f"#/$defs/{name}": self.form(name, schema) for name, schema in defined.items()}
        self.schema = self.put(made, of)

    def form(self, name: str, schema: Schema) -> Form:
        return Form(name, lambda of: self.put(schema, of))

    def put(self, node: Any, of: Refer, by_name: bool = False) -> Any:
        if type(node) is list:
            return [self.put(one, of) for one in node]
        if type(node) is not dict:
            return node
        if by_name:
            return {name: self.put(schema, of) for name, schema in node.items()}
        node = {key: value for key, value in node.items() if key != "discriminator"}  # An OpenAPI word.
        kind = node.pop(_KIND, "")
        if kind:
            return self.beside(kind, node, of)
        put = {key: value if key in _DATA else self.put(value, of, key in _BY_NAME) for key, value in node.items()}
        return put | of(self.forms[node["$ref"]]) if type(node.get("$ref")) is str else put

    def beside(self, kind: str, node: Schema, of: Refer) -> Schema:
        if kind in _COLLECTIONS:
            node.pop("uniqueItems", None)  # Of a field that is given twice, pydantic takes one.
            form = of(self.form(kind, node))
            return any_of([form, tagged(f"${kind}", form)])
        if kind == "dict":
            return self.mapping(node, of)
        return any_of([self.put(node, of), *self.leaves(kind, of)])

    def leaves(self, kind: str, of: Refer) -> list[Schema]:
        if kind in ("datetime", "time"):
            return [of(_PLANS[kind])]
        numbers = {"int": [BIG_INT], "float": [BIG_INT, NOT_FINITE], "decimal": [BIG_INT]}.get(kind, [])
        if kind in _PLANS:
            return [*map(of, numbers), tagged(f"${_LEAVES[kind].__name__}", of(_PLANS[kind]))]
        return list(map(of, numbers))

    def mapping(self, node: Schema, of: Refer) -> Schema:
        values = node.get("additionalProperties")
        below = of(self.form("value", values)) if type(values) is dict else {}
        pairs = {"type": "array", "items": fixed({"type": "string"}, below)}
        looks = {**self.put(node, of), **NOT_ESCAPED}
        return any_of([{**looks, "additionalProperties": below} if below else looks, tagged("$dict", pairs)])
