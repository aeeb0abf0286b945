"""Removing executions that are over, after their retention. Pure: it yields operations.

A record that a live run may still read is never removed. A run reads its own function's record, those of its children,
and those of the roots that it follows or has detached. So a record goes only when it is over, when everyone who waits
for it knows that, and when nothing is left below it. The root's record goes last: its entry in the index repeats an
interrupted removal, and as long as it stands, nothing can be started under its id.

All reads may lag: they show each record as it was some seconds before, and that is enough. Below a function that ended
a day ago nothing is written any more, so the answer has all its children. A promise that is over stays over. Whether a
promise that needs a record is pending may have changed; but that may change after any read. And the delete itself asks
whether the record is over, and is the one that was read. One thing could go wrong. An id may have been removed and
begun again within those seconds, and then the answers are of two executions: so the removal leaves alone young records
(`YOUNG`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.ending import end
from adapter.engine.operations import (
    Clear,
    Many,
    Operation,
    PeekChapters,
    PeekChildren,
    PeekPromise,
    Postpone,
    Remove,
    RemoveChapter,
    SendAt,
    Tell,
)
from adapter.engine.telling import What
from adapter.protocol.chapters import is_long
from adapter.protocol.ids import parent_of, root_of
from adapter.protocol.messages import Look
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record
from adapter.protocol.times import DAY, EPOCH, HOUR, MINUTE, SECOND, Instant, Span
from adapter.protocol.timing import GRACE, MIN_RETENTION, kept_until

Removing = Generator[Operation, Any, str]

PORTION = 1_000
"""Records that one look removes. Others wait in the same queue."""

DEEP = 500
"""Levels that one look goes down, one request after the other, before it removes anything."""

SIDE_BY_SIDE = 32
"""Functions whose children are read at a time. Each may have thousands."""

YOUNG = 12 * HOUR
"""A younger object, or pending promise, may belong to a new execution under the same id. It is well below the shortest
retention: a second run may put a function's outcome again, minutes after the first has settled it.
"""


def retire(own: Record, children: Sequence[Record], now: Instant, retention: Span | None) -> Removing:
    """The watchdog looks at a record that is over. A root that was kept for long enough is removed with its tree.

    If the look dies anywhere, the index sends it again, and it goes on with the records that are left. If something
    still needs a record (``kept``), the next look comes a day later.
    """
    assert own.due_at is not None
    until = _kept_until(own, retention)
    if until is None or parent_of(own.id) is not None:
        yield Postpone(own.id, own.due_at, None)
        return "over"
    # A minute's tolerance, since clocks differ. If the retention was made longer, the difference is larger.
    if now + MINUTE < until:
        yield Postpone(own.id, own.due_at, until)
        return "over"
    tree = _Tree([list(children)], now)
    kept = (yield from _in_the_way([own], now)) or (yield from tree.clear_below(own))
    if kept:
        yield Tell(What.KEPT, own.id, own.fn, {"why": f"{kept} needs it"})
        yield Postpone(own.id, own.due_at, now + DAY)
        return "kept"
    if any(tree.levels):
        yield SendAt(own.target, Look(id=tree.deep or own.id, over=True), own.due_at, upkeep=True)
        return "removing"
    if own.objects:
        # The objects go before the root's record: without the record nothing would find them.
        yield Clear(own.id, now - YOUNG)
    yield Remove(own.id, own.created_at)
    yield Tell(What.REMOVED, own.id, own.fn, {})
    return "removed"


def _kept_until(own: Record, retention: Span | None) -> Instant | None:
    """When the root is removed. What expires goes in time, however the retention has changed since: for its objects."""
    until = kept_until(own.id, own.ended_at, retention)
    if own.expires is None:
        return until
    last = EPOCH + own.expires * SECOND - GRACE
    return last if until is None else min(until, last)


def retire_below(own: Record, children: Sequence[Record], now: Instant, at: Instant) -> Removing:
    """Remove part of a tree that is too deep for one look: all below ``own`` first. ``at`` is its root's entry.

    If it dies anywhere, the root's entry is overdue, and the index sends the root's look again.
    """
    root: Record | None = yield PeekPromise(root_of(own.id), lagging=True)
    if root is None or not root.over or root.due_at != at:
        return "over"
    tree = _Tree([list(children)], now)
    kept = (yield from _in_the_way([own], now)) or (yield from tree.clear_below(own))
    if kept:
        yield Tell(What.KEPT, root.id, root.fn, {"why": f"{kept} needs it"})
        yield Postpone(root.id, at, now + DAY)
        return "kept"
    following = (tree.deep or own.id) if any(tree.levels) else _above(own.id)
    yield SendAt(own.target, Look(id=following, over=True), at, upkeep=True)
    return "removing"


def _above(promise: str) -> str:
    for _ in range(DEEP):
        promise = parent_of(promise) or promise
    return promise


@dataclass(slots=True)
class _Tree:
    """The records that have to go, by levels, the deepest last; no record of a level is below another one of it.
    ``bare`` has the ids of records below which nothing is left. ``deep`` is a record below which the tree is deeper
    than one look goes.
    """

    levels: list[list[Record]]
    now: Instant
    bare: set[str] = field(default_factory=set)
    removed: int = 0
    deep: str = ""

    def clear_below(self, own: Record) -> Removing:
        """As `clear`, where the first level has all children of ``own``."""
        yield from self._remove_chapters({own.id: self.levels[0]})
        return (yield from self.clear())

    def clear(self) -> Removing:
        """Remove at most a portion, from below. Returns the id of a promise that still needs a record, if any does.

        The last children go first. So there is no gap before those that are left, and the next look finds all of them.
        """
        while self.levels and self.removed < PORTION:
            level = self.levels[-1]
            if len(self.levels) > DEEP and level:
                self.deep = parent_of(level[-1].id) or ""
                return ""
            some = level[-SIDE_BY_SIDE:]
            del level[-SIDE_BY_SIDE:]
            if not some:
                self.levels.pop()
            elif kept := (yield from self._clear(some)):
                return kept
        return ""

    def _clear(self, some: Sequence[Record]) -> Removing:
        if kept := (yield from _in_the_way(some, self.now)):
            return kept
        open_ = [record for record in some if record.kind is Kind.CALL and record.id not in self.bare]
        found: list[Sequence[Record]] = (
            (yield Many(tuple(PeekChildren(record.id, record.expires, lagging=True) for record in open_)))
            if open_
            else []
        )
        below = {record.id: children for record, children in zip(open_, found, strict=True) if children}
        gone = [record for record in some if record.id not in below]
        if kept := (yield from self._remove(gone)):
            return kept
        if below:
            yield from self._remove_chapters(below)
            self.bare.update(below)
            self.levels[-1].extend(record for record in some if record.id in below)
            self.levels.append([child for children in below.values() for child in children])
        return ""

    def _remove_chapters(self, below: Mapping[str, Sequence[Record]]) -> Generator[Operation, Any, None]:
        """The chapters of functions go before the children: without these a look wouldn't know of them any more.

        If any are of a younger execution, nothing is lost with them.
        """
        long = [promise for promise, children in below.items() if is_long(len(children))]
        if not long:
            return
        found: list[Sequence[int]] = yield Many(tuple(PeekChapters(promise) for promise in long))
        gone = [RemoveChapter(one, number) for one, numbers in zip(long, found, strict=True) for number in numbers]
        if gone:
            yield Many(tuple(gone))
        self.removed += len(gone)

    def _remove(self, records: Sequence[Record]) -> Removing:
        if not records:
            return ""
        written: list[Written] = yield Many(tuple(Remove(record.id, record.created_at) for record in records))
        self.removed += len(records)
        moved = [one.stands for one in written if isinstance(one, Refused) and one.stands is not None]
        return moved[0].id if moved else ""


def _in_the_way(records: Sequence[Record], now: Instant) -> Removing:
    """The id of a promise that still needs one of the records; empty if none does.

    A record that ended within the last day is needed, even if its root ended long ago: a run that read it may be under
    way, and sandboxes have it in memory. Its followers need a root, and so does the promise that detached it: as long
    as that one is pending, it would start the root once more.
    """
    for record in records:
        if record.pending and record.created_at < now - YOUNG:
            # Others settled its function while a run of it still began this promise: no code hears of it any more. A
            # function that is over for a day began it long ago. A younger one is a later execution's.
            yield from end([record])
        if not record.over or now < record.ended_at + MIN_RETENTION:
            return record.id
        needing = [*sorted(record.awaiters), *([record.detached_by] if record.detached_by else [])]
        peeks = tuple(PeekPromise(promise, lagging=True) for promise in needing)
        found: list[Record | None] = (yield Many(peeks)) if peeks else []
        for one in found:
            # A promise of a later execution may have the same id.
            if one is not None and one.pending and one.root == record.id:
                return one.id
    return ""
