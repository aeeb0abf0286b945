"""``durable lint``: what a template lacks for the durable functions in its code. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adapter.cli.adopting import aliases, creating, rules, wakings, written
from adapter.cli.adopting import code as codes
from adapter.cli.adopting.code import Code
from adapter.cli.adopting.setups import Finding, Setup, Shared
from adapter.templates.intrinsics import Stack, open_stack
from adapter.templates.template import STACK_NAME


def findings(
    template: Path, *, code: Path | None = None, look_at_code: bool = True, parameters: Mapping[str, str] | None = None
) -> list[Finding]:
    """Everything that is wrong with a template.

    Args:
        code: a directory with the code of all its Lambdas; by default that of each one's CodeUri.
        look_at_code: import the handlers. Otherwise only the template is looked at.
        parameters: values of the template's parameters.

    Raises:
        ConfigurationError: the template can't be read.
    """
    stack = open_stack(template, name=STACK_NAME, parameters=parameters)
    setups = [replace(each, code=str(code)) if code else each for each in written.setups(stack)]
    if (library := written.library_of(stack)) is None:
        mend = f"durable init --into {template.name} shows what to add"
        said = "it doesn't nest the library's stack, durable.yaml"
        return [Finding(where=template.name, rule="stack", what=said, mend=mend)]
    seen = {each.name: codes.imported(each) for each in setups if look_at_code and each.code and each.handler}
    shared = written.shared(library)
    return rules.in_order(
        [
            *_copy(library),
            *codes.findings(setups, seen, shared.prefix),
            *(one for setup in setups for one in of_setup(setup, shared, seen.get(setup.name))),
            *_wakings(setups, shared, seen),
            *_aliases(setups, shared, seen),
        ]
    )


def of_setup(setup: Setup, shared: Shared, code: Code | None) -> Iterator[Finding]:
    """By what the code shows its part to be; without that, by what the Lambda has of the library."""
    uses = _uses(setup, shared)
    if _runs(code, uses):
        return rules.of_durable(setup, shared)
    uses = uses or (code is not None and bool(code.functions))
    return rules.of_any(setup, shared) if uses else iter(())


def _wakings(setups: Sequence[Setup], shared: Shared, seen: Mapping[str, Code]) -> Iterator[Finding]:
    running = [each for each in setups if _runs(seen.get(each.name), _uses(each, shared))]
    return wakings.findings(running, wakings.ways(running, seen, shared.prefix), shared)


def _aliases(setups: Sequence[Setup], shared: Shared, seen: Mapping[str, Code]) -> Iterator[Finding]:
    running = [each for each in setups if _runs(seen.get(each.name), _uses(each, shared))]
    return aliases.findings(running, shared, aliases.pinned(setups, seen, shared.prefix))


def _runs(code: Code | None, uses: bool) -> bool:
    """Whether durable functions run in a Lambda, as far as that can be told."""
    return uses if code is None or code.error else code.durable


def _uses(setup: Setup, shared: Shared) -> bool:
    return shared.layer in setup.layers or any(name.startswith("DURABLE_") for name in setup.environment)


def _copy(library: Stack) -> Iterator[Finding]:
    """The library's templates are of the version that is installed here."""
    place = library.path.parent
    different: Sequence[str] = [name for name in creating.differing(place) if not _may_differ(name)]
    if different:
        said = f"the library's templates aren't those of the installed version: {', '.join(different)}"
        yield Finding(where=str(place), rule="copy", what=said, mend=f"durable infra {place}")


def _may_differ(name: str) -> bool:
    # Where the layer's package comes from is the application's choice; the package itself keeps no copy of its pins.
    return name in ("layer/requirements.txt", "layer/constraints.txt")
