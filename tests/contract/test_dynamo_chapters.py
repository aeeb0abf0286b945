"""Chapters on DynamoDB alone: pages, and what somebody else has written. A module has one table, or the stores."""

from __future__ import annotations

import random

from adapter.aws.chapters import chapter_key
from adapter.aws.store import DynamoStore
from adapter.protocol.records import Record
from tests.contract.tables import Table
from tests.support.chapters import chapter


def test_many_chapters_are_read_in_pages(dynamo: DynamoStore, root: str) -> None:
    """A page of a query ends after a megabyte, wherever that is."""
    dynamo.create(Record(id=root))
    noise = [random.Random(number).randbytes(100_000).hex() for number in range(12)]
    for number, text in enumerate(noise):
        dynamo.write_chapter(chapter(root, number, text))
    own, found = dynamo.read_chapters(root)
    assert own == Record(id=root)
    assert [one.text for one in found] == noise[::-1]


def test_a_chapter_written_by_hand_is_passed_over(dynamo: DynamoStore, table: Table, root: str) -> None:
    """Its promises' records are read then."""
    dynamo.write_chapter(chapter(root, 0))
    dynamo.client.put_item(TableName=table.name, Item={**chapter_key(root, 1), "text": {"S": "plain"}})
    assert dynamo.read_chapters(root) == (None, [chapter(root, 0)])
    assert list(dynamo.peek_chapters(root)) == [1, 0]
