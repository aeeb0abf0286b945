"""One message from envelope to effects: load, replay, perform, suspend or settle. Pure: it yields operations.

`respond` is a generator: it yields `adapter.ports` operations and is sent their results. It may be stopped between any
two of them, for ever: that is what a crash is. What makes each stop safe is said where the order of two operations
matters; `docs/ARCHITECTURE.md` has the table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from adapter import functions
from adapter.errors import BadMessage, CodecError, NonDeterminismError
from adapter.execution import BY_PARENT, Behind, Done, Execution, Flush, Left, Request, Suspended
from adapter.loop import DurableLoop
from adapter.messages import Cause, Message, Resume, Start, start_of
from adapter.ports import (
    Arm,
    Claim,
    Close,
    Create,
    Invoke,
    Load,
    LoadChildren,
    Many,
    Now,
    Operation,
    Pause,
    RunCode,
    RunLeft,
    Schedule,
    Settle,
    Tell,
)
from adapter.promises import (
    Arming,
    Kind,
    Record,
    Refusal,
    Refused,
    State,
    Wake,
    Written,
    child_id,
    threshold_for,
)

Steps = Generator[Operation, Any, str]
"""Ends with a word for what came of it: ``settled``, ``suspended``, ``refused``, ``paused`` or ``stuck``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The invocation that runs the engine. A retry of the platform has the same request id."""

    request_id: str
    prefix: str = ""

    def qualify(self, target: str) -> str:
        return target if ":" in target or not target else f"{self.prefix}{target}"


@dataclass(slots=True)
class Memory:
    """Suspended executions of this sandbox, to be resumed without a replay. Forgetting any of them changes nothing."""

    size: int = 64
    kept: OrderedDict[str, Execution] = field(default_factory=OrderedDict)

    def take(self, promise: str) -> Execution | None:
        return self.kept.pop(promise, None)

    def keep(self, promise: str, execution: Execution) -> None:
        if (older := self.kept.pop(promise, None)) is not None:
            older.abandon()
        self.kept[promise] = execution
        while len(self.kept) > self.size:
            self.kept.popitem(last=False)[1].abandon()

    def clear(self) -> None:
        while self.kept:
            self.kept.popitem()[1].abandon()


def respond(message: Message, caller: Caller, memory: Memory) -> Steps:
    """Run or resume the message's promise."""
    run = _Run(caller, memory)
    match message:
        case Start():
            return (yield from run.start(message))
        case Resume():
            return (yield from run.resume(message))
        case _:
            assert_never(message)


class _Stale(Exception):
    """The table tells more than was loaded: load again."""


