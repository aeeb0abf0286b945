"""The index as it was some time ago: DynamoDB brings a global index up to date after the table, at some time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from adapter.aws.sealed import SealedStore
from adapter.protocol.records import Record
from adapter.protocol.times import MINUTE, Instant
from adapter.protocol.timing import Due, due_of, shard_of
from adapter.testing.faults import LONG_LAG, Dice


class PastIndex:
    """What the index has held in the last minutes. It remembers nothing unless the fault may come (`Faults.lag`)."""

    def __init__(self, dice: Dice, clock: Callable[[], Instant], records: Callable[[], Sequence[Record]]) -> None:
        self._dice = dice
        self._clock = clock
        self._records = records
        self._states: deque[tuple[Instant, list[Due]]] = deque()

    def remember(self) -> None:
        """Time is about to pass."""
        if not self._dice.faults.lag:
            return
        now = self._clock()
        self._states.append((now, [due for record in self._records() if (due := due_of(record)) is not None]))
        while len(self._states) > 1 and self._states[1][0] <= now - LONG_LAG:
            self._states.popleft()

    def answer(self) -> list[Due] | None:
        """What a query is answered from; None: from the index as it is."""
        lag = self._dice.behind()
        if lag is None:
            return None
        then = self._clock() - lag
        # Before the first time that passed it was empty.
        return next((entries for at, entries in reversed(self._states) if at <= then), [])

    def minutes(self, present: Sequence[int]) -> Sequence[int]:
        """The minutes in which a query may find anything due, in order; ``present``: by the index as it is."""
        if not self._states:
            return present
        return sorted({*present, *(due.at // MINUTE for _, entries in self._states for due in entries)})


class LocalStore(SealedStore):
    """A store whose index may be behind its table."""

    def __init__(self, past: PastIndex, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._past = past

    def due(self, shard: str, until: Instant) -> Iterator[Sequence[Due]]:
        pages: Iterable[Sequence[Due]] = super().due(shard, until)
        entries = self._past.answer()
        if entries is None:
            yield from pages
            return
        # It is asked, and costs what it costs.
        list(pages)
        yield sorted(
            (due for due in entries if shard_of(due.id) == shard and due.at < until), key=lambda due: (due.at, due.id)
        )
