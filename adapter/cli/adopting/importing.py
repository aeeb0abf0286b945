"""Imports a handler as Lambda would, in a process of its own, and prints which durable functions are known then.

What the handler's module prints goes elsewhere: standard output has one line of JSON.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from adapter.api.durable import Durable


def looked_at(handler: str) -> dict[str, Any]:
    """What there is under a handler's name, each durable function's target, how those that call are woken, and which
    are pinned.
    """
    module, _, name = handler.rpartition(".")
    try:
        found = getattr(importlib.import_module(module.replace("/", ".")), name)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if not callable(found):
        return {"error": f"TypeError: {handler} isn't callable"}
    functions = [each for each in gc.get_objects() if type(each) is Durable]
    return {
        "durable": isinstance(found, Durable),
        "handled": found.name if isinstance(found, Durable) else "",
        "pinned": sorted({(each.name, each.options.target or "") for each in functions if each.definition.pin}),
        "functions": sorted({(each.name, each.options.target or "") for each in functions}),
        "callers": sorted({(each.options.target or "", _wake(each)) for each in functions if each.definition.is_async}),
    }


def _wake(function: Durable[..., Any]) -> str:
    return function.definition.wake.value if function.definition.wake else ""


def main() -> None:
    """The handler is the argument; the current directory has its code."""
    sys.path.insert(0, os.getcwd())
    with redirect_stdout(sys.stderr):
        said = looked_at(sys.argv[1])
    print(json.dumps(said))


if __name__ == "__main__":
    main()
