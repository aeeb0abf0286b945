"""AWS's APIs over the loopback address, asked by the clients that product code uses."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws

from adapter.aws.store import DynamoStore
from adapter.protocol.promises import Refused
from adapter.protocol.records import Kind, Record, State
from adapter.testing.simulated_aws.gateway import Call, Gateway, HangUp
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.outages import NoSuchFunction

REGION = "us-east-1"
SERVICES = ("dynamodb", "sqs", "s3")


class Aws:
    """moto behind a gateway, in a process whose own clients go through the socket like any other's."""

    def __init__(self, stack: ExitStack) -> None:
        stack.enter_context(environment({"AWS_DEFAULT_REGION": REGION, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}))
        mock = mock_aws()
        mock.start()
        stack.callback(mock.stop)
        self.behind = {name: boto3.client(name, region_name=REGION) for name in SERVICES}
        self.behind["dynamodb"].create_table(
            TableName="promises",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.lock = threading.Lock()
        self.locked_when_invoked: list[bool] = []
        self.invoked: list[tuple[str, str]] = []
        self.seen: list[tuple[Call, str]] = []
        self.gateway = stack.enter_context(
            Gateway(self.behind, self._invoke, self.lock, lambda call, when: self.seen.append((call, when)))
        )

    def client(self, service: str) -> Any:
        """A client whose requests leave by the socket: moto answers the hosts of AWS only."""
        session = boto3.Session(aws_access_key_id="KEY7", aws_secret_access_key="testing", region_name=REGION)
        once = Config(retries={"total_max_attempts": 1})
        return session.client(service, endpoint_url=self.gateway.url, config=once)

    def _invoke(self, function: str, payload: str) -> None:
        if function == "absent":
            raise NoSuchFunction(function)
        self.locked_when_invoked.append(self.lock.locked())
        self.invoked.append((function, payload))


@pytest.fixture
def aws() -> Iterator[Aws]:
    with ExitStack() as stack:
        yield Aws(stack)


def test_an_item_comes_back_with_every_type_that_it_had(aws: Aws) -> None:
    """It may have bytes, too, which JSON doesn't have."""
    table = aws.client("dynamodb")
    item = {
        "pk": {"S": "a"},
        "sk": {"N": "0"},
        "bytes": {"B": b"\x00\xff"},
        "set": {"BS": [b"\x01", b"\x02"]},
        "deep": {"M": {"list": {"L": [{"B": b"\x03"}, {"NULL": True}, {"BOOL": False}, {"S": "ö"}]}}},
    }
    table.put_item(TableName="promises", Item=item)

    assert table.get_item(TableName="promises", Key={"pk": {"S": "a"}, "sk": {"N": "0"}})["Item"] == item
    assert aws.behind["dynamodb"].scan(TableName="promises")["Items"] == [item]


def test_a_failed_condition_returns_the_old_item(aws: Aws) -> None:
    """boto3 raises the error of its class, with the bytes that stand."""
    table = aws.client("dynamodb")
    old = {"pk": {"S": "a"}, "sk": {"N": "0"}, "value": {"B": b"\xff"}}
    table.put_item(TableName="promises", Item=old)
    with pytest.raises(table.exceptions.ConditionalCheckFailedException) as refused:
        table.put_item(
            TableName="promises",
            Item={**old, "value": {"B": b"\x00"}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert refused.value.response["Item"] == old
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_store_works_through_the_gateway(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address comes from the environment; created twice, settled twice, the first one stands."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.gateway.url)
    store = DynamoStore("promises", REGION)
    record = Record(id="order-7", kind=Kind.CALL, state=State.PENDING, fn="f", created_at=1)

    assert store.create(record) == record
    assert isinstance(store.create(record), Refused)
    settled = store.settle("order-7", State.RESOLVED, "1", 2)
    assert isinstance(store.settle("order-7", State.REJECTED, "2", 3), Refused)
    assert store.read_function("order-7") == (settled, [])
    assert [call.operation for call, when in aws.seen if when == "before"] == [
        "PutItem",
        "PutItem",
        "UpdateItem",
        "UpdateItem",
        "Query",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"TableName": "absent", "Key": {"pk": {"S": "a"}, "sk": {"N": "0"}}}, "ResourceNotFoundException"),
        ({"TableName": "promises", "Key": {"pk": {"S": "a"}}}, "ValidationException"),
    ],
)
def test_errors_keep_their_codes(aws: Aws, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("dynamodb").get_item(**arguments)

    assert refused.value.response["Error"]["Code"] == code


def test_a_message_is_sent_with_its_delay(aws: Aws) -> None:
    url = aws.behind["sqs"].create_queue(QueueName="timers")["QueueUrl"]
    sent = aws.client("sqs").send_message(QueueUrl=url, MessageBody='{"at": 1}')
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    received = aws.behind["sqs"].receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

    assert [(message["MessageId"], message["Body"]) for message in received] == [(sent["MessageId"], '{"at": 1}')]


def test_a_queue_that_is_absent_has_the_error_of_old(aws: Aws) -> None:
    """SQS's clients look for the code of the query protocol, and the class."""
    client = aws.client("sqs")
    with pytest.raises(client.exceptions.QueueDoesNotExist) as refused:
        client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/absent", MessageBody="m")

    assert refused.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_an_event_is_accepted_and_handed_on(aws: Aws) -> None:
    answer = aws.client("lambda").invoke(
        FunctionName="local-ship", InvocationType="Event", Payload='{"order": "ö"}'.encode()
    )

    assert answer["StatusCode"] == 202
    assert aws.invoked == [("local-ship", '{"order": "ö"}')]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"FunctionName": "absent", "InvocationType": "Event", "Payload": b"{}"}, "ResourceNotFoundException"),
        ({"FunctionName": "ship", "InvocationType": "Event", "Payload": b"{"}, "InvalidRequestContentException"),
        ({"FunctionName": "ship", "Payload": b"{}"}, "InvalidParameterValueException"),
    ],
)
def test_an_invocation_that_cannot_be_is_refused(aws: Aws, arguments: dict[str, Any], code: str) -> None:
    client = aws.client("lambda")
    with pytest.raises(ClientError) as refused:
        client.invoke(**arguments)

    assert refused.value.response["Error"]["Code"] == code
    assert aws.invoked == []


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_an_object_comes_back(aws: Aws, checksums: str) -> None:
    """Clients send its checksum in several ways."""
    aws.behind["s3"].create_bucket(Bucket="payloads")
    client = boto3.client(
        "s3", region_name=REGION, endpoint_url=aws.gateway.url, config=Config(request_checksum_calculation=checksums)
    )
    body = bytes(range(256)) * 1_000
    client.put_object(Bucket="payloads", Key="a/ö b", Body=body)

    assert client.get_object(Bucket="payloads", Key="a/ö b")["Body"].read() == body
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="payloads", Key="absent")