class _Run:
    """One run of one promise's function."""

    def __init__(self, caller: Caller, memory: Memory) -> None:
        self.caller = caller
        self.memory = memory
        self.own = Record(id="")
        self.execution: Execution | None = None
        self.created: set[str] = set()

    # From a message to records.

    def start(self, message: Start) -> Steps:
        if message.args is None:
            return (yield from self._load(message.id, "started"))
        # No read: the envelope says how the promise was created. If this message came before, the first conditional
        # write tells so.
        self.own = message.record()
        return (yield from self._run((), "started"))

    def resume(self, message: Resume) -> Steps:
        known = self.memory.take(message.id)
        try:
            if message.cause.claims:
                claimed: Written = yield Claim(message.id)
                if isinstance(claimed, Refused):
                    return "refused"
                self.own = claimed
            elif known is not None and message.cause is Cause.DIRECT:
                # As it was at suspension. If it moved since, a conditional write tells so.
                self.own = known.own
            else:
                return (yield from self._load(message.id, message.cause.value))
            children: Sequence[Record] = yield LoadChildren(message.id, known.first_open() if known else 0)
            if known is not None and known.resume(self.own, children):
                self.execution, known = known, None
            elif known is not None:
                return (yield from self._load(message.id, message.cause.value))
            return (yield from self._run(children, message.cause.value))
        finally:
            if known is not None:
                known.abandon()

    def _load(self, promise: str, why: str) -> Steps:
        own, children = yield Load(promise)
        if own is None:
            raise BadMessage(f"an envelope names the promise {promise!r}, which doesn't exist")
        if not own.runnable:
            return "refused"
        self.own = own
        return (yield from self._run(children, why))

    def _run(self, children: Sequence[Record], why: str) -> Steps:
        try:
            function = functions.find(self.own.fn)
            yield Tell("running", self.own.id, self.own.fn, {"why": why})
            if not function.is_async:
                return (yield from self._leaf(function))
            self.execution = self.execution or self._execution(function, children)
            return (yield from self._until_rest(function))
        except NonDeterminismError as drift:
            yield Pause(self.own.id, str(drift))
            yield Tell("paused", self.own.id, self.own.fn, {"drift": str(drift)})
            return "paused"
        finally:
            if self.execution is not None:
                self.execution.abandon()

    def _until_rest(self, function: functions.Durable[..., Any]) -> Steps:
        while True:
            assert self.execution is not None
            try:
                yield from self._dispatch_again(self.execution)
                return (yield from self._drive(self.execution, function))
            except (_Stale, Behind):
                self.execution.abandon()
                own, children = yield Load(self.own.id)
                if own is None or not own.runnable:
                    return "refused"
                self.own = own
                self.execution = self._execution(function, children)

    def _execution(self, function: functions.Durable[..., Any], children: Sequence[Record]) -> Execution:
        args = self.own.args
        return Execution(
            self.own,
            children,
            lambda: _called(function, args),
            encode_result=function.encode_result,
            leave=_become_ordinary,
        )

    def _dispatch_again(self, execution: Execution) -> Generator[Operation, Any, None]:
        """A child that an earlier attempt of this same request created, and perhaps died before invoking it."""
        for record in list(execution.records.values()):
            if self._orphaned(record):
                yield Invoke(record.target, start_of(record))

    def _orphaned(self, record: Record) -> bool:
        mine = record.by == self.caller.request_id and record.id not in self.created
        return mine and record.pending and record.kind is Kind.CALL

    # From records to effects.

    def _leaf(self, function: functions.Durable[..., Any]) -> Steps:
        args = self.own.args
        yield Tell("body", self.own.id, self.own.fn, {})
        state, value = yield RunCode(
            self.own.id, self.own.created_at, lambda: function.body(args), function.encode_result
        )
        return (yield from self._settle(state, value))

    def _drive(self, execution: Execution, function: functions.Durable[..., Any]) -> Steps:
        if execution.fresh:
            yield Tell("body", self.own.id, self.own.fn, {})
        while True:
            step = execution.advance((yield Now()))
            match step:
                case Flush():
                    yield from self._flush(execution, step)
                case Suspended():
                    return (yield from self._suspend(execution, step))
                case Done():
                    return (yield from self._settle(step.state, step.value))
                case Left():
                    state, value = yield RunLeft(step.task, step.loop, function.encode_result)
                    return (yield from self._settle(state, value))
                case _:
                    assert_never(step)

    def _settle(self, state: State, value: str) -> Steps:
        if not self.own.pending:
            # Cancelled before: its outcome stands, its clean-up is complete.
            yield Close(self.own.id)
            yield Tell("cleaned up", self.own.id, self.own.fn, {})
            return "closed"
        written: Written = yield Settle(self.own.id, state, value)
        if isinstance(written, Refused):
            if written.stands is not None and written.stands.runnable and functions.find(self.own.fn).is_async:
                raise _Stale
            yield Tell("refused", self.own.id, self.own.fn, {"state": written.why.value})
            return "refused"
        yield Tell("settled", self.own.id, self.own.fn, {"state": state.value})
        return "settled"

    def _suspend(self, execution: Execution, step: Suspended) -> Steps:
        detail = {"waiting": step.waiting, "wake_at": step.wake_at}
        if not step.direct or self.own.paused:
            if step.wake_at is not None:
                # Before arming: a retry after a crash in between arms. The reverse could arm, die, and find on retry
                # that the epoch moved, with no timer set.
                yield Schedule(self.own.target, Resume(id=self.own.id, cause=Cause.TIMER), step.wake_at)
            threshold = None if step.need is None else threshold_for(step.consumed, self.own.arrivals, step.need)
            arming = Arming(
                epoch=self.own.epoch,
                arrivals=self.own.arrivals,
                state=self.own.state,
                threshold=threshold,
                on_reject=step.on_reject,
                wake_at=step.wake_at,
            )
            written: Written = yield Arm(self.own.id, arming)
            if isinstance(written, Refused):
                if written.why is Refusal.SETTLED or written.why is Refusal.UNKNOWN:
                    return "refused"
                # News, or another run took over, perhaps from records older than what this run wrote. Nobody but a run
                # that has loaded everything may be the last to arm, so this one loads again rather than leave.
                raise _Stale
            execution.own = written
        yield Tell("suspended", self.own.id, self.own.fn, detail)
        self.memory.keep(self.own.id, execution)
        self.execution = None
        return "suspended" if step.waiting or step.wake_at is not None else "stuck"

    # A flush.

    def _flush(self, execution: Execution, flush: Flush) -> Generator[Operation, Any, None]:
        requests = [*([flush.leader] if flush.leader else []), *flush.followers]
        inline = [request for request in requests if request.kind is Kind.INLINE]
        remote = [request for request in requests if request.kind is not Kind.INLINE]
        if remote and flush.leader is not None and flush.leader.kind is Kind.INLINE:
            # The leader is written first, so an inline step that leads others is announced before it runs.
            yield from self._create(execution, [self._announce(flush.leader, flush, (yield Now()))])
        yield from self._remote(execution, flush, remote)
        yield from self._inline(execution, inline, flush)
        yield from self._cancel(execution, flush.cancels)

    def _remote(self, execution: Execution, flush: Flush, requests: list[Request]) -> Generator[Operation, Any, None]:
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
        invokes = [
            Invoke(record.target, start_of(record))
            for record in stored
            if record.kind is Kind.CALL
            and record.pending
            and record.ordinal not in cancelled
            and (record.id in self.created or self._orphaned(record))
        ]
        if invokes:
            self.created.update(invoke.message.id for invoke in invokes)
            yield Many(tuple(invokes))

    def _create(self, execution: Execution, records: list[Record]) -> Generator[Operation, Any, None]:
        if not records:
            return
        results: list[Written] = yield Many(tuple(Create(record) for record in records))
        stale = False
        for record, written in zip(records, results, strict=True):
            if not isinstance(written, Refused):
                self.created.add(record.id)
                execution.learn(record)
            elif _same(written.stands, record):
                assert written.stands is not None
                execution.learn(written.stands)
            else:
                stale = True
        if stale:
            raise _Stale

    def _inline(self, execution: Execution, requests: list[Request], flush: Flush) -> Generator[Operation, Any, None]:
        if not requests:
            return
        codes = []
        for request in requests:
            assert request.inline is not None
            assert request.encode is not None
            scope = child_id(self.own.id, request.ordinal)
            codes.append(RunCode(scope, execution.now(), request.inline, request.encode))
        outcomes: list[tuple[State, str]] = yield Many(tuple(codes))
        for request, (state, value) in zip(requests, outcomes, strict=True):
            if request.ordinal in execution.records:
                # Announced, by this run or by one that died.
                yield from self._settle_child(execution, child_id(self.own.id, request.ordinal), state, value)
                continue
            now = yield Now()
            record = replace(self._announce(request, flush, now), state=state, value=value, settled_at=now)
            yield from self._create(execution, [record])

    def _cancel(self, execution: Execution, ordinals: tuple[int, ...]) -> Generator[Operation, Any, None]:
        for ordinal in ordinals:
            yield from self._settle_child(execution, child_id(self.own.id, ordinal), State.CANCELED, BY_PARENT)

    def _settle_child(
        self, execution: Execution, promise: str, state: State, value: str
    ) -> Generator[Operation, Any, None]:
        written: Written = yield Settle(promise, state, value)
        stands = written.stands if isinstance(written, Refused) else written
        if stands is None:
            raise _Stale
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
            tags=request.tags,
        )


def _same(stands: Record | None, record: Record) -> bool:
    """Another run of the same history wrote the same promise."""
    return stands is not None and stands.digest == record.digest and stands.seen == record.seen


async def _failing(error: BaseException) -> Any:
    raise error


def _called(function: functions.Durable[..., Any], args: str) -> Any:
    try:
        return function.body(args)
    except (CodecError, TypeError) as unreadable:
        # Arguments that this version of the function can't read: an outcome, like an exception of its own.
        return _failing(unreadable)


def _become_ordinary(loop: DurableLoop) -> None:
    from adapter.realio import become_ordinary

    become_ordinary(loop)
