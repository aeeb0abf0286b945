"""What differs between the engines that play DynamoDB, where it matters to a store of promises; measured, not read.

Prints the table of docs/engines.md: ``python -m benchmarks.engines``. With ``CONTRACT_ENDPOINT=http://127.0.0.1:8000``
also of the DynamoDB that answers there. Takes some minutes, most of them waiting for items to expire.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from adapter.protocol.ids import child_id
from adapter.protocol.records import Record
from tests.contract.tables import TABLES, Table
from tests.support import servers

THREADS = 16
ROUNDS = 40
EXPIRY_SECONDS = 90

Measure = Callable[[Table], str]


def keyed(name: str, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"N": "0"}, **attributes}


def recorded(table: Table, write: Callable[[], object]) -> str:
    """The stream's records of one write."""
    poller = table.unfiltered()
    poller.fetch()
    before = len(poller.backlog)
    write()
    poller.fetch()
    return " + ".join(record["eventName"] for record in poller.backlog[before:]) or "none"


def upsert(table: Table) -> str:
    return recorded(table, lambda: update(table, "upsert", "SET x = :x", {":x": {"S": "1"}}))


def update_of_nothing(table: Table) -> str:
    update(table, "same", "SET x = :x", {":x": {"S": "1"}})
    return recorded(table, lambda: update(table, "same", "SET x = :x", {":x": {"S": "1"}}))


def shards(table: Table) -> str:
    described = table.streams.describe_stream(StreamArn=table.unfiltered().arn)
    return str(len(described["StreamDescription"]["Shards"]))


def update(table: Table, name: str, expression: str, values: dict[str, Any], **options: Any) -> Any:
    return table.store.client.update_item(
        TableName=table.name,
        Key=keyed(name),
        UpdateExpression=expression,
        ExpressionAttributeValues=values,
        **options,
    )


def at_once(function: Callable[[], object]) -> list[object]:
    gate = threading.Barrier(THREADS)

    def one(_: int) -> object:
        gate.wait(30)
        return function()

    usual = sys.getswitchinterval()
    # An engine in this process is interrupted anywhere; 5 ms, the usual, is longer than a whole request takes.
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(one, range(THREADS)))
    finally:
        sys.setswitchinterval(usual)


def lost_additions(table: Table) -> str:
    for number in range(ROUNDS):
        at_once(lambda number=number: update(table, f"sum-{number}", "ADD n :one", {":one": {"N": "1"}}))
    items = [table.store.client.get_item(TableName=table.name, Key=keyed(f"sum-{n}"))["Item"] for n in range(ROUNDS)]
    made = THREADS * ROUNDS
    return f"{made - sum(int(item['n']['N']) for item in items)} of {made}"


def races_with_two_winners(table: Table) -> str:
    def put(number: int) -> bool:
        try:
            table.store.client.put_item(
                TableName=table.name, Item=keyed(f"race-{number}"), ConditionExpression="attribute_not_exists(pk)"
            )
        except ClientError:
            return False
        return True

    wins = [sum(map(bool, at_once(lambda number=number: put(number)))) for number in range(ROUNDS)]
    return f"{sum(count != 1 for count in wins)} of {ROUNDS}"


def largest_item(table: Table) -> str:
    """Bytes of names and values, as DynamoDB counts them; the number 0 is taken for one byte."""
    overhead = len("pk") + len("large") + len("sk") + 1 + len("x")
    fits, fails = 300_000, 500_000
    while fails - fits > 1:
        size = (fits + fails) // 2
        try:
            table.store.client.put_item(TableName=table.name, Item=keyed("large", x={"S": "x" * (size - overhead)}))
            fits = size
        except ClientError:
            fails = size
    return f"{fits:,}"


def capacity_of_a_read(table: Table) -> str:
    table.store.client.put_item(TableName=table.name, Item=keyed("capacity", x={"S": "x" * 5_000}))
    read = table.store.client.get_item(
        TableName=table.name, Key=keyed("capacity"), ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )
    return str(read["ConsumedCapacity"]["CapacityUnits"])


def capacity_of_a_write(table: Table) -> str:
    table.store.client.put_item(TableName=table.name, Item=keyed("capacity", x={"S": "x" * 5_000}))
    written = update(table, "capacity", "SET y = :y", {":y": {"S": "1"}}, ReturnConsumedCapacity="TOTAL")
    return str(written["ConsumedCapacity"]["CapacityUnits"])


def expiry(table: Table) -> str:
    client = table.store.client
    client.update_time_to_live(
        TableName=table.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
    client.put_item(TableName=table.name, Item=keyed("old", expires_at={"N": str(int(time.time()) - 86_400)}))
    time.sleep(EXPIRY_SECONDS)
    left = client.get_item(TableName=table.name, Key=keyed("old"), ConsistentRead=True).get("Item")
    return "still there" if left else "gone"


def query_speed(table: Table) -> str:
    """Of one item, while the table grows."""
    found, made = [], 0
    for total in (200, 2_000):
        for number in range(made, total):
            table.store.create(Record(id=child_id(f"q-{number}", 0)))
        made = total
        begin = time.perf_counter()
        for number in range(50):
            table.store.read_children(f"q-{number}")
        found.append((time.perf_counter() - begin) / 50 * 1_000)
    return " → ".join(f"{milliseconds:.0f} ms" for milliseconds in found)


MEASURES: dict[str, Measure] = {
    "stream records of an upsert by `UpdateItem`": upsert,
    "stream records of an update that changes nothing": update_of_nothing,
    "shards of the stream": shards,
    f"`ADD`s lost, by {THREADS} threads": lost_additions,
    f"races of {THREADS} conditional puts not won by exactly one": races_with_two_winners,
    "largest item, bytes": largest_item,
    "capacity of a consistent read of 5 KB (DynamoDB: 2)": capacity_of_a_read,
    "capacity of an update of 5 KB (DynamoDB: 5)": capacity_of_a_write,
    "query of one item, 200 → 2,000 items in the table": query_speed,
    f"an item that expired a day ago, after {EXPIRY_SECONDS} s": expiry,
}


def main() -> None:
    columns = []
    for opened in TABLES.values():
        with opened() as table:
            columns.append([measure(table) for measure in MEASURES.values()])
    servers.stop_all()
    print("| |", " | ".join(TABLES), "|")
    print("|---|", "---|" * len(TABLES), sep="")
    for name, *values in zip(MEASURES, *columns, strict=True):
        print("|", name, "|", " | ".join(values), "|")


if __name__ == "__main__":
    main()
