"""The functions of this directory's modules, as a template would define them."""

from __future__ import annotations

from pathlib import Path

from adapter.templates.template import FunctionSpec

ROOT = Path(__file__).parents[3]


def function(handler: str, *, memory_mb: int = 512, timeout_s: int = 60, **environment: str) -> FunctionSpec:
    """By its handler's path below `tests.system.processes`; its name is what comes after the last dot."""
    return FunctionSpec(
        logical_id=handler,
        name=f"local-{handler.rpartition('.')[2]}",
        handler=f"tests.system.processes.{handler}",
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        environment=environment,
        max_retries=2,
    )
