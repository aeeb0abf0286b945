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

import botocore

TYPED = "AttributeValue"
"""The shape of a value in DynamoDB's JSON."""


@contextmanager
def shortened() -> Iterator[None]:
    """While it is open, moto takes the shortcuts."""
    with ExitStack() as stack:
        for module, name, shortcut in (
            ("moto.core.responses", "method_names_from_class", functools.cache),
            ("moto.core.serialize.ResponseSerializer", "get_value", _straight),
        ):
            place = _found(module)
            if hasattr(place, name):
                stack.enter_context(patch.object(place, name, shortcut(getattr(place, name))))
        yield


def unsigned(client: Any) -> None:
    """Don't sign the requests of a client: moto reads no signature."""
    client.meta.events.register("choose-signer", lambda **_: botocore.UNSIGNED)


def _straight(get_value: Any) -> Any:
    """moto looks for each member of a structure under half a dozen names, and a typed value has one of eleven members.

    A typed value of moto's is a dict, and its members have their own names.
    """

    def straight(serializer: Any, value: Any, key: str, shape: Any) -> Any:
        parent = getattr(shape, "parent", None)
        if type(value) is dict and parent is not None and parent.name == TYPED:
            return value.get(key)
        return get_value(serializer, value, key, shape)

    return straight


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
