"""A table that was restored from a backup takes the place of the stack's own, and executions go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter import attach, durable, promise, resolve
from adapter.errors import AlreadySettled, UnknownPromise
from adapter.templates.intrinsics import open_stack
from adapter.templates.template import default_template, load
from adapter.testing import LocalCloud

HOUR = 3_600
Item = dict[str, Any]

RESTORED = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Restored:
    Type: AWS::DynamoDB::Table
    Properties: {properties}
  Durable:
    Type: AWS::Serverless::Application
    Properties:
      Location: {location}
      Parameters:
        TableName: !Ref Restored
        TableStreamArn: !GetAtt Restored.StreamArn
"""


@durable
async def charge(amount: int) -> int:
    return amount


@durable
async def order() -> int:
    """One call alone, a timer of the queue, two calls at once, a person, a timer of the index, a last call."""
    first = await charge(1)
    await asyncio.sleep(300)
    second, third = await asyncio.gather(charge(2), charge(3))
    fourth = await promise(int)
    await asyncio.sleep(HOUR)
    return first + second + third + fourth + await charge(5)


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """A stack whose table is one that exists already, with all that docs/operate.md has turned on."""
    storage = open_stack(default_template().with_name("storage.yaml"), name="s", parameters={})
    path = tmp_path / "template.yaml"
    path.write_text(RESTORED.format(properties=storage.properties("Promises"), location=default_template()))
    return path


@contextlib.contextmanager
def backed_up(cloud: LocalCloud) -> Iterator[list[tuple[float, list[Item]]]]:
    """Every state that the table is in, each with the seconds since the beginning: what a backup may hold."""
    client, table = cloud._world.store.client, load(default_template()).tables[0].name
    begun, backups = cloud.now(), []

    def written(**_: Any) -> None:
        items = client.scan(TableName=table, ConsistentRead=True)["Items"]
        backups.append(((cloud.now() - begun).total_seconds(), items))

    events = ("after-call.dynamodb.PutItem", "after-call.dynamodb.UpdateItem")
    for event in events:
        client.meta.events.register(event, written)
    yield backups
    for event in events:
        client.meta.events.unregister(event, written)


def answered(cloud: LocalCloud) -> None:
    """A person answers, if anybody asks."""
    with contextlib.suppress(UnknownPromise, AlreadySettled):
        resolve("order-1~3", 4)
    cloud.advance(3 * HOUR)


def gone_on(template: Path, at: float, items: list[Item]) -> object:
    """What the execution comes to on a new table: an hour later, with empty queues and new sandboxes."""
    with LocalCloud(template=template) as cloud:
        cloud.advance(at + HOUR)
        client = cloud._world.store.client
        (table,) = load(template).tables
        for item in items:
            client.put_item(TableName=table.name, Item=item)
        cloud.advance(2 * HOUR)
        answered(cloud)
        assert cloud.lost == []
        return attach("order-1").result()


def test_executions_go_on_from_whatever_state_was_restored(restored: Path) -> None:
    """Queues, stream and sandboxes are lost with the old table; the watchdog finds what they held by the index."""
    with LocalCloud(template=default_template()) as cloud, backed_up(cloud) as backups:
        order.with_options(id="order-1").start()
        cloud.advance(1_000)
        answered(cloud)
        assert attach("order-1").result() == 15
    pending = [(at, items) for at, items in backups if any(each["pk"]["S"] == "order-1" for each in items)]
    assert len(pending) > 15
    assert {gone_on(restored, at, items) for at, items in pending} == {15}
