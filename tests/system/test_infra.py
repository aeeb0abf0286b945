"""The templates deploy: they are valid as written and as SAM expands them, and their handlers exist."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file

from adapter.aws.items import Item
from adapter.engine.telling import What
from adapter.protocol.records import INDEXED
from adapter.protocol.variables import described
from adapter.templates.intrinsics import Stack, open_stack, parse
from adapter.templates.template import StreamMapping, load
from adapter.testing.simulated_aws.filters import matches
from tests.support.expanding import transformed

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]
FUNCTIONS = load(ROOT / "template.yaml").functions

templates = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))


@templates
def test_a_template_is_valid_as_written(path: Path) -> None:
    """cfn-lint finds nothing, warnings included."""
    assert [str(match) for match in lint_file(path)] == []


@templates
def test_a_template_is_valid_as_sam_expands_it(path: Path, tmp_path: Path) -> None:
    """Errors inside events and policies show only in the expanded form."""
    expanded = tmp_path / "expanded.json"
    expanded.write_text(json.dumps(transformed(path)), encoding="utf-8")
    assert [str(match) for match in lint_file(expanded)] == []


def within(value: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a template, wherever it stands."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(each)


def outputs_asked_for(body: dict[str, Any]) -> set[tuple[str, str]]:
    """The logical ids of nested stacks, each with an output of it."""
    attributes = [each["Fn::GetAtt"] for each in within(body) if "Fn::GetAtt" in each]
    substitutes = [str(each["Fn::Sub"]) for each in within(body) if "Fn::Sub" in each]
    text = "\n".join([*(f"${{{attribute}}}" for attribute in attributes), *substitutes])
    return set(re.findall(r"\$\{(\w+)\.Outputs\.(\w+)\}", text))


@templates
def test_nested_stacks_get_the_parameters_they_take_and_have_the_outputs_they_are_asked_for(path: Path) -> None:
    """CloudFormation finds out only while it deploys."""
    body = parse(path)
    nested = {
        name: (each["Properties"], parse(path.parent / each["Properties"]["Location"]))
        for name, each in body["Resources"].items()
        if each["Type"] == "AWS::Serverless::Application"
    }
    for given, taken in nested.values():
        parameters = taken.get("Parameters", {})
        required = {name for name, each in parameters.items() if "Default" not in each}
        assert required <= given.get("Parameters", {}).keys() <= parameters.keys()
    assert outputs_asked_for(body) <= {(name, each) for name, (_, taken) in nested.items() for each in taken["Outputs"]}


HANDLERS = [
    each["Properties"]["Handler"]
    for path in TEMPLATES
    for each in parse(path)["Resources"].values()
    if each["Type"] == "AWS::Serverless::Function"
]


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_handler_exists(handler: str) -> None:
    """Lambda would import and call it."""
    module, _, attribute = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_librarys_own_lambdas_bring_no_code_that_would_hide_the_layers() -> None:
    """The layer's is compiled. What a function brings is found first, and compiled at each cold start."""
    for path in sorted((ROOT / "infra").glob("*.yaml")):
        body = parse(path)
        shared = body.get("Globals", {}).get("Function", {})
        for resource in body["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                code = path.parent / (shared | resource["Properties"])["CodeUri"]
                assert [file.name for file in code.iterdir()] == ["README.md"]
                assert "BuildProperties" not in resource.get("Metadata", {})


def test_every_example_is_named_by_its_target() -> None:
    """A durable function calls another by the prefix and its target's name."""
    examples = [function for function in FUNCTIONS if function.handler.startswith("handlers.")]
    assert examples
    for function in examples:
        target = function.handler.rpartition(".")[2]
        assert function.name == described(function.environment)["DURABLE_PREFIX"] + target


def statements(value: object) -> Iterator[dict[str, Any]]:
    """Every IAM statement in a template that allows anything, wherever it stands."""
    return (each for each in within(value) if each.get("Effect") == "Allow")


WITHOUT_RESOURCE = (
    ["dynamodb:ListStreams"],
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    [
        f"ec2:{each}"
        for each in (
            "CreateNetworkInterface",
            "DeleteNetworkInterface",
            "DescribeNetworkInterfaces",
            "DescribeSubnets",
            "AssignPrivateIpAddresses",
            "UnassignPrivateIpAddresses",
        )
    ],
)
"""The statements whose actions IAM knows for all resources only."""


@templates
def test_no_function_may_do_more_than_it_has_to(path: Path) -> None:
    """No wildcard action; a wildcard resource only for the actions that have no other."""
    for statement in statements(transformed(path)):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]
        if statement.get("Resource") == "*":
            assert actions in WITHOUT_RESOURCE


