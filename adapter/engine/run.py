"""One message from envelope to effects: load, replay, perform, suspend or settle. Pure: it yields operations.

`respond` is a generator: it yields `adapter.engine.operations` and is sent their results. It may be stopped between any
two of them, for ever: that is what a crash is. What makes each stop safe is said where the order of two operations
matters; `docs/ARCHITECTURE.md` has the table.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from adapter.codec.exceptions import decode_exception, encode_exception
from adapter.engine import registry
from adapter.engine.flushing import Caller, Flushing, Stale
from adapter.engine.operations import (
    Arm,
    Claim,
    Close,
    Invoke,
    Now,
    Operation,
    Pause,
    PeekFunction,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    RunCode,
    RunLeft,
    SendAt,
    Settle,
    Tell,
)
from adapter.engine.registry import Definition
from adapter.engine.telling import What
from adapter.errors import BadMessage, CodecError, FunctionCrashed, NonDeterminismError
from adapter.protocol import retries
from adapter.protocol.ids import child_id, parent_of
from adapter.protocol.messages import Cause, Message, Resume, Start
from adapter.protocol.promises import Arming, Firing, Kind, Record, Refusal, Refused, State, Written, threshold_for
from adapter.protocol.times import MINUTE
from adapter.protocol.timing import MIN_RETENTION, WATCH, is_far, watched
from adapter.replay.blocks import gathered
from adapter.replay.delivery import BY_PARENT
from adapter.replay.execution import Execution
from adapter.replay.loop import DurableLoop
from adapter.replay.steps import Behind, Done, Flush, Left, Suspended

Steps = Generator[Operation, Any, str]
"""Ends with a word for what came of it: ``settled``, ``suspended``, ``yielded`` (to a fresh invocation), ``retrying``,
``refused``, ``paused``, ``closed`` or ``stuck``."""


@dataclass(slots=True)
class Memory:
    """Suspended executions of this sandbox, to be resumed without a replay. Forgetting any of them changes nothing.

    None is kept for longer than half a day: until then no execution that was pending can have been removed, and another
    one have begun under its id.
    """

    size: int = 64
    kept: OrderedDict[str, tuple[Execution, int]] = field(default_factory=OrderedDict)

    def take(self, promise: str, now: int) -> Execution | None:
        execution, since = self.kept.pop(promise, (None, 0))
        if execution is not None and now - since > MIN_RETENTION // 2:
            execution.abandon()
            return None
        return execution

    def keep(self, promise: str, execution: Execution, now: int) -> None:
        if promise in self.kept:
            self.kept.pop(promise)[0].abandon()
        self.kept[promise] = execution, now
        while len(self.kept) > self.size:
            self.kept.popitem(last=False)[1][0].abandon()

    def clear(self) -> None:
        while self.kept:
            self.kept.popitem()[1][0].abandon()


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


class _Run(Flushing):
    """One run of one promise's function."""

    def __init__(self, caller: Caller, memory: Memory) -> None:
        super().__init__(caller)
        self.memory = memory
        self.execution: Execution | None = None
        self.attempt = 1
        self.crashes = 0
        self.since = 0
        self.firing: Firing | None = None

    # From a message to records.

    def start(self, message: Start) -> Steps:
        self.attempt, self.crashes, self.since = message.attempt, message.crashes, message.since
        if parent_of(message.id) is None:
            return (yield from self._load(message.id, "started"))
        own: Record | None = yield ReadPromise(message.id)
        if own is None:
            raise _unknown(message.id)
        if not self._is_meant(own):
            return "refused"
        self.own = own
        # A plain function has no children, and most calls are such leaves.
        children = (yield ReadChildren(message.id)) if registry.find(own.fn).is_async else ()
        return (yield from self._run(children, "started"))

    def resume(self, message: Resume) -> Steps:
        self.firing, self.crashes = message.firing, message.crashes
        self.checking = message.cause is Cause.CHECK
        now: int = yield Now()
        known = self.memory.take(message.id, now)
        try:
            if message.cause.claims:
                # A root stays watched: nobody above would miss it, should this run be lost.
                due_at = now + WATCH if parent_of(message.id) is None else None
                claimed: Written = yield Claim(message.id, message.firing, due_at)
                if isinstance(claimed, Refused):
                    return (yield from self._superseded(claimed))
                self.own = claimed
            elif known is not None and message.cause is Cause.DIRECT:
                # As it was at suspension. If it moved since, a conditional write tells so.
                self.own = known.own
            else:
                return (yield from self._load(message.id, message.cause.value))
            children: Sequence[Record] = yield ReadChildren(message.id, known.first_open() if known else 0)
            if known is not None and known.resume(self.own, children):
                self.execution, known = known, None
            elif known is not None:
                return (yield from self._load(message.id, message.cause.value))
            return (yield from self._run(children, message.cause.value))
        finally:
            if known is not None:
                known.abandon()

    def _superseded(self, refused: Refused) -> Steps:
        """Another run has taken over; but it doesn't know what an attempt of this request that died has begun.

        That run may have created calls and not invoked them, and nobody else would.
        """
        own = refused.stands
        if refused.why is not Refusal.SUPERSEDED or own is None:
            return "refused"
        children = yield ReadChildren(own.id)
        if not any(self._orphaned(child) for child in children):
            return "refused"
        self.own = own
        return (yield from self._run(children, Cause.AGAIN.value))

    def _load(self, promise: str, why: str) -> Steps:
        own, children = yield ReadFunction(promise)
        if own is None:
            raise _unknown(promise)
        if not self._is_meant(own):
            return "refused"
        self.own = own
        return (yield from self._run(children, why))

    def _is_meant(self, own: Record) -> bool:
        """Whether there is something to do for it, and it isn't that of a later execution."""
        return own.runnable and self.since in (0, own.created_at)

    def _run(self, children: Sequence[Record], why: str) -> Steps:
        try:
            yield from self._expire()
            function = registry.find(self.own.fn)
            if self.crashes and self.attempt - 1 + self.crashes >= self._policy(function).attempts:
                # All of them, also behind a gap that the run left which died.
                _, every = yield PeekFunction(self.own.id)
                return (yield from crashed(self.own, every))
            never_ran = not self.own.epoch and not children and self.execution is None
            if not self.own.pending and (never_ran or not function.is_async):
                # Settled from above before it began, or a plain function, which runs on to its end: nothing to undo.
                yield Close(self.own.id)
                return "closed"
            if self.checking and never_ran and not self._is_given_up(function, (yield Now())):
                return "refused"
            yield Tell(What.RUNNING, self.own.id, self.own.fn, {"why": why, "attempt": self.attempt})
            if not function.is_async:
                return (yield from self._leaf(function))
            self.execution = self.execution or self._execution(function, children)
            return (yield from self._until_rest(function))
        except NonDeterminismError as drift:
            yield Pause(self.own.id, str(drift))
            yield Tell(What.PAUSED, self.own.id, self.own.fn, {"drift": str(drift), "why": drift.brief})
            return "paused"
        finally:
            if self.execution is not None:
                self.execution.abandon()

    def _expire(self) -> Generator[Operation, Any, None]:
        """A run that comes after its promise's deadline settles it, whoever else should have."""
        deadline = self.own.deadline
        if deadline is None or not self.own.pending or (yield Now()) < deadline:
            return
        written: Written = yield Settle(self.own.id, State.TIMEDOUT, "", guarded=True)
        stands = written.stands if isinstance(written, Refused) else written
        assert stands is not None
        # A write reads no arguments again.
        self.own = replace(stands, args=self.own.args)

    def _policy(self, function: Definition) -> retries.Retry:
        return retries.read(self.own.retry) if self.own.retry else function.retry or retries.LEAF

    def _is_given_up(self, function: Definition, now: int) -> bool:
        """Whether a function that left no trace can't be between two of its attempts any more."""
        policy = self._policy(function)
        if policy.attempts == math.inf:
            return False
        attempts = int(policy.attempts)
        delays = sum(policy.delay(attempt, self.own.id) for attempt in range(1, attempts))
        return now > self.own.created_at + delays + attempts * self.caller.limit + 5 * MINUTE

    def _until_rest(self, function: Definition) -> Steps:
        behind = ""
        while True:
            assert self.execution is not None
            try:
                # Roots at once, though the replay may cancel the link: others may await the same one by now.
                roots = [record for record in self.orphans(self.execution) if record.kind is not Kind.CALL]
                yield from self.dispatch(self.execution, roots)
                return (yield from self._drive(self.execution, function))
            except (Stale, Behind) as news:
                self.execution.abandon()
                if isinstance(news, Behind):
                    if behind == str(news):
                        raise _contradicted(news) from None
                    behind = str(news)
                own, children = yield ReadFunction(self.own.id)
                if own is None or not own.runnable:
                    return "refused"
                self.own = own
                self.execution = self._execution(function, children)

    def _execution(self, function: Definition, children: Sequence[Record]) -> Execution:
        args = self.own.args
        explicit = self._policy(function) if self.own.retry or function.retry else None
        return Execution(
            self.own,
            children,
            lambda: _called(function, args),
            retry=explicit,
            encode_result=function.encode_result,
            leave=_become_ordinary,
        )

    # From records to effects.

    def _leaf(self, function: Definition) -> Steps:
        args = self.own.args
        yield Tell(What.BODY, self.own.id, self.own.fn, {})
        state, value = yield RunCode(
            self.own.id, self.own.created_at, lambda: function.body(args), function.encode_result
        )
        return (yield from self._settle_leaf(function, state, value))

    def _drive(self, execution: Execution, function: Definition) -> Steps:
        if execution.fresh:
            yield Tell(What.BODY, self.own.id, self.own.fn, {})
        while True:
            yield from self._read_blocks(execution)
            step = execution.advance((yield Now()))
            match step:
                case Flush() if (yield from self.is_late(step)):
                    return (yield from self._yield())
                case Flush():
                    yield from self.flush(execution, step)
                case Suspended() if orphans := self.orphans(execution):
                    # Calls only now: the replay has come as far as it can, so what it cancels has been cancelled.
                    yield from self.dispatch(execution, orphans)
                case Suspended():
                    return (yield from self._suspend(execution, step))
                case Done():
                    for promise, error in execution.unheard():
                        # Not lost: it is logged, and stays readable on the promise itself.
                        yield Tell(What.UNHEARD, promise, self.own.fn, {"error": error})
                    settle = self._settle_leaf(function, step.state, step.value) if execution.is_leaf else None
                    return (yield from settle or self._settle(step.state, step.value))
                case Left():
                    state, value = yield RunLeft(step.task, step.loop, function.encode_result)
                    return (yield from self._settle_leaf(function, state, value))
                case _:
                    assert_never(step)

    def _read_blocks(self, execution: Execution) -> Generator[Operation, Any, None]:
        for ordinal in execution.unread():
            children = yield ReadChildren(child_id(self.own.id, ordinal))
            execution.fill(ordinal, gathered(children))

    def _yield(self) -> Steps:
        """Go on in a fresh invocation. Died before it is made: the platform's retry of this one goes on just so."""
        yield Invoke(self.own.target, Resume(id=self.own.id, cause=Cause.AGAIN))
        yield Tell(What.YIELDED, self.own.id, self.own.fn, {})
        return "yielded"

    def _settle_leaf(self, function: Definition, state: State, value: str) -> Steps:
        """Settle a function that made no durable call; or, where it failed, have it run again from its beginning."""
        policy, used = self._policy(function), self.attempt + self.crashes
        if state is not State.REJECTED or not self.own.pending or not policy.again(decode_exception(value), used):
            return (yield from self._settle(state, value))
        at = (yield Now()) + policy.delay(self.attempt, self.own.id)
        if self.own.deadline is not None and at >= self.own.deadline:
            return (yield from self._settle(state, value))
        # Died before this: the platform's retry makes the same attempt again. After: there are two of the next attempt,
        # and the first settlement stands.
        again = Start(id=self.own.id, attempt=self.attempt + 1, crashes=self.crashes, since=self.own.created_at)
        yield SendAt(self.own.target, again, at)
        yield Tell(What.RETRYING, self.own.id, self.own.fn, {"attempt": self.attempt, "at": at})
        return "retrying"

    def _settle(self, state: State, value: str) -> Steps:
        if not self.own.pending:
            # Cancelled before: its outcome stands, its clean-up is complete.
            yield Close(self.own.id)
            yield Tell(What.CLEANED_UP, self.own.id, self.own.fn, {})
            return "closed"
        written: Written = yield Settle(self.own.id, state, value)
        if isinstance(written, Refused):
            if written.stands is not None and written.stands.runnable and registry.find(self.own.fn).is_async:
                raise Stale
            yield Tell(What.REFUSED, self.own.id, self.own.fn, {"state": written.why.value})
            return "refused"
        yield Tell(What.SETTLED, self.own.id, self.own.fn, {"state": state.value})
        return "settled"

    def _suspend(self, execution: Execution, step: Suspended) -> Steps:
        wake_at = self._wake_at(step)
        stale = self.own.expects is not None or self.own.paused
        if not step.direct or wake_at is not None or stale or self._is_timed(self.own.due_at):
            written: Written = yield Arm(self.own.id, (yield from self._arming(step, wake_at)))
            if isinstance(written, Refused):
                if written.why is Refusal.SETTLED or written.why is Refusal.UNKNOWN:
                    yield Tell(What.REFUSED, self.own.id, self.own.fn, {"state": written.why.value})
                    return "refused"
                # News, or another run took over, perhaps from records older than what this run wrote. Nobody but a run
                # that has loaded everything may be the last to arm, so this one loads again rather than leave.
                raise Stale
            execution.own = written
        yield Tell(What.SUSPENDED, self.own.id, self.own.fn, {"waiting": step.waiting, "wake_at": wake_at})
        self.memory.keep(self.own.id, execution, (yield Now()))
        self.execution = None
        return "suspended" if step.waiting or wake_at is not None else "stuck"

    def _wake_at(self, step: Suspended) -> int | None:
        """A root has nobody above who would look at its deadline while it is suspended."""
        if self.own.deadline is None or not self.own.pending or parent_of(self.own.id) is not None:
            return step.wake_at
        return self.own.deadline if step.wake_at is None else min(step.wake_at, self.own.deadline)

    def _arming(self, step: Suspended, wake_at: int | None) -> Generator[Operation, Any, Arming]:
        now = yield Now()
        far = wake_at is not None and is_far(wake_at, now)
        if wake_at is not None and not far and not self._is_sent(wake_at):
            # Before arming: a run that finds it armed may rely on the message. If the message overtakes the arming,
            # its claim moves the epoch, and this run loads again.
            firing = Firing(wake_at, self.own.epoch)
            yield SendAt(self.own.target, Resume(id=self.own.id, cause=Cause.TIMER, firing=firing), wake_at)
        return Arming(
            epoch=self.own.epoch,
            arrivals=self.own.arrivals,
            state=self.own.state,
            threshold=None if step.need is None else threshold_for(step.consumed, self.own.arrivals, step.need),
            expects=self._expected(step),
            refusals=step.refusals,
            on_reject=step.on_reject,
            wake_at=wake_at,
            sent=wake_at is not None and not far,
            due_at=self._due_at(step, wake_at if far else None, now),
        )

    def _expected(self, step: Suspended) -> int | None:
        """What the watchdog goes by; what waits for one child, it knows without, also where that had to be armed."""
        if step.direct:
            return None
        return -1 if step.need is None else step.consumed + step.need

    def _due_at(self, step: Suspended, far: int | None, now: int) -> int | None:
        """The entry in the index: the far time that it waits for, or that somebody has to look at it.

        A root is watched, since nobody above would miss it, and so is the clean-up of what was cancelled; not what
        only waits for a far time, whose entry stays until it is claimed.
        """
        if (parent_of(self.own.id) is not None and self.own.pending) or (far is not None and not step.waiting):
            return far
        standing = self.own.due_at
        watch = watched(self.own, now) if standing is None or self._is_timed(standing) else standing
        return watch if far is None else min(watch, far)

    def _is_timed(self, due_at: int | None) -> bool:
        """An entry of the index for the time that the function waited for."""
        return due_at is not None and due_at == self.own.wake_at

    def _is_sent(self, wake_at: int) -> bool:
        """A message for this time is on its way; the one that this run came by isn't any more."""
        came_by_it = self.firing is not None and self.firing.at == wake_at
        return self.own.sent and self.own.wake_at == wake_at and not came_by_it


