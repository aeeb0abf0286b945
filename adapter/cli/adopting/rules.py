"""What a Lambda with durable functions needs: each rule says what is wrong, what comes of it, and how to mend it.

The rules ask the same of a template and of a deployed stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from adapter.cli.adopting.setups import Finding, Setup, Shared, Source, lacking
from adapter.protocol.variables import STACK

SHORT_S: Final = 10
"""A cold start and a few calls of AWS may take so long."""

_DESTINATION: Final = (
    "EventInvokeConfig: { DestinationConfig:"
    " { OnFailure: { Type: SQS, Destination: !GetAtt Durable.Outputs.DeadLettersArn } } }"
)

NEEDED: Final = ("DURABLE_TABLE", "DURABLE_PREFIX", "DURABLE_TIMERS", "DURABLE_BUCKET", "DURABLE_CIPHER")


def of_any(setup: Setup, shared: Shared) -> Iterator[Finding]:
    """The rules for what uses the library at all: a function that starts executions, say."""
    yield from _layer(setup, shared)
    yield from _variables(setup, shared)
    yield from _permissions(setup, shared)


def of_durable(setup: Setup, shared: Shared) -> Iterator[Finding]:
    """The rules for a Lambda whose handler is a durable function."""
    yield from of_any(setup, shared)
    yield from _name(setup, shared)
    yield from _destination(setup, shared)
    if not setup.may_recur:
        yield _found(
            setup,
            "recursion",
            "Lambda takes an execution for a loop, and stops it at its 16th invocation",
            "RecursiveLoop: Allow",
        )
    if setup.timeout_s < SHORT_S:
        said = f"its timeout of {setup.timeout_s} s is too short for a cold start and a few calls of AWS"
        yield _found(setup, "timeout", said, "Timeout: 60, or how long its longest step takes, twice")
    for source in setup.sources:
        yield from _source(setup, source)


def _layer(setup: Setup, shared: Shared) -> Iterator[Finding]:
    if shared.layer not in setup.layers:
        said = "it lacks the layer with the library, or has another version's"
        yield _found(setup, "layer", said, "Layers: [!GetAtt Durable.Outputs.LayerArn]")
        return
    for what, has, fits in (
        ("Runtime", setup.runtime, shared.runtimes),
        ("Architectures", setup.architecture, shared.architectures),
    ):
        if fits and has not in fits:
            said = f"the layer is for {' or '.join(fits)}, and it runs on {has or 'none'}"
            yield _found(setup, "platform", said, f"{what}: {fits[0] if what == 'Runtime' else f'[{fits[0]}]'}")


def _variables(setup: Setup, shared: Shared) -> Iterator[Finding]:
    has, mend = setup.variables(), f"Environment: {{ Variables: {{ {STACK}: !GetAtt Durable.Outputs.Variables }} }}"
    asked = [name for name in NEEDED if shared.variables.get(name)]
    if missing := [name for name in asked if not has.get(name)]:
        yield _found(setup, "variables", f"it has no {', '.join(missing)}", mend)
    if other := [name for name in asked if has.get(name) and has[name] != shared.variables[name]]:
        yield _found(setup, "variables", f"its {', '.join(other)} is another than the stack's", mend)


def _permissions(setup: Setup, shared: Shared) -> Iterator[Finding]:
    mend = "Policies: [!GetAtt Durable.Outputs.PolicyArn]"
    if setup.grants is None:
        yield _found(setup, "permissions", "its role isn't in this template: what it may do can't be told", mend)
    elif missing := lacking(shared.needs, setup.grants):
        yield _found(setup, "permissions", f"it may not {', '.join(missing)}", mend)


def _name(setup: Setup, shared: Shared) -> Iterator[Finding]:
    if not setup.named:
        said = "CloudFormation makes up its name, so no durable function can call it, and it may not be resumed"
        yield _found(setup, "name", said, f"FunctionName: {_template_of(shared.prefix)}NAME")
    elif not setup.name.startswith(shared.prefix):
        said = f"its name {setup.name} doesn't begin with {shared.prefix}: nobody may invoke it"
        mend = "FunctionName: !Sub ${AWS::StackName}_NAME, and StackPrefix: !Sub ${AWS::StackName}_ for Durable"
        yield _found(setup, "name", said, mend)


def _template_of(prefix: str) -> str:
    return "!Sub ${AWS::StackName}_" if prefix == "local_" else prefix


def _destination(setup: Setup, shared: Shared) -> Iterator[Finding]:
    if setup.on_failure != shared.dead_letters:
        said = "an invocation of it that dies three times is lost until the watchdog looks, 20 minutes later or more"
        yield _found(setup, "destination", said, _DESTINATION)


def _source(setup: Setup, source: Source) -> Iterator[Finding]:
    least = 6 * setup.timeout_s + source.window_s
    if source.hidden_s < least:
        said = f"{source.queue} hides a message for {source.hidden_s} s: while it is throttled, messages come twice"
        yield _found(
            setup,
            "visibility",
            said,
            f"VisibilityTimeout: {least} for the queue: six times the Timeout, and the window",
        )
    if not source.reports_items:
        said = f"one message of {source.queue} that fails makes its whole batch come again"
        yield _found(setup, "batch", said, "FunctionResponseTypes: [ReportBatchItemFailures] for the event")


def _found(setup: Setup, rule: str, what: str, mend: str) -> Finding:
    return Finding(where=setup.where, rule=rule, what=what, mend=mend)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Each once, those of a function together."""
    return sorted(set(found))
