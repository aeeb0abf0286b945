"""Invoking Lambdas asynchronously."""

from __future__ import annotations

import json
from typing import Any

from adapter.engine.ports import Signer
from adapter.protocol.messages import Message, to_event


class LambdaInvoker:
    """`adapter.engine.ports.Invoker` over boto3's Lambda client."""

    def __init__(self, client: Any, signer: Signer) -> None:
        self.client = client
        self.signer = signer

    def invoke(self, target: str, message: Message) -> None:
        payload = json.dumps(self.signer.sign(to_event(message)), separators=(",", ":"), ensure_ascii=False).encode()
        answer = self.client.invoke(FunctionName=target, InvocationType="Event", Payload=payload)
        # It is empty. Unread, it would keep its connection for ever, and each invocation would open another.
        answer["Payload"].read()
