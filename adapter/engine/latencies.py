"""How long calls have taken lately, as far as this sandbox has seen. Losing it changes no outcome. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from adapter.protocol.times import Span

LAST = 8
"""Of each function, so many calls count: a typical one is found, and a change is seen after a few."""

FUNCTIONS = 1_000


@dataclass(slots=True)
class Latencies:
    """From a call's creation to its settlement, by the function's name."""

    _took: OrderedDict[str, deque[Span]] = field(default_factory=OrderedDict)

    def note(self, fn: str, took: Span) -> None:
        self._took.setdefault(fn, deque(maxlen=LAST)).append(took)
        self._took.move_to_end(fn)
        if len(self._took) > FUNCTIONS:
            self._took.popitem(last=False)

    def typical(self, fn: str) -> Span | None:
        """The median; None where no call was seen."""
        took = sorted(self._took.get(fn, ()))
        return took[len(took) // 2] if took else None