def test_an_object_is_copied_and_not_overwritten_by_nothing(aws: Aws) -> None:
    """A copy is a put without a body."""
    aws.behind["s3"].create_bucket(Bucket="payloads")
    client = aws.client("s3")
    client.put_object(Bucket="payloads", Key="a/1", Body=b"large")
    client.copy_object(Bucket="payloads", Key="b/1", CopySource={"Bucket": "payloads", "Key": "a/1"})

    assert client.get_object(Bucket="payloads", Key="b/1")["Body"].read() == b"large"
    with pytest.raises(client.exceptions.NoSuchKey):
        client.copy_object(Bucket="payloads", Key="c/1", CopySource={"Bucket": "payloads", "Key": "absent"})


def test_objects_are_listed_by_their_beginning_and_deleted(aws: Aws) -> None:
    """They fill more than one page. A key may have signs that XML writes otherwise."""
    aws.behind["s3"].create_bucket(Bucket="payloads")
    client = aws.client("s3")
    keys = sorted([f"a/{number}" for number in range(1_001)] + ["a/<&> ö"])
    for key in [*keys, "b/1"]:
        aws.behind["s3"].put_object(Bucket="payloads", Key=key, Body=b"x")

    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket="payloads", Prefix="a/"))
    assert [each["Key"] for page in pages for each in page["Contents"]] == keys
    assert len(pages) == 2
    assert pages[0]["Contents"][0]["LastModified"].tzinfo is not None

    client.delete_objects(Bucket="payloads", Delete={"Objects": [{"Key": key} for key in keys[:1_000]], "Quiet": True})
    left = client.list_objects_v2(Bucket="payloads", Prefix="")
    assert [each["Key"] for each in left["Contents"]] == [*keys[1_000:], "b/1"]


