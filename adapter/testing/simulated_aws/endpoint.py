"""A running DynamoDB for the table and its stream. Everything else is in memory.

It may be ministack or DynamoDB Local: ``LocalCloud(engine="http://127.0.0.1:4566")``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable

import boto3

from adapter.aws.store import DynamoStore
from adapter.protocol.times import Instant
from adapter.templates.intrinsics import REGION
from adapter.templates.template import Template
from adapter.testing.simulated_aws.in_memory import Invoked, MemoryBucket, Services
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.streams import Poller, TableStream
from adapter.testing.simulated_aws.tables import ScannedTable
from adapter.testing.simulated_aws.time_to_live import TimeToLive
from adapter.testing.simulated_aws.world import ENVIRONMENT, only_table, promises_table
from adapter.testing.stats import Stats


class EndpointWorld(ScannedTable):
    """The world of an engine that is a URL.

    Its table has a name of its own, since others may use the server, and is deleted at the end.
    """

    def __init__(
        self,
        endpoint: str,
        template: Template,
        stats: Stats,
        invoked: Invoked,
        clock: Callable[[], Instant],
        lanes: int = 1,
        lags: Callable[[], bool] = lambda: False,
    ) -> None:
        # Whether reads lag here, the server decides: those of moto never do.
        super().__init__(stats)
        self._endpoint = endpoint
        self._template = template
        self._lanes = lanes
        self._clock = clock
        services = Services(template, stats, invoked, clock)
        self.lambda_client, self.sqs, self.queues = services.lambda_client, services.sqs, services.queues
        self.send, self._services = services.send, services
        self.table = f"{only_table(template)}-{uuid.uuid4().hex[:8]}"

    def _open(self) -> None:
        self._stack.enter_context(environment({k: v for k, v in ENVIRONMENT.items() if k not in os.environ}))
        self.store = DynamoStore(self.table, REGION, self._endpoint)
        client = self.store.client
        spec = promises_table(self._template)
        self.time_to_live = TimeToLive(spec.expires)
        client.create_table(**{**spec.create_table_arguments, "TableName": self.table})
        self._stack.callback(client.delete_table, TableName=self.table)
        arn = str(client.describe_table(TableName=self.table)["Table"]["LatestStreamArn"])
        self.streams = streams = boto3.client("dynamodbstreams", region_name=REGION, endpoint_url=self._endpoint)
        self._stack.callback(streams.close)
        self.pollers = [
            Poller(TableStream(streams, arn).read, mapping, self._lanes, self._clock, self.send)
            for mapping in self._template.mappings
        ]
        self.meter()

    def bucket(self, name: str) -> MemoryBucket:
        return self._services.buckets[name]

    def objects(self) -> dict[str, str]:
        """Everything in the buckets, by key."""
        return self._services.objects()
