"""AWS as moto plays it in this process: the template's table with its stream, and a Lambda service that is ours.

The library keeps its own boto3 clients. The table is moto's, and this module answers `Invoke` before it is sent.
"""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from adapter.aws.items import PROJECTED
from adapter.aws.payloads import S3Payloads
from adapter.aws.store import DynamoStore
from adapter.engine.ports import Payloads
from adapter.errors import ConfigurationError
from adapter.protocol.times import Instant
from adapter.templates.intrinsics import REGION
from adapter.templates.template import TableSpec, Template
from adapter.testing.simulated_aws import objects, queues, shortcuts
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.outages import InvokeRefused
from adapter.testing.simulated_aws.queues import MotoQueue, QueuePoller
from adapter.testing.simulated_aws.streams import MotoStream, Poller
from adapter.testing.simulated_aws.tables import ScannedTable
from adapter.testing.simulated_aws.time_to_live import TimeToLive
from adapter.testing.stats import Stats

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    # Newer botocore sends stream calls to hosts by account, which moto doesn't answer.
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
}


_loader = functools.cache(botocore.session.create_loader)


class World(ScannedTable):
    """The services, between `open` and `close`."""

    def __init__(
        self,
        template: Template,
        stats: Stats,
        invoked: Callable[[str, str], None],
        clock: Callable[[], Instant],
        lanes: int = 1,
        lags: Callable[[], bool] = lambda: False,
    ) -> None:
        # Whether reads lag here, the server decides: those of moto never do.
        self._template = template
        super().__init__(stats)
        self._invoked = invoked
        self._clock = clock
        self._lanes = lanes

    def _open(self) -> None:
        self._stack.enter_context(
            environment({k: v for k, v in ENVIRONMENT.items() if k not in os.environ or "ENDPOINT" in k})
        )
        # Each cloud makes clients of its own, and parsing botocore's megabytes again would take most of its start.
        self._stack.enter_context(patch.object(botocore.session, "create_loader", _loader))
        self._stack.enter_context(mock_aws())
        self._stack.enter_context(shortcuts.shortened())
        self._stack.enter_context(queues.virtual_time(self._clock))
        self._stack.enter_context(objects.virtual_time(self._clock))
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        for table in self._template.tables:
            dynamodb.create_table(**table.create_table_arguments)
        promises = promises_table(self._template)
        self.table, self.time_to_live = promises.name, TimeToLive(promises.expires)
        self.store = DynamoStore(self.table, REGION)
        shortcuts.direct(self.store.client)
        self.meter()
        self.lambda_client = boto3.client("lambda", region_name=REGION)
        self.lambda_client.meta.events.register("before-call.lambda.Invoke", self._answer_invoke)
        self.streams = boto3.client("dynamodbstreams", region_name=REGION)
        shortcuts.direct(self.streams)
        arns = {
            t.name: dynamodb.describe_table(TableName=t.name)["Table"].get("LatestStreamArn")
            for t in self._template.tables
        }
        streams = [MotoStream(self.streams, str(arns[mapping.table])) for mapping in self._template.mappings]
        # All mappings read the same changes.
        reads = [self._counted(stream) if stream is streams[0] else stream.read for stream in streams]
        self.pollers = [
            Poller(read, mapping, self._lanes, self._clock, self.send)
            for read, mapping in zip(reads, self._template.mappings, strict=True)
        ]
        self.sqs = boto3.client("sqs", region_name=REGION)
        queues.count(self.sqs, self._stats)
        queues.create(self.sqs, self._template.queues)
        self.queues = [
            QueuePoller(
                MotoQueue(self.sqs, mapping.queue),
                mapping,
                self._stats,
                self._clock,
                self._template.visibility(mapping.queue),
            )
            for mapping in self._template.queue_mappings
        ]

        self.s3 = boto3.client("s3", region_name=REGION)
        for bucket in self._template.buckets:
            self.s3.create_bucket(Bucket=bucket)

    def bucket(self, name: str) -> Payloads:
        return S3Payloads(name, lambda: self.s3)

    def objects(self) -> dict[str, str]:
        """Everything in the buckets, by key."""
        found: dict[str, str] = {}
        for name in self._template.buckets:
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=name)
            keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
            found |= {key: self.bucket(name).get(key) for key in keys}
        return found

    def send(self, queue: str, body: str) -> None:
        self.sqs.send_message(QueueUrl=queues.url_of(queue), MessageBody=body)

    def _counted(self, stream: MotoStream) -> Callable[[], list[dict[str, Any]]]:
        """Reads a stream, and counts what its changes cost in the table's index."""

        def read() -> list[dict[str, Any]]:
            found = stream.read()
            for change in (record["dynamodb"] for record in found):
                self._stats.count_change(change.get("OldImage", {}), change.get("NewImage", {}), PROJECTED)
            return found

        return read

    def _answer_invoke(self, params: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        """In place of botocore, which would sign the request and read the answer."""
        function = unquote(params["url_path"].split("/functions/")[1].split("/")[0])
        body = params["body"] if isinstance(params["body"], (bytes, bytearray)) else params["body"].read()
        json.loads(body)
        try:
            self._invoked(function, bytes(body).decode())
        except InvokeRefused as refused:
            error = {"Error": {"Code": refused.code, "Message": refused.message}, "Type": "User"}
            return _answered(refused.status, error)
        return _answered(202, {"StatusCode": 202, "Payload": io.BytesIO()})


def only_table(template: Template) -> str:
    """The name of the promises' table."""
    return promises_table(template).name


def promises_table(template: Template) -> TableSpec:
    """The promises' table."""
    keyed = [
        table
        for table in template.tables
        if {key["AttributeName"] for key in table.create_table_arguments["KeySchema"]} == {"pk", "sk"}
    ]
    if len(keyed) != 1:
        names = [table.name for table in keyed]
        raise ConfigurationError(f"the template must define one table with the keys pk and sk, it has {names}")
    return keyed[0]


def _answered(status: int, parsed: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
    """An answer as botocore has it once it has read it."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
    return AWSResponse("", status, {}, None), {**parsed, "ResponseMetadata": metadata}
