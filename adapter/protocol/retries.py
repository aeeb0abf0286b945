"""Whether another attempt follows on a failed one, and after how long. Pure.

A policy travels with a call as JSON, with exception classes by name. A name is compared with the names of the raised
exception's classes, so nothing is imported for it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from adapter.errors import BadMessage, CallerError, ConfigurationError, OperatorError
from adapter.protocol.times import SECOND, Span
from adapter.protocol.words import no_such_option

_MINUTE = 60.0

_LONGEST = 100 * 365 * 86_400.0
"""Seconds. No delay is longer, whatever the policy says: a delay must end at a date."""


_ATTEMPTS = "attempts=, which counts the first one, too"
_MEANT = {
    "max_attempts": _ATTEMPTS,
    "max_retries": _ATTEMPTS,
    "maximum_attempts": _ATTEMPTS,
    "retries": _ATTEMPTS,
    "delay": "initial=",
    "initial_delay": "initial=",
    "initial_interval": "initial=",
    "interval": "initial=",
    "factor": "backoff=",
    "multiplier": "backoff=",
    "backoff_rate": "backoff=",
    "backoff_coefficient": "backoff=",
    "max_interval": "max_delay=",
    "maximum_interval": "max_delay=",
    "timeout": "attempt_timeout=",
    "retry_on": "on=",
    "exceptions": "on=",
}


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)


def _named(classes: Any) -> tuple[str, ...]:
    classes = classes if isinstance(classes, Sequence) and not isinstance(classes, str) else (classes,)
    return tuple(_name(each) for each in classes)


def _name(each: Any) -> str:
    if isinstance(each, str):
        return each
    if isinstance(each, type) and issubclass(each, BaseException):
        return f"{each.__module__}:{each.__qualname__}"
    raise ConfigurationError(f"Retry: on= and never= take classes of exceptions, got {each!r}")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a function that raised is tried again, and after which delays.

    Delays are durable: no Lambda sleeps through one. A delay below a second is none, and any other is rounded up to
    whole seconds.

    Args:
        attempts: how many in all, the first one included. With ``math.inf`` only the deadline ends them.
        initial: seconds before the second attempt.
        backoff: the factor from each delay to the next.
        max_delay: seconds; no delay is longer. By default a minute, or ``initial`` where that is longer.
        jitter: the part of each delay that is random, from 0 to 1; the same at every replay.
        on: classes of exceptions that are tried again.
        never: classes of exceptions that aren't tried again, even if ``on`` has them.
        attempt_timeout: seconds for one attempt of an ``async def``, after which it fails with TimeoutError.

    Raises:
        ConfigurationError: a value that makes no sense.
    """

    attempts: float = 3
    initial: float = 1.0
    backoff: float = 2.0
    max_delay: float | None = None
    jitter: float = 0.0
    on: Any = (Exception,)
    never: Any = ()
    attempt_timeout: float | None = None

    def __new__(cls, *_: Any, **given: Any) -> Self:
        for option in given:
            if option not in cls.__match_args__:
                raise no_such_option("Retry", option, cls.__match_args__, _MEANT)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", _named(self.on))
        object.__setattr__(self, "never", _named(self.never))
        if not all(map(_is_number, (self.attempts, self.initial, self.backoff, self.jitter))) or not all(
            each is None or _is_number(each) for each in (self.max_delay, self.attempt_timeout)
        ):
            raise ConfigurationError(f"{self}: attempts, delays, backoff, jitter and attempt_timeout are numbers")
        whole = self.attempts == math.inf or self.attempts % 1 == 0
        sensible = (
            whole and self.attempts >= 1 and self.initial >= 0 and self.backoff >= 1,
            self.max_delay is None or self.max_delay >= 0,
            0 <= self.jitter <= 1 and (self.attempt_timeout is None or self.attempt_timeout > 0),
        )
        if not all(sensible):
            raise ConfigurationError(
                f"{self}: attempts is a whole number from 1 on, backoff at least 1, jitter between 0 and 1,"
                " attempt_timeout positive, and no delay is negative"
            )

    def again(self, error: BaseException, attempt: int) -> bool:
        """Whether another attempt follows on the ``attempt``-th, which raised ``error``."""
        if attempt >= self.attempts or isinstance(error, (CallerError, OperatorError)):
            return False
        names = {_name(kind) for kind in type(error).__mro__ if issubclass(kind, BaseException)}
        return bool(names & {*self.on}) and not names & {*self.never}

    def delay(self, attempt: int, seed: str) -> Span:
        """Between the ``attempt``-th and the next: whole seconds."""
        try:
            # The exponent is bounded: a huge power of an integer would take for ever to compute.
            grown = self.initial * float(self.backoff) ** min(attempt - 1, 64)
        except OverflowError:
            grown = math.inf
        bound = max(_MINUTE, self.initial) if self.max_delay is None else self.max_delay
        longest = min(bound, grown, _LONGEST)
        drawn = int.from_bytes(hashlib.sha256(f"{seed}\0{attempt}".encode()).digest()[:7], "big") / 2**56
        seconds = longest * (1 - self.jitter * drawn)
        return (0 if seconds < 1 else math.ceil(seconds)) * SECOND

    def to_text(self) -> str:
        """The policy as a record keeps it."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        data["attempts"] = None if self.attempts == math.inf else self.attempts
        return json.dumps(data, separators=(",", ":"))


LEAF = Retry()
"""The policy of a function that makes no durable call and has no policy of its own."""

ONCE = Retry(attempts=1)


def read(text: str) -> Retry:
    """Raises BadMessage: it isn't a policy."""
    try:
        data = json.loads(text)
        attempts = math.inf if data["attempts"] is None else data["attempts"]
        return Retry(**{**data, "attempts": attempts})
    except (ValueError, TypeError, KeyError, RecursionError, ConfigurationError) as unreadable:
        raise BadMessage(f"a retry policy can't be read: {str(unreadable)[:300]}") from None