@pytest.fixture
def settled() -> StreamMapping:
    """The mapping from the table's stream to the resumer."""
    (mapping,) = load(ROOT / "template.yaml").mappings
    return mapping


def record(old: str | None, new: str, **attributes: str) -> dict[str, Any]:
    """Whoever has a ``wake`` has the filter's mark, but for a call whose own run resumes its caller."""
    mark = {"streamed": {"BOOL": True}} if "wake" in attributes and "prompted_by" not in attributes else {}
    image = {"state": {"S": new}, **{key: {"S": v} for key, v in attributes.items()}, **mark}
    images: dict[str, Any] = {"NewImage": image}
    if old is not None:
        images["OldImage"] = {"state": {"S": old}}
    return {"dynamodb": images}


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        (record("pending", "resolved", wake="direct"), True),
        (record("pending", "rejected", wake="counted"), True),
        # A later version's: what a filter drops is gone, what the resumer refuses comes again.
        (record("pending", "resolved", wake="fast"), True),
        (record("pending", "resolved", wake="prompt"), True),
        (record("pending", "resolved", wake="prompt", prompted_by="request"), False),
        (record("pending", "rejected_canceled", kind="call"), True),
        (record("pending", "rejected_timedout", kind="call"), True),
        (record("pending", "resolved", kind="call"), False),
        (record("pending", "rejected_canceled", kind="promise"), False),
        (record("pending", "pending", wake="direct"), False),
        (record("resolved", "resolved", wake="direct"), False),
        (record(None, "pending", wake="direct"), False),
        (record(None, "resolved", wake="direct"), False),
    ],
)
def test_only_a_settlement_that_somebody_must_learn_of_reaches_the_resumer(
    settled: StreamMapping, event: dict[str, Any], passes: bool
) -> None:
    """Any other record would invoke the resumer for nothing."""
    assert any(matches(pattern, event) for pattern in settled.filters) is passes


def test_a_bad_record_never_blocks_its_shard(settled: StreamMapping) -> None:
    """The resumer puts it aside, with the record in it; the mapping never gives up what could be put aside later."""
    assert settled.report_item_failures
    assert settled.bisect
    assert settled.max_retries is None
    assert settled.max_record_age_s is None
    assert settled.on_failure is not None
    (resumer,) = [one for one in FUNCTIONS if one.handler == "adapter.lambdas.resumer.handler"]
    assert settled.on_failure.rpartition(":")[2] == resumer.environment["DURABLE_UNHANDLED"].rpartition("/")[2]
    assert resumer.environment["DURABLE_AGAIN"].endswith("RecordsAgain")
    assert settled.starting_position == "TRIM_HORIZON"


@pytest.mark.parametrize("path", [ROOT / "template.yaml", ROOT / "infra" / "durable.yaml"], ids=lambda path: path.name)
def test_promises_are_settled_over_http_only_where_that_is_asked_for(path: Path) -> None:
    """The Function URL is public."""
    assert parse(path)["Parameters"]["Links"]["Default"] == "false"
    assert "adapter.links.endpoint.handler" not in {function.handler for function in load(path).functions}


def test_a_durable_function_can_make_links_where_they_are_asked_for() -> None:
    """It knows their address and their key then, and may read the key; else it has none of the three."""
    for links in ("true", "false"):
        stack = open_stack(ROOT / "template.yaml", name="local", parameters={"Links": links})
        variables = described(stack.properties("Checkout")["Environment"]["Variables"])
        (durable,) = stack.nested()
        allowed = list(statements(durable.properties("Access")))
        readable = [each["Resource"] for each in allowed if each["Action"] == "secretsmanager:GetSecretValue"]
        if links == "true":
            assert variables["DURABLE_LINK_URL"] == durable.output("LinkUrl")
            assert [variables["DURABLE_LINK_SECRET_ARN"]] == readable == [durable.output("LinkKeyArn")]
        else:
            assert not readable
            assert not {"DURABLE_LINK_URL", "DURABLE_LINK_SECRET_ARN"} & variables.keys()


