"""What a run that kept its execution reads: only what may have changed since. Pure: operations."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from adapter.engine.operations import Many, Operation, ReadChildren
from adapter.protocol.records import Record
from adapter.replay.execution import Execution


def read_news(execution: Execution) -> Generator[Operation, Any, list[Record]]:
    """The records of what was pending, and of what another run may have created.

    A settled promise never changes (I1), so the rest needn't be read.
    """
    reads = tuple(ReadChildren(execution.own.id, first, last) for first, last in execution.news())
    found = (yield Many(reads)) if len(reads) > 1 else [(yield reads[0])]
    return [record for records in found for record in records]
