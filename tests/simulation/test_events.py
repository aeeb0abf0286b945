"""What Lambda's events start: one root for each thing that happened, however often AWS tells of it, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter import attach, durable, errors, promise, schedule
from adapter.engine.operations import Create
from adapter.protocol.ids import EVENT
from adapter.testing import Faults, LocalCloud
from adapter.testing.simulated_aws.lambdas import Context
from tests.support.laws import HOUR, Limit, step

INFRA = Path(__file__).resolve().parents[2] / "infra"


@durable(name="entry")
async def entry(event: dict[str, Any]) -> int:
    return await step(len(event))


@durable(name="other entry")
async def other(event: dict[str, Any]) -> int:
    return await step(-len(event))


@durable(name="handles one")
def handles(event: dict[str, Any]) -> str:
    """The number in its message."""
    (record,) = event["Records"]
    return str(int(record["body"]))


@durable(name="wants a number")
def wants_a_number(number: int) -> int:
    return number


@durable(name="asks somebody")
async def asks() -> str:
    return await promise(str)


@durable(name="reports")
def reports() -> str:
    return "reported"


def called(fn: Any, event: Any, request: str = "request") -> Any:
    """As Lambda calls it."""
    return fn(event, Context(aws_request_id=request, function_name="entry", memory_limit_in_mb=128, timeout_s=3))


def http(key: str = "", body: str = "{}", **more: Any) -> dict[str, Any]:
    """Of an HTTP API, or of a function URL."""
    headers = {"Idempotency-Key": key} if key else {}
    context = {"http": {"method": "POST", "path": "/"}, "requestId": str(more), "time": str(more)}
    return {"version": "2.0", "requestContext": context, "headers": headers | more, "rawPath": "/", "body": body}


def record(number: object, receives: int = 1) -> dict[str, Any]:
    """A message of a queue, as it is delivered for the n-th time."""
    volatile = {"receiptHandle": f"handle-{receives}", "attributes": {"ApproximateReceiveCount": str(receives)}}
    return {"messageId": f"m-{number}", "body": str(number), "eventSource": "aws:sqs", **volatile}


KINESIS = {"eventSource": "aws:kinesis", "eventID": "shard:1", "kinesis": {"sequenceNumber": "7", "data": "e30="}}
DYNAMODB = {"eventSource": "aws:dynamodb", "eventID": "c81e", "dynamodb": {"SequenceNumber": "7", "Keys": {}}}
SNS = {"EventSource": "aws:sns", "Sns": {"MessageId": "n-1", "Message": "hello"}}
S3 = {
    "eventSource": "aws:s3",
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "photos"}, "object": {"key": "a/b.jpg", "sequencer": "0A1B", "eTag": "e"}},
}
RULE = {"detail-type": "Order", "source": "shop", "account": "1", "region": "eu-west-1", "id": "e-1", "detail": {}}

EVENTS: list[tuple[Mapping[str, Any], str]] = [
    ({"Records": [{"messageId": "m-1", "body": "x"}]}, "sqs:m-1"),
    ({"Records": [record(1)]}, "sqs:m-1"),
    ({"Records": [KINESIS]}, "kinesis:shard%3A1"),
    ({"Records": [DYNAMODB]}, "dynamodb:c81e"),
    ({"Records": [SNS]}, "sns:n-1"),
    ({"Records": [S3]}, "s3:a/b.jpg,photos,0A1B,ObjectCreated%3APut"),
    (RULE, "eventbridge:e-1,shop,1,eu-west-1"),
    ({"headers": {"idempotency-key": "k-1"}, "body": "{}"}, "http:k-1"),
    ({"multiValueHeaders": {"Idempotency-Key": ["k-2"]}, "headers": None, "body": "{}"}, "http:k-2"),
]


@pytest.mark.parametrize(("event", "identity"), EVENTS, ids=[identity for _, identity in EVENTS])
def test_an_event_starts_one_root_however_often_it_comes(
    event: Mapping[str, Any], identity: str, cloud: LocalCloud
) -> None:
    """Its id has the function, the source and the identity, whichever invocation brings it."""
    answers = [called(entry, event, request) for request in ("request-a", "request-b")]
    assert [one["id"] for one in answers] == [f"{EVENT}entry:{identity}"] * 2
    assert attach(answers[0]["id"]).result() == len(event)
    assert cloud.stats.bodies[step] == 1
    assert called(entry, event, "request-c")["state"] == "resolved"


def test_an_event_without_an_identity_goes_by_lambdas_request(cloud: LocalCloud) -> None:
    """A retry has the same request id. Another function makes another root."""
    ids = [called(entry, {"plain": 1}, request)["id"] for request in ("a", "a", "b")]
    assert ids == [f"{EVENT}entry:request:a"] * 2 + [f"{EVENT}entry:request:b"]
    assert called(other, {"plain": 1}, "a")["id"] == f"{EVENT}other entry:request:a"
    assert [attach(one).result() for one in ids] == [1, 1, 1]


def test_one_event_that_goes_to_two_functions_starts_both(cloud: LocalCloud) -> None:
    """EventBridge sends it to both. Once both answered pending, and one never ran."""
    for _ in range(2):
        cloud.invoke(entry, RULE)
        cloud.invoke(other, RULE)
    cloud.advance(HOUR)
    roots = [one for one in cloud.records() if one.ordinal == -1]
    assert sorted((one.fn, one.value) for one in roots) == [("entry", "6"), ("other entry", "-6")]


def test_an_event_with_the_identity_of_another_is_told_and_kept_for_a_person() -> None:
    """The library raises: Lambda repeats the event, and a queue keeps it for a person."""
    with LocalCloud(engine="memory") as cloud:
        (unhandled,) = [queue for name, queue in cloud._world.sqs._queues.items() if name.endswith("Unhandled")]  # type: ignore[union-attr]
        cloud.invoke(entry, RULE)
        cloud.invoke(entry, {**RULE, "detail": {"other": 1}})
        cloud.advance(24 * HOUR)
        (kept,) = map(json.loads, unhandled.bodies())
        assert kept["responsePayload"]["errorType"] == "IdConflict"
        assert kept["requestPayload"]["detail"] == {"other": 1}
        assert cloud.stats.bodies[step] == 1
        invoked = cloud.stats.invocations
        cloud.advance(48 * HOUR)
        assert cloud.stats.invocations == invoked, "and nothing tries it any more"


# HTTP.


def test_a_request_is_answered_by_a_response(cloud: LocalCloud) -> None:
    """It is a 202, with the id and the state that the root has by now."""
    answers = [called(entry, http("k", trace=number)) for number in range(2)]
    cloud.advance(HOUR)
    answers.append(called(entry, http("k", trace=3)))
    assert [one["statusCode"] for one in answers] == [202] * 3
    bodies = [json.loads(one["body"]) for one in answers]
    assert {one["id"] for one in bodies} == {f"{EVENT}entry:http:k"}
    assert [one["state"] for one in bodies] == ["pending", "pending", "resolved"]
    # API Gateway takes a response with anything else for malformed.
    assert set(answers[0]) == {"statusCode", "headers", "body", "isBase64Encoded"}


@pytest.mark.parametrize(
    "request_of",
    [
        lambda body: http("k", body),
        lambda body: {"httpMethod": body[2:5], "requestContext": {}, "headers": {"idempotency-key": "k"}},
        lambda body: {
            "httpMethod": "POST",
            "requestContext": {"elb": {}},
            "headers": {"idempotency-key": "k"},
            body: 1,
        },
    ],
    ids=["body", "method", "load balancer"],
)
def test_another_request_under_the_same_key_is_refused(request_of: Any, cloud: LocalCloud) -> None:
    """The answer is 422. Once the library dropped it without a word."""
    assert called(entry, request_of('{"one": 1}'))["statusCode"] == 202
    refused = called(entry, request_of('{"two": 2}'))
    assert refused["statusCode"] == 422
    assert json.loads(refused["body"])["error"] == "IdConflict"


def test_a_request_that_does_not_fit_is_refused(cloud: LocalCloud) -> None:
    """The answer is 400, with nothing of the request in it. The library writes nothing."""
    refused = called(wants_a_number, http("k", body="secret"))
    assert refused["statusCode"] == 400
    assert "wants a number" in json.loads(refused["body"])["message"]
    assert "secret" not in refused["body"]
    assert cloud.records() == []


def test_what_isnt_the_senders_mistake_is_no_response(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway answers 5xx, and the sender sends it again."""
    monkeypatch.setattr(cloud._world.store, "create", lambda record: [][0])
    with pytest.raises(IndexError):
        called(entry, http("k"))


