"""A batch of an event source, handled one record after the other. Failed records are reported, and AWS sends them
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter.engine.host import EngineHost
from adapter.engine.operations import Tell
from adapter.engine.telling import What, loggable
from adapter.errors import BadMessage

Number = Callable[[dict[str, Any]], str | None]
"""The number by which a record's failure is reported; None if it isn't one of this source."""


def of_message(record: dict[str, Any]) -> str | None:
    """`Number` of a queue's messages."""
    number = record.get("messageId")
    return number if isinstance(number, str) and isinstance(record.get("body"), str) else None


def of_change(record: dict[str, Any]) -> str | None:
    """`Number` of a stream's records."""
    change = record.get("dynamodb")
    number = change.get("SequenceNumber") if isinstance(change, dict) else None
    return number if isinstance(number, str) else None


def process(
    host: EngineHost,
    number: Number,
    event: dict[str, Any],
    context: Any,
    handle: Callable[[dict[str, Any]], object],
    patience: float | None = None,
) -> dict[str, Any]:
    """The partial batch response of ``handle`` over the event's records.

    Args:
        patience: for how many seconds at most the ports ask AWS again.

    Raises:
        BadMessage: no event source sent this event.
    """
    records = records_of(event)
    numbers = [found for record in records if (found := number(record)) is not None]
    if len(numbers) < len(records):
        raise BadMessage("this Lambda is triggered by an event source, whose records have numbers and contents")
    host.enter_invocation(context, patience)
    failed = [each for each, record in zip(numbers, records, strict=True) if not _is_handled(host, handle, record)]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _is_handled(host: EngineHost, handle: Callable[[dict[str, Any]], object], record: dict[str, Any]) -> bool:
    try:
        handle(record)
    except Exception as error:
        host.ports.perform(Tell(What.UNHANDLED, "", "", {"error": loggable(error)}))
        return False
    return True


def records_of(event: Any) -> list[dict[str, Any]]:
    """The records of an event source's event. Raises as `process` does."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise BadMessage("this Lambda is triggered by an event source, whose events have a list of Records")
    return records
