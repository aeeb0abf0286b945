"""What an operator does by the command ``durable``, for a test: a part of `LocalCloud`, by the same names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapter.engine import registry
from adapter.engine.host import EngineHost
from adapter.steering import finding, forking, recordings
from adapter.steering.checking import Retraced, retrace
from adapter.steering.filters import ANY, Filter
from adapter.steering.reading import Node, Reader
from adapter.testing.driver import Driver


class Steering:
    """The options of a command are those of `adapter.steering.filters.Filter`."""

    _host: EngineHost
    _driver: Driver

    def list(self, **wanted: Any) -> Sequence[Node]:
        """The executions that match, the oldest first: as ``durable list``, all of them.

        Raises:
            ConfigurationError: there is no such state.
        """
        return [*finding.Search(Reader(self._host), Filter(**wanted), errors=True).nodes()]

    def count(self, **wanted: Any) -> Sequence[finding.Count]:
        """How many match, by function and state: as ``durable count``. Raises as `list` does."""
        return finding.counts(Reader(self._host), Filter(**{"states": (ANY,), **wanted}))

    def export(self, promise: str, path: str | Path) -> None:
        """Write the execution of a promise to a file, in plain text: as ``durable export --decrypt``.

        Raises:
            UnknownPromise: there is no such execution.
        """
        Path(path).write_text(recordings.written(recordings.recorded(self._host, promise)), encoding="utf-8")

    def check(self, *ids: str) -> Sequence[Retraced]:
        """Replay executions by the code of this process, by default all open ones: as ``durable check``.

        Returns:
            what came of each function; one that doesn't fit has a ``drift``.

        Raises:
            UnknownPromise: there is no such execution.
        """
        found = [recordings.recorded(self._host, one) for one in ids or [node.record.id for node in self.list()]]
        with registry.instead(self._driver.faked()):
            return [one for recording in found for one in retrace(recording)]

    def fork(self, promise: str, *, args: str | None = None, id: str = "") -> forking.Forked:
        """Begin an execution that takes over what was settled before a promise: as ``durable fork``.

        Raises:
            NoFork, UnknownPromise, IdConflict: see `adapter.steering.forking.fork`.
        """
        return forking.fork(self._host, promise, args=args, new=id)

    def retry(self, promise: str, *, compensated: bool = False) -> forking.Forked:
        """Begin an execution that makes anew what failed in another: as ``durable retry``.

        Raises:
            NoFork, UnknownPromise: see `adapter.steering.forking.retry`.
        """
        return forking.retry(self._host, promise, compensated=compensated)