def test_objects_are_deleted_though_a_client_of_this_process_has_done_so_before(aws: Aws) -> None:
    """A client of S3 changes its operations' paths when it calls them, and clients may share these."""
    behind, s3 = aws.behind["s3"], aws.client("s3")
    behind.create_bucket(Bucket="shelf")
    for client in (behind, s3):
        client.put_object(Bucket="shelf", Key="a/1", Body=b"book")
        assert [one["Key"] for one in client.list_objects_v2(Bucket="shelf")["Contents"]] == ["a/1"]
        client.delete_objects(Bucket="shelf", Delete={"Objects": [{"Key": "a/1"}], "Quiet": True})
        assert client.list_objects_v2(Bucket="shelf")["KeyCount"] == 0
    named = [call.operation for call, when in aws.seen if when == "after"]
    assert named == ["PutObject", "ListObjectsV2", "DeleteObjects", "ListObjectsV2"]


def test_whoever_watches_is_told_before_and_after_with_the_callers_key(aws: Aws) -> None:
    """The access key identifies the process, so a test can kill it exactly at that call."""
    url = aws.behind["sqs"].create_queue(QueueName="timers")["QueueUrl"]
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="m")
    aws.client("lambda").invoke(FunctionName="ship", InvocationType="Event", Payload=b"{}")
    sent = Call(service="sqs", operation="SendMessage", caller="KEY7")
    invoked = Call(service="lambda", operation="Invoke", caller="KEY7")

    assert aws.seen == [(sent, "before"), (sent, "after"), (invoked, "before"), (invoked, "after")]


@pytest.mark.parametrize(("moment", "takes_effect"), [("before", False), ("after", True)])
def test_hung_up_before_a_call_it_takes_no_effect_and_after_it_all_of_it(
    aws: Aws, moment: str, takes_effect: bool
) -> None:
    """Either way there is no answer, and nothing that the gateway's owner would have to hear of."""

    def hang_up(call: Call, when: str) -> None:
        if when == moment:
            raise HangUp

    item = {"pk": {"S": "a"}, "sk": {"N": "0"}}
    with Gateway(aws.behind, lambda function, payload: None, threading.Lock(), hang_up) as aws.gateway:
        with pytest.raises(ConnectionClosedError):
            aws.client("dynamodb").put_item(TableName="promises", Item=item)
        assert aws.gateway.failures == []

    assert aws.behind["dynamodb"].scan(TableName="promises")["Items"] == ([item] if takes_effect else [])


def test_no_client_is_used_without_the_lock_and_lambda_never_under_it(aws: Aws) -> None:
    """moto isn't safe under threads; a callback that takes another lock mustn't wait for one that waits for ours."""
    held: list[bool] = []
    for name in ("dynamodb", "sqs", "s3"):
        aws.behind[name].meta.events.register("before-send.*", lambda **_: held.append(aws.lock.locked()))
    aws.behind["s3"].create_bucket(Bucket="payloads")
    url = aws.behind["sqs"].create_queue(QueueName="timers")["QueueUrl"]
    assert held == [False, False]
    held.clear()

    aws.client("dynamodb").scan(TableName="promises")
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="m")
    aws.client("s3").put_object(Bucket="payloads", Key="a", Body=b"1")
    aws.client("lambda").invoke(FunctionName="ship", InvocationType="Event", Payload=b"{}")
    assert held == [True, True, True]
    assert aws.locked_when_invoked == [False]


def test_what_a_callback_raises_is_kept_and_told_as_the_services_failure(aws: Aws) -> None:
    """A client would take it for a passing fault of AWS, so the gateway's owner has to hear of it."""
    broken = LookupError("no queue for it")

    def invoked(function: str, payload: str) -> None:
        raise broken

    with Gateway(aws.behind, invoked, threading.Lock()) as gateway:
        aws.gateway = gateway
        with pytest.raises(ClientError, match="LookupError: no queue for it") as failed:
            aws.client("lambda").invoke(FunctionName="ship", InvocationType="Event", Payload=b"{}")

    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert gateway.failures == [broken]


