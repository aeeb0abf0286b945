"""What a sandbox has learnt of functions by running them: how long one takes, and whether it makes durable calls. Pure.

It only decides where a call with ``place="auto"`` runs. Losing it, or having learnt something else than another
sandbox, changes no outcome.
"""

from __future__ import annotations

from collections import OrderedDict

from adapter.protocol.times import Span

MOST = 500
"""Functions that are remembered. Those that haven't run for longest make room."""

SLOWLY = 8
"""A shorter run brings the estimate down by this part of the difference, a longer one raises it at once."""


class Learnt:
    """By a function's name: about how long it takes; None where it has made a durable call, or slept."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Span | None] = OrderedDict()

    def takes(self, fn: str) -> Span | None:
        """About how long it takes, rather more than less. None: that isn't known, or it isn't a leaf."""
        return self._known.get(fn)

    def may_be_leaf(self, fn: str) -> bool:
        return fn not in self._known or self._known[fn] is not None

    def took(self, fn: str, span: Span) -> None:
        """A leaf ran for so long, to its end or to its failure."""
        before = self._known.get(fn)
        if fn in self._known and before is None:
            # It makes durable calls at other times, with other arguments perhaps.
            return
        fallen = span if before is None else Span(before - (before - span) // SLOWLY)
        self._keep(fn, max(span, fallen))

    def is_no_leaf(self, fn: str) -> None:
        """It made a durable call, or it slept."""
        self._keep(fn, None)

    def clear(self) -> None:
        self._known.clear()

    def _keep(self, fn: str, span: Span | None) -> None:
        self._known[fn] = span
        self._known.move_to_end(fn)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
