"""`durable doctor` finds what is wrong with a deployed stack. The stack is on moto, put there from its template."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner
from moto import mock_aws

from adapter.cli.adopting import doctoring
from adapter.cli.adopting.account import Account, CloudFormation, tree
from adapter.cli.adopting.setups import Finding
from adapter.cli.commands import durable
from adapter.errors import ConfigurationError
from tests.support.deploying import Deployed

REGION = "us-east-1"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made") / "shop"
    assert CliRunner().invoke(durable, ["init", str(place)]).exit_code == 0
    return place / "template.yaml"


@pytest.fixture
def deployed(template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
    with mock_aws():
        yield Deployed(template, "shop")


def said(deployed: Deployed) -> list[Finding]:
    return doctoring.findings("shop", deployed, Account(deployed.client))


def found(deployed: Deployed) -> list[tuple[str, str]]:
    return [(each.where, each.rule) for each in said(deployed)]


def test_a_stack_as_it_was_deployed_is_well(deployed: Deployed) -> None:
    """Nothing is found."""
    assert said(deployed) == []


def lambda_(**changes: Any) -> Callable[[Deployed], None]:
    """What is changed by hand about the Lambda shop_charge."""
    return lambda deployed: boto3.client("lambda").update_function_configuration(FunctionName="shop_charge", **changes)


def without_destination(deployed: Deployed) -> None:
    boto3.client("lambda").delete_function_event_invoke_config(FunctionName="shop_charge")


def without_policy(deployed: Deployed) -> None:
    iam = boto3.client("iam")
    for each in iam.list_attached_role_policies(RoleName="shop_charge-role")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="shop_charge-role", PolicyArn=each["PolicyArn"])


def without_function(deployed: Deployed) -> None:
    boto3.client("lambda").delete_function(FunctionName="shop_charge")


def without_concurrency(deployed: Deployed) -> None:
    boto3.client("lambda").put_function_concurrency(FunctionName="shop_charge", ReservedConcurrentExecutions=0)


def in_a_loop(deployed: Deployed) -> None:
    deployed.recursive -= {"shop_charge", "shop-Durable-Time-Fire"}


def mapping_of(function: str) -> str:
    (mapping,) = boto3.client("lambda").list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    return str(mapping["UUID"])


def without_mapping(deployed: Deployed) -> None:
    boto3.client("lambda").delete_event_source_mapping(UUID=mapping_of("shop-Durable-Time-Fire"))


def mapping_off(deployed: Deployed) -> None:
    boto3.client("lambda").update_event_source_mapping(UUID=mapping_of("shop-Durable-Engine-Resumer"), Enabled=False)


def filtered_otherwise(deployed: Deployed) -> None:
    boto3.client("lambda").update_event_source_mapping(
        UUID=mapping_of("shop-Durable-Engine-Resumer"), FilterCriteria={"Filters": [{"Pattern": '{"a": ["b"]}'}]}
    )


def failing(deployed: Deployed) -> None:
    deployed.results["shop-Durable-Engine-Resumer"] = "PROBLEM: Function call failed"


def rule_off(deployed: Deployed) -> None:
    boto3.client("events").disable_rule(Name="shop-Durable-Time-Sweep-Minutely")


def unhandled(queue: str) -> Callable[[Deployed], None]:
    def send(deployed: Deployed) -> None:
        sqs = boto3.client("sqs")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody="{}")

    return send


def without_queue(deployed: Deployed) -> None:
    sqs = boto3.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="shop-Durable-Time-Unhandled")["QueueUrl"])


def alarming(deployed: Deployed) -> None:
    boto3.client("cloudwatch").set_alarm_state(
        AlarmName="shop-Durable-StalledAlarm", StateValue="ALARM", StateReason="a Lambda is missing"
    )


def without_alarm(deployed: Deployed) -> None:
    boto3.client("cloudwatch").delete_alarms(AlarmNames=["shop-Durable-StalledAlarm"])


def without_stream(deployed: Deployed) -> None:
    boto3.client("dynamodb").update_table(
        TableName="shop-Durable-Storage-Promises", StreamSpecification={"StreamEnabled": False}
    )


def without_expiry(deployed: Deployed) -> None:
    boto3.client("dynamodb").update_time_to_live(
        TableName="shop-Durable-Storage-Promises",
        TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires"},
    )


def without_table(deployed: Deployed) -> None:
    boto3.client("dynamodb").delete_table(TableName="shop-Durable-Storage-Promises")


Harm = tuple[Callable[[Deployed], None], list[tuple[str, str]]]

TOGETHER: list[list[Harm]] = [
    [
        (lambda_(Timeout=3), [("Charge", "timeout")]),
        (lambda_(Environment={"Variables": {"DURABLE_TABLE": "another"}}), [("Charge", "variables")] * 2),
        (without_destination, [("Charge", "destination")]),
        (without_policy, [("Charge", "permissions")]),
        (without_concurrency, [("Charge", "state")]),
        (in_a_loop, [("Charge", "recursion"), ("Fire", "recursion")]),
        (mapping_off, [("Resumer", "enabled")]),
        (failing, [("Resumer", "result")]),
        (rule_off, [("Sweep", "schedule")]),
        (unhandled("shop-Durable-Time-Unhandled"), [("Unhandled", "queue")]),
        (alarming, [("StalledAlarm", "alarm")]),
        (without_stream, [("Promises", "stream")]),
        (without_expiry, [("Promises", "expiry")]),
    ],
    [
        (lambda_(Layers=[]), [("Charge", "layer")]),
        (without_mapping, [("Fire", "mapping")]),
        (filtered_otherwise, [("Resumer", "filter")]),
        (unhandled("shop-Durable-Engine-UnhandledRecords"), [("UnhandledRecords", "queue")]),
        (without_queue, [("Unhandled", "missing")]),
        (without_alarm, [("StalledAlarm", "missing")]),
        (without_table, [("Promises", "missing")]),
    ],
    [(lambda_(Runtime="python3.12"), [("Charge", "platform")])],
    [(without_function, [("Charge", "missing")])],
]


def woken(word: str) -> Callable[[Deployed], None]:
    """How calls resume the functions of shop_checkout."""

    def change(deployed: Deployed) -> None:
        client = boto3.client("lambda")
        has = client.get_function_configuration(FunctionName="shop_checkout")["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName="shop_checkout", Environment={"Variables": {**has, "DURABLE_WAKE": word}}
        )

    return change


def with_few_places(deployed: Deployed) -> None:
    boto3.client("lambda").put_function_concurrency(FunctionName="shop_charge", ReservedConcurrentExecutions=2)


TOGETHER += [
    [(woken("direct"), []), (without_policy, [("Charge", "permissions"), ("Charge", "wake")])],
    [(woken("linger"), []), (with_few_places, [("Charge", "linger")])],
]


@pytest.mark.parametrize("harms", TOGETHER)
def test_what_was_harmed_is_found(harms: list[Harm], deployed: Deployed) -> None:
    """Each harm is found, and nothing else."""
    for harm, _ in harms:
        harm(deployed)
    assert found(deployed) == sorted(each for _, expected in harms for each in expected)


def test_a_stack_that_is_not_there_and_one_without_the_library_are_refused(deployed: Deployed) -> None:
    """The error says which."""
    with pytest.raises(ConfigurationError, match="no stack other"):
        doctoring.findings("other", deployed, Account(deployed.client))
    with pytest.raises(ConfigurationError, match=r"doesn't nest the library's stack"):
        doctoring.findings("shop-Durable-Storage", deployed, Account(deployed.client))


def test_stacks_are_read_as_cloudformation_describes_them() -> None:
    """Nested ones are known by their ARNs. A stack that isn't there is an error of CloudFormation's own kind."""
    client = boto3.client(
        "cloudformation", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    nested = "arn:aws:cloudformation:us-east-1:123456789012:stack/shop-Durable/1"
    stack = {"StackName": "shop", "CreationTime": now, "StackStatus": "CREATE_COMPLETE"}
    outputs = ("LayerArn", "PolicyArn", "DeadLettersArn", "Variables")
    with Stubber(client) as stubber:
        for name, kinds, has in (("shop", ["AWS::CloudFormation::Stack"], ()), (nested, ["AWS::SQS::Queue"], outputs)):
            stubber.add_response(
                "describe_stacks",
                {"Stacks": [{**stack, "Outputs": [{"OutputKey": each, "OutputValue": each} for each in has]}]},
                {"StackName": name},
            )
            stubber.add_response(
                "list_stack_resources",
                {
                    "StackResourceSummaries": [
                        {
                            "LogicalResourceId": "Durable",
                            "PhysicalResourceId": nested,
                            "ResourceType": kind,
                            "LastUpdatedTimestamp": now,
                            "ResourceStatus": "CREATE_COMPLETE",
                        }
                        for kind in kinds
                    ]
                },
                {"StackName": name},
            )
        stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id other does not exist")
        stacks = CloudFormation(client)
        seen = tree(stacks, "shop")
        assert [len(seen.own), len(seen.library)] == [1, 1]
        assert seen.outputs == {each: each for each in outputs}
        with pytest.raises(ConfigurationError, match="no stack other"):
            stacks.part("other")
