"""Performing a flush: promises written, invocations sent, inline steps run, cancellations made. Pure: operations.

The order is the protocol's, and each step is complete before the next begins; what a crash between two of them leaves
is said where it matters.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from adapter.codec.exceptions import encode_exception
from adapter.engine.operations import (
    Create,
    Invoke,
    Many,
    Now,
    Operation,
    Register,
    Remaining,
    RunCode,
    Settle,
)
from adapter.engine.roots import start_root
from adapter.errors import IdConflict, UnknownPromise
from adapter.protocol.ids import child_id, ordinal_of
from adapter.protocol.messages import Start
from adapter.protocol.promises import Kind, Record, Refused, State, Wake, Written, copied, digest_of
from adapter.replay.delivery import BY_PARENT
from adapter.replay.execution import Execution
from adapter.replay.steps import Flush, Request

Performed = Generator[Operation, Any, None]


@dataclass(frozen=True, slots=True)
class Caller:
    """The invocation that runs the engine. A retry of the platform has the same request id.

    ``limit``: for how many microseconds it may run.
    """

    request_id: str
    prefix: str = ""
    limit: int = 0

    def qualify(self, target: str) -> str:
        return target if ":" in target or not target else f"{self.prefix}{target}"


class Stale(Exception):
    """The table tells more than was loaded: load again."""


DISPATCHED = (Kind.CALL, Kind.FOLLOW, Kind.DETACH)
"""What is to be set going once it is written."""


class Flushing:
    """What one run writes for the function ``own``. ``dispatched``: the promises that it has set going itself."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.own = Record(id="")
        self.dispatched: set[str] = set()
        self.checking = False
        self.flushed = False
        self.longest = 0

    def is_late(self, flush: Flush) -> Generator[Operation, Any, bool]:
        """Whether inline steps are asked for that this invocation can hardly finish: a fresh one has all its time.

        The first flush of an invocation is never late, so that each gets on.
        """
        if not self.flushed or not any(request.kind is Kind.INLINE for request in flush.requests):
            return False
        left: int = yield Remaining()
        return left < max(self.caller.limit // 10, self.longest * 3 // 2)

    def flush(self, execution: Execution, flush: Flush) -> Performed:
        self.flushed = True
        inline = [request for request in flush.requests if request.kind is Kind.INLINE]
        remote = [request for request in flush.requests if request.kind is not Kind.INLINE]
        if remote and flush.leader is not None and flush.leader.kind is Kind.INLINE:
            # The leader is written first, so an inline step that leads others is announced before it runs.
            yield from self._create(execution, [self._announce(flush.leader, flush, (yield Now()))])
        yield from self._remote(execution, flush, remote)
        yield from self._inline(execution, inline, flush)
        for ordinal in flush.cancels:
            if execution.records[ordinal].pending:
                yield from self._settle_child(execution, child_id(self.own.id, ordinal), State.CANCELED, BY_PARENT)
        for ordinal in flush.expired:
            yield from self._settle_child(execution, child_id(self.own.id, ordinal), State.TIMEDOUT, "")

    def _remote(self, execution: Execution, flush: Flush, requests: list[Request]) -> Performed:
        if not requests:
            return
        now = yield Now()
        records = [self._record(request, flush, now) for request in requests]
        if requests[0] is flush.leader:
            yield from self._create(execution, records[:1])
            yield from self._create(execution, records[1:])
        else:
            yield from self._create(execution, records)
        # All promises before any invocation: a step may be handed the id of another, and must find it. A crash in
        # between is repaired by the retry of this request, which knows its children by their ``by``.
        stored = [execution.records[record.ordinal] for record in records]
        cancelled = set(flush.cancels)
        yield from self.dispatch(execution, [r for r in stored if self._orphaned(r) and r.ordinal not in cancelled])

    def orphans(self, execution: Execution) -> list[Record]:
        """What an earlier attempt of this same request created, and perhaps died before invoking it."""
        return [record for record in execution.records.values() if self._orphaned(record)]

    def _orphaned(self, record: Record) -> bool:
        # Where something is missed, links are made again whoever began them: it changes nothing where they stand.
        mine = record.by == self.caller.request_id or (self.checking and record.kind is not Kind.CALL)
        return mine and record.id not in self.dispatched and record.pending and record.kind in DISPATCHED

    def dispatch(self, execution: Execution, records: list[Record]) -> Performed:
        """Set going what is written: invoke calls, start and register roots."""
        calls = [Invoke(record.target, Start(id=record.id)) for record in records if record.kind is Kind.CALL]
        self.dispatched.update(record.id for record in records)
        if calls:
            yield Many(tuple(calls))
        for record in records:
            if record.kind is not Kind.CALL:
                yield from self._link(execution, record)

    def _link(self, execution: Execution, link: Record) -> Performed:
        """Start the root that the link names, if it has a function; then have the link settle as the root does.

        Died in between: the retry of this request finds the link pending, and does it all again.
        """
        if link.fn:
            root = self._root_of(link, (yield Now()))
            created, stands = yield from start_root(root, self.dispatched)
            self.dispatched.add(root.id)
            if stands.digest != root.digest:
                error = IdConflict(f"{link.root!r} is already an execution of {stands.fn}, or has other arguments")
                return (yield from self._settle_child(execution, link.id, State.REJECTED, encode_exception(error)))
            if link.kind is Kind.DETACH:
                return (yield from self._settle_child(execution, link.id, State.RESOLVED, json.dumps(link.root)))
            if created:
                return None
        written: Written = yield Register(link.root, link.id)
        if not isinstance(written, Refused):
            return None
        if written.stands is None:
            missing = UnknownPromise(f"there is no promise {link.root!r}")
            return (yield from self._settle_child(execution, link.id, State.REJECTED, encode_exception(missing)))
        return (yield from self._settle_child(execution, link.id, *copied(written.stands.state, written.stands.value)))

    def _root_of(self, link: Record, now: int) -> Record:
        return Record(
            id=link.root,
            fn=link.fn,
            target=link.target,
            args=link.args,
            digest=digest_of(Kind.CALL, link.fn, link.args),
            created_at=now,
            by=self.caller.request_id,
            deadline=link.deadline,
            retry=link.retry,
            # Who is over only once it knows that this root exists: until then the root has to stay.
            detached_by=link.id if link.kind is Kind.DETACH else "",
            awaiters=frozenset({link.id} if link.kind is Kind.FOLLOW else ()),
            tags=link.tags,
        )

    def _create(self, execution: Execution, records: list[Record]) -> Performed:
        if not records:
            return
        results: list[Written] = yield Many(tuple(Create(record) for record in records))
        stale = False
        for record, written in zip(records, results, strict=True):
            if not isinstance(written, Refused):
                execution.learn(record)
            elif _same(written.stands, record):
                assert written.stands is not None
                execution.learn(written.stands)
            else:
                stale = True
        if stale:
            raise Stale

    def _inline(self, execution: Execution, requests: list[Request], flush: Flush) -> Performed:
        # Cancelled in the turn that asked for it: it never begins, as a call doesn't.
        begun = [request for request in requests if request.ordinal not in flush.cancels]
        outcomes = (yield from self._run_inline(execution, begun)) if begun else {}
        for request in requests:
            state, value = outcomes.get(request.ordinal, (State.CANCELED, BY_PARENT))
            if request.ordinal in execution.records:
                # Announced, by this run or by one that died.
                yield from self._settle_child(execution, child_id(self.own.id, request.ordinal), state, value)
                continue
            now = yield Now()
            record = replace(self._announce(request, flush, now), state=state, value=value, settled_at=now)
            yield from self._create(execution, [record])

    def _run_inline(
        self, execution: Execution, requests: list[Request]
    ) -> Generator[Operation, Any, dict[int, tuple[State, str]]]:
        codes = []
        for request in requests:
            assert request.inline is not None
            assert request.encode is not None
            scope = child_id(self.own.id, request.ordinal)
            codes.append(RunCode(scope, execution.now(), request.inline, request.encode))
        begun: int = yield Now()
        outcomes: list[tuple[State, str]] = yield Many(tuple(codes))
        self.longest = max(self.longest, (yield Now()) - begun)
        return dict(zip((request.ordinal for request in requests), outcomes, strict=True))

    def _settle_child(self, execution: Execution, promise: str, state: State, value: str) -> Performed:
        known = execution.records.get(ordinal_of(promise))
        cleans_up = state in (State.CANCELED, State.TIMEDOUT) and known is not None and known.kind is Kind.CALL
        written: Written = yield Settle(promise, state, value, guarded=cleans_up)
        stands = written.stands if isinstance(written, Refused) else written
        if stands is None:
            raise Stale
        execution.learn(stands)

    def _announce(self, request: Request, flush: Flush, now: int) -> Record:
        """The record of an inline step: its parent runs it, so nobody is woken by it."""
        return Record(
            id=child_id(self.own.id, request.ordinal),
            kind=Kind.INLINE,
            fn=request.fn,
            args=request.args,
            digest=request.digest,
            created_at=now,
            by=self.caller.request_id,
            seen=flush.seen if request is flush.leader else None,
        )

    def _record(self, request: Request, flush: Flush, now: int) -> Record:
        return Record(
            id=child_id(self.own.id, request.ordinal),
            kind=request.kind,
            fn=request.fn,
            target=self.caller.qualify(request.target) or self.own.target,
            args=request.args,
            digest=request.digest,
            created_at=now,
            by=self.caller.request_id,
            wake=Wake.DIRECT if flush.direct else Wake.COUNTED,
            reply_to=self.own.target,
            seen=flush.seen if request is flush.leader else None,
            deadline=request.deadline,
            retry=request.retry,
            root=request.root,
            reads=request.reads,
            tags=request.tags,
        )


def _same(stands: Record | None, record: Record) -> bool:
    """Another run of the same history wrote the same promise."""
    return stands is not None and stands.digest == record.digest and stands.seen == record.seen
