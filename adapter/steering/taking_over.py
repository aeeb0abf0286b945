"""What a fork takes over of an execution: the records of a new one, whose history ends where it is to go on. Pure.

The journal's order decides, not the ordinals alone. A promise belongs to the history if the code had asked for it by
then, and is taken over, with its outcome, if the code had heard of it by then, or if it had settled. What had not is
asked for, and made, anew: by the code as it is now. But a turn of the code can be replayed only with its leader. So a
leader that isn't taken over is written pending, if anything behind it is taken over. So are the functions on the way to
where the fork begins, which go on from their own histories.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapter.errors import CallerError
from adapter.protocol import forks
from adapter.protocol.forks import INCOMPLETE, renamed, retold
from adapter.protocol.ids import parent_of
from adapter.protocol.records import BLOCK_FUNCTION, Kind, Record, State, Wake, digest_of
from adapter.protocol.times import Instant, Span
from adapter.protocol.timing import watched
from adapter.steering.recordings import Recording


class NoFork(CallerError):
    """Such a fork can't be made. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a fork begins: the functions from the root down, each called by the one before, and what is made anew.

    ``promise`` is a promise of the last function; None: all its promises are history, and its code goes on behind them.
    ``kept``: what had succeeded when it failed is taken over, too, for a retry; otherwise only what had settled before
    the promise was created.
    """

    functions: tuple[Record, ...]
    promise: Record | None
    kept: bool

    @property
    def of(self) -> str:
        return (self.promise or self.functions[-1]).id


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The records of a fork: its root, and what is below it, settled or pending, each function's in order.

    ``after`` are the promises that the old code made after it had heard of the failure, as its clean-up does.
    """

    root: Record
    below: Sequence[Record]
    after: Sequence[Record]

    @property
    def pending(self) -> list[Record]:
        return [record for record in self.below if record.pending]


def before(recording: Recording, promise: str) -> Cut:
    """A fork from a promise: it and what came later is made anew.

    Raises:
        NoFork: the execution has no such promise below its root.
    """
    by_id = {record.id: record for record in recording.records}
    if (found := by_id.get(promise)) is None or parent_of(promise) is None:
        raise NoFork(f"{promise!r} is no promise below {recording.root.id}, from which it could be forked")
    functions: list[Record] = []
    above = parent_of(promise)
    while above is not None:
        functions.insert(0, by_id[above])
        above = parent_of(above)
    return Cut(functions=tuple(functions), promise=found, kept=False)


def failed(recording: Recording) -> Cut:
    """The fork that a retry is: the call that failed is made anew, as far down as its failure came from.

    Where no call failed, or the code went on after that, all is taken over, and the code alone runs again.

    Raises:
        NoFork: the execution hasn't failed, or still cleans up.
    """
    own = recording.root
    if not own.over or own.state is State.RESOLVED:
        raise NoFork(
            f"{own.id} hasn't failed" if own.state in (State.PENDING, State.RESOLVED) else f"{own.id} cleans up"
        )
    functions = [own]
    while (culprit := _culprit(own, recording.children.get(own.id, ()))) is not None:
        if culprit.kind is not Kind.CALL or culprit.state is State.TIMEDOUT or not recording.children.get(culprit.id):
            break
        functions.append(own := culprit)
    return Cut(functions=tuple(functions), promise=culprit, kept=True)


def _culprit(own: Record, children: Sequence[Record]) -> Record | None:
    """The promise with whose error a function failed, or the failed one that its code heard of last."""
    settled = sorted((one for one in children if not one.pending and not one.by_parent), key=lambda one: one.settled_at)
    bad = [one for one in settled if one.state in (State.REJECTED, State.TIMEDOUT)]
    errors = [*_errors(own.value)] if own.state is State.REJECTED else []
    same = [one for one in bad if any(error in errors for error in _failures(one))]
    if same:
        return same[-1]
    return bad[-1] if errors and bad and bad[-1] is settled[-1] else None


def _failures(one: Record) -> Iterator[tuple[str, str]]:
    if one.state is State.TIMEDOUT:
        yield "adapter.errors:PromiseTimeout", f"{one.id} timed out"
    else:
        yield from _errors(one.value)


def _errors(text: str) -> Iterator[tuple[str, str]]:
    """Class and message of an encoded exception, and of those in its group."""
    try:
        waiting: list[Any] = [json.loads(text)]
    except ValueError:
        return
    while waiting:
        data = waiting.pop()
        if isinstance(data, dict):
            yield str(data.get("class", "")), str(data.get("message", ""))
            waiting += data.get("group") or []


def taken_over(recording: Recording, cut: Cut, new: str, at: Instant, args: str | None = None) -> Taken:
    """The records of a fork that begins ``at`` a time, with the id ``new``.

    Raises:
        NoFork: the promise was made while its function cleaned up.
    """
    return _Taking(recording, cut, new, at).taken(args)


