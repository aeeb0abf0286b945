"""What only DynamoDB's store can get wrong: items of other versions, items written by hand, AWS's own errors."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapter.aws.items import to_item, to_record
from adapter.aws.store import DynamoStore
from adapter.errors import BadMessage
from adapter.protocol.ids import child_id, key_of
from adapter.protocol.promises import Arming
from adapter.protocol.records import Record, State
from tests.contract.tables import Table


def put(store: DynamoStore, record: Record, **attributes: Any) -> None:
    """Write an item by hand; None removes an attribute."""
    item = {name: typed for name, typed in {**to_item(record), **attributes}.items() if typed is not None}
    store.client.put_item(TableName=store._table, Item=item)


def raw(store: DynamoStore, promise: str) -> dict[str, Any]:
    """An item as it is stored."""
    pk, sk = key_of(promise)
    key = {"pk": {"S": pk}, "sk": {"N": str(sk)}}
    found: dict[str, Any] = store.client.get_item(TableName=store._table, Key=key, ConsistentRead=True)["Item"]
    return found


@pytest.mark.parametrize("version", [{"N": "2"}, {"N": "0"}, {"S": "1"}, None])
def test_an_item_of_another_version_is_refused_by_name(dynamo: DynamoStore, root: str, version: Any) -> None:
    """Every read refuses it. The message has the key and both versions."""
    child = child_id(root, 0)
    put(dynamo, Record(id=child), v=version)
    for read in (
        lambda: dynamo.read_promise(child),
        lambda: dynamo.read_function(child),
        lambda: dynamo.read_function(root),
        lambda: dynamo.read_children(root),
        lambda: dynamo.create(Record(id=child)),
    ):
        with pytest.raises(BadMessage, match=f"{root}.*format .*, this code reads 1"):
            read()


def test_a_refused_write_to_another_versions_item_says_so(dynamo: DynamoStore, root: str) -> None:
    """The store can't explain a refusal by a record of another version."""
    put(dynamo, Record(id=root, state=State.RESOLVED), v={"N": "2"})
    for write in (
        lambda: dynamo.settle(root, State.RESOLVED, "1", 1),
        lambda: dynamo.claim(root, "q"),
        lambda: dynamo.arrive(root, 1),
        lambda: dynamo.pause(root, "?"),
        lambda: dynamo.arm(root, Arming(epoch=0, arrivals=0)),
    ):
        with pytest.raises(BadMessage, match="format 2"):
            write()


@pytest.mark.parametrize(
    "spoiled",
    [
        {"state": {"S": "running"}},
        {"state": None},
        {"kind": {"S": "workflow"}},
        {"kind": None},
        {"wake": {"S": "never"}},
        {"created_at": None},
        {"created_at": {"S": "yesterday"}},
        {"fn": {"N": "1"}},
        {"epoch": {"S": "1"}},
        {"tags": {"S": "{"}},
        {"closed": {"S": "yes"}},
    ],
    ids=str,
)
def test_an_item_that_is_no_promise_is_refused(dynamo: DynamoStore, root: str, spoiled: dict[str, Any]) -> None:
    """I6: the store never guesses a record."""
    put(dynamo, Record(id=root), **spoiled)
    with pytest.raises(BadMessage, match="isn't a promise"):
        dynamo.read_promise(root)


def test_attributes_of_others_are_left_alone(dynamo: DynamoStore, root: str) -> None:
    """A team may mark the items that it looks for."""
    extra = {"mark": {"N": "7"}}
    put(dynamo, Record(id=root), **extra)
    assert dynamo.read_promise(root) == Record(id=root)
    assert dynamo.settle(root, State.RESOLVED, "1", 1) == Record(id=root, state=State.RESOLVED, value="1", settled_at=1)
    assert extra.items() <= raw(dynamo, root).items()


def test_what_is_empty_takes_no_space(dynamo: DynamoStore, root: str) -> None:
    """An update pays for the whole item."""
    assert set(to_item(Record(id=root))) == {"pk", "sk", "v", "kind", "state", "created_at"}


def test_an_armed_item_loses_what_a_claim_removes(dynamo: DynamoStore, root: str) -> None:
    """The claim removes the attributes, rather than set them to nothing."""
    dynamo.create(Record(id=root))
    dynamo.arm(root, Arming(epoch=0, arrivals=0, threshold=2, on_reject=True, wake_at=9, due_at=9))
    assert {"threshold", "on_reject", "due_at", "due_shard"} <= set(raw(dynamo, root))
    dynamo.claim(root, "q")
    assert {"threshold", "on_reject", "due_at", "due_shard"}.isdisjoint(raw(dynamo, root))


@pytest.mark.parametrize("promise", ["plain", "plain~0", "plain~255", "plain~256", "plain~0.1.700"])
def test_an_item_lies_under_the_key_of_its_id(dynamo: DynamoStore, promise: str) -> None:
    """The store reads it back from the raw item."""
    record = Record(id=promise, fn="f")
    dynamo.create(record)
    assert to_record(raw(dynamo, promise)) == record


def test_other_errors_of_aws_pass_through(root: str, table: Table) -> None:
    """The platform's retry deals with them. The store takes none of them for a refusal."""
    absent = table.second("no-such-table")
    for call in (
        lambda: absent.read_promise(root),
        lambda: absent.read_function(root),
        lambda: absent.read_children(root),
        lambda: absent.create(Record(id=root)),
        lambda: absent.settle(root, State.RESOLVED, "1", 1),
        lambda: absent.claim(root, "q"),
        lambda: absent.arm(root, Arming(epoch=0, arrivals=0)),
        lambda: absent.arrive(root, 1),
        lambda: absent.pause(root, "?"),
        lambda: absent.close(root),
    ):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call()


def test_an_item_whose_count_is_no_number_is_not_counted(dynamo: DynamoStore, root: str) -> None:
    """DynamoDB refuses the update as such, which is no failed condition."""
    put(dynamo, Record(id=root), arrivals={"S": "many"})
    with pytest.raises(ClientError, match="ValidationException"):
        dynamo.arrive(root, 1)
    assert raw(dynamo, root)["arrivals"] == {"S": "many"}


def test_nothing_but_a_schedule_can_be_deleted(dynamo: DynamoStore, root: str) -> None:
    """A mistaken id must not cost an execution."""
    dynamo.create(Record(id=root))
    with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
        dynamo.delete(root)
    assert dynamo.read_promise(root) == Record(id=root)


def test_stores_of_different_tables_do_not_share_them(table: Table, dynamo: DynamoStore, root: str) -> None:
    """PynamoDB keeps its connection on the model; each store has a model of its own."""
    before = dynamo.client.describe_table(TableName=dynamo._table)["Table"]
    name = f"{table.name}-second"
    dynamo.client.create_table(
        TableName=name,
        KeySchema=before["KeySchema"],
        AttributeDefinitions=[d for d in before["AttributeDefinitions"] if d["AttributeName"] in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    second = table.second(name)
    second.create(Record(id=root))
    assert dynamo.read_promise(root) is None
    assert second.read_promise(root) == Record(id=root)
    dynamo.client.delete_table(TableName=name)


def test_an_endpoint_can_be_given() -> None:
    """An emulator may be running somewhere else."""
    store = DynamoStore("any", "eu-north-1", "http://127.0.0.1:1")
    assert store.client.meta.endpoint_url == "http://127.0.0.1:1"
    assert store.client.meta.region_name == "eu-north-1"
