"""What a template lacks to have durable functions, as text to be copied. It reads the template, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from adapter.cli.adopting import shipped
from adapter.cli.adopting.creating import COPY
from adapter.templates.intrinsics import parse

_SHARED: Final = ("Layers", "Environment", "LoggingConfig", "RecursiveLoop", "EventInvokeConfig")
"""The properties of every Lambda with durable functions that name what the library's stack has."""


def additions(path: Path) -> Iterator[str]:
    """Lines that say what to add to a template, and where.

    Raises:
        ConfigurationError: there is no template, or none that can be read.
    """
    steps = _steps(path, parse(path), shipped.project()["template.yaml"])
    for number, (said, text) in enumerate(steps, start=1):
        yield f"# {number}. {said}"
        yield from text


def _steps(path: Path, body: Mapping[str, Any], ours: str) -> Iterator[tuple[str, list[str]]]:
    yield f"Beside {path.name}, the library's own templates: this makes them, and renews them.", [_typed("infra", COPY)]
    shared, given = _properties(ours), body.get("Globals", {}).get("Function", {})
    if missing := [text for key, text in shared.items() if key not in given]:
        yield (
            "For all Lambdas with durable functions, here or in each one's Properties:",
            ["Globals:", "  Function:", *missing],
        )
    if kept := [key for key in shared if key in given]:
        yield (
            f"Globals have {', '.join(kept)} already. Compare them:",
            [f"#{line}" for key in kept for line in shared[key].splitlines()],
        )
    if not _nests(body):
        yield "Among the Resources:", re.findall(r"^  Durable:\n(?:    .*\n)+", ours, re.MULTILINE)[0].splitlines()
    yield (
        "To each Lambda with durable functions: a name that begins with the prefix, and the policy.",
        [
            '      FunctionName: !Sub ${AWS::StackName}_checkout # for @durable(target="checkout")',
            "      Policies: [!GetAtt Durable.Outputs.PolicyArn]",
        ],
    )
    yield "Then ask what is still missing:", [_typed("lint", path.name)]


def _typed(*words: str) -> str:
    return f"#      durable {' '.join(words)}"


def _properties(text: str) -> dict[str, str]:
    found = re.finditer(r"^    (\w+):.*(?:\n      .*)*", text.partition("\nResources:")[0], re.MULTILINE)
    return {each[1]: each[0] for each in found if each[1] in _SHARED}


def _nests(body: Mapping[str, Any]) -> bool:
    nested = (each for each in body["Resources"].values() if each.get("Type") == "AWS::Serverless::Application")
    return any("durable.yaml" in str(each.get("Properties", {}).get("Location")) for each in nested)