class _Taking:
    def __init__(self, recording: Recording, cut: Cut, new: str, at: Instant) -> None:
        self._recording, self._cut, self._new, self._at = recording, cut, new, at
        self._until = _end_of_history(recording, cut)
        self._lag: Span = at - self._until
        self._below: list[Record] = []
        self._after: list[Record] = []

    def taken(self, args: str | None) -> Taken:
        for depth, function in enumerate(self._cut.functions):
            self._level(function, depth)
        return Taken(root=self._root(args), below=self._below, after=self._after)

    def _level(self, function: Record, depth: int) -> None:
        last = depth == len(self._cut.functions) - 1
        way = self._cut.promise if last else self._cut.functions[depth + 1]
        children = self._recording.children.get(function.id, ())
        heard, end = self._history(children, way, last)
        if way is not None and way.ordinal >= end:
            raise NoFork(f"{way.id} was made while its function cleaned up: fork from an earlier promise")
        self._after += [child for child in children if child.ordinal >= end] if self._cut.kept else []
        history = [child for child in children if child.ordinal < end]
        taken = [child for child in history if child is not way and self._is_taken(child, heard, way, last)]
        kept = taken if last or way is None else [*taken, way]
        behind = max((child.ordinal for child in kept), default=-1)
        for child in history:
            goes_on = child is way and not last
            if child in taken:
                self._take(child)
            elif goes_on or (child.seen is not None and child.ordinal < behind):
                self._below.append(self._open(child, goes_on=goes_on))

    def _history(self, children: Sequence[Record], way: Record | None, last: bool) -> tuple[set[str], float]:
        """What the code had heard of, as tokens, and the first ordinal that is no history any more."""
        heard: set[str] = set()
        for leader in (child for child in children if child.seen is not None):
            seen = {token for token in (leader.seen or "").split(",") if token}
            over = "c" in seen or (way is not None and str(way.ordinal) in seen)
            if not self._cut.kept and way is not None:
                over = over or (leader.ordinal > way.ordinal if last else leader.created_at > self._until)
            if over:
                return heard, leader.ordinal
            heard |= seen
        return heard, float("inf")

    def _is_taken(self, child: Record, heard: set[str], way: Record | None, last: bool) -> bool:
        if child.pending:
            return False
        if str(child.ordinal) in heard:
            return True
        if self._cut.kept:
            failed_at = (way or self._cut.functions[-1]).settled_at
            return child.state is State.RESOLVED or (child.by_parent and child.settled_at < failed_at)
        if last and way is not None and child.ordinal > way.ordinal:
            return False
        if child.kind is Kind.INLINE:
            return last or child.settled_at <= self._until
        return child.settled_at < self._until

    def _take(self, child: Record) -> None:
        self._below.append(self._copied(child))
        if child.fn == BLOCK_FUNCTION:
            for one in self._recording.children.get(child.id, ()):
                if not one.pending:
                    self._take(one)

    def _copied(self, old: Record) -> Record:
        closed = old.kind is Kind.CALL and old.state in (State.CANCELED, State.TIMEDOUT)
        return Record(
            id=renamed(old.id, self._new),
            **_asked(old),
            state=old.state,
            value=old.value,
            by_parent=old.by_parent,
            created_at=self._later(old.created_at),
            settled_at=self._later(old.settled_at),
            closed=closed,
            closed_at=self._later(old.closed_at or old.settled_at) if closed else Instant(0),
        )

    def _open(self, old: Record, *, goes_on: bool) -> Record:
        """A promise that is written pending. One that goes on has its history below it, and the time that it had."""
        asked = _asked(old)
        if old.kind is Kind.CALL:
            asked["args"] = retold(old.args, self._recording.root.id, self._new)
            asked["digest"] = digest_of(Kind.CALL, old.fn, asked["args"])
        lag = self._lag if goes_on else self._at - old.created_at
        era = forks.read(old.fork).at(old.created_at)
        anew = forks.repeated(self._recording.root.id if era is None else era.root, self._at)
        parent = next(one for one in self._recording.records if one.id == parent_of(old.id))
        return Record(
            id=renamed(old.id, self._new),
            **asked,
            created_at=old.created_at + lag,
            deadline=None if old.deadline is None else old.deadline + lag,
            wake=Wake.COUNTED,
            reply_to=parent.target,
            fork=self._fork(old, lag) if goes_on else anew,
        )

    def _root(self, args: str | None) -> Record:
        old = self._recording.root
        given = old.args if args is None else args
        made = Record(
            id=self._new,
            **{**_asked(old), "args": given, "digest": digest_of(Kind.CALL, old.fn, given), "seen": None},
            created_at=old.created_at + self._lag,
            deadline=None if old.deadline is None else self._at + (old.deadline - old.created_at),
            fork=self._fork(old, self._lag),
            paused=INCOMPLETE,
        )
        return replace(made, due_at=watched(made, self._at))

    def _fork(self, old: Record, lag: Span) -> str:
        known = forks.read(old.fork)
        return forks.to_text(known.continued(self._recording.root.id, self._cut.of, self._at, lag))

    def _later(self, time: Instant) -> Instant:
        return min(time + self._lag, self._at)


def _end_of_history(recording: Recording, cut: Cut) -> Instant:
    """The time, by the old execution's clock, at which the fork goes on."""
    if cut.promise is not None:
        return cut.promise.created_at
    last = cut.functions[-1]
    return max(max(one.created_at, one.settled_at) for one in (last, *recording.children.get(last.id, ())))


def _asked(old: Record) -> dict[str, Any]:
    """What was asked for, of a record."""
    names = ("kind", "fn", "target", "args", "digest", "seen", "retry", "root", "reads", "tags")
    return {name: getattr(old, name) for name in names}