def _unknown(promise: str) -> BadMessage:
    return BadMessage(f"an envelope names the promise {promise!r}, which doesn't exist")


def _contradicted(news: Behind) -> NonDeterminismError:
    """A journal is written after what it tells of, so whoever loads again reads that, too."""
    told = f"the journal tells of {news}, which hasn't happened: it was written by hand, or by another version"
    return NonDeterminismError(f"{told}. Repair it, then start the execution again under the same id.", brief=told)


def end(children: Sequence[Record]) -> Generator[Operation, Any, None]:
    """Cancel those of whose outcome no code will hear."""
    for child in children:
        if child.pending:
            yield Settle(child.id, State.CANCELED, BY_PARENT, guarded=child.kind is Kind.CALL)


def crashed(own: Record, children: Sequence[Record]) -> Steps:
    """A function whose Lambda died more often than its policy allows. Its children first: nobody would end them."""
    yield from end(children)
    if not own.pending:
        yield Close(own.id)
        return "closed"
    error = FunctionCrashed(f"{own.fn} ({own.id}): its Lambda died, or failed outside of the function, too often")
    yield Settle(own.id, State.REJECTED, encode_exception(error))
    yield Tell(What.CRASHED, own.id, own.fn, {})
    return "settled"


async def _failing(error: BaseException) -> Any:
    raise error


def _called(function: Definition, args: str) -> Any:
    try:
        return function.body(args)
    except (CodecError, TypeError) as unreadable:
        # Arguments that this version of the function can't read: an outcome, like an exception of its own.
        return _failing(unreadable)


def _become_ordinary(loop: DurableLoop) -> None:
    from adapter.replay.leaving import become_ordinary

    become_ordinary(loop)
