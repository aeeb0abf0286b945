"""The events of a local cloud, as a watcher hears of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.engine.telling import What
from adapter.protocol.times import Instant
from adapter.testing.happenings import Happening


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event for every watcher: when (microseconds), what, in which Lambda, to which promise."""

    at: Instant
    what: What | Happening
    function: str
    promise: str = ""
    fn: str = ""
    detail: Mapping[str, Any]


class WatcherFailed(BaseException):
    """A watcher raised. This carries its exception past all code that handles a Lambda's failure."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
