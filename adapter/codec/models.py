"""Plans of pydantic models. Only processes that have loaded pydantic load this module."""

from __future__ import annotations

import enum
from typing import Any

from adapter.codec.plans import Mismatch, Plan, Refer, Schema, attempt, dumps, expected

_WAYS: list[dict[str, Any]] = [
    {"mode": "python", "by_alias": True},
    {"mode": "python", "by_alias": False},
    {"mode": "json", "by_alias": True},  # For types that only pydantic knows, such as URLs.
]


def model_plan(kind: Any, runtime: Plan) -> Plan:
    model = _Model(kind, runtime)
    return Plan(kind.__name__, model.encode, model.decode, kind, schema=model.schema)


class _Model:
    """A model's plan. Every encoding checks that the model's own dump and validation bring the value back equal."""

    def __init__(self, kind: Any, runtime: Plan) -> None:
        self.kind = kind
        self.name = kind.__name__
        self.runtime = runtime

    def encode(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise expected(self.name, value)
        failure = Mismatch(f"expected a {self.name} that its own model_validate restores from its model_dump")
        for way in _WAYS:
            try:
                data = self.dump(value, way)
                if self.holds(value, way, data):
                    return data
            except Mismatch as error:
                failure = error
        raise failure

    def decode(self, data: Any) -> Any:
        return attempt(self.name, self.kind.model_validate, self.runtime.decode(data))

    def schema(self, of: Refer) -> Schema:
        from adapter.codec.model_schemas import model_schema  # Imported late: few processes ever describe a model.

        return model_schema(self.kind, of)

    def dump(self, value: Any, way: dict[str, Any]) -> Any:
        what = f"a {self.name} that can be dumped"
        dumped = attempt(what, value.model_dump, round_trip=True, warnings=False, **way)
        return self.runtime.encode(_without_enums(dumped))

    def holds(self, value: Any, way: dict[str, Any], data: Any) -> bool:
        restored = self.decode(data)
        if attempt(f"a {self.name} that can be compared", lambda: bool(restored == value)):
            return True
        return '"$float":"nan"' in dumps(data) and bool(dumps(self.dump(restored, way)) == dumps(data))


def _without_enums(value: Any) -> Any:
    """Models validate an Enum from its value."""
    if isinstance(value, enum.Enum):
        return value.value
    kind = type(value)
    if kind is dict:
        return {_without_enums(key): _without_enums(item) for key, item in value.items()}
    return kind(map(_without_enums, value)) if kind in (list, tuple, set, frozenset) else value
