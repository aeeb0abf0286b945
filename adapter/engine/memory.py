"""Suspended executions that a sandbox keeps, to resume them without a replay. Losing one changes nothing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from adapter.protocol.times import EPOCH, Instant
from adapter.protocol.timing import MIN_RETENTION
from adapter.replay.execution import Execution


@dataclass(slots=True)
class Memory:
    """At most ``size`` executions, by the ids of their promises.

    None is kept for longer than half a day. Within that time an execution that was pending can't have been removed, so
    no other one can have begun under its id.
    """

    size: int = 64
    kept: OrderedDict[str, tuple[Execution, Instant]] = field(default_factory=OrderedDict)

    def take(self, promise: str, now: Instant) -> Execution | None:
        execution, since = self.kept.pop(promise, (None, EPOCH))
        if execution is not None and now - since > MIN_RETENTION // 2:
            execution.abandon()
            return None
        return execution

    def keep(self, promise: str, execution: Execution, now: Instant) -> None:
        if promise in self.kept:
            self.kept.pop(promise)[0].abandon()
        self.kept[promise] = execution, now
        while len(self.kept) > self.size:
            self.kept.popitem(last=False)[1][0].abandon()

    def clear(self) -> None:
        while self.kept:
            self.kept.popitem()[1][0].abandon()
