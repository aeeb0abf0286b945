"""What a sandbox has learnt of functions: how long one runs, how long its calls take, and whether it is a leaf. Pure.

It only decides where a call with ``place="auto"`` runs, and whether a caller lingers for one. Losing it changes no
outcome, nor does it if another sandbox has learnt something else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from adapter.protocol.times import Span

MOST = 1_000
"""Functions that are remembered. Those of which nothing was heard for longest make room."""

SLOWLY = 8
"""A shorter run brings the estimate down by this part of the difference, a longer one raises it at once."""

LAST = 8
"""So many calls of a function count: a typical one is found, and a change is seen after a few."""


@dataclass(slots=True)
class Seen:
    """Of one function: about how long it runs, whether it may be a leaf, and how long its last calls took."""

    takes: Span | None = None
    may_be_leaf: bool = True
    calls: deque[Span] = field(default_factory=lambda: deque(maxlen=LAST))


_NOTHING = Seen()


class Learnt:
    """By a function's name."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def takes(self, fn: str) -> Span | None:
        """About how long it runs, rather more than less. None: that isn't known, or it isn't a leaf."""
        return self._seen.get(fn, _NOTHING).takes

    def may_be_leaf(self, fn: str) -> bool:
        return self._seen.get(fn, _NOTHING).may_be_leaf

    def typical(self, fn: str) -> Span | None:
        """How long a call of it takes, from its creation to its settlement: the median; None where none was seen."""
        calls = sorted(self._seen.get(fn, _NOTHING).calls)
        return calls[len(calls) // 2] if calls else None

    def took(self, fn: str, span: Span) -> None:
        """A leaf ran for so long, to its end or to its failure."""
        seen = self._of(fn)
        if seen.may_be_leaf:
            # Otherwise it makes durable calls at other times, with other arguments perhaps.
            before = seen.takes
            seen.takes = span if before is None else max(span, Span(before - (before - span) // SLOWLY))

    def is_no_leaf(self, fn: str) -> None:
        """It made a durable call, or it slept."""
        seen = self._of(fn)
        seen.takes, seen.may_be_leaf = None, False

    def settled(self, fn: str, after: Span) -> None:
        """A call of it settled so long after its creation."""
        self._of(fn).calls.append(after)

    def clear(self) -> None:
        self._seen.clear()

    def _of(self, fn: str) -> Seen:
        seen = self._seen.setdefault(fn, Seen())
        self._seen.move_to_end(fn)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return seen
