"""A table and its stream for the resumer, without a cloud that moves by itself."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

from adapter.aws.items import to_item
from adapter.aws.store import DynamoStore
from adapter.lambdas import resumer
from adapter.lambdas.aside import unpacked
from adapter.protocol.ids import child_id, key_of
from adapter.protocol.messages import Resume, parse
from adapter.protocol.records import Record, State, Wake
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.lambdas import Context

CONTEXT = Context(aws_request_id="request", function_name="resumer", memory_limit_in_mb=512, timeout_s=60)


class Table:
    """The cloud's table and its Lambda service, as the resumer leaves them; nothing is driven on."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.store: DynamoStore = cloud._world.store
        self.numbers = itertools.count(1)
        self.sent: list[tuple[str, int, str]] = []
        cloud._world.sqs.meta.events.register("provide-client-params.sqs.SendMessage", self._send)

    def _send(self, params: dict[str, Any], **_: Any) -> None:
        self.sent.append((params["QueueUrl"].rpartition("-")[2], params["DelaySeconds"], params["MessageBody"]))

    def parent(self, name: str, **fields: Any) -> Record:
        """A function that is suspended, armed with a threshold of 1 unless the test says otherwise."""
        armed = {"threshold": 1, "epoch": 1, **fields}
        record = Record(id=name, fn="waiting", target=f"lambda-of-{name}", **armed)
        self.store.create(record)
        return record

    def settled(self, parent: str, ordinal: int, state: State = State.RESOLVED, **fields: Any) -> dict[str, Any]:
        """What the stream tells of a child that has just settled, as Lambda hands it over."""
        fields = {"wake": Wake.COUNTED, "reply_to": f"lambda-of-{parent}", **fields}
        child = Record(id=child_id(parent, ordinal), fn="step", target="lambda-of-step", args="[]", **fields)
        return self.change(child, replace(child, state=state, value="1", settled_at=5))

    def change(self, old: Record, new: Record) -> dict[str, Any]:
        number = next(self.numbers)
        pk, sk = key_of(new.id)
        return {
            "eventID": f"event-{number}",
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1767225600.0,
                "Keys": {"pk": {"S": pk}, "sk": {"N": str(sk)}},
                "NewImage": to_item(new),
                "OldImage": to_item(old),
                "SequenceNumber": f"{number:021d}",
                "SizeBytes": 200,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/promises/stream/1",
        }

    def handle(self, *records: dict[str, Any]) -> list[dict[str, Any]]:
        """The records that failed: each was put aside, as it came, and so acknowledged."""
        self.sent.clear()
        response = resumer.handler(json.loads(json.dumps({"Records": list(records)})), CONTEXT)
        assert response == {"batchItemFailures": []}
        return [unpacked(body).record for _, _, body in self.sent]

    def again(self, *bodies: str) -> list[str]:
        """The messages that stay in the queue."""
        self.sent.clear()
        records = [{"messageId": str(n), "body": body, "eventSource": "aws:sqs"} for n, body in enumerate(bodies)]
        answer = resumer.again({"Records": records}, CONTEXT)
        return [bodies[int(entry["itemIdentifier"])] for entry in answer["batchItemFailures"]]

    def queues(self) -> list[str]:
        """Where they were put."""
        return [queue for queue, _, _ in self.sent]

    def invoked(self) -> list[tuple[str, Resume]]:
        """What was invoked since the last look, in order."""
        found = [(one.function, parse(json.loads(one.payload))) for one in self.cloud.service.ready]
        self.cloud.service.ready.clear()
        return found  # type: ignore[return-value]

    def arrivals(self, name: str) -> int:
        record = self.store.read_promise(name)
        assert record is not None
        return record.arrivals

    def spoil(self, name: str) -> None:
        """Make every update of a parent fail."""
        self._set(name, {"S": "spoiled"})

    def mend(self, name: str) -> None:
        self._set(name, {"N": "0"})

    def _set(self, name: str, arrivals: dict[str, str]) -> None:
        pk, sk = key_of(name)
        self.store.client.update_item(
            TableName=self.cloud._world.table,
            Key={"pk": {"S": pk}, "sk": {"N": str(sk)}},
            UpdateExpression="SET arrivals = :arrivals",
            ExpressionAttributeValues={":arrivals": arrivals},
        )
