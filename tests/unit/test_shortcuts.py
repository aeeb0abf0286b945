"""moto answers the same by its shortcuts as by its own long ways."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import boto3
from moto import mock_aws

from adapter import durable
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.shortcuts import direct, shortened
from adapter.testing.simulated_aws.world import ENVIRONMENT

ITEM: dict[str, Any] = {
    "pk": {"S": "order-7"},
    "sk": {"N": "0"},
    "texts": {"SS": ["a", "b"]},
    "flag": {"BOOL": True},
    "nothing": {"NULL": True},
    "several": {"L": [{"S": ""}, {"M": {"number": {"N": "1"}, "S": {"S": "S"}}}]},
    "raw": {"B": b"\x00"},
}


def answers(*, shortcuts: bool) -> list[Any]:
    """What DynamoDB and its stream answer to some requests, without what is new each time."""
    with environment(ENVIRONMENT), mock_aws(), shortened() if shortcuts else nullcontext():
        dynamodb, streams = boto3.client("dynamodb"), boto3.client("dynamodbstreams")
        for client in (dynamodb, streams) if shortcuts else ():
            direct(client)
        described = dynamodb.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        key = {name: ITEM[name] for name in ("pk", "sk")}
        found: list[Any] = [dynamodb.put_item(TableName="t", Item=ITEM)]
        found.append(
            dynamodb.update_item(
                TableName="t",
                Key=key,
                UpdateExpression="SET flag = :no REMOVE nothing",
                ExpressionAttributeValues={":no": {"BOOL": False}},
                ReturnValues="ALL_NEW",
            )
        )
        # The same expression again, on what it made: moto changes what it has parsed.
        found += [
            dynamodb.update_item(
                TableName="t",
                Key=key,
                UpdateExpression="SET several = list_append(several, :more) ADD held :one",
                ExpressionAttributeValues={":one": {"N": number}, ":more": {"L": [{"S": number}]}},
                ReturnValues="ALL_NEW",
            )
            for number in ("1", "2")
        ]
        found.append(dynamodb.get_item(TableName="t", Key=key))
        found.append(dynamodb.get_item(TableName="t", Key={**key, "sk": {"N": "1"}}))
        found.append(dynamodb.scan(TableName="t"))
        again: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            dynamodb.put_item(TableName="t", Item=ITEM, **again)
        except dynamodb.exceptions.ConditionalCheckFailedException as refused:
            found.append(refused.response)
        arn = described["TableDescription"]["LatestStreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        begun = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        for record in streams.get_records(ShardIterator=begun["ShardIterator"])["Records"]:
            for told in ("ApproximateCreationDateTime", "SizeBytes"):
                # moto's size takes in the digits of the time.
                record["dynamodb"].pop(told, None)
            found.append({**record, "eventID": ""})
        for answer in found:
            answer.pop("ResponseMetadata", None)
        return found


def test_a_shortcut_changes_no_answer() -> None:
    """Values of each type, refusals and stream records are as they are without it."""
    assert answers(shortcuts=True) == answers(shortcuts=False)


@durable
def step(number: int) -> int:
    return number


@durable
async def steps(count: int) -> int:
    return sum([await step(number) for number in range(count)])


def test_a_step_on_moto_makes_no_request_that_aws_would_not_see() -> None:
    """Four of the library's own, two invocations, and one that reads the stream: nothing is asked that can't be new."""
    with LocalCloud(engine="moto") as cloud:
        world: Any = cloud._world
        seen: Counter[str] = Counter()
        for client in (world.store.client, world.streams, world.sqs, world.lambda_client):
            client.meta.events.register("before-parameter-build", lambda model, **_: seen.update([model.name]))
        cloud.run(steps, 2)
        seen.clear()
        cloud.run(steps, 2)
        first = seen.copy()
        seen.clear()
        cloud.run(steps, 12)
    each = {"PutItem": 10, "GetItem": 10, "Query": 10, "UpdateItem": 10, "Invoke": 20, "GetRecords": 10}
    assert seen - first == Counter(each)
