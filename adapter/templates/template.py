"""What a SAM template defines, as frozen records: tables, functions, queues, and what they trigger.

This module resolves a template as CloudFormation would for a stack called ``local``, and creates nothing. An attribute
that only AWS could know, for instance the URL of an API, resolves to a placeholder that names it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from adapter.errors import ConfigurationError
from adapter.protocol.variables import described
from adapter.templates.intrinsics import Stack, open_stack

T = TypeVar("T")
Properties: TypeAlias = Mapping[str, Any]

STACK_NAME: Final = "local"
FILE_NAME: Final = "template.yaml"

_TABLE: Final = "AWS::DynamoDB::Table"
_FUNCTION: Final = "AWS::Serverless::Function"
_QUEUE: Final = "AWS::SQS::Queue"
_BUCKET: Final = "AWS::S3::Bucket"
_MINUTELY: Final = ("cron(* * * * ? *)", "rate(1 minute)")


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A DynamoDB table; ``create_table_arguments`` is what boto3's ``create_table`` takes.

    ``expires`` is the attribute that says when DynamoDB removes an item; empty: it removes none.
    """

    logical_id: str
    name: str
    create_table_arguments: Mapping[str, Any]
    expires: str = ""


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """A Lambda function; ``max_retries`` is how often Lambda repeats a failed asynchronous invocation.

    ``max_age_s`` is how long it does. ``on_failure`` is the queue that gets events that failed for good. ``minutely``:
    a schedule invokes it once a minute. ``reserved``: so much concurrency it has to itself, and no more.
    """

    logical_id: str
    name: str
    handler: str
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str]
    max_retries: int
    max_age_s: int = 21_600
    on_failure: str | None = None
    minutely: bool = False
    reserved: int | None = None


@dataclass(frozen=True, kw_only=True)
class StreamMapping:
    """An event source mapping from a table's stream to a function. ``None`` retries: until the record expires.

    With latencies it gathers a batch for ``window_s`` seconds at most; without, time stands still meanwhile.
    """

    function: str
    table: str
    starting_position: str
    batch_size: int
    parallelization_factor: int
    filters: tuple[Mapping[str, Any], ...]
    max_retries: int | None
    max_record_age_s: int | None
    bisect: bool
    report_item_failures: bool
    on_failure: str | None
    window_s: int = 0


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    """An SQS queue. A message that was received ``max_receives`` times in vain goes to ``dead_letters``."""

    name: str
    visibility_s: int
    retention_s: int
    dead_letters: str | None
    max_receives: int


@dataclass(frozen=True, kw_only=True)
class QueueMapping:
    """An event source mapping from a queue to a function. It gathers a batch for ``window_s`` seconds at most."""

    function: str
    queue: str
    batch_size: int
    window_s: int
    report_item_failures: bool


@dataclass(frozen=True, kw_only=True)
class Template:
    """Everything that a template and the local applications nested in it define."""

    tables: tuple[TableSpec, ...]
    queues: tuple[QueueSpec, ...]
    queue_mappings: tuple[QueueMapping, ...]
    functions: tuple[FunctionSpec, ...]
    mappings: tuple[StreamMapping, ...]
    buckets: tuple[str, ...]

    def variable(self, name: str) -> str:
        """An environment variable of its functions; empty if none has it."""
        return max((described(function.environment).get(name, "") for function in self.functions), default="")

    def visibility(self, queue: str) -> int:
        """For how many seconds nobody else receives a message of this queue."""
        return max((spec.visibility_s for spec in self.queues if spec.name == queue), default=30)

    @property
    def prefix(self) -> str:
        """The prefix of the names of durable functions' Lambdas."""
        return self.variable("DURABLE_PREFIX")

    @property
    def timers_url(self) -> str:
        """The URL of the timers' queue; empty if there is none."""
        return self.variable("DURABLE_TIMERS")

    @property
    def upkeep_url(self) -> str:
        """The URL of the queue of looks and removals; empty if timers and they share one."""
        return self.variable("DURABLE_UPKEEP")


