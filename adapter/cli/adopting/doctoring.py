"""``durable doctor``: what is wrong with a deployed stack, and how to mend it. It only reads.

The same rules as of a template hold for the application's Lambdas. Of the library's stack it asks whether everything
that invokes a Lambda does so, and whether anything waits for a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from adapter.cli.adopting import aliases, rules, wakings
from adapter.cli.adopting.account import FUNCTION, Account, Resource, Stacks, tree
from adapter.cli.adopting.setups import Finding, Setup, Shared
from adapter.errors import ConfigurationError
from adapter.templates.template import Template, default_template, load_cached

AGAIN: Final = "sam build && sam deploy, or take back what was changed by hand"


def findings(name: str, stacks: Stacks, account: Account) -> list[Finding]:
    """Everything that is wrong with a stack.

    Raises:
        ConfigurationError: there is no such stack, or it doesn't nest the library's.
    """
    found = tree(stacks, name)
    if not found.outputs:
        raise ConfigurationError(
            f"{name} doesn't nest the library's stack, durable.yaml: durable init --into shows how"
        )
    shared, template = account.shared(found.outputs), load_cached(default_template())
    library = [each for part in found.library for each in part.resources]
    return rules.in_order(
        [
            *_of_own([each for part in found.own for each in part.of(FUNCTION)], shared, account),
            *(one for each in library if each.kind == FUNCTION for one in _of_library(each, template, account)),
            *_queues(library, account),
            *_alarms(library, account),
            *_table(found.outputs["TableName"], account),
        ]
    )


def _of_own(functions: Sequence[Resource], shared: Shared, account: Account) -> Iterator[Finding]:
    running: list[Setup] = []
    for function in functions:
        if (setup := _setup(function, account, shared.variables.get("DURABLE_ALIAS", ""))) is None:
            yield _missing(function)
        elif shared.layer in setup.layers or any(name.startswith("DURABLE_") for name in setup.environment):
            # Nothing here shows whether its handler is durable. Only what has the prefix can be called.
            running += [setup] if setup.name.startswith(shared.prefix) else []
            yield from (rules.of_durable if setup in running else rules.of_any)(setup, shared)
            yield from _runs(function, account)
    yield from aliases.findings(running, shared)
    yield from wakings.findings(running, wakings.ways(running, {}, shared.prefix), shared)


def _of_library(function: Resource, template: Template, account: Account) -> Iterator[Finding]:
    if (setup := _setup(function, account)) is None:
        yield _missing(function)
        return
    yield from _runs(function, account)
    if not setup.may_recur and not setup.handler.startswith("adapter.links."):
        said = "Lambda takes an execution for a loop, and stops it at its 16th invocation"
        yield Finding(where=function.where, rule="recursion", what=said, mend=AGAIN)
    logical = next((spec.name for spec in template.functions if spec.handler == setup.handler), "")
    spec = next((spec for spec in template.functions if spec.name == logical), None)
    if spec is not None and spec.minutely:
        yield from _rule(setup, account)
    streams = [each for each in template.mappings if each.function == logical]
    if streams or any(each.function == logical for each in template.queue_mappings):
        yield from _mappings(setup, account, [pattern for each in streams for pattern in each.filters])


def _runs(function: Resource, account: Account) -> Iterator[Finding]:
    if why := account.state(function.name):
        yield Finding(where=function.where, rule="state", what=f"it can't run: {why}", mend=AGAIN)


def _mappings(setup: Setup, account: Account, filters: Sequence[Any]) -> Iterator[Finding]:
    found = account.mappings(setup.name)
    if not found:
        yield Finding(where=setup.where, rule="mapping", what="nothing invokes it: its mapping is gone", mend=AGAIN)
    for mapping in found:
        source = mapping["EventSourceArn"].split(":", 5)[-1]
        if mapping["State"] not in ("Enabled", "Enabling", "Updating", "Creating"):
            mend = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
            said = f"its mapping of {source} is {mapping['State']}: nothing wakes what waits"
            yield Finding(where=setup.where, rule="enabled", what=said, mend=mend)
        if (last := mapping.get("LastProcessingResult") or "").startswith("PROBLEM"):
            said = f"its mapping of {source} had a problem at last: {last}"
            yield Finding(where=setup.where, rule="result", what=said, mend="its log says more (unhandled)")
        given = [json.loads(each["Pattern"]) for each in (mapping.get("FilterCriteria") or {}).get("Filters", ())]
        if given != list(filters):
            said = f"its mapping of {source} has other filters than this version's: what they drop is lost"
            yield Finding(where=setup.where, rule="filter", what=said, mend=f"durable infra, then {AGAIN}")


def _rule(setup: Setup, account: Account) -> Iterator[Finding]:
    events = account.client("events")
    arn = account.client("lambda").get_function_configuration(FunctionName=setup.name)["FunctionArn"]
    names = events.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    if not any(events.describe_rule(Name=name)["State"].startswith("ENABLED") for name in names):
        said = "no rule that is enabled invokes it each minute: no timer beyond 15 minutes goes off"
        mend = f"aws events enable-rule --name {names[0]}" if names else AGAIN
        yield Finding(where=setup.where, rule="schedule", what=said, mend=mend)


def _queues(resources: Sequence[Resource], account: Account) -> Iterator[Finding]:
    """Nobody reads the queues of what can't be handled, so what is in them waits for a person."""
    for queue in resources:
        if queue.kind != "AWS::SQS::Queue":
            continue
        try:
            has = account.client("sqs").get_queue_attributes(QueueUrl=queue.name, AttributeNames=["All"])["Attributes"]
        except ClientError as error:
            if "NonExistentQueue" not in error.response["Error"]["Code"]:
                raise
            yield _missing(queue)
            continue
        if queue.where.startswith("Unhandled") and (count := int(has["ApproximateNumberOfMessages"])):
            said = f"{count} messages in it wait for a person"
            mend = (
                "durable redrive --dry-run" if queue.where == "UnhandledRecords" else "see docs/operate.md, Unhandled"
            )
            yield Finding(where=queue.where, rule="queue", what=said, mend=mend)


