"""Performing a flush: write promises, send invocations, run what runs here, cancel. Pure: it yields operations.

The protocol demands this order, and each step is complete before the next begins. Comments say what a crash between two
of them leaves, where it matters.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from adapter.engine.caller import Caller
from adapter.engine.learnt import Learnt
from adapter.engine.operations import Create, Invoke, Many, Now, Operation, SendAt, Settle, Tell
from adapter.engine.pinning import address_of
from adapter.engine.placing import Here, next_attempt
from adapter.engine.roots import follow
from adapter.engine.telling import What
from adapter.engine.waking import Stale, Waker
from adapter.protocol import forks
from adapter.protocol.ids import child_id
from adapter.protocol.making import changed
from adapter.protocol.messages import Start
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import DISPATCHED, Kind, Record, State, Wake
from adapter.protocol.times import EPOCH, Instant
from adapter.replay.execution import Execution
from adapter.replay.known import Known
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Flush, Request

Performed = Generator[Operation, Any, None]

CANCELLED = Outcome(State.CANCELED)
"""The outcome of a promise that this function cancels itself. Code recognises it by identity, since a step may have an
equal one."""

EXPIRED = Outcome(State.TIMEDOUT)


class Flusher:
    """Writes what one run asks for. It remembers which promises it has dispatched itself.

    ``checking``: the watchdog, or a person, started the run, since something may be lost.
    """

    def __init__(self, caller: Caller, waker: Waker, learnt: Learnt, *, checking: bool = False) -> None:
        self._caller = caller
        self._waker = waker
        self._here = Here(caller, learnt)
        self._checking = checking
        self._dispatched: set[str] = set()
        self._flushed = False

    def flush(self, execution: Execution, flush: Flush, now: Instant) -> Generator[Operation, Any, bool]:
        """Perform a flush. False: not begun, since a fresh invocation has more time for its inline steps.

        The first flush of an invocation is always performed, so each invocation gets on.
        """
        inline = yield from self._here.chosen(execution.own, flush)
        here = {request.ordinal for request in inline}
        remote = [request for request in flush.requests if request.ordinal not in here]
        if inline and self._flushed and (yield from self._here.is_late()):
            return False
        self._flushed = True
        if remote:
            yield from self._remote(execution, flush, remote, now)
        if inline:
            yield from self._inline(execution, flush, inline)
        for ordinal in flush.cancels:
            if execution.known.is_pending(ordinal):
                yield from self._settle_child(execution, ordinal, CANCELLED)
        for ordinal in flush.expired:
            yield from self._settle_child(execution, ordinal, EXPIRED)
        return True

    def orphans(self, records: Sequence[Record]) -> list[Record]:
        """What an earlier attempt of this request created, and may not have invoked before it died."""
        return [record for record in records if self._is_orphaned(record)]

    def orphans_among(self, known: Known) -> list[Record]:
        """The orphans of all that is known, without a look at what other requests created."""
        records = known.pending() if self._checking else known.idle(self._caller.request_id)
        return self.orphans(records) if records else []

    def dispatch(self, execution: Execution, records: Sequence[Record]) -> Performed:
        """Dispatch what is written: invoke calls, start and follow roots."""
        for record in records:
            self._dispatched.add(record.id)
            execution.known.set_going(record)
        called = [record for record in records if record.kind is Kind.CALL]
        calls = [Invoke(record.target, Start(id=record.id, since=record.created_at)) for record in called]
        if calls:
            yield Many(tuple(calls))
        for record in records:
            if record.kind is not Kind.CALL:
                outcome = yield from follow(record, self._caller, self._dispatched)
                if outcome is not None:
                    yield from self._settle_child(execution, record.ordinal, outcome)

    # What runs elsewhere.

    def _remote(self, execution: Execution, flush: Flush, requests: list[Request], now: Instant) -> Performed:
        leader = flush.leader
        if leader is not None:
            # The leader is written first. So an inline step that leads others is announced before it runs; a call that
            # runs here, as a call: after a death, or if it fails, it is one.
            announced = leader.kind is Kind.INLINE
            make = self._inline_record if announced else self._remote_record
            yield from self._create(execution, [make(execution.own, leader, flush, now)])
        rest = [request for request in requests if request is not leader]
        if rest:
            yield from self._create(execution, [self._remote_record(execution.own, each, flush, now) for each in rest])
        # All promises are written before any invocation: a callee may be given the id of another, and must find it.
        # After a crash in between, the retry of this request invokes them: it knows its children by their ``by``.
        begun = [each.ordinal for each in requests if each.ordinal not in flush.cancels]
        yield from self.dispatch(execution, self.orphans([execution.known.records[ordinal] for ordinal in begun]))

    def _create(self, execution: Execution, records: Sequence[Record]) -> Performed:
        """Write promises side by side. If another run wrote the same promise, it stands; if another one, load again."""
        results: list[Written] = yield Many(tuple(Create(record) for record in records))
        stale = False
        for record, written in zip(records, results, strict=True):
            stands = written.stands if isinstance(written, Refused) else written
            if stands is not None and stands.digest == record.digest and stands.seen == record.seen:
                execution.learn(stands)
            else:
                stale = True
        if stale:
            raise Stale

    def _is_orphaned(self, record: Record) -> bool:
        # A checking run also follows roots again that another run has followed; that changes nothing.
        mine = record.by == self._caller.request_id or (self._checking and record.kind is not Kind.CALL)
        return mine and record.id not in self._dispatched and record.pending and record.kind in DISPATCHED

    # What runs here.

    def _inline(self, execution: Execution, flush: Flush, requests: list[Request]) -> Performed:
        # A step that is cancelled in the turn that asked for it never begins, and neither does such a call.
        begun = [request for request in requests if request.ordinal not in flush.cancels]
        began_at: Instant = yield Now()
        outcomes = (yield from self._here.run(execution, begun)) if begun else {}
        moved: list[tuple[int, Instant | None]] = []
        for request in requests:
            outcome = outcomes.get(request.ordinal, CANCELLED)
            delay = None if outcome is None else next_attempt(request, outcome)
            if outcome is None or delay is not None:
                now = yield Now()
                if request.ordinal not in execution.known.records:
                    made = self._remote_record(execution.own, request, flush, now)
                    # Nobody lingers for an attempt that comes later.
                    later = delay is not None and made.wake is None
                    yield from self._create(execution, [changed(made, wake=Wake.PROMPT) if later else made])
                moved.append((request.ordinal, None if delay is None else now + delay))
            elif request.ordinal in execution.known.records:
                # This run announced it, or one that died.
                yield from self._settle_child(execution, request.ordinal, outcome, began_at)
            else:
                yield from self._record(execution, request, flush, outcome, began_at)
        yield from self._move(execution, moved)

    def _record(
        self, execution: Execution, request: Request, flush: Flush, outcome: Outcome, began_at: Instant
    ) -> Performed:
        now: Instant = yield Now()
        record = self._inline_record(execution.own, request, flush, now)
        own = outcome is CANCELLED
        settled = changed(
            record, state=outcome.state, value=outcome.text, settled_at=now, took=now - began_at, by_parent=own
        )
        yield from self._create(execution, [settled])

    def _move(self, execution: Execution, moved: Sequence[tuple[int, Instant | None]]) -> Performed:
        """Send on to their Lambdas the calls that began here: at once, or their next attempt at a time.

        If this run dies before, Lambda's retry of it finds them as calls that it made and didn't invoke.
        """
        at_once: list[Record] = []
        for ordinal, at in moved:
            record = execution.known.records[ordinal]
            if not self._is_orphaned(record):
                # Another run was first.
                continue
            if at is None:
                at_once.append(record)
                continue
            self._dispatched.add(record.id)
            execution.known.set_going(record)
            yield SendAt(record.target, Start(id=record.id, attempt=2, since=record.created_at), at)
            yield Tell(What.RETRYING, record.id, record.fn, {"attempt": 1, "at": at})
        yield from self.dispatch(execution, at_once)

    def _settle_child(
        self, execution: Execution, ordinal: int, outcome: Outcome, began_at: Instant = EPOCH
    ) -> Performed:
        known = execution.known.records.get(ordinal)
        cleans_up = outcome.state in (State.CANCELED, State.TIMEDOUT) and known is not None and known.kind is Kind.CALL
        promise = child_id(execution.own.id, ordinal)
        own = outcome is CANCELLED
        written: Written = yield Settle(
            promise, outcome.state, outcome.text, guarded=cleans_up, by_parent=own, began_at=began_at
        )
        stands = written.stands if isinstance(written, Refused) else written
        if stands is None:
            raise Stale
        execution.learn(stands)

    # Records.

    def _inline_record(self, own: Record, request: Request, flush: Flush, now: Instant) -> Record:
        """The record of what runs here. Its parent runs it, so it wakes no function."""
        return Record(
            id=request.id,
            kind=Kind.INLINE,
            fn=request.fn,
            args=request.args,
            digest=request.digest,
            tags=request.tags,
            created_at=now,
            by=self._caller.request_id,
            seen=flush.seen if request is flush.leader else None,
            expires=own.expires,
        )

    def _remote_record(self, own: Record, request: Request, flush: Flush, now: Instant) -> Record:
        target, unpinned = address_of(own, request, self._caller)
        return Record(
            id=request.id,
            kind=request.kind,
            fn=request.fn,
            target=target,
            unpinned=unpinned,
            args=request.args,
            digest=request.digest,
            created_at=now,
            by=self._caller.request_id,
            wake=self._waker.wake_of(own, request, direct=flush.direct),
            reply_to=own.target,
            seen=flush.seen if request is flush.leader else None,
            deadline=request.deadline,
            retry=request.retry,
            root=request.root,
            reads=request.reads,
            fork=forks.repeated(request.draws_as, now),
            tags=request.tags,
            expires=own.expires,
        )
