"""Executions that have ended, replayed: code that doesn't replay fails its first test, also where no replay was needed.

A replay happens inside of the invocation that ended: with its environment, its code and its time. It goes by what that
run knew, so it changes no count and no record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapter import errors
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.operations import Tell
from adapter.engine.ports import Ports
from adapter.engine.replaying import Ended, verify
from adapter.engine.telling import What
from adapter.errors import NonDeterminismError
from adapter.protocol.records import Record
from adapter.testing.watching import Hint, watched

Peek = Callable[[str], Record | None]


class Verifier:
    """Replays what the engine tells has ended, and keeps what drifted for the test."""

    def __init__(self, peek: Peek, ports: Callable[[], Ports]) -> None:
        self._peek = peek
        self._ports = ports
        self._drifts: list[NonDeterminismError] = []
        self._hints: list[Hint] = []
        self._replaying = False

    @property
    def replaying(self) -> bool:
        """A replay is under way: what its code does to the cloud happened before."""
        return self._replaying

    def tell(self, told: Tell) -> None:
        ended = told.detail.get("ended")
        if isinstance(ended, Ended):
            with self._aside(), watched(ended.function.function.__module__) as hints:
                verify(ended)
            self._hints += hints
        elif told.what is What.UNHEARD and told.detail["error"] != errors.PromiseCancelled.__name__:
            self._hints.append(_unheard(told))

    def drifts(self) -> list[NonDeterminismError]:
        """What has drifted since this was last asked."""
        found, self._drifts = self._drifts, []
        return found

    def hints(self) -> list[Hint]:
        """What doesn't go well, though nothing drifted, since this was last asked."""
        found, self._hints = self._hints, []
        return found

    @contextmanager
    def _aside(self) -> Iterator[None]:
        host = _Standing(self._ports(), self._peek)
        hosts.enter(host)
        self._replaying = True
        try:
            yield
        except NonDeterminismError as drift:
            # Not here: it would pass for a failure of the Lambda, which has done its work.
            self._drifts.append(drift)
        finally:
            self._replaying = False
            hosts.leave(host)


def _unheard(told: Tell) -> Hint:
    failed = f"{told.id} failed ({told.detail['error']})"
    return Hint(f"{told.fn} ended and never heard that {failed}: await it, or cancel it, else its error is lost")


class _Standing(EngineHost):
    """Answers what replayed code reads of the outside, at no cost. Starting and settling is refused there anyway."""

    def __init__(self, ports: Ports, peek: Peek) -> None:
        super().__init__(ports)
        self._peek = peek

    def read_promise(self, promise: str) -> Record | None:
        return self._peek(promise)

    def peek_promise(self, promise: str) -> Record | None:
        return self._peek(promise)

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        stands = self._peek(promise)
        return None if stands is None or stands.pending else stands
