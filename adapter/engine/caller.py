"""The invocation that runs the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from adapter.errors import ConfigurationError
from adapter.protocol import addresses
from adapter.protocol.times import NO_TIME, Span


class Waking(StrEnum):
    """How calls resume their caller, where it waits for one of them alone."""

    STREAM = "stream"
    """The table's stream hands the settlement to the resumer, which invokes the caller."""

    DIRECT = "direct"
    """The run that settles the call invokes the caller itself."""

    LINGER = "linger"
    """The caller watches a short call in its own invocation. It suspends for a longer one, which resumes it as `DIRECT`
    does."""


def waking_of(word: str, where: str) -> Waking:
    """Raises ConfigurationError: there is no such way."""
    if word not in set(Waking):
        known = ", ".join(repr(each.value) for each in Waking)
        raise ConfigurationError(f"{where} takes {known}, not {word!r}")
    return Waking(word)


@dataclass(frozen=True, slots=True)
class Caller:
    """Lambda's retry of an invocation has the same request id. ``limit`` is how long the invocation may run.

    ``prefix`` turns the target ``charge`` into the Lambda's name ``mystack-charge``. What names no version of a Lambda
    and no alias goes by ``alias``. ``wake`` is for functions that don't say themselves how their calls resume them.
    ``name`` and ``version`` are of the Lambda that runs; outside of one they are empty.
    """

    request_id: str
    prefix: str = ""
    limit: Span = NO_TIME
    wake: Waking = Waking.STREAM
    alias: str = ""
    name: str = ""
    version: str = ""

    @property
    def here(self) -> str:
        """The name of the very code that runs."""
        return addresses.with_qualifier(self.name, self.version)

    def qualify(self, target: str) -> str:
        return addresses.lambda_of(target, self.prefix, self.alias)

    def named(self, target: str, own: str) -> str:
        """The Lambda of a call's ``target``, whose caller goes by ``own``."""
        return addresses.within(self.qualify(target), own, self.alias)
