"""Many executions steered in turn: in groups first, then one after the other, slowly, until failures return.

Each is steered by itself and safely twice. So whoever is interrupted gives the same command again: what was done is
found done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from adapter.engine.host import EngineHost
from adapter.engine.operations import Many, PeekPromise
from adapter.errors import DurableError
from adapter.protocol.records import Record, State
from adapter.protocol.standing import first_line
from adapter.steering.filters import failure, word_of
from adapter.steering.reading import Node, batches

LOOK_EVERY = 10
"""After so many, whether failures return is looked at again."""

ENOUGH = 5
"""So many have to have ended before the share of failures among them says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Executions of one function that stand alike: ``why`` is the class of an error, or how they stand."""

    fn: str
    why: str
    count: int


def groups(nodes: Sequence[Node]) -> list[Group]:
    """The largest first."""
    found = Counter((node.record.fn, _why(node)) for node in nodes)
    return [Group(fn=fn, why=why, count=count) for (fn, why), count in found.most_common()]


def _why(node: Node) -> str:
    own = node.record
    kind, _ = failure(own)
    if own.over:
        return f"failed: {kind}" if kind else word_of(own.state, over=True)
    way = node.standing.way.value
    # Of a drift, the line without the id: those of one function stand alike.
    return f"{way}: {first_line(own.paused).replace(f' ({own.id})', '')}" if own.paused else way


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done with an execution, in words, and the execution to watch for a failure, if any."""

    said: str
    watched: str = ""


def in_turn(
    host: EngineHost,
    ids: Sequence[str],
    act: Callable[[str], Done],
    rate: float,
    stop_after: float | None = None,
) -> Iterator[str]:
    """Do it with one after the other, so many in a second at most, and say what came of each.

    An execution with which it can't be done is said, and left out. Once more than the share ``stop_after`` of those
    that have ended has failed, no further one is begun.
    """
    watch = _Watch(host)
    for count, promise in enumerate(ids, 1):
        try:
            done = act(promise)
        except DurableError as refusal:
            yield f"{promise} was left alone: {refusal}"
            continue
        yield done.said
        watch.begin(done.watched)
        host.pass_time(1 / rate)
        if stop_after is not None and count % LOOK_EVERY == 0 and count < len(ids) and watch.share() > stop_after:
            yield f"stopped: {watch.failed} of {watch.ended} failed again, and {len(ids) - count} were not begun"
            return
    if watch.begun:
        watch.share()
        yield f"{watch.begun} begun: {watch.ended} ended by now, {watch.failed} of them failed"


class _Watch:
    """How those that were begun ended."""

    def __init__(self, host: EngineHost) -> None:
        self._host = host
        self._open: list[str] = []
        self.begun = self.ended = self.failed = 0

    def begin(self, promise: str) -> None:
        if promise:
            self._open.append(promise)
            self.begun += 1

    def share(self) -> float:
        """The share of failures among those that have ended; 0 as long as too few have."""
        found: list[tuple[str, Record | None]] = []
        for batch in batches(self._open):
            records = self._host.ports.perform(Many(tuple(PeekPromise(one) for one in batch)))
            found += zip(batch, records, strict=True)
        over = [record for _, record in found if record is None or not record.pending]
        self._open = [promise for promise, record in found if record is not None and record.pending]
        self.ended += len(over)
        self.failed += sum(record is not None and record.state is not State.RESOLVED for record in over)
        return self.failed / self.ended if self.ended >= ENOUGH else 0.0
