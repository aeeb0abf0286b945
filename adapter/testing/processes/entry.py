"""The handler of durable functions that no template places. It only runs envelopes.

``DURABLE_MODULES`` names the modules that define them, separated by commas. Importing them registers their functions.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from adapter.engine import hosts

VARIABLE = "DURABLE_MODULES"
HANDLER = "adapter.testing.processes.entry.handler"

for _name in filter(None, os.environ.get(VARIABLE, "").split(",")):
    importlib.import_module(_name)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    host = hosts.current()
    answer: dict[str, Any] = host.handle(event, context, None)
    return answer
