"""Faults drawn from a seed: the same seed, the same run."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

from adapter.errors import ConfigurationError


class Killed(BaseException):
    """The Lambda died: no handler of user code may catch it and go on."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Probabilities per opportunity, drawn from the cloud's seed.

    Args:
        crash: a Lambda dies before or after one of its calls to the outside. Its third attempt is spared: what follows
            on exhausted retries is the dead letters' affair, which this version doesn't have yet.
        duplicate: an invocation or a batch of stream records comes twice.
        reorder: an invocation overtakes those before it.
        delay: an invocation comes up to five seconds late.
    """

    crash: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0

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
        hit = probability > 0 and self.random.random() < probability
        self.drawn[kind] += hit
        return hit
