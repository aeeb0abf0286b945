"""What an operator does by the command ``durable``, for a test: a part of `LocalCloud`, by the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapter.engine.host import EngineHost
from adapter.steering import finding
from adapter.steering.filters import ANY, Filter
from adapter.steering.reading import Node, Reader


class Steering:
    """The options of a command are those of `adapter.steering.filters.Filter`."""

    _host: EngineHost

    def list(self, **wanted: Any) -> Sequence[Node]:
        """The executions that match, the oldest first: as ``durable list``, all of them.

        Raises:
            ConfigurationError: there is no such state.
        """
        return [*finding.Search(Reader(self._host), Filter(**wanted), errors=True).nodes()]

    def count(self, **wanted: Any) -> Sequence[finding.Count]:
        """How many match, by function and state: as ``durable count``. Raises as `list` does."""
        return finding.counts(Reader(self._host), Filter(**{"states": (ANY,), **wanted}))
