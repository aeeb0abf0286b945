"""moto and botocore, with what they do over and over for nothing left out. What they answer stays the same.

Each shortcut stands in for a function of moto by its name. A version of moto that has no such function goes the long
way.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.endpoint import convert_to_response_dict
from botocore.hooks import first_non_none_response
from botocore.parsers import create_parser

TYPED = "AttributeValue"
"""The shape of a value in DynamoDB's JSON."""

_PLAIN = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
"""Its members that hold no other values, and no bytes."""


@contextmanager
def shortened() -> Iterator[None]:
    """While it is open, moto takes the shortcuts."""
    with ExitStack() as stack:
        for module, name, shortcut in (
            ("moto.core.responses", "method_names_from_class", functools.cache),
            ("moto.core.serialize.BaseJSONSerializer", "_serialize_type_structure", _whole),
        ):
            place = _found(module)
            if hasattr(place, name):
                stack.enter_context(patch.object(place, name, shortcut(getattr(place, name))))
        yield


def direct(client: Any) -> None:
    """Have moto answer a client's requests where they are made. Nothing is signed, sent, or tried again.

    They still come by botocore's event ``before-send``: there moto answers them, and there a test may.
    """
    service = client.meta.service_model.service_id.hyphenize()
    parser = create_parser(client.meta.service_model.resolved_protocol)

    def answered(model: Any, params: Any, **_: Any) -> tuple[Any, Any] | None:
        headers = HeadersDict(params["headers"])
        request = AWSPreparedRequest(params["method"], params["url"], headers, params["body"], False)
        sent = client.meta.events.emit(f"before-send.{service}.{model.name}", request=request)
        response = first_non_none_response(sent)
        if response is None:
            return None
        return response, _read(parser, convert_to_response_dict(response, model), model)

    client.meta.events.register(f"before-call.{service}", answered)


def _read(parser: Any, response: dict[str, Any], model: Any) -> dict[str, Any]:
    """The answer, or an error with all that is declared of it: a failed condition has the item that stands."""
    parsed: dict[str, Any] = parser.parse(response, model.output_shape)
    if response["status_code"] >= 300:
        code = parsed.get("Error", {}).get("Code")
        declared = model.service_model.shape_for_error_code(code) if code else None
        parsed.update(parser.parse(response, declared) if declared is not None else {})
    return parsed


def _whole(serialize: Any) -> Any:
    """A plain value of DynamoDB's JSON goes into the answer as it is: moto would look for it under sixty names."""

    def whole(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == TYPED and type(value) is dict and len(value) == 1 and _PLAIN.issuperset(value):
            serializer._default_serialize(serialized, dict(value), shape, key)
        else:
            serialize(serializer, serialized, value, shape, key)

    return whole


def _found(path: str) -> Any:
    """A module, or a class in one; None where moto has none of this name."""
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ImportError:
        pass
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
