"""The Lambdas of a template, and what the library's stack in it has for them. It only reads files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from adapter.cli.adopting.setups import Grant, Setup, Shared, Source, grants
from adapter.templates.intrinsics import Stack

_FUNCTION: Final = "AWS::Serverless::Function"
_POLICY: Final = "AWS::IAM::ManagedPolicy"
_LAYER: Final = "AWS::Serverless::LayerVersion"
_ROLE: Final = "AWS::IAM::Role"
_QUEUE: Final = "AWS::SQS::Queue"
_INVOKED: Final = "AWS::Lambda::EventInvokeConfig"
_VERSION: Final = "Version"
_OF_VERSIONS: Final = ("ProvisionedConcurrencyConfig", "SnapStart", "DeploymentPreference")
OUTPUTS: Final = {"LayerArn", "PolicyArn", "DeadLettersArn", "Variables"}


def library_of(stack: Stack) -> Stack | None:
    """The library's own stack, where the template nests it."""
    return next((each for each in stack.nested() if each.outputs >= OUTPUTS), None)


def shared(library: Stack) -> Shared:
    """What the library's stack has."""
    policy = library.output("PolicyArn")
    layers = [library.properties(name) for name in library.resources_of(_LAYER)]
    return Shared(
        layer=library.output("LayerArn"),
        dead_letters=library.output("DeadLettersArn"),
        policy=policy,
        variables=json.loads(library.output("Variables")),
        needs=_managed(library).get(policy, ()),
        runtimes=tuple(one for layer in layers for one in layer.get("CompatibleRuntimes", ())),
        architectures=tuple(one for layer in layers for one in layer.get("CompatibleArchitectures", ())),
    )


def setups(stack: Stack) -> list[Setup]:
    """The template's own Lambdas, those of nested stacks left out."""
    managed = _managed(stack)
    for nested in stack.nested():
        managed |= _managed(nested)
    return [_setup(stack, name, managed) for name in stack.resources_of(_FUNCTION)]


def _setup(stack: Stack, logical_id: str, managed: Mapping[str, tuple[Grant, ...]]) -> Setup:
    properties = stack.properties(logical_id)
    on_failure = properties.get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure", {})
    variables = properties.get("Environment", {}).get("Variables", {})
    return Setup(
        where=logical_id,
        name=stack.physical_id(logical_id),
        named="FunctionName" in properties,
        handler=str(properties.get("Handler", "")),
        runtime=str(properties.get("Runtime", "")),
        architecture=str((properties.get("Architectures") or ["x86_64"])[0]),
        timeout_s=int(properties.get("Timeout", 3)),
        layers=tuple(map(str, properties.get("Layers", ()))),
        environment={name: str(value) for name, value in variables.items()},
        on_failure=str(on_failure.get("Destination", "")),
        may_recur=properties.get("RecursiveLoop") == "Allow",
        grants=_granted(stack, properties, managed),
        sources=tuple(_sources(stack, properties)),
        reserved=_whole(properties.get("ReservedConcurrentExecutions")),
        code=_code(stack, properties),
        alias=str(properties.get("AutoPublishAlias", "")),
        of_versions=tuple(each for each in _OF_VERSIONS if properties.get(each)),
        on_failure_of_version=_of_version(stack, logical_id),
    )


def _of_version(stack: Stack, logical_id: str) -> str:
    """The on-failure destination of each version as it is published, if it keeps it."""
    name, found = stack.physical_id(logical_id), ""
    for each in stack.resources_of(_INVOKED):
        properties = stack.properties(each)
        if properties.get("FunctionName") == name and _VERSION in str(properties.get("Qualifier", "")):
            found = str(properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""))
    return found


def _whole(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None


def _code(stack: Stack, properties: Mapping[str, Any]) -> str:
    place = properties.get("CodeUri")
    path = stack.path.parent / place if isinstance(place, str) else Path()
    return str(path) if isinstance(place, str) and path.is_dir() else ""


def _sources(stack: Stack, properties: Mapping[str, Any]) -> Iterator[Source]:
    hidden = {
        stack.physical_id(name): int(stack.properties(name).get("VisibilityTimeout", 30))
        for name in stack.resources_of(_QUEUE)
    }
    for event in properties.get("Events", {}).values():
        queue = str(event.get("Properties", {}).get("Queue", "")).rpartition(":")[2]
        if event.get("Type") == "SQS" and queue in hidden:
            yield Source(
                queue=queue,
                hidden_s=hidden[queue],
                window_s=int(event["Properties"].get("MaximumBatchingWindowInSeconds", 0)),
                reports_items="ReportBatchItemFailures" in event["Properties"].get("FunctionResponseTypes", ()),
            )


def _granted(
    stack: Stack, properties: Mapping[str, Any], managed: Mapping[str, tuple[Grant, ...]]
) -> tuple[Grant, ...] | None:
    if role := properties.get("Role"):
        return _of_role(stack, str(role), managed)
    policies = properties.get("Policies", [])
    return tuple(
        grant
        for each in (policies if isinstance(policies, list) else [policies])
        for grant in _of_policy(each, managed)
    )


def _of_role(stack: Stack, arn: str, managed: Mapping[str, tuple[Grant, ...]]) -> tuple[Grant, ...] | None:
    for name in stack.resources_of(_ROLE):
        if stack.physical_id(name) == arn.rpartition("/")[2]:
            role = stack.properties(name)
            inline = [each.get("PolicyDocument", {}) for each in role.get("Policies", ())]
            return tuple(
                grant for each in [*role.get("ManagedPolicyArns", ()), *inline] for grant in _of_policy(each, managed)
            )
    return None


def _of_policy(policy: Any, managed: Mapping[str, tuple[Grant, ...]]) -> tuple[Grant, ...]:
    if isinstance(policy, dict):
        return tuple(grants(policy.get("Statement", [])))
    return managed.get(str(policy), ())


def _managed(stack: Stack) -> dict[str, tuple[Grant, ...]]:
    """Policies of their own, by what ``!Ref`` gives."""
    return {
        stack.ref(name): tuple(grants(stack.properties(name)["PolicyDocument"]["Statement"]))
        for name in stack.resources_of(_POLICY)
    }