def test_a_clients_hooks_hear_of_a_request_as_of_a_call_of_its_own(aws: Aws) -> None:
    """They hear of a refused one, too. By such hooks a cloud counts what its functions cost."""
    heard: list[tuple[str, Any, Any]] = []
    behind, client = aws.behind["dynamodb"], aws.client("dynamodb")

    def remember(params: Any, context: Any, **_: Any) -> None:
        context["parameters"] = params

    def hear(parsed: Any, model: Any, context: Any, **_: Any) -> None:
        parsed.pop("ResponseMetadata")
        heard.append((model.name, context["parameters"], parsed))

    behind.meta.events.register("before-parameter-build.dynamodb.*", remember)
    behind.meta.events.register("after-call.dynamodb.*", hear)
    key = {"pk": {"S": "a"}, "sk": {"N": "0"}}
    put = {"TableName": "promises", "Item": key, "ConditionExpression": "attribute_not_exists(pk)"}
    client.put_item(**put)
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(**put)
    client.get_item(TableName="promises", Key=key)

    refused = {"Code": "ConditionalCheckFailedException", "Message": "The conditional request failed"}
    assert [(name, asked) for name, asked, _ in heard] == [
        ("PutItem", put),
        ("PutItem", put),
        ("GetItem", {"TableName": "promises", "Key": key}),
    ]
    assert [(parsed.get("Item"), parsed.get("Error")) for _, _, parsed in heard] == [
        (None, None),
        (None, refused),
        (key, None),
    ]


def test_an_operation_on_an_object_is_told_by_its_name(aws: Aws) -> None:
    """The gateway finds it by path, query and headers: S3 says it nowhere else."""
    aws.behind["s3"].create_bucket(Bucket="payloads")
    client, one = aws.client("s3"), {"Bucket": "payloads", "Key": "a/b c"}
    client.put_object(**one, Body=b"large")
    client.copy_object(Bucket="payloads", Key="b", CopySource=one)
    assert client.head_object(**one)["ContentLength"] == 5
    client.get_object(**one)
    client.list_objects_v2(Bucket="payloads")
    client.delete_objects(Bucket="payloads", Delete={"Objects": [{"Key": "b"}]})
    upload = client.create_multipart_upload(**one)["UploadId"]
    client.upload_part(**one, UploadId=upload, PartNumber=1, Body=b"part")
    client.abort_multipart_upload(**one, UploadId=upload)
    client.delete_object(**one)

    assert {(call.service, call.caller) for call, _ in aws.seen} == {("s3", "KEY7")}
    assert [call.operation for call, when in aws.seen if when == "after"] == [
        "PutObject",
        "CopyObject",
        "HeadObject",
        "GetObject",
        "ListObjectsV2",
        "DeleteObjects",
        "CreateMultipartUpload",
        "UploadPart",
        "AbortMultipartUpload",
        "DeleteObject",
    ]


def test_what_no_client_answers_is_named(aws: Aws) -> None:
    """The error names the service that a request was for. One connection takes several requests."""
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=KEY7/20260101/us-east-1/kafka/aws4_request, Signature=0"}
    requests = [
        ("POST", "/", {"X-Amz-Target": "Kinesis_20131202.PutRecord"}, b"Kinesis_20131202.PutRecord"),
        ("POST", "/", {"X-Amz-Target": "DynamoDB_20120810.Nothing"}, b"DynamoDB_20120810.Nothing"),
        ("GET", "/v1/clusters", signed, b"GET /v1/clusters of kafka"),
        ("PATCH", "/bucket", {}, b"PATCH /bucket of s3"),
    ]
    connection = http.client.HTTPConnection(aws.gateway.url.removeprefix("http://"))
    try:
        for method, url, headers, named in requests:
            connection.request(method, url, b"{}", headers)
            answer = connection.getresponse()
            assert (answer.status, b"no client here answers " + named in answer.read()) == (400, True)
    finally:
        connection.close()
    assert aws.seen == []


def test_a_request_never_leaves_this_process(aws: Aws) -> None:
    """Where nothing plays AWS at the client's own address, there is no answer, and none is fetched."""
    elsewhere = boto3.client("dynamodb", region_name=REGION, endpoint_url=aws.gateway.url)
    with Gateway({"dynamodb": elsewhere}, aws._invoke, threading.Lock()) as gateway:
        aws.gateway = gateway
        with pytest.raises(ClientError, match="nothing in this process answers"):
            aws.client("dynamodb").list_tables()

    assert [type(failure) for failure in gateway.failures] == [LookupError]
    assert aws.seen == []


def test_closing_ends_every_thread_though_clients_keep_their_connections(aws: Aws) -> None:
    before = threading.active_count()
    with Gateway(aws.behind, aws._invoke, threading.Lock()) as gateway:
        connections = [http.client.HTTPConnection(gateway.url.removeprefix("http://")) for _ in range(3)]
        for connection in connections:
            connection.request("POST", "/", b"{}", {"X-Amz-Target": "DynamoDB_20120810.ListTables"})
            assert connection.getresponse().read() == b'{"TableNames": ["promises"]}'
        assert threading.active_count() > before
    for connection in connections:
        connection.close()

    assert threading.active_count() == before
