"""A batch of an event source, handled one record after the other. Failed records are reported, and AWS sends them
again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from adapter.engine.host import EngineHost
from adapter.engine.operations import Tell
from adapter.engine.telling import What, loggable
from adapter.errors import BadMessage

_OF_A_RECORD = inspect.Signature([inspect.Parameter("record", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


def process(
    host: EngineHost,
    kind: EventType,
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

    def watched(record: Any) -> None:
        try:
            handle(record.raw_event)
        except Exception as error:
            host.ports.perform(Tell(What.UNHANDLED, "", "", {"error": loggable(error)}))
            raise

    # Powertools looks at it for each batch, and Python would put it together again each time.
    watched.__signature__ = _OF_A_RECORD  # type: ignore[attr-defined]
    if not all(_is_whole(kind, record) for record in records_of(event)):
        raise BadMessage("this Lambda is triggered by an event source, whose records have numbers and contents")
    host.enter_invocation(context, patience)
    processor = BatchProcessor(event_type=kind, raise_on_entire_batch_failure=False)
    response: Any = process_partial_response(event=event, record_handler=watched, processor=processor, context=context)
    return dict(response)


def _is_whole(kind: EventType, record: dict[str, Any]) -> bool:
    """Whether a record has the number by which its failure is reported, and the content that its handler reads."""
    if kind is EventType.SQS:
        return isinstance(record.get("messageId"), str) and isinstance(record.get("body"), str)
    change = record.get("dynamodb")
    return isinstance(change, dict) and isinstance(change.get("SequenceNumber"), str)


def records_of(event: Any) -> list[dict[str, Any]]:
    """The records of an event source's event. Raises as `process` does."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise BadMessage("this Lambda is triggered by an event source, whose events have a list of Records")
    return records
