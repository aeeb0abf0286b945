"""A deployed stack as AWS describes it: what it consists of, and how its Lambdas are set up. It only reads.

Where AWS refuses an answer, its error goes on: a doctor who wasn't let in says so.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from adapter.cli.adopting.setups import Grant, Setup, Shared, grants
from adapter.cli.adopting.written import OUTPUTS
from adapter.errors import ConfigurationError

STACK: Final = "AWS::CloudFormation::Stack"
FUNCTION: Final = "AWS::Lambda::Function"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Of a stack: ``name`` is what AWS knows it by, ``where`` the logical id."""

    kind: str
    where: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stack, with its own outputs and resources."""

    outputs: dict[str, str]
    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Resource]:
        return [each for each in self.resources if each.kind == kind]

    @property
    def is_library(self) -> bool:
        return self.outputs.keys() >= OUTPUTS


class Stacks(Protocol):
    """Where stacks are described."""

    def part(self, name: str) -> Part: ...


class CloudFormation:
    """Stacks as CloudFormation describes them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def part(self, name: str) -> Part:
        """A stack by its name or ARN.

        Raises:
            ConfigurationError: there is none.
        """
        try:
            (found,) = self._client.describe_stacks(StackName=name)["Stacks"]
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise ConfigurationError(f"there is no stack {name} here: in this account and region") from None
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=name)
        return Part(
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
            resources=tuple(
                Resource(
                    kind=each["ResourceType"], where=each["LogicalResourceId"], name=each.get("PhysicalResourceId", "")
                )
                for page in pages
                for each in page["StackResourceSummaries"]
            ),
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """The parts of an application: its own, and those of the library's stack."""

    own: list[Part]
    library: list[Part]

    @property
    def outputs(self) -> dict[str, str]:
        return next((part.outputs for part in self.library if part.is_library), {})


def tree(stacks: Stacks, name: str) -> Tree:
    """A stack with everything nested in it."""
    found = Tree([], [])
    waiting = [(name, False)]
    while waiting:
        stack, inside = waiting.pop()
        part = stacks.part(stack)
        inside = inside or part.is_library
        (found.library if inside else found.own).append(part)
        waiting += [(each.name, inside) for each in part.of(STACK) if each.name]
    return found


class Account:
    """The services that a doctor asks. ``client`` makes a client of one."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.client = functools.cache(client)

    def shared(self, outputs: dict[str, str]) -> Shared:
        """What the library's stack has, by its outputs."""
        *_, layer_name, version = outputs["LayerArn"].split(":")
        layer = self.client("lambda").get_layer_version(LayerName=layer_name, VersionNumber=int(version))
        return Shared(
            layer=outputs["LayerArn"],
            dead_letters=outputs["DeadLettersArn"],
            policy=outputs["PolicyArn"],
            variables=json.loads(outputs["Variables"]),
            needs=tuple(self._managed(outputs["PolicyArn"])),
            runtimes=tuple(layer.get("CompatibleRuntimes", ())),
            architectures=tuple(layer.get("CompatibleArchitectures", ())),
        )

    def setup(self, resource: Resource, alias: str = "") -> Setup:
        """How a Lambda is set up, as the alias has it. Raises botocore's ClientError if there is no such Lambda."""
        has = self.client("lambda").get_function_configuration(FunctionName=resource.name)
        return Setup(
            where=resource.where,
            name=resource.name,
            named=True,
            handler=has.get("Handler", ""),
            runtime=has.get("Runtime", ""),
            architecture=(has.get("Architectures") or ["x86_64"])[0],
            timeout_s=has["Timeout"],
            layers=tuple(each["Arn"] for each in has.get("Layers", ())),
            environment=has.get("Environment", {}).get("Variables", {}),
            on_failure=self._on_failure(resource.name, alias),
            may_recur=self.may_recur(resource.name),
            reserved=self.reserved(resource.name),
            grants=tuple(self._granted(has["Role"].rpartition("/")[2])),
            alias=alias if alias and self._has(resource.name, alias) else "",
        )

    def _has(self, function: str, alias: str) -> bool:
        lambda_ = self.client("lambda")
        try:
            lambda_.get_alias(FunctionName=function, Name=alias)
        except lambda_.exceptions.ResourceNotFoundException:
            return False
        return True

    def state(self, function: str) -> str:
        """Why a Lambda can't run; empty: it can."""
        has = self.client("lambda").get_function_configuration(FunctionName=function)
        if has.get("State", "Active") not in ("Active", "Inactive"):
            return f"its state is {has['State']}: {has.get('StateReason', '')}"
        if has.get("LastUpdateStatus", "Successful") == "Failed":
            return f"its last update failed: {has.get('LastUpdateStatusReason', '')}"
        return "its reserved concurrency is 0" if self.reserved(function) == 0 else ""

    def reserved(self, function: str) -> int | None:
        """The concurrency that is reserved for a Lambda, and the most that it may use."""
        found = self.client("lambda").get_function_concurrency(FunctionName=function)
        return found.get("ReservedConcurrentExecutions")  # type: ignore[no-any-return]

    def may_recur(self, function: str) -> bool:
        """Whether Lambda's loop detection leaves it alone."""
        found = self.client("lambda").get_function_recursion_config(FunctionName=function)
        return bool(found["RecursiveLoop"] == "Allow")

    def mappings(self, function: str) -> list[dict[str, Any]]:
        """What event source mappings invoke a Lambda."""
        pages = self.client("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=function)
        return [each for page in pages for each in page["EventSourceMappings"]]

    def _on_failure(self, function: str, alias: str) -> str:
        lambda_ = self.client("lambda")
        try:
            of_alias = {"Qualifier": alias} if alias else {}
            found = lambda_.get_function_event_invoke_config(FunctionName=function, **of_alias)
        except lambda_.exceptions.ResourceNotFoundException:
            return ""
        return str(found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""))

    def _granted(self, role: str) -> Iterator[Grant]:
        iam = self.client("iam")
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
            for each in page["AttachedPolicies"]:
                yield from self._managed(each["PolicyArn"])
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
            for name in page["PolicyNames"]:
                found = iam.get_role_policy(RoleName=role, PolicyName=name)
                yield from grants(found["PolicyDocument"]["Statement"])

    def _managed(self, arn: str) -> Iterator[Grant]:
        iam = self.client("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        yield from grants(found["Document"]["Statement"])