def load(path: Path) -> Template:
    """Reads a template and the local applications nested in it."""
    stacks = _with_nested(open_stack(path, name=STACK_NAME))
    return Template(
        tables=tuple(_table(stack, name) for stack in stacks for name in stack.resources_of(_TABLE)),
        queues=tuple(_queue(stack, name) for stack in stacks for name in stack.resources_of(_QUEUE)),
        queue_mappings=_mapped(stacks, "SQS", _queue_mapping),
        functions=tuple(_function(stack, name) for stack in stacks for name in stack.resources_of(_FUNCTION)),
        mappings=_mapped(stacks, "DynamoDB", _stream_mapping),
        buckets=tuple(stack.physical_id(name) for stack in stacks for name in stack.resources_of(_BUCKET)),
    )


def load_cached(path: Path) -> Template:
    """The same as `load`, but kept as long as the files don't change: reading YAML takes longer than most runs."""
    around = (*path.parent.glob("*.yaml"), *path.parent.glob("*/*.yaml"))
    return _loaded(path, tuple(file.stat().st_mtime_ns for file in sorted({path, *around})))


@functools.lru_cache(maxsize=8)
def _loaded(path: Path, written: tuple[int, ...]) -> Template:
    return load(path)


def find_template(start: Path) -> Path | None:
    """The nearest ``template.yaml`` in ``start`` or above."""
    start = start.resolve()
    candidates = (directory / FILE_NAME for directory in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)


def default_template() -> Path:
    """The infrastructure that ships with the package, without user functions."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel it is inside the package; in a checkout, beside it.
    for directory in (package / "_infra", package.parent / "infra"):
        if (path := directory / "durable.yaml").is_file():
            return path
    raise ConfigurationError(f"the installation of {package} lacks its infrastructure templates; install it again")


def _with_nested(stack: Stack) -> list[Stack]:
    return [stack, *(below for child in stack.nested() for below in _with_nested(child))]


def _table(stack: Stack, logical_id: str) -> TableSpec:
    properties = stack.properties(logical_id)
    arguments: dict[str, Any] = {key: properties[key] for key in _PASSED_ON if key in properties}
    arguments["TableName"] = name = stack.physical_id(logical_id)
    if stream := properties.get("StreamSpecification"):
        # CloudFormation asks for a stream by naming its view; the API needs a flag, too.
        arguments["StreamSpecification"] = {"StreamEnabled": True, **stream}
    ttl = properties.get("TimeToLiveSpecification", {})
    expires = str(ttl["AttributeName"]) if _flag(ttl.get("Enabled", False)) else ""
    return TableSpec(logical_id=logical_id, name=name, create_table_arguments=arguments, expires=expires)


# Properties that have the same name in the API. Encryption, recovery and tags have no counterpart locally.
_PASSED_ON: Final = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)


def _function(stack: Stack, logical_id: str) -> FunctionSpec:
    properties = stack.properties(logical_id)
    handler = properties.get("Handler")
    if not isinstance(handler, str) or "." not in handler:
        raise ConfigurationError(
            f"{stack.path}: function {logical_id} needs a Handler of the form module.function, but has {handler!r}"
        )
    variables = properties.get("Environment", {}).get("Variables", {})
    invoked = properties.get("EventInvokeConfig", {})
    on_failure = invoked.get("DestinationConfig", {}).get("OnFailure", {})
    reserved = properties.get("ReservedConcurrentExecutions")
    return FunctionSpec(
        logical_id=logical_id,
        name=stack.physical_id(logical_id),
        handler=handler,
        memory_mb=int(properties.get("MemorySize", 128)),
        timeout_s=int(properties.get("Timeout", 3)),
        environment={key: _text(value) for key, value in variables.items()},
        max_retries=int(invoked.get("MaximumRetryAttempts", 2)),
        max_age_s=int(invoked.get("MaximumEventAgeInSeconds", 21_600)),
        on_failure=None if on_failure.get("Type") != "SQS" else _queue_of(str(on_failure.get("Destination"))),
        minutely=any(
            event["Type"] == "Schedule" and event["Properties"].get("Schedule") in _MINUTELY
            for event in properties.get("Events", {}).values()
        ),
        reserved=None if reserved is None else int(reserved),
    )


def _queue(stack: Stack, logical_id: str) -> QueueSpec:
    properties = stack.properties(logical_id)
    redrive = properties.get("RedrivePolicy", {})
    return QueueSpec(
        name=stack.physical_id(logical_id),
        visibility_s=int(properties.get("VisibilityTimeout", 30)),
        retention_s=int(properties.get("MessageRetentionPeriod", 345_600)),
        dead_letters=_queue_of(redrive["deadLetterTargetArn"]) if redrive else None,
        max_receives=int(redrive.get("maxReceiveCount", 1)),
    )


def _queue_of(arn: str) -> str:
    return arn.rpartition(":")[2]


def _mapped(stacks: Sequence[Stack], kind: str, read: Callable[[Stack, str, str, Properties], T]) -> tuple[T, ...]:
    """What ``read`` makes of each enabled event of this kind: of its path, its function's name and its properties."""
    return tuple(
        read(stack, f"{logical_id}.{name}", stack.physical_id(logical_id), event["Properties"])
        for stack in stacks
        for logical_id in stack.resources_of(_FUNCTION)
        for name, event in stack.properties(logical_id).get("Events", {}).items()
        if event["Type"] == kind and _flag(event["Properties"].get("Enabled", True))
    )


