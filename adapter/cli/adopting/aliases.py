"""What it takes that durable functions are invoked by an alias, and that they stay with a version: see ADR 0029.

The rules ask the same of a template and of a deployed stack; which functions are pinned, only their code tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from adapter.cli.adopting.code import Code
from adapter.cli.adopting.setups import Finding, Setup, Shared
from adapter.engine.caller import Caller
from adapter.protocol.addresses import split


def pinned(setups: Sequence[Setup], codes: Mapping[str, Code], prefix: str) -> Mapping[str, Collection[str]]:
    """By the name of a Lambda: the functions that are pinned there; one without a target where it is the handler."""
    found: dict[str, set[str]] = {}
    for setup in setups:
        code = codes.get(setup.name, Code())
        for name, target in code.pinned:
            place = split(Caller("", prefix).qualify(target))[0] or (setup.name if name == code.handled else "")
            found.setdefault(place, set()).add(name)
    return found


def findings(
    setups: Sequence[Setup], shared: Shared, pins: Mapping[str, Collection[str]] | None = None
) -> Iterator[Finding]:
    """What Lambdas with durable functions lack. ``pins``: see `pinned`."""
    for setup in setups:
        yield from _alias(setup, shared)
        if names := sorted((pins or {}).get(setup.name, ())):
            yield from _pin(setup, ", ".join(names), shared)


def _alias(setup: Setup, shared: Shared) -> Iterator[Finding]:
    wanted = shared.variables.get("DURABLE_ALIAS", "")
    if wanted and setup.alias != wanted:
        said = f"the library invokes {setup.name}:{wanted}, and it has no alias {wanted}: nothing of it runs"
        yield Finding(where=setup.where, rule="alias", what=said, mend=f"AutoPublishAlias: {wanted}")
    elif setup.alias and not wanted:
        passes = "".join(f", {each}" for each in ("the on-failure destination", *setup.of_versions))
        said = f"the library invokes its $LATEST: that passes by its alias {setup.alias}{passes}"
        mend = f"Alias: {setup.alias} as a parameter of Durable"
        yield Finding(where=setup.where, rule="alias", what=said, mend=mend)


def _pin(setup: Setup, names: str, shared: Shared) -> Iterator[Finding]:
    if not setup.alias or not shared.variables.get("DURABLE_ALIAS"):
        said = f"{names} is pinned to the version that runs it, and $LATEST is none: it follows the newest code"
        mend = "AutoPublishAlias: live, and Alias: live as a parameter of Durable"
        yield Finding(where=setup.where, rule="pin", what=said, mend=mend)
    elif setup.on_failure_of_version != shared.dead_letters:
        said = f"{names} is pinned, and a version has no on-failure destination: what dies three times waits for a look"
        mend = (
            "an AWS::Lambda::EventInvokeConfig with UpdateReplacePolicy: Retain and"
            f" Qualifier: !GetAtt {setup.where}.Version.Version, as docs/deploy.md has it"
        )
        yield Finding(where=setup.where, rule="pin", what=said, mend=mend)
