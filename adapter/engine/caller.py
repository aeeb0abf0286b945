"""The invocation that runs the engine."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.protocol.times import NO_TIME, Span


@dataclass(frozen=True, slots=True)
class Caller:
    """Lambda's retry of an invocation has the same request id. ``limit`` is how long the invocation may run.

    ``prefix`` turns the target ``charge`` into the Lambda's name ``mystack-charge``.
    """

    request_id: str
    prefix: str = ""
    limit: Span = NO_TIME

    def qualify(self, target: str) -> str:
        return target if ":" in target or not target else f"{self.prefix}{target}"
