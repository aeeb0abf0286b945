"""Events of a `LocalCloud` that no engine tells: what befalls invocations and records, and that time passes."""

from __future__ import annotations

from enum import StrEnum

from adapter.engine.telling import Progress


class Happening(StrEnum):
    """An event of the cloud's own. The engine's events are `adapter.engine.telling.What`."""

    FAILED = "failed"
    """An invocation's handler raised."""
    KILLED = "killed"
    """An invocation's Lambda died."""
    LOST = "lost"
    """Lambda accepted an invocation and never made it."""
    THROTTLED = "throttled"
    """An invocation stays in Lambda's queue: there is no concurrency for it."""
    DROPPED = "dropped"
    """A stream record was put aside by its mapping."""
    LATER = "later"
    """Time passed, and nothing ran."""

    @property
    def progress(self) -> Progress:
        return Progress.NONE if self in (Happening.LATER, Happening.THROTTLED) else Progress.SOME
