"""Notes: texts beside the promises, each an item of their table. Each is written only in place of what was read.

So of two writers at once one is refused, and reads what the other wrote. A crash leaves the old text or the new one.
"""

from __future__ import annotations

from typing import Any, Protocol

from botocore.exceptions import ClientError

MARK = "~"
"""The keys of notes begin so, and no promise's id does."""


class Note(Protocol):
    def read(self) -> str | None: ...
    def write(self, text: str, was: str | None) -> bool:
        """Whether it was written: only in place of ``was``, None: where there is none."""
        ...


class TableNote:
    """`Note` in the promises' table, in a partition of its own."""

    def __init__(self, client: Any, table: str, partition: str) -> None:
        self._client = client
        self._table = table
        self._key = {"pk": {"S": partition}, "sk": {"N": "0"}}

    def read(self) -> str | None:
        found = self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True).get("Item", {})
        text: str | None = found.get("note", {}).get("S")
        return text

    def write(self, text: str, was: str | None) -> bool:
        stands: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if was is not None:
            stands = {"ConditionExpression": "note = :was", "ExpressionAttributeValues": {":was": {"S": was}}}
        try:
            self._client.put_item(TableName=self._table, Item={**self._key, "note": {"S": text}}, **stands)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
