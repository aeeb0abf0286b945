"""Invocations that died more often than Lambda repeats them. They are tried again after a while, and finally given up.

The function's own policy decides how often, in its own Lambda, when the next attempt begins. If not even that can run,
`LIMIT` ends the attempts. A message that came too early is no failure, and isn't counted: a function whose code doesn't
read the next version's messages yet is tried again until that version is deployed there, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from adapter.engine import hosts
from adapter.engine.ending import crashed
from adapter.engine.host import EngineHost
from adapter.engine.operations import PeekFunction, SendAt, Tell
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.errors import BadMessage, OtherVersion
from adapter.lambdas.batches import process
from adapter.protocol.messages import Cause, Resume, Start, is_envelope, parse
from adapter.protocol.times import SECOND

LIMIT = 10
"""Dead letters of one function in a row. Lambda made each of these invocations three times."""

PAUSE = 30
"""Seconds before the first further attempt. The pause doubles each time."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the queue of failed invocations. It reports each message that it couldn't handle."""
    host = hosts.current()
    return process(host, EventType.SQS, event, context, lambda record: _bury(host, record))


def _bury(host: EngineHost, record: SQSRecord) -> None:
    message = read(record.body, host.ports.check)
    if message is None:
        # The event should have started a root, and nothing of it is stored. It stays in the queue for a person.
        raise BadMessage("a failed invocation carried no envelope: its event never became a promise")
    own, children = host.ports.perform(PeekFunction(message.id))
    if own is None or not own.runnable or message.since not in (0, own.created_at):
        # The function is over or gone, or a later execution has its id.
        return
    early = is_early(record.body)
    crashes = message.crashes + (not early)
    host.ports.perform(Tell(What.DEAD_LETTER, own.id, own.fn, {"crashes": crashes}))
    if crashes >= LIMIT and not early:
        drive(crashed(own, children), host.ports.perform)
        return
    again: Start | Resume = (
        replace(message, crashes=crashes)
        if isinstance(message, Start)
        # A run may have claimed since. So the function loads everything, and arms anew.
        else Resume(id=message.id, cause=Cause.AGAIN, crashes=crashes, since=own.created_at)
    )
    at = host.ports.clock.now() + (PAUSE if early else PAUSE * 2 ** (crashes - 1)) * SECOND
    host.ports.perform(SendAt(own.target, again, at))


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


def is_early(body: str) -> bool:
    """Whether a function refused an envelope of another version. Only for a body that `read` has read."""
    response = json.loads(body).get("responsePayload")
    return isinstance(response, dict) and response.get("errorType") == OtherVersion.__name__