def test_whoever_has_a_link_may_call_its_function_by_its_url_alone() -> None:
    """Lambda asks for both permissions; the second must not open the Invoke API to everyone."""
    resources = transformed(ROOT / "infra" / "links.yaml")["Resources"].values()
    public = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::Permission"]
    assert {(each["Principal"], each["Action"]) for each in public} == {
        ("*", "lambda:InvokeFunctionUrl"),
        ("*", "lambda:InvokeFunction"),
    }
    assert all(each.get("FunctionUrlAuthType") == "NONE" or each.get("InvokedViaFunctionUrl") for each in public)


def test_the_function_of_links_reads_and_settles_and_does_nothing_else() -> None:
    """Anyone can call this function."""
    *_, links = stacks_with(Links="true")
    (policy,) = links.properties("SettleRole")["Policies"]
    table = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"
    assert [(each["Action"], each["Resource"]) for each in policy["PolicyDocument"]["Statement"]] == [
        (["dynamodb:GetItem", "dynamodb:UpdateItem"], table),
        (["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::local-storage-payloads/*"),
        ("secretsmanager:GetSecretValue", links.output("KeyArn")),
    ]


def test_a_durable_function_keeps_promises_calls_functions_of_its_stack_and_does_nothing_else() -> None:
    """Every resource is one of this stack, or named after it."""
    stack = open_stack(ROOT / "infra" / "durable.yaml", name="shop", parameters={"StackPrefix": "shop_"})
    here = "us-east-1:123456789012"
    table = f"arn:aws:dynamodb:{here}:table/shop-Storage-Promises"
    assert [(each["Action"], each["Resource"]) for each in statements(stack.properties("Access"))] == [
        (["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"], table),
        (["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::shop-storage-payloads/*"),
        ("dynamodb:Query", f"{table}/index/due"),
        ("dynamodb:DeleteItem", table),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:shop_*"),
        ("sqs:SendMessage", [f"arn:aws:sqs:{here}:shop-Time-{queue}" for queue in ("Timers", "DeadLetters")]),
    ]


def test_whoever_may_invoke_may_read_where_a_renamed_lambda_is_found() -> None:
    """The moves are an item of the table. Others than these invoke nobody."""
    invoking = {}
    for path in TEMPLATES:
        for name, resource in parse(path)["Resources"].items():
            lists = [each["Action"] for each in statements(resource)]
            actions = {action for each in lists for action in (each if isinstance(each, list) else [each])}
            if "lambda:InvokeFunction" in actions:
                invoking[name] = "dynamodb:GetItem" in actions
    assert invoking == dict.fromkeys(
        ("ResumerRole", "FireRole", "TendRole", "Access", "ClientAccess", "OperatorAccess"), True
    )


def functions_of_all(**parameters: str) -> dict[str, dict[str, Any]]:
    """The properties of every function, by logical id: the examples', and the library's own."""
    stack = open_stack(ROOT / "template.yaml", name="local", parameters={"Links": "true", **parameters})
    (durable,) = stack.nested()
    return {
        function: each.properties(function)
        for each in (stack, *durable.nested())
        for function in each.resources_of("AWS::Serverless::Function")
    }


def test_every_function_has_the_library_and_logs_where_the_logs_expire() -> None:
    """The application's functions share one layer and one group of logs with the library's."""
    for function in functions_of_all().values():
        assert function["Layers"] == ["local-Durable-Library"]
        assert function["LoggingConfig"] == {
            "LogGroup": "local-Durable-Logs",
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            # Lambda's own three lines for each invocation would cost more than the library's.
            "SystemLogLevel": "WARN",
        }
    durable = open_stack(ROOT / "infra" / "durable.yaml", name="local", parameters={"LogRetentionDays": "7"})
    assert durable.properties("Logs") == {"RetentionInDays": "7"}


def test_every_function_but_the_resumer_has_the_layer_of_the_cipher() -> None:
    """All others write what users pass: links the values, timers the executions of schedules."""
    functions = functions_of_all(Cipher="shop_cipher:cipher", CipherLayer="theirs")
    without = {
        name for name, function in functions.items() if function["Layers"] != ["local-Durable-Library", "theirs"]
    }
    assert without == {"Resumer", "Again"}


def test_concurrency_is_reserved_where_that_is_asked_for() -> None:
    """A new account has too little of it to reserve any, and AWS would refuse the stack."""
    asked = {"ResumerConcurrency": "20", "TimersConcurrency": "5", "SweeperConcurrency": "1"}
    for parameters, expected in ((asked, {"Resumer": 20, "Fire": 5, "Sweep": 1}), ({}, {})):
        stack = open_stack(ROOT / "infra" / "durable.yaml", name="local", parameters=parameters)
        reserved = {
            name: int(each.properties(name)["ReservedConcurrentExecutions"])
            for each in stack.nested()
            for name in each.resources_of("AWS::Serverless::Function")
            if "ReservedConcurrentExecutions" in each.properties(name)
        }
        assert reserved == expected


def test_a_message_stays_hidden_for_six_tries_of_its_batch_and_for_the_batching_window() -> None:
    """So AWS recommends: Lambda may be throttled, and holds the messages while it fills a batch."""
    template = load(ROOT / "template.yaml")
    timeouts = {function.name: function.timeout_s for function in FUNCTIONS}
    for mapping in template.queue_mappings:
        assert template.visibility(mapping.queue) >= 6 * timeouts[mapping.function] + mapping.window_s


def test_no_timer_waits_for_a_batching_window() -> None:
    """Only looks and removals wait for it, since nobody waits for them."""
    windows = {mapping.function: mapping.window_s for mapping in load(ROOT / "template.yaml").queue_mappings}
    waiting = [name for name, window in windows.items() if window]
    assert [name.rpartition("-")[2] for name in waiting] == ["Tend"]


def test_functions_are_named_after_the_nested_stack_where_it_is_given_no_prefix() -> None:
    """Two applications that forget the prefix still may not invoke each other's functions."""
    stack = open_stack(ROOT / "infra" / "durable.yaml", name="shop-Durable-1A2B")
    assert stack.output("FunctionPrefix") == "shop-Durable-1A2B_"
    invoked = [each["Resource"] for each in statements(stack.properties("Access")) if "lambda" in str(each["Action"])]
    assert [arn.rpartition(":")[2] for arn in invoked] == ["shop-Durable-1A2B_*"]


def test_the_bucket_is_encrypted_and_closed_and_outlives_its_stack() -> None:
    """It holds what users passed and returned; of a running execution, the only copy."""
    resources = parse(ROOT / "infra" / "storage.yaml")["Resources"]
    bucket, policy = resources["Payloads"], resources["PayloadsPolicy"]["Properties"]["PolicyDocument"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket["Properties"]
    (deny,) = policy["Statement"]
    assert (deny["Effect"], deny["Action"], deny["Principal"]) == ("Deny", "s3:*", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_object_expires_only_once_it_was_removed() -> None:
    """A live execution may be years old. What was removed stays for as long as a restored table may name it."""
    _, storage, *_ = stacks_with()
    bucket = storage.properties("Payloads")
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert {key for key in rule if "Expir" in key} == {"NoncurrentVersionExpiration", "ExpiredObjectDeleteMarker"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 35}
    _, storage, *_ = stacks_with(RemovedObjectsDays="0")
    bucket = storage.properties("Payloads")
    assert bucket["VersioningConfiguration"] == {"Status": "Suspended"}
    assert "LifecycleConfiguration" not in bucket


def test_every_function_knows_the_bucket_and_all_but_the_resumer_the_cipher() -> None:
    """The resumer carries on what it doesn't read."""
    functions = {
        name: function["Environment"]["Variables"] for name, function in functions_of_all(Cipher="shop:cipher").items()
    }
    without = {name for name, function in functions.items() if "DURABLE_CIPHER" not in described(function)}
    assert without == {"Resumer", "Again"}
    (bucket,) = load(ROOT / "template.yaml").buckets
    assert {described(function)["DURABLE_BUCKET"] for function in functions.values()} == {bucket}


def test_the_index_has_the_fields_that_are_marked_for_it_and_the_table_the_keys_of_its_model() -> None:
    """The sweeper would read any other field as its default."""
    table = parse(ROOT / "infra" / "storage.yaml")["Resources"]["Promises"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    keys = {key["AttributeName"] for key in index["KeySchema"]}
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert sorted(index["Projection"]["NonKeyAttributes"]) == sorted(INDEXED - keys)
    assert keys - INDEXED == {"due_shard"}
    modelled = {name: attribute.attr_type for name, attribute in Item.get_attributes().items()}
    defined = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    assert defined.items() <= modelled.items()


TABLE = "local-Storage-Promises"
KEY = "arn:aws:kms:us-east-1:123456789012:key/ours"


def test_one_key_encrypts_everything_where_that_is_asked_for() -> None:
    """The table, the bucket, each queue, the logs and the links' own key; and AWS's keys do where it isn't."""
    found = {
        f"{stack.kind(each)}:{each}": stack.properties(each)
        for stack in stacks_with(Links="true", KeyArn=KEY)
        for each in stack.logical_ids
    }
    queues = [each for name, each in found.items() if name.startswith("AWS::SQS::Queue:")]
    assert len(queues) == 6
    assert all(each["KmsMasterKeyId"] == KEY and "SqsManagedSseEnabled" not in each for each in queues)
    assert found["AWS::DynamoDB::Table:Promises"]["SSESpecification"]["KMSMasterKeyId"] == KEY
    (rule,) = found["AWS::S3::Bucket:Payloads"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert found["AWS::Logs::LogGroup:Logs"]["KmsKeyId"] == KEY
    assert found["AWS::SecretsManager::Secret:Key"]["KmsKeyId"] == KEY
    for stack in stacks_with(Links="true"):
        for each in stack.logical_ids:
            assert "Kms" not in str(stack.properties(each))
            assert "kms:" not in str(stack.properties(each))
            assert stack.kind(each) != "AWS::SQS::Queue" or stack.properties(each)["SqsManagedSseEnabled"] is True


def library(**parameters: str) -> dict[str, dict[str, Any]]:
    """The library's own functions."""
    return {
        name: each.properties(name)
        for each in stacks_with(Links="true", **parameters)
        for name in each.resources_of("AWS::Serverless::Function")
    }


def basics(**parameters: str) -> set[str]:
    """What each of the library's functions may do, whatever it is for."""
    durable, *_ = stacks_with(**parameters)
    return {each["Action"][0].partition(":")[0] for each in statements(durable.properties("Basics"))}


def test_the_librarys_functions_run_in_a_vpc_where_that_is_asked_for() -> None:
    """All of them, since each asks for the table, and their roles let Lambda put them there."""
    vpc = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
    expected = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert [each["VpcConfig"] for each in library(**vpc).values()] == [expected] * 7
    assert not [each for each in library().values() if "VpcConfig" in each]
    assert basics(**vpc) - basics() == {"ec2"}


def test_the_librarys_functions_are_traced_where_that_is_asked_for() -> None:
    """And may send their traces then."""
    assert {each["Tracing"] for each in library(Tracing="Active").values()} == {"Active"}
    assert {each["Tracing"] for each in library().values()} == {"PassThrough"}
    assert basics(Tracing="Active") - basics() == {"xray"}


def test_every_role_of_the_library_logs_into_its_log_group_and_no_other() -> None:
    """AWS's own policy for Lambdas lets them write every log of the account, and make new ones."""
    durable, *others = stacks_with(Links="true")
    (logging,) = statements(durable.properties("Basics"))
    here = "arn:aws:logs:us-east-1:123456789012:log-group"
    assert logging["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert logging["Resource"] == f"{here}:{durable.physical_id('Logs')}:*"
    roles = [each.properties(name) for each in others for name in each.resources_of("AWS::IAM::Role")]
    assert len(roles) == 6
    assert all(role["ManagedPolicyArns"] == [durable.physical_id("Basics")] for role in roles)
    assert all("Role" in function for function in library().values())


def test_an_existing_table_takes_the_place_of_the_stacks_own() -> None:
    """Everything names the restored table: functions, policies, mapping, alarms. The bucket and the queues stay."""
    stream = "arn:aws:dynamodb:us-east-1:123456789012:table/restored/stream/2026"
    given = {"TableName": "restored", "TableStreamArn": stream}
    (durable, *own), (other, *restored) = stacks_with(Links="true"), stacks_with(Links="true", **given)
    assert not list(restored[0].resources_of("AWS::DynamoDB::Table"))
    for before, after in zip(own, restored, strict=True):
        left = {each: before.properties(each) for each in before.logical_ids if each != "Promises"}
        label = f"{TABLE}/stream/local-Storage"
        expected = json.loads(json.dumps(left).replace(label, "restored/stream/2026").replace(TABLE, "restored"))
        assert {each: after.properties(each) for each in after.logical_ids} == expected
    for policy in ("Access", "ClientAccess", "OperatorAccess"):
        assert TABLE in str(durable.properties(policy))
        assert TABLE not in str(other.properties(policy))
    assert other.output("Variables") == durable.output("Variables").replace(TABLE, "restored")


def stacks_with(**parameters: str) -> list[Stack]:
    """The library's own stack and those in it."""
    stack = open_stack(ROOT / "infra" / "durable.yaml", name="local", parameters=parameters)
    return [stack, *stack.nested()]


def alarms(**parameters: str) -> dict[str, dict[str, Any]]:
    return {
        name: each.properties(name)
        for each in stacks_with(**parameters)
        for name in each.resources_of("AWS::CloudWatch::Alarm")
    }


def test_every_alarm_tells_the_topic_when_it_begins_and_ends_and_without_one_nobody() -> None:
    """An alarm that nobody hears of is none."""
    topic = "arn:aws:sns:us-east-1:123456789012:on-call"
    assert len(alarms()) >= 13
    told = alarms(AlarmTopic=topic, WatchAllFunctions="true")
    assert all(each["AlarmActions"] == each["OKActions"] == [topic] for each in told.values())
    assert not [each for each in alarms().values() if "AlarmActions" in each or "OKActions" in each]


def test_every_alarm_is_explained_to_who_hears_it() -> None:
    """docs/operate.md has a paragraph that begins with its name."""
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    assert {name.removesuffix("Alarm") for name in alarms(WatchAllFunctions="true")} == {
        name.removesuffix("Alarm") for name in re.findall(r"^\*\*`(\w+)`\*\*", page, re.MULTILINE)
    }


def test_a_sweeper_that_says_nothing_is_an_alarm() -> None:
    """Of a Lambda that isn't invoked there is no metric at all."""
    silent = alarms()["SweeperSilentAlarm"]
    assert (silent["TreatMissingData"], silent["ComparisonOperator"]) == ("breaching", "LessThanThreshold")


WATCHED = {
    "UnhandledAlarm": "ApproximateNumberOfMessagesVisible",
    "UnhandledRecordsAlarm": "ApproximateNumberOfMessagesVisible",
    "RecordsAgainAlarm": "ApproximateNumberOfMessagesDelayed",
    "ResumerBehindAlarm": "IteratorAge",
    "ResumerFailingAlarm": "Errors",
    "ResumerThrottledAlarm": "Throttles",
    "TimersLateAlarm": "ApproximateAgeOfOldestMessage",
    "SweeperSilentAlarm": "Invocations",
    "SweeperDroppedAlarm": "AsyncEventsDropped",
    "SweeperLateAlarm": "AsyncEventAge",
    "GivenUpAlarm": "NumberOfMessagesSent",
    "PausedAlarm": "local-paused",
    "StalledAlarm": "local-stalled",
}


def test_whatever_stands_still_rings() -> None:
    """Each alarm that watches one metric watches this one; DynamoDB's throttling is a sum of four."""
    assert {name: each["MetricName"] for name, each in alarms().items() if "MetricName" in each} == WATCHED
    throttled = {each["MetricStat"]["Metric"]["MetricName"] for each in alarms()["ThrottledAlarm"]["Metrics"][1:]}
    assert throttled == {"ReadThrottleEvents", "WriteThrottleEvents"}


def test_the_events_of_all_functions_are_watched_where_that_is_asked_for() -> None:
    """Others than those of this application are among them, so it isn't the default."""
    further = alarms(WatchAllFunctions="true").keys() - alarms().keys()
    assert further == {"EventsDroppedAlarm", "EventsLateAlarm"}


def test_what_the_logs_are_searched_for_is_what_is_logged() -> None:
    """An alarm for a message that nobody logs would never ring."""
    durable, *_ = stacks_with()
    patterns = [durable.properties(each)["FilterPattern"] for each in durable.resources_of("AWS::Logs::MetricFilter")]
    assert patterns == [f'{{ $.message = "{what}" }}' for what in ("stalled", "paused")]
    assert {"stalled", "paused"} <= {each.value for each in What}


def test_the_dashboard_shows_metrics_of_what_there_is() -> None:
    """CloudWatch takes any text for a name."""
    everything = stacks_with()
    body = json.loads(everything[0].properties("Dashboard")["DashboardBody"])
    names = {stack.physical_id(each) for stack in everything for each in stack.logical_ids}
    shown = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", ())]
    assert {metric[-1] for metric in shown if metric[-1] != "."} <= names
    assert f"SOURCE '{everything[0].physical_id('Logs')}'" in body["widgets"][-1]["properties"]["query"]


@pytest.mark.parametrize("protected", ["true", "false"])
def test_the_table_is_protected_from_deletion_where_that_is_asked_for(protected: str) -> None:
    """It outlives its stack in any case."""
    _, storage, *_ = stacks_with(DeletionProtection=protected)
    assert storage.properties("Promises")["DeletionProtectionEnabled"] == protected
