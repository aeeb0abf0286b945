"""Plans of pydantic models. Only processes that have loaded pydantic load this module."""

from __future__ import annotations

import enum
from typing import Any

from adapter.codec.plans import Mismatch, Plan, attempt, dumps, expected


def model_plan(kind: Any, runtime: Plan) -> Plan:
    """What its own dump and validation bring back equal, which is checked at every encoding."""
    name = kind.__name__
    ways: list[dict[str, Any]] = [
        {"mode": "python", "by_alias": True},
        {"mode": "python", "by_alias": False},
        {"mode": "json", "by_alias": True},  # for types that only pydantic knows, such as URLs
    ]

    def dump(value: Any, way: dict[str, Any]) -> Any:
        dumped = attempt(f"a {name} that can be dumped", value.model_dump, round_trip=True, warnings=False, **way)
        return runtime.encode(_without_enums(dumped))

    def holds(value: Any, way: dict[str, Any], data: Any) -> bool:
        restored = decode(data)
        if attempt(f"a {name} that can be compared", lambda: bool(restored == value)):
            return True
        return '"$float":"nan"' in dumps(data) and bool(dumps(dump(restored, way)) == dumps(data))

    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise expected(name, value)
        failure = Mismatch(f"expected a {name} that its own model_validate restores from its model_dump")
        for way in ways:
            try:
                data = dump(value, way)
                if holds(value, way, data):
                    return data
            except Mismatch as error:
                failure = error
        raise failure

    def decode(data: Any) -> Any:
        return attempt(name, kind.model_validate, runtime.decode(data))

    return Plan(name, encode, decode, kind)


def _without_enums(value: Any) -> Any:
    """Models validate an Enum from its value."""
    if isinstance(value, enum.Enum):
        return value.value
    kind = type(value)
    if kind is dict:
        return {_without_enums(key): _without_enums(item) for key, item in value.items()}
    return kind(map(_without_enums, value)) if kind in (list, tuple, set, frozenset) else value
