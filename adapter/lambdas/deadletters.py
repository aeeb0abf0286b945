"""Events that Lambda gave up: those whose code died are attempts, and are counted; all others are kept.

*An attempt* is an invocation whose code ran and died, as often as Lambda repeats it. The function's own policy decides
how many there are, in its own Lambda, when the next attempt begins. Where not even that can run, `LIMIT` ends it:
nothing is tried for ever that kills its Lambda.

*All others* were no fault of the function's: its Lambda couldn't run, AWS refused what the engine asked for, or another
version wrote the message. They are kept for as long as that lasts: `adapter.engine.keeping`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType

from adapter.engine import hosts
from adapter.engine.ending import crashed
from adapter.engine.host import EngineHost
from adapter.engine.keeping import again, is_meant, keep, resume_owed, send_later
from adapter.engine.operations import PeekFunction, SendAt, Tell
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.errors import BadMessage, DurableError, OtherVersion
from adapter.lambdas.batches import process
from adapter.protocol import outages
from adapter.protocol.messages import Resume, Start, is_envelope, parse
from adapter.protocol.times import SECOND

LIMIT = 10
"""Deaths in a row; each was an invocation that was made three times."""

PAUSE = 30
"""Seconds before the first further attempt. The pause doubles each time."""

DEATHS = frozenset({"Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory", "MemoryError"})
"""What Lambda calls it if code that ran took too much time or memory, or ended its process. A process that ends while
it imports its code is called the same, so that counts, too."""

_UNTYPED = ("Task timed out", "Runtime exited")
"""In the message, where Lambda gives no type."""

_STATUS = {404: outages.MISSING, 429: outages.THROTTLED}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the queue of failed invocations. It reports each message that it couldn't handle."""
    host = hosts.current()
    return process(host, EventType.SQS, event, context, lambda record: _bury(host, record))


def _bury(host: EngineHost, record: dict[str, Any]) -> None:
    message = read(record["body"], host.ports.check)
    if message is None:
        # The event should have started a root, and nothing of it is stored. It stays in the queue for a person.
        raise BadMessage("a failed invocation carried no envelope: its event never became a promise")
    why, target = why_not_run(record["body"]), lambda_of(record["body"])
    if why is None:
        _count(host, target, replace(message, crashes=message.crashes + 1))
    else:
        keep(host.ports.perform, target, message, why)


def _count(host: EngineHost, target: str, message: Start | Resume) -> None:
    """A further attempt, or the end; ``message`` counts the death."""
    perform = host.ports.perform
    try:
        own, children = perform(PeekFunction(message.id))
    except DurableError:
        raise
    except Exception:
        # The table can't be asked. In the queue of timers the message can wait for longer than in this one.
        send_later(perform, target, again(message))
        return
    if own is not None:
        resume_owed(perform, own, message)
    if own is None or not is_meant(own, message):
        # It is over, or gone; perhaps a later execution has its id.
        return
    perform(Tell(What.DEAD_LETTER, own.id, own.fn, {"crashes": message.crashes}))
    if message.crashes >= LIMIT:
        drive(crashed(own, children), perform)
        return
    at = host.ports.clock.now() + PAUSE * 2 ** (message.crashes - 1) * SECOND
    perform(SendAt(own.target, again(message), at))


def read(body: str, check: Callable[[object], None]) -> Start | Resume | None:
    """The envelope of a failed invocation, from the message of Lambda's on-failure destination; None if it had none.

    Raises:
        OtherVersion: this code doesn't read the envelope's version; the message comes again.
        BadMessage: no on-failure destination sent this message.
    """
    try:
        payload = json.loads(body)["requestPayload"]
    except (ValueError, TypeError, KeyError, RecursionError) as unreadable:
        raise BadMessage(f"not a message of an on-failure destination: {unreadable!r}") from None
    if not is_envelope(payload):
        return None
    try:
        check(payload)
        return parse(payload)
    except OtherVersion:
        raise
    except BadMessage:
        return None


def why_not_run(body: str) -> str | None:
    """Why the code couldn't do its work, in a word; None where it ran, and died. Of a body that `read` has read.

    Never what an error says: that may be anybody's payload.
    """
    record = json.loads(body)
    condition = _part(record, "requestContext").get("condition")
    if condition == "ZeroReservedConcurrency":
        return outages.RESERVED
    response = _part(record, "responsePayload")
    kind, message = response.get("errorType"), response.get("errorMessage")
    if isinstance(kind, str) and kind:
        return None if kind in DEATHS else kind[:80]
    if isinstance(message, str) and any(part in message for part in _UNTYPED):
        return None
    status = _part(record, "responseContext").get("statusCode")
    known = _STATUS.get(status) if isinstance(status, int) else None
    return known or (outages.THROTTLED if condition == "EventAgeExceeded" else "an unknown error")


def _part(record: Any, name: str) -> dict[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def lambda_of(body: str) -> str:
    """The name of the Lambda, with its alias if it has one. Of a body that `read` has read."""
    arn = _part(json.loads(body), "requestContext").get("functionArn")
    parts = arn.split(":") if isinstance(arn, str) else []
    qualifier = [part for part in parts[7:8] if part != "$LATEST"]
    return ":".join([*parts[6:7], *qualifier])
