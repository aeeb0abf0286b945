"""The engine's events: every word that it tells, in one table. A word's row says all that follows from it.

It is an enum rather than a class for each event. A log line, a watcher, and a line that is read back from another
process all take the same four things: the word, the promise's id, the function, and details by name. Classes would be
taken apart wherever they arrive. A word is a string, the text of its log line.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum, unique
from typing import Self

from adapter.errors import DurableError


class Level(StrEnum):
    """The level of a log line, by who must act. It names the logger's method."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    """The operator may want to look."""
    ERROR = "error"
    """A person has to act."""


class Progress(IntEnum):
    """How far an execution gets by an event."""

    NONE = 0
    """It stands where it stood."""
    AGAIN = 1
    """The watchdog makes an invocation again; it may be lost again, for ever."""
    SOME = 2
    """It moves."""
    GOT_ON = 3
    """It moves, and the invocation that tells it has done its work."""


@unique
class What(StrEnum):
    """An event's word, the level of its log line, the details that the line keeps, and the progress that it means.

    Only the watchers of a `LocalCloud` see the other details. A drift's, for instance, shows arguments.
    """

    RUNNING = "running", Level.DEBUG, ("why",)
    BODY = "body", Level.DEBUG
    SUSPENDED = "suspended", Level.INFO, ("waiting", "wake_at"), Progress.GOT_ON
    YIELDED = "yielded", Level.INFO, (), Progress.GOT_ON
    HANDED_ON = "handed on", Level.DEBUG, ("to",)
    RETRYING = "retrying", Level.WARNING, ("at",), Progress.GOT_ON
    PAUSED = "paused", Level.ERROR, ("why",), Progress.GOT_ON
    SETTLED = "settled", Level.INFO, ("state",), Progress.GOT_ON
    CLEANED_UP = "cleaned up", Level.INFO, (), Progress.GOT_ON
    REFUSED = "refused", Level.WARNING, ("state",)
    UNHEARD = "unheard", Level.WARNING, ("error",)
    CRASHED = "crashed", Level.ERROR
    HELD = "held", Level.WARNING, ("why", "since", "target", "remedy"), Progress.NONE
    STALLED = "stalled", Level.ERROR, ("why", "since", "target", "remedy"), Progress.NONE
    DEAD_LETTER = "dead letter", Level.ERROR, ("crashes",)
    WAKING = "waking", Level.DEBUG, ("by",), Progress.GOT_ON
    OCCURRED = "occurred", Level.INFO, ("schedule",)
    FIRING = "firing", Level.DEBUG, ("at",), Progress.GOT_ON
    TRIED = "tried again", Level.DEBUG, ("at",), Progress.AGAIN
    SENT_ON = "sent on", Level.DEBUG, ("at",), Progress.NONE
    LOOKED = "looked", Level.DEBUG, (), Progress.NONE
    MISSED = "missed", Level.WARNING, (), Progress.AGAIN
    MADE_UP = "made up", Level.WARNING, ("arrivals",), Progress.AGAIN
    KEPT = "kept", Level.WARNING, ("why",), Progress.NONE
    REMOVED = "removed", Level.DEBUG, (), Progress.NONE
    TENDED = "tended", Level.INFO, ("removed",), Progress.NONE
    """A batch of upkeep removed so many executions: one line for all of them."""
    UNHANDLED = "unhandled", Level.WARNING, ("error",)

    level: Level
    keeps: tuple[str, ...]
    progress: Progress

    def __new__(cls, word: str, level: Level, keeps: tuple[str, ...] = (), progress: Progress = Progress.SOME) -> Self:
        self = str.__new__(cls, word)
        self._value_, self.level, self.keeps, self.progress = word, level, keeps, progress
        return self


LONGEST_ID = 80
"""Characters of a promise's id in a log line."""


def loggable_id(promise: str) -> str:
    """A promise's id in a log line, which is billed by its bytes. A long one is its beginning, its end and a digest.

    Different ids stay different, and a search for the beginning finds it.
    """
    if len(promise) <= LONGEST_ID:
        return promise
    digest = hashlib.sha256(promise.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{promise[:40]}...{promise[-24:]}#{digest}"


def loggable(error: Exception) -> str:
    """An error as a log line may show it. Payloads may be in the text of errors that other packages raise."""
    return f"{type(error).__name__}: {error}" if isinstance(error, DurableError) else type(error).__name__
