"""Timers as delayed messages of two SQS queues. They trigger `adapter.lambdas.sweeper.fire` and ``tend``.

A timer that must fire on the second never shares a queue with upkeep. A batch is one invocation: if a removal in it
took longer than the invocation may run, the whole batch would come again, minutes later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from adapter.engine.operations import SendAt
from adapter.engine.ports import Clock, Signer
from adapter.protocol.messages import Timed, to_event
from adapter.protocol.times import SECOND, Instant
from adapter.protocol.timing import HORIZON


class SqsTimers:
    """`adapter.engine.ports.Timers` over boto3's SQS client.

    A message can be delayed by 15 minutes. A later timer's message is sent again each time it arrives. If there is no
    queue for upkeep, upkeep waits in the other one.
    """

    def __init__(self, client: Any, queue_url: str, clock: Clock, signer: Signer, upkeep_url: str = "") -> None:
        self.client = client
        self._queue_url = queue_url
        self._upkeep_url = upkeep_url or queue_url
        self._clock = clock
        self.signer = signer

    def send_at(self, target: str, message: Timed, at: Instant, upkeep: bool = False) -> None:
        send = SendAt(target, message, at, upkeep)
        self.client.send_message(QueueUrl=self._url(upkeep), **self._entry(send, self._clock.now()))

    def send_batch(self, sends: Sequence[SendAt]) -> None:
        """Send all of them. As long as SQS takes some, it is asked for the rest again at once.

        Raises:
            ClientError: SQS took none. All are sent again later, those that it had taken, too.
        """
        url, now = self._url(sends[0].upkeep), self._clock.now()
        left = [{"Id": str(number), **self._entry(send, now)} for number, send in enumerate(sends)]
        while left:
            answer = self.client.send_message_batch(QueueUrl=url, Entries=left)
            failed = {each["Id"]: each for each in answer.get("Failed", ())}
            if len(failed) == len(left):
                raise _refused(failed[left[0]["Id"]])
            left = [entry for entry in left if entry["Id"] in failed]

    def _url(self, upkeep: bool) -> str:
        return self._upkeep_url if upkeep else self._queue_url

    def _entry(self, send: SendAt, now: Instant) -> dict[str, Any]:
        wait = min(max(send.at - now, 0), HORIZON)
        body = {"at": send.at, "target": send.target, "message": self.signer.sign(to_event(send.message))}
        return {
            "MessageBody": json.dumps(body, separators=(",", ":")),
            # Rounded up: a message that comes early would have to be sent again.
            "DelaySeconds": -(-wait // SECOND),
        }


def _refused(failed: Mapping[str, Any]) -> ClientError:
    """What `send_message` would have raised for this entry. A batch's answer is 200 all the same."""
    error = {"Code": failed.get("Code", ""), "Message": failed.get("Message", "")}
    status = 400 if failed.get("SenderFault") else 500
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "SendMessageBatch")
