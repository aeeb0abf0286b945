"""Envelopes within one process: the engine in memory hands them over, and neither writes nor checks a text.

Only the other engines play the wire: there each envelope is signed, written, read and checked, as on AWS. Here it is
written once somebody reads its text: a queue that it goes to, or a test. The sender's keys go with it. Once other keys
sign, it is checked like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapter.aws.invoker import LambdaInvoker, text_of
from adapter.aws.keys import Signatures
from adapter.protocol.messages import Message, to_event
from adapter.protocol.signatures import Ring


class Ours(dict[str, Any]):
    """An envelope that has never left this process. JSON makes none, so nobody else can send one."""

    def __init__(self, envelope: Mapping[str, Any], ring: Ring) -> None:
        super().__init__(envelope)
        self.ring = ring


class HandedOver:
    """`adapter.testing.simulated_aws.lambdas.Unwritten`: an envelope, and the keys that sign it."""

    def __init__(self, envelope: Mapping[str, Any], ring: Ring) -> None:
        self._envelope = envelope
        self._ring = ring

    def event(self) -> Ours:
        return Ours(self._envelope, self._ring)

    def written(self) -> str:
        return text_of(self._ring.sign(self._envelope))


class TrustingSignatures(Signatures):
    """`Signatures` that know an envelope which they have handed over without a look at its MAC."""

    def check(self, envelope: Mapping[str, Any]) -> None:
        if not isinstance(envelope, Ours):
            super().check(envelope)
        elif envelope.ring is not self._ring:
            super().check(envelope.ring.sign(envelope))


class HandingInvoker(LambdaInvoker):
    """`LambdaInvoker` on a client that takes what isn't written yet."""

    signer: TrustingSignatures

    def _payload(self, message: Message) -> HandedOver:
        return HandedOver(to_event(message), self.signer.signing())
