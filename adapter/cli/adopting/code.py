"""What the code asks of a template: each handler exists, and each target is a Lambda that knows the function.

Each handler is imported in a process of its own, as Lambda does. Nothing of it runs in this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from adapter.cli.adopting.setups import Finding, Setup
from adapter.engine.caller import Caller
from adapter.protocol.addresses import split

IMPORTED_WITHIN_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an import of a handler's module showed. ``functions``: the names of durable functions, and their targets.

    ``callers``: of those that may call others, the target, and the word for how calls resume them, if they say it.
    ``pinned``: the names of those that are, and their targets. ``handled``: the name of the one that is the handler.
    """

    error: str = ""
    durable: bool = False
    functions: tuple[tuple[str, str], ...] = ()
    callers: tuple[tuple[str, str], ...] = ()
    pinned: tuple[tuple[str, str], ...] = ()
    handled: str = ""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.functions)


def imported(setup: Setup) -> Code:
    """Import the handler in a process with its variables. Whatever goes wrong is the error."""
    variables = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **os.environ, **setup.environment}
    path = os.pathsep.join([str(Path(place).resolve()) for place in sys.path if place])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "adapter.cli.adopting.importing", setup.handler],
            cwd=setup.code,
            env={**variables, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=IMPORTED_WITHIN_S,
            check=False,
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Code(error=f"its import takes longer than {IMPORTED_WITHIN_S} s")
    except ValueError:
        return Code(error=f"its import ended the process: {(done.stderr.splitlines() or ['without a word'])[-1]}")
    pairs: dict[str, Any] = {name: _pairs(said.pop(name, ())) for name in ("functions", "callers", "pinned")}
    return Code(**pairs, **said)


def _pairs(listed: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((one, other) for one, other in listed)


def findings(setups: Sequence[Setup], codes: Mapping[str, Code], prefix: str) -> Iterator[Finding]:
    """What doesn't fit between the code and the Lambdas. ``codes`` are by the Lambdas' names."""
    by_name = {setup.name: setup for setup in setups}
    for setup in setups:
        if (code := codes.get(setup.name)) is None:
            continue
        if code.error:
            said = f"Lambda can't import its handler {setup.handler}: {code.error}"
            mend = f"Handler: module.function, as {setup.code} has it; install here what it imports, or give --no-code"
            yield Finding(where=setup.where, rule="handler", what=said, mend=mend)
        for name, target in code.functions:
            if target and ":function:" not in target:
                place = by_name.get(split(Caller("", prefix).qualify(target))[0])
                yield from _target(name, split(target)[0], place, codes, prefix)


def _target(name: str, target: str, place: Setup | None, codes: Mapping[str, Code], prefix: str) -> Iterator[Finding]:
    lambda_ = f"{prefix}{target}"
    if place is None:
        said = f'no Lambda has the name {lambda_}, which {name} has for its target="{target}"'
        mend = f"a function with FunctionName: !Sub ${{AWS::StackName}}-{target}, or another target in the code"
        yield Finding(where=name, rule="target", what=said, mend=mend)
        return
    code = codes.get(place.name)
    if code is not None and not code.error and name not in code.names:
        said = f"{place.where} runs {name} by its target, and its handler {place.handler} doesn't import that function"
        yield Finding(
            where=place.where, rule="unknown", what=said, mend=f"import the module of {name} in the handler's"
        )
