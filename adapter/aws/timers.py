"""Timers as delayed messages of an SQS queue; `adapter.lambdas.sweeper.fire` is what the queue triggers."""

from __future__ import annotations

import json
from typing import Any

from adapter.engine.ports import Clock
from adapter.protocol.messages import Timed, to_event
from adapter.protocol.times import SECOND
from adapter.protocol.timing import HORIZON


class SqsTimers:
    """`adapter.engine.ports.Timers` over boto3's SQS client.

    What is due later than a message can be delayed is sent again when the message comes: a hop every 15 minutes.
    """

    def __init__(self, client: Any, queue_url: str, clock: Clock) -> None:
        self.client = client
        self._queue_url = queue_url
        self._clock = clock

    def send_at(self, target: str, message: Timed, at: int) -> None:
        wait = min(max(at - self._clock.now(), 0), HORIZON)
        self.client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"at": at, "target": target, "message": to_event(message)}, separators=(",", ":")),
            # Rounded up: a message that comes early has to be sent again.
            DelaySeconds=-(-wait // SECOND),
        )
