"""What it takes that a call resumes its caller itself, or that a caller lingers for it: see `Waking`.

The rules ask the same of a template and of a deployed stack. Of a deployed one only its variables show how functions
are woken, and not what the code says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from adapter.cli.adopting.code import Code
from adapter.cli.adopting.setups import Finding, Grant, Setup, Shared, lacking
from adapter.engine.caller import Caller, Waking

FEW: Final = 10
"""As many callers may well linger at once. Of fewer reserved places none may be left for what they wait for."""

_INVOKE: Final = "lambda:InvokeFunction"

Ways = Mapping[str, Collection[str]]
"""By the name of a Lambda: how calls resume the functions in it."""


def ways(setups: Iterable[Setup], codes: Mapping[str, Code], prefix: str) -> Ways:
    """Without its code, any function of a Lambda may call, and is woken as the variable says."""
    found: dict[str, set[str]] = defaultdict(set)
    for setup in setups:
        usual = setup.variables().get("DURABLE_WAKE") or Waking.STREAM.value
        code = codes.get(setup.name)
        for target, wake in [("", "")] if code is None or code.error else code.callers:
            found[Caller("", prefix).qualify(target) or setup.name].add(wake or usual)
    return found


def findings(setups: Sequence[Setup], found: Ways, shared: Shared) -> Iterator[Finding]:
    """What Lambdas with durable functions lack. ``found``: see `ways`."""
    prompted = [name for name, words in sorted(found.items()) if not {*words} <= {Waking.STREAM.value}]
    lingering = [name for name, words in sorted(found.items()) if Waking.LINGER in words]
    for setup in setups:
        yield from _may_not_wake(setup, prompted, shared)
        yield from _has_few_places(setup, lingering)


def _may_not_wake(setup: Setup, callers: Sequence[str], shared: Shared) -> Iterator[Finding]:
    refused = [name for name in callers if ":" not in name and _lacks(setup, name, shared)]
    if refused:
        said = f"it may not invoke {', '.join(refused)}, whose calls resume it: each time half a minute late"
        mend = 'Policies: [!GetAtt Durable.Outputs.PolicyArn], or wake="stream" for what runs there'
        yield Finding(where=setup.where, rule="wake", what=said, mend=mend)


def _lacks(setup: Setup, caller: str, shared: Shared) -> bool:
    """Whether it is known not to be allowed to invoke a Lambda."""
    every = next((one.resource for one in shared.needs if one.action == _INVOKE), "")
    place, colon, _ = every.rpartition(":")
    asked = Grant(action=_INVOKE, resource=f"{place}{colon}{caller}")
    return setup.grants is not None and bool(lacking([asked], setup.grants))


def _has_few_places(setup: Setup, lingering: Sequence[str]) -> Iterator[Finding]:
    if not lingering or setup.reserved is None or not 0 < setup.reserved < FEW:
        return
    who = "it lingers for its calls, which" if setup.name in lingering else "callers linger for its functions, which"
    said = f"{who} may find none of its {setup.reserved} reserved places free: the caller pays for waiting in vain"
    mend = f'ReservedConcurrentExecutions: {FEW} or more, or none; or wake="direct" for {", ".join(lingering)}'
    yield Finding(where=setup.where, rule="linger", what=said, mend=mend)
