"""Invoking Lambdas asynchronously."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from adapter.engine.ports import Signer
from adapter.errors import Unreachable
from adapter.protocol import outages
from adapter.protocol.messages import Message, to_event

_WHY = {
    "ResourceNotFoundException": outages.MISSING,
    "AccessDeniedException": outages.DENIED,
    "TooManyRequestsException": outages.THROTTLED,
}


class LambdaInvoker:
    """`adapter.engine.ports.Invoker` over boto3's Lambda client.

    Args:
        ask: calls, and calls again where that helps.
    """

    def __init__(
        self, client: Any, signer: Signer, ask: Callable[[Callable[[], Any]], Any] = lambda call: call()
    ) -> None:
        self.client = client
        self.signer = signer
        self._ask = ask

    def invoke(self, target: str, message: Message) -> None:
        payload = json.dumps(self.signer.sign(to_event(message)), separators=(",", ":"), ensure_ascii=False).encode()
        try:
            self._ask(functools.partial(self._invoke, target, payload))
        except ClientError as refused:
            code = str(refused.response.get("Error", {}).get("Code"))
            raise Unreachable(target, _WHY.get(code, code)) from refused
        except BotoCoreError as silent:
            raise Unreachable(target, type(silent).__name__) from silent

    def _invoke(self, target: str, payload: bytes) -> None:
        answer = self.client.invoke(FunctionName=target, InvocationType="Event", Payload=payload)
        # It is empty. Unread, it would keep its connection for ever, and each invocation would open another.
        answer["Payload"].read()
