"""Puts a template's resources onto moto, as CloudFormation would, for what reads a deployed stack.

moto's own CloudFormation knows no SAM, and fails on conditions of nested stacks. What CloudFormation would say of the
stacks is in `Described`. Of what moto lacks, `client` answers as AWS does: the configuration of loop detection.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from adapter.cli.adopting.account import Part, Resource
from adapter.errors import ConfigurationError
from adapter.templates.intrinsics import REGION, Stack, open_stack

KINDS = {
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::LayerVersion": "AWS::Lambda::LayerVersion",
}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("app.py", "")
    return made.getvalue()


class Deployed:
    """A deployed template. ``recursive``: Lambdas that loop detection leaves alone. ``results``: of mappings."""

    def __init__(self, path: Path, name: str) -> None:
        self._real: dict[str, str] = {}
        self.recursive: set[str] = set()
        self.results: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        self.stack = open_stack(path, name=name)
        self._everywhere = [(stack, each) for stack in self._all(self.stack) for each in stack.logical_ids]
        for kinds in self._ORDER:
            for stack, logical in self._everywhere:
                if (kind := stack.kind(logical)) in kinds:
                    self._make(kind, stack, logical)
        for stack in self._all(self.stack):
            self.parts[stack.name] = self._part(stack)

    def part(self, name: str) -> Part:
        if name not in self.parts:
            raise ConfigurationError(f"there is no stack {name} here: in this account and region")
        return self.parts[name]

    _ORDER = (
        {"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Serverless::LayerVersion", "AWS::CloudWatch::Alarm"},
        {"AWS::IAM::ManagedPolicy"},
        {"AWS::IAM::Role"},
        {"AWS::Serverless::Function"},
    )

    def client(self, service: str) -> Any:
        made = boto3.client(service, region_name=REGION)
        if service == "lambda":
            made.meta.events.register("before-send.lambda.GetFunctionRecursionConfig", self._recursion)
            made.meta.events.register("after-call.lambda.ListEventSourceMappings", self._last_results)
        return made

    def _recursion(self, request: Any, **_: Any) -> AWSResponse:
        name = request.url.split("/functions/")[1].split("/")[0]
        body = json.dumps({"RecursiveLoop": "Allow" if name in self.recursive else "Terminate"}).encode()
        response = AWSResponse(request.url, 200, {}, io.BytesIO(body))
        response._content = body
        return response

    def _last_results(self, parsed: dict[str, Any], **_: Any) -> None:
        for each in parsed["EventSourceMappings"]:
            each["LastProcessingResult"] = self.results.get(each["FunctionArn"].rpartition(":")[2], "OK")

    def _all(self, stack: Stack) -> Iterator[Stack]:
        yield stack
        for nested in stack.nested():
            yield from self._all(nested)

    def _resolved(self, value: Any) -> Any:
        """With what AWS made up in the place of what our reader of templates makes up."""
        if isinstance(value, dict):
            return {key: self._resolved(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._resolved(each) for each in value]
        return self._real.get(value, value) if isinstance(value, str) else value

    def _make(self, kind: str, stack: Stack, logical: str) -> None:
        makers: dict[str, Callable[[str, str, dict[str, Any]], None]] = {
            "AWS::SQS::Queue": self._queue,
            "AWS::DynamoDB::Table": self._table,
            "AWS::Serverless::LayerVersion": self._layer,
            "AWS::CloudWatch::Alarm": self._alarm,
            "AWS::IAM::ManagedPolicy": self._policy,
            "AWS::IAM::Role": self._role,
            "AWS::Serverless::Function": self._function,
        }
        makers[kind](stack.physical_id(logical), logical, self._resolved(stack.properties(logical)))

    def _queue(self, name: str, logical: str, has: dict[str, Any]) -> None:
        boto3.client("sqs", region_name=REGION).create_queue(
            QueueName=name, Attributes={"VisibilityTimeout": str(has.get("VisibilityTimeout", 30))}
        )

    def _table(self, name: str, logical: str, has: dict[str, Any]) -> None:
        kept = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        made = dynamodb.create_table(
            TableName=name,
            StreamSpecification={"StreamEnabled": True, **has["StreamSpecification"]},
            **{key: has[key] for key in kept},
        )
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=has["TimeToLiveSpecification"])
        stream = next(each.attribute(one, "StreamArn") for each, one in self._everywhere if one == logical)
        self._real[stream] = made["TableDescription"]["LatestStreamArn"]

    def _layer(self, name: str, logical: str, has: dict[str, Any]) -> None:
        made = boto3.client("lambda", region_name=REGION).publish_layer_version(
            LayerName=name,
            Content={"ZipFile": archive()},
            CompatibleRuntimes=has["CompatibleRuntimes"],
            CompatibleArchitectures=has["CompatibleArchitectures"],
        )
        self._real[name] = made["LayerVersionArn"]

    def _alarm(self, name: str, logical: str, has: dict[str, Any]) -> None:
        boto3.client("cloudwatch", region_name=REGION).put_metric_alarm(AlarmName=name, **has)

    def _policy(self, name: str, logical: str, has: dict[str, Any]) -> None:
        made = boto3.client("iam").create_policy(PolicyName=name, PolicyDocument=json.dumps(has["PolicyDocument"]))
        self._real[name] = made["Policy"]["Arn"]

    def _role(self, name: str, logical: str, has: dict[str, Any]) -> None:
        iam = boto3.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        for each in has.get("Policies", ()):
            if isinstance(each, str):
                iam.attach_role_policy(RoleName=name, PolicyArn=each)
            else:
                document = each.get("PolicyDocument", each)
                iam.put_role_policy(
                    RoleName=name, PolicyName=each.get("PolicyName", "own"), PolicyDocument=json.dumps(document)
                )

    def _function(self, name: str, logical: str, has: dict[str, Any]) -> None:
        lambda_ = boto3.client("lambda", region_name=REGION)
        if "Role" not in has:
            self._role(f"{name}-role", logical, has)
        made = lambda_.create_function(
            FunctionName=name,
            Runtime=has["Runtime"],
            Handler=has["Handler"],
            Role=has.get("Role", f"arn:aws:iam::123456789012:role/{name}-role"),
            Timeout=has["Timeout"],
            Architectures=has["Architectures"],
            Layers=has["Layers"],
            Environment={key: {k: str(v) for k, v in each.items()} for key, each in has["Environment"].items()},
            Code={"ZipFile": archive()},
        )
        if has.get("RecursiveLoop") == "Allow":
            self.recursive.add(name)
        if config := has.get("EventInvokeConfig"):
            destination = {"OnFailure": {"Destination": config["DestinationConfig"]["OnFailure"]["Destination"]}}
            lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
        for event, each in has.get("Events", {}).items():
            self._event(name, made["FunctionArn"], event, each)

    def _event(self, function: str, arn: str, name: str, event: dict[str, Any]) -> None:
        has = event["Properties"]
        if event["Type"] == "Schedule":
            events = boto3.client("events", region_name=REGION)
            events.put_rule(Name=f"{function}-{name}", ScheduleExpression=has["Schedule"])
            events.put_targets(Rule=f"{function}-{name}", Targets=[{"Id": "1", "Arn": arn}])
            return
        of_stream = {"StartingPosition": has["StartingPosition"]} if "StartingPosition" in has else {}
        boto3.client("lambda", region_name=REGION).create_event_source_mapping(
            FunctionName=function,
            EventSourceArn=has.get("Queue") or has["Stream"],
            BatchSize=has["BatchSize"],
            FilterCriteria=has.get("FilterCriteria", {"Filters": []}),
            **of_stream,
        )

    def _part(self, stack: Stack) -> Part:
        resources = tuple(
            Resource(
                kind=KINDS.get(kind := stack.kind(each), kind).replace(
                    "Serverless::Application", "CloudFormation::Stack"
                ),
                where=each,
                name=f"{stack.name}-{each}" if kind.endswith("Application") else self._named(stack, each),
            )
            for each in stack.logical_ids
        )
        return Part(outputs=self._outputs(stack), resources=resources)

    def _outputs(self, stack: Stack) -> dict[str, str]:
        found = {}
        for each in stack.outputs:
            try:
                found[each] = str(self._resolved(stack.output(each)))
            except ConfigurationError:
                continue  # its condition is false
        return found

    def _named(self, stack: Stack, logical: str) -> str:
        return str(self._resolved(stack.ref(logical)))
