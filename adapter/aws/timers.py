"""Timers as delayed messages of an SQS queue. The queue triggers `adapter.lambdas.sweeper.fire`."""

from __future__ import annotations

import json
from typing import Any

from adapter.engine.ports import Clock
from adapter.protocol.messages import Timed, to_event
from adapter.protocol.times import SECOND
from adapter.protocol.timing import HORIZON


class SqsTimers:
    """`adapter.engine.ports.Timers` over boto3's SQS client.

    A message can be delayed by 15 minutes. A later timer's message is sent again each time it arrives.
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
            # Rounded up: a message that comes early would have to be sent again.
            DelaySeconds=-(-wait // SECOND),
        )
