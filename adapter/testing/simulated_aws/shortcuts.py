"""moto and botocore, with what they do over and over for nothing left out. What they answer stays the same.

Each shortcut stands in for a function of moto by its name. A version of moto that has no such function goes the long
way.
"""

from __future__ import annotations

import functools
import importlib
import pickle
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

KEPT = 256
"""So many expressions, and clients, are remembered."""

_PLAIN = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
"""Its members that hold no other values, and no bytes."""


@contextmanager
def shortened() -> Iterator[None]:
    """While it is open, moto takes the shortcuts."""
    with ExitStack() as stack:
        for module, name, shortcut in (
            ("moto.core.responses", "method_names_from_class", functools.cache),
            ("moto.core.serialize.BaseJSONSerializer", "_serialize_type_structure", _whole),
            # Each change is written as one of few expressions. moto parses them, and changes copies of what it parsed.
            ("moto.dynamodb.parsing.expressions.UpdateExpressionParser", "make", functools.lru_cache(KEPT)),
            ("moto.dynamodb.parsing.validators", "deepcopy", _pickled),
            ("moto.dynamodb.parsing.ast_nodes.DepthFirstTraverser", "nodes_to_be_processed", _once_for_its_class),
            ("botocore.useragent.UserAgentString", "to_string", functools.lru_cache(KEPT)),
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


def _pickled(_: Any) -> Any:
    """A copy of a parsed expression, in a fifth of the time."""
    return lambda node: pickle.loads(pickle.dumps(node))  # noqa: S301


def _once_for_its_class(ask: Any) -> Any:
    """moto asks at each node of an expression, and the answer only depends on the class."""
    known: dict[type[Any], Any] = {}

    def asked(traverser: Any) -> Any:
        kind = type(traverser)
        if kind not in known:
            known[kind] = ask(traverser)
        return known[kind]

    return asked


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
