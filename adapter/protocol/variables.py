"""The variables that describe a stack. A program has each by itself, or all in one, ``DURABLE_STACK``, as JSON.

So a template passes on one output, whatever a later version of the library wants to know. A variable that is set by
itself goes before the one in ``DURABLE_STACK``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from adapter.errors import ConfigurationError

STACK: Final = "DURABLE_STACK"


def described(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, with the variables that ``DURABLE_STACK`` has.

    Raises:
        ConfigurationError: ``DURABLE_STACK`` isn't a JSON object of texts.
    """
    text = environment.get(STACK)
    return {**_unpacked(text), **environment} if text else environment


def _unpacked(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError(f"{STACK} has to be the output Variables of the stack: a JSON object of texts")
    return found
