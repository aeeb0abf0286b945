"""What Lambda tells the on-failure destination of an event that it gives up. As AWS documents it."""

from __future__ import annotations

import json
from typing import Any

from adapter.protocol.times import Instant, datetime_of
from adapter.testing.faults import Killed
from adapter.testing.simulated_aws.lambdas import Invocation
from adapter.testing.simulated_aws.outages import NoSuchFunction, Throttled, arn_of

EXHAUSTED = "RetriesExhausted"
TOO_OLD = "EventAgeExceeded"
UNRESERVED = "ZeroReservedConcurrency"


def on_failure_message(invocation: Invocation, condition: str, error: BaseException, at: Instant) -> str:
    """The text of the message."""
    made = invocation.attempt if not isinstance(error, Throttled) else invocation.attempt - 1
    moment = datetime_of(at).replace(tzinfo=None)
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{moment.isoformat(timespec='milliseconds')}Z",
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{arn_of(invocation.function)}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": made,
        },
        "requestPayload": json.loads(invocation.payload),
    }
    return json.dumps({**record, **_response(invocation, error)})


def _response(invocation: Invocation, error: BaseException) -> dict[str, Any]:
    match error:
        case Throttled(reserved=True):
            return {}
        case Throttled():
            return {"responseContext": {"statusCode": 429}}
        case NoSuchFunction():
            return {"responseContext": {"statusCode": error.status}}
        case Killed():
            message = f"RequestId: {invocation.request_id} Error: {error.message}"
        case _:
            message = getattr(error, "message", str(error))
    return {
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        # An error in a function's own process comes with the name that it has there.
        "responsePayload": {"errorType": getattr(error, "type", type(error).__name__), "errorMessage": message},
    }