def test_a_key_reaches_no_root_but_its_own_functions(cloud: LocalCloud) -> None:
    """It reaches neither an occurrence of a schedule, nor an id that a user chose."""
    schedule("report", "0 3 * * *", reports)
    asks.with_options(id="salary").start()
    for key in ("report@2026-01-01T03:00:00Z", "salary", "schedule:report"):
        answer = json.loads(called(entry, http(key))["body"])
        assert answer["id"].startswith(f"{EVENT}entry:http:")
    cloud.advance(4 * HOUR)
    assert attach("report@2026-01-01T03:00:00Z").result() == "reported"


# Batches.


def test_each_message_of_a_batch_starts_its_own_root(cloud: LocalCloud) -> None:
    """AWS may put them together otherwise at the next delivery. Digests leave out what differs by delivery."""
    for batch in ([record(1), record(2)], [record(1, receives=2)], [record(2, receives=2), record(3)]):
        answer = called(handles, {"Records": batch}, str(len(cloud.records())))
        assert answer["batchItemFailures"] == []
    assert [root["id"] for root in answer["roots"]] == [f"{EVENT}handles one:sqs:m-{n}" for n in (2, 3)]
    cloud.advance(HOUR)
    assert [(one.id[-3:], one.value) for one in cloud.records()] == [("m-1", '"1"'), ("m-2", '"2"'), ("m-3", '"3"')]


