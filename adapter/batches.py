"""A batch of an event source, one record after the other; what failed is reported, and comes again by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response


def process(kind: EventType, event: dict[str, Any], context: Any, handle: Callable[[Any], None]) -> dict[str, Any]:
    """The partial batch response of ``handle`` over the event's records."""
    processor = BatchProcessor(event_type=kind, raise_on_entire_batch_failure=False)
    response: Any = process_partial_response(event=event, record_handler=handle, processor=processor, context=context)
    return dict(response)
