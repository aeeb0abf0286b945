"""What a timeline of a local cloud is made from: the happenings of its promises, as long as they are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from adapter.protocol.times import Instant
from adapter.timeline.happened import KEPT, TOLD, Happened, in_order

MOST = 500_000
"""So many happenings are kept, the latest ones."""


class Recording:
    """Keeps of each happening what a timeline shows, and nothing that holds an execution alive."""

    def __init__(self) -> None:
        self._told: deque[tuple[Instant, str, str, Mapping[str, Any]]] = deque(maxlen=MOST)

    def note(self, at: Instant, what: str, promise: str, detail: Mapping[str, Any]) -> None:
        """Take an event that every watcher hears of."""
        if promise and what in TOLD:
            self._told.append((at, what, promise, {name: detail[name] for name in KEPT if name in detail}))

    def happened(self) -> list[Happened]:
        return in_order(self._told)
