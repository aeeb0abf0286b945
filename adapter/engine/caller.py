"""The invocation that runs the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Lambda's retry of an invocation has the same request id. ``limit`` is how many microseconds the invocation may
    run.

    ``prefix`` turns the target ``charge`` into the Lambda's name ``mystack-charge``.
    """

    request_id: str
    prefix: str = ""
    limit: int = 0

    def qualify(self, target: str) -> str:
        return target if ":" in target or not target else f"{self.prefix}{target}"
