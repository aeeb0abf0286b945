"""What the engine tells of its work: every word, in one table. What follows from a word is read off its row.

An enum rather than a class of each event: a log line, a watcher and a line that is read back from another process all
take the same four things (the word, the promise's id, the function, details by name), so the classes would be taken
apart where they arrive. A word is a string: it is the text of its log line.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum, unique
from typing import Self


class Level(StrEnum):
    """Of a log line, by who must act; the method of a logger."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    """The operator may want to look."""
    ERROR = "error"
    """A person has to."""


class Progress(IntEnum):
    """How far an execution gets by what is told of it."""

    NONE = 0
    """Not at all: it stands where it stood."""
    AGAIN = 1
    """An invocation is made again, and may be lost again, for ever."""
    SOME = 2
    """It moves."""
    GOT_ON = 3
    """It moves, and the invocation that tells it has done what it was made for."""


@unique
class What(StrEnum):
    """What can be told: the word, the level of its log line, the details that the line keeps, the progress it means.

    A detail that isn't kept (a drift shows arguments) is for the watchers of a `LocalCloud` alone.
    """

    RUNNING = "running", Level.INFO, ("why",)
    BODY = "body", Level.DEBUG
    SUSPENDED = "suspended", Level.INFO, ("waiting", "wake_at"), Progress.GOT_ON
    YIELDED = "yielded", Level.INFO, (), Progress.GOT_ON
    RETRYING = "retrying", Level.WARNING, ("at",), Progress.GOT_ON
    PAUSED = "paused", Level.ERROR, ("why",), Progress.GOT_ON
    SETTLED = "settled", Level.INFO, ("state",), Progress.GOT_ON
    CLEANED_UP = "cleaned up", Level.INFO, (), Progress.GOT_ON
    REFUSED = "refused", Level.WARNING, ("state",)
    UNHEARD = "unheard", Level.WARNING, ("error",)
    CRASHED = "crashed", Level.ERROR
    DEAD_LETTER = "dead letter", Level.ERROR, ("crashes",)
    WAKING = "waking", Level.INFO, ("by",), Progress.GOT_ON
    OCCURRED = "occurred", Level.INFO, ("schedule",)
    FIRING = "firing", Level.INFO, ("at",), Progress.GOT_ON
    SENT_ON = "sent on", Level.INFO, ("at",), Progress.NONE
    LOOKED = "looked", Level.INFO, (), Progress.NONE
    MISSED = "missed", Level.WARNING, (), Progress.AGAIN
    KEPT = "kept", Level.WARNING, ("why",), Progress.NONE
    REMOVED = "removed", Level.INFO, (), Progress.NONE
    UNHANDLED = "unhandled", Level.WARNING, ("error",)

    level: Level
    keeps: tuple[str, ...]
    progress: Progress

    def __new__(cls, word: str, level: Level, keeps: tuple[str, ...] = (), progress: Progress = Progress.SOME) -> Self:
        self = str.__new__(cls, word)
        self._value_, self.level, self.keeps, self.progress = word, level, keeps, progress
        return self