def test_a_message_that_fails_comes_again_alone(cloud: LocalCloud) -> None:
    """The response reports its item. The others' roots begin."""

    @durable(name="of orders")
    def of_orders(event: dict[str, list[dict[str, str]]]) -> int:
        return len(event)

    fits = {"messageId": "good", "body": "1"}
    answer = called(of_orders, {"Records": [record(1), fits]})
    assert answer["batchItemFailures"] == [{"itemIdentifier": "m-1"}]
    assert (answer["id"], answer["state"]) == (f"{EVENT}of orders:sqs:good", "pending")
    with pytest.raises(errors.CodecError):
        # Nothing of it began: a mapping that wants no single items would take a report for success.
        called(of_orders, {"Records": [record(1)]})


@pytest.mark.parametrize(
    "records",
    [[KINESIS, {**KINESIS, "eventID": "", "kinesis": {}}], [{**DYNAMODB, "dynamodb": {}}], [{"s3": {}}, S3], [1], []],
)
def test_records_that_cant_all_be_told_apart_are_one_event(records: list[Any], cloud: LocalCloud) -> None:
    """A record has no identity, so the whole event goes by the request."""
    assert called(entry, {"Records": records})["id"] == f"{EVENT}entry:request:request"


QUEUE = """
  Orders:
    Type: AWS::SQS::Queue
    Properties: {{ VisibilityTimeout: 60 }}
  Handles:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: local-handles
      Handler: {handler}
      Timeout: 30
      Environment: {{ Variables: {{ DURABLE_PREFIX: local- }} }}
      Events:
        Order:
          Type: SQS
          Properties:
            Queue: !GetAtt Orders.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """An application whose queue starts executions."""
    made = tmp_path / "template.yaml"
    nested = (
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Durable:\n    Type: AWS::Serverless::Application\n"
        f"    Properties: {{ Location: {INFRA}/durable.yaml }}\n"
    )
    made.write_text(nested + QUEUE.format(handler=f"{__name__}.handles"))
    return made


def filled(cloud: LocalCloud, messages: int) -> list[str]:
    """The messages of the application's queue, each handled; what it has in the table, by id."""
    (queue,) = [each.queue for each in cloud.template.queue_mappings if each.function == "local-handles"]
    cloud.service.functions["local-handles"].handler = handles
    cloud.watchers.append(Limit(30_000))
    for number in range(messages):
        cloud.send(queue, str(number))
    cloud.advance(48 * HOUR)
    return sorted(json.loads(one.value) for one in cloud.records())


@pytest.mark.parametrize("seed", range(4))
def test_batches_are_put_together_anew_and_each_message_is_handled_once(seed: int, template: Path) -> None:
    """Each delivery has crashes, copies and other batches."""
    faults = Faults(crash=0.1, duplicate=0.3, reorder=0.5, delay=0.1)
    with LocalCloud(seed=seed, faults=faults, template=template, engine="memory") as cloud:
        assert filled(cloud, 25) == sorted(map(str, range(25)))
        assert cloud.lost == []


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_a_queue_delivers_twice_and_in_other_batches(engine: str, template: Path) -> None:
    """A message keeps its id. Both engines draw the same."""
    faults = Faults(duplicate=0.9, reorder=0.9)
    batches: list[list[str]] = []
    with LocalCloud(seed=3, faults=faults, template=template, engine=engine) as cloud:
        deliver = cloud.service.deliver

        def watched(name: str, event: dict[str, Any], attempt: int) -> Any:
            if name == "local-handles":
                batches.append([one["body"] for one in event["Records"]])
            return deliver(name, event, attempt)

        cloud.service.deliver = watched  # type: ignore[method-assign]
        assert filled(cloud, 6) == list("012345")
    every = [body for batch in batches for body in batch]
    assert len(every) > len(set(every))
    assert len(batches) > len({tuple(batch) for batch in batches} & {tuple("012345")})


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_dies_with_a_batch_is_made_good_when_the_batch_comes_again(when: str, template: Path) -> None:
    """It comes under another request id, and the new run invokes the root that the dead one created."""
    with LocalCloud(template=template, engine="memory") as cloud:
        cloud.kill("local-handles", Create, when)
        told: list[str] = []
        cloud.watchers.append(lambda event: told.append(event.what))
        assert filled(cloud, 1) == ["0"]
        assert "killed" in told
        assert "missed" not in told
