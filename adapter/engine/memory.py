"""Suspended executions that a sandbox keeps, to resume them without a replay. Losing one changes nothing. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.learnt import Learnt
from adapter.engine.operations import Many, Operation, ReadChildren
from adapter.protocol.chapters import Range
from adapter.protocol.records import Record
from adapter.protocol.times import Instant
from adapter.protocol.timing import MIN_RETENTION
from adapter.replay.execution import Execution


@dataclass(slots=True)
class Memory:
    """Executions by the ids of their promises: about ``size`` bytes of them, of which ``used`` are taken.

    None is kept for longer than half a day. Within that time an execution that was pending can't have been removed, so
    no other one can have begun under its id. ``learnt`` is kept beside them.
    """

    size: int = 64 * 2**20
    used: int = 0
    kept: OrderedDict[str, tuple[Execution, Instant, int]] = field(default_factory=OrderedDict)
    learnt: Learnt = field(default_factory=Learnt)

    def take(self, promise: str, now: Instant) -> Execution | None:
        if promise not in self.kept:
            return None
        execution, since, weight = self.kept.pop(promise)
        self.used -= weight
        if now - since > MIN_RETENTION // 2:
            execution.abandon()
            return None
        return execution

    def keep(self, promise: str, execution: Execution, now: Instant) -> None:
        """Keep it; the executions that have been kept for longest make room."""
        self._drop(promise)
        weight = execution.weight
        self.kept[promise] = execution, now, weight
        self.used += weight
        while self.kept and self.used > self.size:
            self._drop(next(iter(self.kept)))

    def clear(self) -> None:
        self.learnt.clear()
        while self.kept:
            self._drop(next(iter(self.kept)))

    def _drop(self, promise: str) -> None:
        if promise in self.kept:
            execution, _, weight = self.kept.pop(promise)
            self.used -= weight
            execution.abandon()


def read_news(execution: Execution) -> Generator[Operation, Any, list[Record]]:
    """What a run that goes on from memory reads: what was pending, and what another run may have created.

    A settled promise never changes (I1), so the rest needn't be read.
    """
    return (yield from read_ranges(execution.own, execution.news()))


def read_ranges(own: Record, ranges: Sequence[Range]) -> Generator[Operation, Any, list[Record]]:
    """Read some of a function's children, side by side."""
    reads = tuple(ReadChildren(own.id, own.expires, first, last) for first, last in ranges)
    found = (yield Many(reads)) if len(reads) > 1 else [(yield reads[0])]
    return [record for records in found for record in records]
