"""Invoking Lambdas asynchronously, also those that have another name by now."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from adapter.engine.ports import Moved, NeverMoved, Signer
from adapter.errors import DurableError, Unreachable
from adapter.protocol import outages
from adapter.protocol.messages import Message, to_event
from adapter.protocol.moves import named

_WHY = {
    "ResourceNotFoundException": outages.MISSING,
    "AccessDeniedException": outages.DENIED,
    "TooManyRequestsException": outages.THROTTLED,
}


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def text_of(envelope: Mapping[str, Any]) -> str:
    """An envelope as it travels."""
    return _ENCODER.encode(envelope)


class LambdaInvoker:
    """`adapter.engine.ports.Invoker` over boto3's Lambda client.

    Args:
        ask: calls, and calls again where that helps.
        moves: under which names renamed Lambdas are found. It is asked only if Lambda has no function of a name.
    """

    def __init__(
        self,
        client: Any,
        signer: Signer,
        ask: Callable[[Callable[[], Any]], Any] = lambda call: call(),
        moves: Moved | None = None,
    ) -> None:
        self.client = client
        self.signer = signer
        self._ask = ask
        self._moves = moves or NeverMoved()

    def invoke(self, target: str, message: Message) -> None:
        payload = self._payload(message)
        tried: list[str] = []
        for name in self._names(target):
            tried.append(name)
            refused = self._refused(name, payload)
            if refused is None:
                return
            if _why(refused) != outages.MISSING:
                break
        raise _unreachable(tried, _why(refused)) from refused

    def _payload(self, message: Message) -> Any:
        """What is handed to Lambda's client."""
        return text_of(self.signer.sign(to_event(message))).encode()

    def _names(self, target: str) -> Iterator[str]:
        """The names under which it is to be tried, the next one only if that before it is missing."""
        yield target
        try:
            yield from self._ask(self._moves.known).way(target)
        except (DurableError, ClientError, BotoCoreError):
            # Where it went can't be read now. What is missing is kept, and tried again.
            return

    def _refused(self, name: str, payload: Any) -> ClientError | BotoCoreError | None:
        """Lambda's refusal, or its silence; None: it has accepted the message."""
        try:
            self._ask(functools.partial(self._invoke, name, payload))
        except (ClientError, BotoCoreError) as refused:
            return refused
        return None

    def _invoke(self, name: str, payload: Any) -> None:
        answer = self.client.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
        # It is empty. Unread, it would keep its connection for ever, and each invocation would open another.
        answer["Payload"].read()


def _why(refused: ClientError | BotoCoreError) -> str:
    if not isinstance(refused, ClientError):
        return type(refused).__name__
    code = str(refused.response.get("Error", {}).get("Code"))
    return _WHY.get(code, code)


def _unreachable(tried: list[str], why: str) -> Unreachable:
    name, *way = tried
    said = f"the Lambda {named(name, way)} can't be invoked: {why}"
    if why == outages.MISSING:
        said += f"; {outages.if_renamed(tried[-1])}"
    return Unreachable(said, tried[-1], why)
