"""What the drivers and hosts of a local cloud call on it. They know nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from adapter.engine.ports import Watcher
from adapter.engine.telling import What
from adapter.protocol.records import Record
from adapter.templates.template import Template
from adapter.testing.faults import Dice
from adapter.testing.happenings import Happening
from adapter.testing.latencies import Delays
from adapter.testing.simulated_aws.service import Service
from adapter.testing.stats import Stats


class Waiting(Protocol):
    """What a host calls: it needs ids, records, and time, which passes until a promise settles."""

    def new_id(self) -> str: ...

    def advance(self, seconds: float) -> None:
        """Move time forward, and drive what falls due on the way."""
        ...

    def peek(self, promise: str, *, opened: bool = True) -> Record | None:
        """Read a record without counting the read. ``opened``: with its arguments and its outcome."""
        ...

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """Drive until the promise settles; None when ``timeout`` seconds of virtual time have passed first."""
        ...


class Cloud(Waiting, Watcher, Protocol):
    """What a driver calls: it needs the functions to run, the counters, and the watchers."""

    @property
    def template(self) -> Template: ...
    @property
    def directory(self) -> Path:
        """The directory of the code."""
        ...

    @property
    def service(self) -> Service: ...
    @property
    def dice(self) -> Dice: ...
    @property
    def delays(self) -> Delays | None:
        """How long AWS takes; None: no time."""
        ...

    @property
    def stats(self) -> Stats: ...
    @property
    def alias(self) -> str:
        """The alias by which Lambdas are invoked whose version nobody names; empty: none."""
        ...

    @property
    def verify(self) -> bool:
        """Executions are replayed when they end."""
        ...

    def created(self, record: Record) -> None:
        """A promise is about to be created. Raises what no function may notice."""
        ...

    def emit(self, what: What | Happening, promise: str, fn: str, detail: Mapping[str, Any]) -> None:
        """Tell every watcher of an event that the engine can't tell, for instance that it died."""
        ...
