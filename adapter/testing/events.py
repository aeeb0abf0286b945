"""What happens in a local cloud, as a watcher hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.engine.telling import What
from adapter.testing.happenings import Happening


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, for every watcher: at (microseconds), what, in which Lambda, to which promise."""

    at: int
    what: What | Happening
    function: str
    promise: str = ""
    fn: str = ""
    detail: Mapping[str, Any]


class WatcherFailed(BaseException):
    """A watcher raised; carries its exception past everything that a Lambda's failure would meet."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
