"""Environments over this repository's code, and functions of the tests' own module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter.testing.environments import Environments
from adapter.testing.template import FunctionSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environments() -> Iterator[Environments]:
    """A service without a table; whatever a test leaves running is gone after it."""
    with Environments(variables={}, directory=ROOT, limit=2) as service:
        yield service


@pytest.fixture
def spec() -> Callable[..., FunctionSpec]:
    """A function of `tests.processes.functions`, by its handler's name."""
    return function


def function(handler: str, *, memory_mb: int = 512, timeout_s: int = 60, **environment: str) -> FunctionSpec:
    return FunctionSpec(
        logical_id=handler,
        name=f"local-{handler.rpartition('.')[2]}",
        handler=f"tests.processes.{handler}",
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        environment=environment,
        max_retries=2,
    )
