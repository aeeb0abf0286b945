"""Faults drawn from a seed: the same seed, the same run."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any

from adapter.errors import ConfigurationError
from adapter.protocol.times import MINUTE, SECOND, Span

SKEW = 2 * SECOND
"""A Lambda's clock may be wrong by so much."""

LAG = 5 * SECOND
LONG_LAG = 3 * MINUTE
"""An index may be behind its table by so much, and now and then by this."""


class Killed(BaseException):
    """The Lambda died. No `except` of user code may catch it and go on. What Lambda tells of it is ``type``."""

    type = "Runtime.ExitError"
    message = "Runtime exited with error: signal: killed"


class KilledForTime(Killed):
    """Its invocation took longer than its timeout."""

    type = "Sandbox.Timedout"
    message = "Task timed out"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Probabilities per opportunity, drawn from the cloud's seed.

    Args:
        crash: a Lambda dies before or after one of its calls to the outside. An invocation's third attempt is spared: a
            function that dies for good settles as `FunctionCrashed`, and its outcome mustn't depend on the seed.
        duplicate: an invocation, a batch of stream records or the messages of a queue come twice.
        reorder: an invocation or a batch overtakes those before it; a run is interrupted by others between two of its
            calls; the stream's shards are out of step; a queue's messages come in other batches than before.
        delay: an invocation or a batch comes up to five seconds late; clocks of Lambdas differ by up to four seconds.
        lose: an invocation never comes. The watchdog notices, after a while.
        drop: a stream record never comes: its mapping puts it aside, and tells its on-failure queue where it was.
        stale: a read that needn't be consistent shows what stood a second before. Only the engine "memory" plays it.
        scatter: an invocation comes to another sandbox of its function than the one before. Each keeps what it
            suspended itself, so it may know nothing of an execution, or what others have gone past.
        lag: a query of the index is answered as up to five seconds ago, and one in four as up to three minutes ago.

    Where functions are processes, a Lambda dies by SIGKILL around one of its calls of AWS. Runs overlap by themselves,
    aren't interrupted between two calls, and all see one clock and the index as it is; which process takes an
    invocation is as it happens. Concurrent runs draw from the same dice, so one seed gives different runs.
    """

    crash: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    lose: float = 0.0
    drop: float = 0.0
    stale: float = 0.0
    scatter: float = 0.0
    lag: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ConfigurationError(f"Faults.{field.name} is a probability, got {getattr(self, field.name)!r}")


class Dice:
    """Draws faults, and counts them."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.drawn: dict[str, int] = {field.name: 0 for field in fields(faults)}

    def draw(self, kind: str) -> bool:
        probability: float = getattr(self.faults, kind)
        if not probability:
            return False
        hit = self.random.random() < probability
        self.drawn[kind] += hit
        return hit

    def late(self) -> Span:
        """How late something is: mostly not at all."""
        return Span(self.random.randrange(5 * SECOND) if self.draw("delay") else 0)

    def behind(self) -> Span | None:
        """How old an answer of the index is; None: not at all."""
        if not self.draw("lag"):
            return None
        return Span(self.random.randrange(LAG if self.random.random() < 0.75 else LONG_LAG))

    def skew(self) -> Span:
        """How wrong a Lambda's clock is."""
        return Span(self.random.randint(-SKEW, SKEW) if self.faults.delay else 0)


@dataclass(frozen=True)
class Meanwhile:
    """``then`` is called each time a Lambda, by its function or handler, is about to perform such an operation."""

    fn: str
    operation: type[Any]
    then: Callable[[], object]

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        return self.fn in names and when == "before" and isinstance(operation, self.operation)


@dataclass
class Kill:
    """A Lambda, named by its function or handler, dies once, ``"before"`` or ``"after"`` its next such operation."""

    fn: str
    operation: type[Any]
    when: str

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        """Whether a Lambda that goes by these names dies here."""
        return self.fn in names and when == self.when and isinstance(operation, self.operation)
