"""A wide fan-out: measure each module of the standard library in a Lambda of its own, fold the results into one report.

Modules are the top-level ones with Python source. A package counts with all its files, aside from its own tests: not
every installation has those. Nothing is imported or executed: the source is found, read and parsed.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from adapter import durable, run

TESTS = frozenset({"test", "tests", "idle_test"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A function and its length in lines, decorators aside."""

    module: str
    function: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one module consists of; ``longest`` is None where it defines no function."""

    module: str
    files: int
    lines: int
    functions: int
    longest: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All measured modules together."""

    modules: int
    files: int
    lines: int
    functions: int
    longest: Span | None


@durable(target="survey")
async def survey(modules: list[str] | None = None) -> Report:
    """Measure these modules, by default all, at once: as many Lambdas as modules, and none while it waits for them.

    The list is an inline step, so a replay reads the one recorded, even on a machine with other modules. After a crash
    of the survey itself, measures that have settled are read, not repeated.

    Raises:
        ModuleNotFoundError: one of the names is no such module; measures under way are cancelled.
    """
    names = await run(list_modules) if modules is None else modules
    return fold(await asyncio.gather(*(measure(name) for name in names)))


@durable(target="measure")
def measure(module: str) -> Measure:
    """Measure one module. It only reads, so a crash needs no thought: Lambda's retry measures again.

    Raises:
        ModuleNotFoundError: the standard library has no top-level module of this name with Python source.
    """
    files = list(_sources(module))
    texts = [path.read_bytes() for path in files]
    spans = [span for text in texts for span in _functions(module, text)]
    return Measure(
        module=module,
        files=len(files),
        lines=sum(len(text.splitlines()) for text in texts),
        functions=len(spans),
        longest=_longest(spans),
    )


def list_modules() -> list[str]:
    """The measurable modules of this machine's Python, sorted."""
    return sorted(name for name in sys.stdlib_module_names if _origin(name) is not None)


def fold(measures: list[Measure]) -> Report:
    """Sum up; of functions of equal length, the first in the order of ``measures`` is the longest."""
    return Report(
        modules=len(measures),
        files=sum(each.files for each in measures),
        lines=sum(each.lines for each in measures),
        functions=sum(each.functions for each in measures),
        longest=_longest([each.longest for each in measures if each.longest is not None]),
    )


def _origin(module: str) -> Path | None:
    # Not importlib.util.find_spec: that has no path for frozen modules such as os, and imports a dotted name's parents.
    spec = PathFinder.find_spec(module, [sysconfig.get_path("stdlib")]) if module.isidentifier() else None
    origin = spec.origin if spec is not None else None
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _sources(module: str) -> Iterator[Path]:
    origin = _origin(module)
    if origin is None or module not in sys.stdlib_module_names:
        raise ModuleNotFoundError(f"no top-level standard library module with source: {module!r}", name=module)
    if origin.name != "__init__.py":
        yield origin
        return
    for path in sorted(origin.parent.rglob("*.py")):
        if TESTS.isdisjoint(path.relative_to(origin.parent).parts):
            yield path


def _functions(module: str, source: bytes) -> Iterator[Span]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Span(module=module, function=node.name, lines=lines)


def _longest(spans: list[Span]) -> Span | None:
    return max(spans, key=lambda span: span.lines, default=None)
