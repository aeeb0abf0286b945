"""One stack of a CloudFormation template: its YAML with short tags, its intrinsic functions, its nested stacks.

A stack resolves lazily, since nested stacks feed each other: the parameters of one are the outputs of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from adapter.errors import ConfigurationError

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
PARTITION: Final = "aws"

_APPLICATION: Final = "AWS::Serverless::Application"
_NO_VALUE: Final = object()

# The property that names a resource, by type. Without it, AWS makes up a name from the stack's and the logical id.
_NAME_PROPERTIES: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::IAM::Role": "RoleName",
}

# The part of an ARN after the partition, by type.
_ARNS: Final = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Serverless::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
}


def parse(path: Path) -> dict[str, Any]:
    """The template as a mapping, with ``!Sub`` and the like in their long forms."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"can't read the template {path}: {error.strerror}") from error
    try:
        # A subclass of the safe loader, so no tag creates an object of a class that the file names.
        body = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
        raise ConfigurationError(f"{path} is no CloudFormation template: it has no Resources")
    return body


def open_stack(path: Path, *, name: str, parameters: Mapping[str, Any] | None = None) -> Stack:
    """The template as a stack of this name."""
    return Stack(path=path, name=name, body=parse(path), parameters=parameters or {})


class Stack:
    """A template under a stack name, with values for its parameters."""

    def __init__(self, *, path: Path, name: str, body: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self.path = path
        self.name = name
        self._body = body
        self._given = parameters
        self._nested: dict[str, Stack] = {}
        self._opening: set[str] = set()

    def resources_of(self, kind: str) -> Iterator[str]:
        """The logical ids of all resources of this type whose condition holds."""
        return (name for name, each in self._resources.items() if each.get("Type") == kind)

    @property
    def logical_ids(self) -> list[str]:
        """Of all resources whose condition holds."""
        return list(self._resources)

    def kind(self, logical_id: str) -> str:
        """A resource's type."""
        return str(self._resource(logical_id)["Type"])

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties, globals included, with everything resolved."""
        resource = self._resources[logical_id]
        properties = resource.get("Properties", {})
        section = resource["Type"].removeprefix("AWS::Serverless::")
        merged = _merge(self._body.get("Globals", {}).get(section, {}), properties)
        resolved: dict[str, Any] = self.resolve(merged)
        return resolved

    def physical_id(self, logical_id: str) -> str:
        """The name that the resource has once it is created."""
        resource = self._resource(logical_id)
        key = _NAME_PROPERTIES.get(resource["Type"])
        given = resource.get("Properties", {}).get(key) if key else None
        if given is not None:
            return str(self.resolve(given))
        made = f"{self.name}-{logical_id}"
        # A bucket's name is part of an address.
        return made.lower() if resource["Type"] == "AWS::S3::Bucket" else made

    def nested(self) -> Iterator[Stack]:
        """The stacks of the local applications in this one."""
        return (self._application(name) for name in self.resources_of(_APPLICATION))

    def mapping(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """A mapping of the template. Raises KeyError if there is none."""
        found: Mapping[str, Mapping[str, Any]] = self._body.get("Mappings", {})[name]
        return found

    @property
    def outputs(self) -> set[str]:
        """The names of its outputs."""
        return set(self._body.get("Outputs", {}))

    def output(self, name: str) -> Any:
        """The value of one of the stack's outputs."""
        try:
            output = self._body["Outputs"][name]
            value = output["Value"]
        except KeyError:
            raise ConfigurationError(f"{self.path} has no output {name!r}") from None
        if "Condition" in output and not self.holds(output["Condition"]):
            raise ConfigurationError(f"{self.path}: output {name!r} is left out, since {output['Condition']} is false")
        return self.resolve(value)

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic function in it replaced by its result."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if str(name).startswith("Fn::"):
                raise ConfigurationError(f"{self.path}: {name} isn't supported")
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not _NO_VALUE}

    def ref(self, name: str) -> Any:
        """The value of ``!Ref name``."""
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._body.get("Parameters", {}):
            return self._parameter(name)
        function, _, made = name.partition(".")
        if made in ("Alias", "Version"):
            # SAM makes them, where the function has an AutoPublishAlias.
            return (
                f"{self._arn(function)}:{self.properties(function).get('AutoPublishAlias') if made == 'Alias' else 1}"
            )
        kind = self._resource(name)["Type"]
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.physical_id(name)}"
        return self._arn(name) if kind == "AWS::SNS::Topic" else self.physical_id(name)

    def attribute(self, logical_id: str, attribute: str) -> Any:
        """The value of ``!GetAtt logical_id.attribute``."""
        kind = self._resource(logical_id)["Type"]
        if kind == _APPLICATION and attribute.startswith("Outputs."):
            return self._application(logical_id).output(attribute.removeprefix("Outputs."))
        if attribute == "Arn" and kind in _ARNS:
            return self._arn(logical_id)
        if attribute == "StreamArn":
            return f"{self._arn(logical_id)}/stream/{self.name}"
        if attribute == "QueueUrl":
            return self.ref(logical_id)
        if attribute == "QueueName":
            return self.physical_id(logical_id)
        return f"{self.physical_id(logical_id)}.{attribute}"

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true."""
        try:
            expression = self._body["Conditions"][condition]
        except KeyError:
            raise ConfigurationError(f"{self.path} has no condition {condition!r}") from None
        return bool(self.resolve(expression))

    @cached_property
    def _resources(self) -> dict[str, dict[str, Any]]:
        resources: dict[str, dict[str, Any]] = self._body["Resources"]
        here = {
            name: each for name, each in resources.items() if "Condition" not in each or self.holds(each["Condition"])
        }
        # SAM makes them, and a template may refer to them.
        urls = (name for name, each in here.items() if "FunctionUrlConfig" in each.get("Properties", {}))
        return here | {f"{name}Url": {"Type": "AWS::Lambda::Url"} for name in urls}

    @cached_property
    def _pseudo(self) -> dict[str, Any]:
        return {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": _NO_VALUE,
            "AWS::NotificationARNs": [],
            "AWS::Partition": PARTITION,
            "AWS::Region": REGION,
            "AWS::StackId": f"arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/{self.name}/{self.name}",
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def _resource(self, logical_id: str) -> dict[str, Any]:
        try:
            return self._resources[logical_id]
        except KeyError:
            raise ConfigurationError(f"{self.path} refers to {logical_id!r}, which it doesn't define") from None

    def _arn(self, logical_id: str) -> str:
        form = _ARNS[self._resource(logical_id)["Type"]]
        return f"arn:{PARTITION}:" + form.format(region=REGION, account=ACCOUNT, name=self.physical_id(logical_id))

    def _parameter(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        declared = self._body["Parameters"][name]
        if "Default" not in declared:
            raise ConfigurationError(f"{self.path}: parameter {name} has no value and no default")
        return declared["Default"]

    def _application(self, logical_id: str) -> Stack:
        if logical_id not in self._nested:
            if logical_id in self._opening:
                raise ConfigurationError(f"{self.path}: {logical_id} needs its own outputs as its parameters")
            self._opening.add(logical_id)
            self._nested[logical_id] = self._open(logical_id)
        return self._nested[logical_id]

    def _open(self, logical_id: str) -> Stack:
        properties = self.properties(logical_id)
        location = properties.get("Location")
        if not isinstance(location, str):
            raise ConfigurationError(
                f"{self.path}: {logical_id} isn't local; only a Location that is a path is supported"
            )
        path = self.path.parent / location
        return open_stack(path, name=f"{self.name}-{logical_id}", parameters=properties.get("Parameters", {}))


def _merge(base: Any, over: Any) -> Any:
    """SAM's rule for globals: mappings are merged, lists appended, everything else is overridden."""
    if isinstance(base, dict) and isinstance(over, dict) and not _is_intrinsic(base) and not _is_intrinsic(over):
        return {**base, **{key: _merge(base[key], each) if key in base else each for key, each in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    return over


def _is_intrinsic(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in _FUNCTIONS


def _sub(stack: Stack, argument: Any) -> str:
    text, local = argument if isinstance(argument, list) else (argument, {})
    values = stack.resolve(local)

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.startswith("!"):  # ${!Literal} is ${Literal}, kept as it is
            return f"${{{name[1:]}}}"
        if name in values:
            return str(values[name])
        return str(_get_att(stack, name) if "." in name else stack.ref(name))

    return re.sub(r"\$\{([^}]+)\}", replace, text)


def _get_att(stack: Stack, argument: Any) -> Any:
    logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else (argument[0], argument[1])
    return stack.attribute(logical_id, str(stack.resolve(attribute)))


def _join(stack: Stack, argument: Any) -> str:
    separator, parts = argument
    return str(separator).join(map(str, stack.resolve(parts)))


def _if(stack: Stack, argument: Any) -> Any:
    condition, then, otherwise = argument
    return stack.resolve(then if stack.holds(condition) else otherwise)


def _equals(stack: Stack, argument: Any) -> bool:
    left, right = stack.resolve(argument)
    return str(left) == str(right)


def _find_in_map(stack: Stack, argument: Any) -> Any:
    name, *keys = stack.resolve(argument[:3])
    try:
        return stack.mapping(name)[str(keys[0])][str(keys[1])]
    except KeyError:
        raise ConfigurationError(f"{stack.path} has no mapping {name} with {keys[0]} and {keys[1]}") from None


def _split(stack: Stack, argument: Any) -> list[str]:
    separator, text = stack.resolve(argument)
    return str(text).split(str(separator))


_FUNCTIONS: Final[Mapping[str, Callable[[Stack, Any], Any]]] = {
    "Ref": Stack.ref,
    "Condition": Stack.holds,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::Not": lambda stack, argument: not stack.resolve(argument)[0],
    "Fn::And": lambda stack, argument: all(stack.resolve(argument)),
    "Fn::Or": lambda stack, argument: any(stack.resolve(argument)),
    "Fn::FindInMap": _find_in_map,
    "Fn::Split": _split,
    "Fn::Base64": Stack.resolve,
    # Only AWS knows what other stacks export, and which zones there are: these are placeholders that name them.
    "Fn::ImportValue": lambda stack, argument: f"{stack.resolve(argument)}.imported",
    "Fn::GetAZs": lambda stack, argument: [f"{REGION}{letter}" for letter in "abc"],
    "Fn::Select": lambda stack, argument: stack.resolve(argument[1])[int(stack.resolve(argument[0]))],
}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _construct_short(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if name not in _FUNCTIONS:
        raise yaml.constructor.ConstructorError(None, None, f"the tag !{suffix} isn't supported", node.start_mark)
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _construct_short)
