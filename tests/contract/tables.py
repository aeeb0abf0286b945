"""The template's table on each engine that plays DynamoDB, under the real store.

A further engine joins by a line in `TABLES`: a context manager that gives an empty table.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from adapter.aws.store import DynamoStore
from adapter.templates.intrinsics import REGION
from adapter.templates.template import StreamMapping, default_template, load
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.streams import TableStream
from adapter.testing.simulated_aws.world import World
from adapter.testing.stats import Stats
from tests.support.servers import ministack

ENDPOINT = "CONTRACT_ENDPOINT"
"""The variable that names a DynamoDB which is running already, to be held to the contract, too."""

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
}
_numbers = itertools.count()


@dataclass(frozen=True)
class Table:
    """A table with its store, and the client that reads its stream."""

    store: DynamoStore
    name: str
    streams: Any
    mapping: StreamMapping
    _read: dict[str, str | None] = field(default_factory=dict)

    def stream(self) -> TableStream:
        """The stream from now on. The next reader passes over what this one has passed over, too."""
        described = self.store.client.describe_table(TableName=self.name)["Table"]
        stream = TableStream(self.streams, described["LatestStreamArn"], dict(self._read))
        stream.read()
        self._read.update(stream.iterators)
        return stream

    def second(self, name: str) -> DynamoStore:
        """The store of another table on the same engine, whether there is one or not."""
        meta = self.store.client.meta
        return DynamoStore(name, meta.region_name, meta.endpoint_url)


@contextmanager
def on_moto() -> Iterator[Table]:
    """In this process; not atomic under threads."""
    template = load(default_template())
    world = World(template, Stats(), lambda function, payload: None, lambda: 0)
    world.open()
    try:
        (poller,) = world.pollers
        yield Table(world.store, world.table, world.streams, poller.mapping)
    finally:
        world.close()


@contextmanager
def at(endpoint: str) -> Iterator[Table]:
    """Over HTTP; a table of its own on a server that others use, too."""
    template = load(default_template())
    (spec,), (mapping,) = template.tables, template.mappings
    name = f"{spec.name}-{os.getpid()}-{next(_numbers)}"
    with environment(_CREDENTIALS):
        store = DynamoStore(name, REGION, endpoint)
        streams = boto3.client("dynamodbstreams", region_name=REGION, endpoint_url=endpoint)
        with closing(store.client), closing(streams):
            store.client.create_table(**{**spec.create_table_arguments, "TableName": name})
            try:
                yield Table(store, name, streams, mapping)
            finally:
                store.client.delete_table(TableName=name)


@contextmanager
def on_ministack() -> Iterator[Table]:
    """On the server that this process of tests has."""
    with at(ministack()) as table:
        yield table


TABLES: dict[str, Callable[[], AbstractContextManager[Table]]] = {"moto": on_moto, "ministack": on_ministack}
if ENDPOINT in os.environ:
    TABLES["endpoint"] = functools.partial(at, os.environ[ENDPOINT])
