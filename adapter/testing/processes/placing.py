"""What a process needs to run durable functions: modules to import, variables to find the cloud by."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from adapter.engine import registry
from adapter.errors import ConfigurationError
from adapter.testing.processes import bootstrap, entry, offset
from adapter.testing.simulated_aws.template import FunctionSpec, Template

_OF_PROMISES = ("DURABLE_BUCKET", "DURABLE_CIPHER", "DURABLE_RETENTION_DAYS")


def variables(template: Template, table: str, endpoint: str, clock: Path, *, verify: bool) -> dict[str, str]:
    """For every process; those of a template's functions have more of their own."""
    found = {
        "AWS_ENDPOINT_URL": endpoint,
        "DURABLE_TABLE": table,
        "DURABLE_PREFIX": template.prefix,
        "DURABLE_TIMERS": template.timers_url,
        offset.VARIABLE: str(clock),
        bootstrap.VERIFY: "1" if verify else "",
        # What this process can import, they can.
        "PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path),
    }
    return {name: value for name, value in found.items() if value}


def placed(spec: FunctionSpec, template: Template, modules: Iterable[str]) -> FunctionSpec:
    """The function, told to log all that the engine tells, and to know the functions of these modules.

    One that the template doesn't place keeps its promises as those do that it places.
    """
    more = {"POWERTOOLS_LOG_LEVEL": "DEBUG", entry.VARIABLE: ",".join(sorted(modules))}
    if not spec.handler:
        more |= {name: value for name in _OF_PROMISES if (value := template.variable(name))}
    return replace(spec, environment={**spec.environment, **more})


def module_of(fn: str) -> str:
    """The module by which another process gets a durable function of this one.

    Raises:
        ConfigurationError: no other process can.
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
