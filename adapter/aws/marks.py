"""Marks on roots: before an object is put, the record of its execution's root says that there may be objects.

A removal looks for objects only where it finds the mark (ADR 0013), and only once: nothing is put for an execution that
was removed. A root that isn't over is removed a day later at the earliest (`MIN_RETENTION`). So a sandbox that has
found such a root marked needn't ask again for an hour, however many objects it puts.
"""

from __future__ import annotations

from adapter.engine.ports import Clock, Store
from adapter.protocol.ids import root_of
from adapter.protocol.promises import Refused, Written
from adapter.protocol.times import HOUR, Instant
from adapter.protocol.timing import is_closing

TRUSTED = HOUR
"""For so long a sandbox relies on a mark. An object that it puts then is more than half a day old at a removal, which
spares younger ones.
"""

REMEMBERED = 1_000
"""Roots."""


class Gone(Exception):
    """The execution was removed. Nothing is put for it any more, since nothing would remove that."""


class Marks:
    """Marks the roots in a store. Threads that come at the same time may each write the mark, which changes nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._until: dict[str, Instant] = {}

    def mark(self, promise: str) -> None:
        """Make sure that the root is marked, before an object is put for the promise.

        If the run dies in between, a removal looks for objects in vain.

        Raises:
            Gone: there is no such root.
        """
        root, now = root_of(promise), self._clock.now()
        known = self._until.get(root)
        if known is None or known <= now:
            self._ask(root, now)

    def _ask(self, root: str, now: Instant) -> None:
        # A read costs a fifth of a write. In a wide fan-out nearly all find the root marked, each in its own sandbox.
        found: Written | None = self._store.peek_promise(root)
        if found is not None and not isinstance(found, Refused) and not found.objects:
            found = self._store.mark_objects(root)
        if found is None or isinstance(found, Refused):
            raise Gone(root)
        if len(self._until) >= REMEMBERED:
            self._until.clear()
        # About to expire, it may be another execution's soon.
        if not found.over and not is_closing(found, now):
            self._until[root] = now + TRUSTED