def _alarms(resources: Sequence[Resource], account: Account) -> Iterator[Finding]:
    alarms = {each.name: each for each in resources if each.kind == "AWS::CloudWatch::Alarm"}
    pages = account.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=sorted(alarms))
    found = {each["AlarmName"]: each for page in pages for each in page["MetricAlarms"]}
    for name, alarm in alarms.items():
        if name not in found:
            yield _missing(alarm)
        elif found[name]["StateValue"] == "ALARM":
            said = f"it is on: {found[name].get('AlarmDescription', '')}"
            yield Finding(where=alarm.where, rule="alarm", what=said, mend=f"see docs/operate.md, {alarm.where}")


def _table(name: str, account: Account) -> Iterator[Finding]:
    dynamodb = account.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        yield Finding(
            where="Promises", rule="missing", what=f"the table {name} is gone", mend="restore it from a backup"
        )
        return
    stream = table.get("StreamSpecification") or {}
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
        said = "it has no stream with both images: nothing wakes what waits"
        yield Finding(where="Promises", rule="stream", what=said, mend=AGAIN)
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        said = "its time to live is off: executions with a deadline are kept for ever"
        yield Finding(where="Promises", rule="expiry", what=said, mend=AGAIN)


def _setup(function: Resource, account: Account, alias: str = "") -> Setup | None:
    lambda_ = account.client("lambda")
    try:
        return account.setup(function, alias)
    except lambda_.exceptions.ResourceNotFoundException:
        return None


def _missing(resource: Resource) -> Finding:
    return Finding(where=resource.where, rule="missing", what=f"{resource.name or 'it'} is gone", mend=AGAIN)