def _queue_mapping(stack: Stack, where: str, function: str, properties: Properties) -> QueueMapping:
    made = QueueMapping(
        function=function,
        queue=_queue_of(str(properties["Queue"])),
        batch_size=int(properties.get("BatchSize", 10)),
        window_s=int(properties.get("MaximumBatchingWindowInSeconds", 0)),
        report_item_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
    )
    if not 1 <= made.batch_size <= 10_000 or not 0 <= made.window_s <= 300:
        raise ConfigurationError(f"{stack.path}: {where} has a BatchSize beyond 10,000, or a window beyond 300 seconds")
    if made.batch_size > 10 and not made.window_s:
        raise ConfigurationError(f"{stack.path}: {where} has a BatchSize above 10, so it needs a batching window")
    return made


def _stream_mapping(stack: Stack, where: str, function: str, properties: Properties) -> StreamMapping:
    on_failure = properties.get("DestinationConfig", {}).get("OnFailure", {})
    return StreamMapping(
        function=function,
        table=_table_of(stack, where, properties.get("Stream")),
        starting_position=properties.get("StartingPosition", "TRIM_HORIZON"),
        batch_size=int(properties.get("BatchSize", 100)),
        parallelization_factor=int(properties.get("ParallelizationFactor", 1)),
        filters=_filters(stack, where, properties.get("FilterCriteria", {}).get("Filters", [])),
        max_retries=_bounded(properties.get("MaximumRetryAttempts", -1)),
        max_record_age_s=_bounded(properties.get("MaximumRecordAgeInSeconds", -1)),
        bisect=_flag(properties.get("BisectBatchOnFunctionError", False)),
        report_item_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        on_failure=on_failure.get("Destination"),
        window_s=int(properties.get("MaximumBatchingWindowInSeconds", 0)),
    )


def _table_of(stack: Stack, where: str, stream: object) -> str:
    # arn:aws:dynamodb:region:account:table/NAME/stream/LABEL
    parts = str(stream).split("/")
    if len(parts) != 4 or not parts[0].endswith(":table"):
        raise ConfigurationError(f"{stack.path}: {where} needs the ARN of a table's stream, but has {stream!r}")
    return parts[1]


def _filters(stack: Stack, where: str, filters: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    try:
        patterns = tuple(json.loads(each["Pattern"]) for each in filters)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"{stack.path}: {where} has a filter whose Pattern isn't JSON: {error}") from error
    if not all(isinstance(pattern, dict) for pattern in patterns):
        raise ConfigurationError(f"{stack.path}: {where} has a filter whose Pattern isn't a JSON object")
    return patterns


def _bounded(value: object) -> int | None:
    # AWS writes -1 for no bound.
    number = int(str(value))
    return None if number < 0 else number


def _flag(value: object) -> bool:
    return str(value).lower() == "true"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
