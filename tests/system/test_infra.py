"""The templates deploy: they are valid as written and as SAM expands them, and their handlers exist."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.api import lint_file
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from adapter.aws.items import Item
from adapter.protocol.records import INDEXED
from adapter.testing.simulated_aws.filters import matches
from adapter.testing.simulated_aws.intrinsics import parse
from adapter.testing.simulated_aws.template import FunctionSpec, StreamMapping, load

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]
FUNCTIONS = load(ROOT / "template.yaml").functions

templates = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))


def packaged(body: dict[str, Any]) -> dict[str, Any]:
    """The template as ``sam package`` would hand it over: no local paths."""
    for resource in body["Resources"].values():
        properties = resource.setdefault("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://bucket/code.zip"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = "s3://bucket/layer.zip"
        elif resource["Type"] == "AWS::Serverless::Application":
            properties["Location"] = "https://bucket.s3.amazonaws.com/nested.yaml"
    return body


def transformed(path: Path) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    expanded: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(packaged(parse(path)), {})
    return expanded


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


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.logical_id)
def test_every_handler_exists(function: FunctionSpec) -> None:
    """What Lambda would import and call is there."""
    module, _, attribute = function.handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_every_example_is_named_by_its_target() -> None:
    """A durable function calls another by the prefix and its target's name."""
    examples = [function for function in FUNCTIONS if function.handler.startswith("handlers.")]
    assert examples
    for function in examples:
        target = function.handler.rpartition(".")[2]
        assert function.name == function.environment["DURABLE_PREFIX"] + target


def statements(value: object) -> Iterator[dict[str, Any]]:
    """Every IAM statement in a template that allows anything, wherever it stands."""
    if isinstance(value, dict):
        if value.get("Effect") == "Allow":
            yield value
        for each in value.values():
            yield from statements(each)
    elif isinstance(value, list):
        for each in value:
            yield from statements(each)


@templates
def test_no_function_may_do_more_than_it_has_to(path: Path) -> None:
    """No wildcard action; a wildcard resource only for the one action that has no other."""
    for statement in statements(transformed(path)):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]
        if statement.get("Resource") == "*":
            assert actions == ["dynamodb:ListStreams"]


@pytest.fixture
def settled() -> StreamMapping:
    """The mapping from the table's stream to the resumer."""
    (mapping,) = load(ROOT / "template.yaml").mappings
    return mapping


def record(old: str | None, new: str, **attributes: str) -> dict[str, Any]:
    images: dict[str, Any] = {"NewImage": {"state": {"S": new}, **{key: {"S": v} for key, v in attributes.items()}}}
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
    """Everything else would be an invocation for nothing."""
    assert any(matches(pattern, event) for pattern in settled.filters) is passes


def test_a_bad_record_never_blocks_its_shard(settled: StreamMapping) -> None:
    """It is isolated, retried a bounded number of times, then put aside; none is skipped at the start."""
    assert settled.report_item_failures
    assert settled.bisect
    assert settled.max_retries is not None
    assert settled.max_record_age_s is not None
    assert settled.on_failure is not None
    assert settled.starting_position == "TRIM_HORIZON"


def test_promises_are_settled_over_http_only_where_that_is_asked_for() -> None:
    """The Function URL is public."""
    body = parse(ROOT / "template.yaml")
    assert body["Parameters"]["Links"]["Default"] == "false"
    assert body["Resources"]["PublicLinks"]["Condition"] == "WithLinks"
    assert "adapter.links.endpoint.handler" not in {function.handler for function in FUNCTIONS}


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
    """It is the one that anybody can call."""
    allowed = [
        (statement["Action"], statement["Resource"]) for statement in statements(parse(ROOT / "infra" / "links.yaml"))
    ]
    assert allowed == [
        (["dynamodb:GetItem", "dynamodb:UpdateItem"], {"Ref": "TableArn"}),
        (["s3:GetObject", "s3:PutObject"], {"Fn::Sub": "${BucketArn}/*"}),
        ("secretsmanager:GetSecretValue", {"Ref": "Key"}),
    ]


def test_the_bucket_is_encrypted_and_closed_and_outlives_its_stack() -> None:
    """It holds what users passed and returned; of a running execution, the only copy."""
    resources = parse(ROOT / "infra" / "storage.yaml")["Resources"]
    bucket, policy = resources["Payloads"], resources["PayloadsPolicy"]["Properties"]["PolicyDocument"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket["Properties"]
    assert "LifecycleConfiguration" not in bucket["Properties"]
    (deny,) = policy["Statement"]
    assert (deny["Effect"], deny["Action"], deny["Principal"]) == ("Deny", "s3:*", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_every_function_knows_the_bucket_and_all_but_the_resumer_the_cipher() -> None:
    """The resumer carries on what it doesn't read."""
    without = {function.handler for function in FUNCTIONS if "DURABLE_CIPHER" not in function.environment}
    assert without == {"adapter.lambdas.resumer.handler"}
    (bucket,) = load(ROOT / "template.yaml").buckets
    assert {function.environment["DURABLE_BUCKET"] for function in FUNCTIONS} == {bucket}


def test_the_index_has_the_fields_that_are_marked_for_it_and_the_table_the_keys_of_its_model() -> None:
    """Whatever else the sweeper read it would read as a default."""
    table = parse(ROOT / "infra" / "storage.yaml")["Resources"]["Promises"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    keys = {key["AttributeName"] for key in index["KeySchema"]}
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert sorted(index["Projection"]["NonKeyAttributes"]) == sorted(INDEXED - keys)
    assert keys - INDEXED == {"due_shard"}
    modelled = {name: attribute.attr_type for name, attribute in Item.get_attributes().items()}
    defined = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    assert defined.items() <= modelled.items()
