"""The moves of renamed Lambdas, in a note of the promises' table. A person writes it, by ``durable move``.

A sandbox reads it only when Lambda has no function of a name, and once in a minute at most.
"""

from __future__ import annotations

from collections.abc import Callable

from adapter.aws.notes import MARK, Note
from adapter.engine.ports import Clock
from adapter.protocol.moves import UNMOVED, Moves, moves
from adapter.protocol.times import MINUTE, Instant

PARTITION = f"{MARK}moves"

FRESH = MINUTE
"""For so long a sandbox goes by what it has read."""


class NotedMoves:
    """`adapter.engine.ports.Moved` in a note. One for each sandbox."""

    def __init__(self, note: Note, clock: Clock) -> None:
        self._note = note
        self._clock = clock
        self._known: tuple[Moves, Instant] | None = None

    def known(self) -> Moves:
        known = self._known
        return known[0] if known is not None and self._clock.now() < known[1] + FRESH else self.read()

    def read(self) -> Moves:
        found = _read(self._note.read())
        self._known = found, self._clock.now()
        return found

    def change(self, change: Callable[[Moves], Moves]) -> Moves:
        """A caller that dies before this is done has changed nothing."""
        while True:
            was = self._note.read()
            changed = change(_read(was))
            if self._note.write(changed.to_text(), was):
                self._known = None
                return changed


def _read(text: str | None) -> Moves:
    return UNMOVED if text is None else moves(text)
