"""What a process needs to run durable functions: the modules to import, and variables that lead to the cloud."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from adapter.engine import registry
from adapter.errors import ConfigurationError
from adapter.templates.template import FunctionSpec, Template
from adapter.testing.processes import bootstrap, entry, offset

_OF_PROMISES = ("DURABLE_BUCKET", "DURABLE_CIPHER", "DURABLE_RETENTION_DAYS")


def variables(template: Template, table: str, endpoint: str, clock: Path, *, verify: bool) -> dict[str, str]:
    """The environment variables of every process. Functions of a template have more of their own."""
    found = {
        "AWS_ENDPOINT_URL": endpoint,
        "DURABLE_TABLE": table,
        "DURABLE_PREFIX": template.prefix,
        "DURABLE_TIMERS": template.timers_url,
        offset.VARIABLE: str(clock),
        bootstrap.VERIFY: "1" if verify else "",
        # The processes can import whatever this one can.
        "PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path),
    }
    return {name: value for name, value in found.items() if value}


def placed(spec: FunctionSpec, template: Template, modules: Iterable[str]) -> FunctionSpec:
    """The function, with variables that make it log all events and import these modules.

    A function that the template doesn't place uses the same table, queue and bucket as those that it places.
    """
    more = {"POWERTOOLS_LOG_LEVEL": "DEBUG", entry.VARIABLE: ",".join(sorted(modules))}
    if not spec.handler:
        more |= {name: value for name in _OF_PROMISES if (value := template.variable(name))}
    return replace(spec, environment={**spec.environment, **more})


def module_of(fn: str) -> str:
    """The module that another process imports to get a durable function of this one.

    Raises:
        ConfigurationError: no other process can import it.
    """
    function = registry.find(fn).function
    module, name = function.__module__, function.__qualname__
    if "<locals>" in name:
        why = "it is defined inside another function. Define it at its module's own level"
    elif module == "__main__":
        why = "its module is the script that was started. Move it to a module that can be imported"
    elif not _importable(module):
        why = f"its module {module} can't be imported by that name. Move it to one that can"
    else:
        return module
    raise ConfigurationError(f"{fn} can't run in a process of its own: {why}, or leave out processes=True")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
