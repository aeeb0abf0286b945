"""One message from envelope to effects: load, replay, perform, suspend or settle. Pure: it yields operations.

The generator of `respond` yields `adapter.engine.operations` and is sent their results. A crash stops it between two of
them, for ever. Where the order of two operations matters, a comment says why each stop is safe;
`docs/ARCHITECTURE.md` has the table.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from typing import Any, assert_never

from adapter.engine import registry
from adapter.engine.caller import Caller
from adapter.engine.checks import begin_anew, make_up
from adapter.engine.ending import Ending, Steps, crashed, go_on_afresh
from adapter.engine.flushing import Flusher
from adapter.engine.loading import Loader
from adapter.engine.memory import Memory, read_news
from adapter.engine.operations import (
    Claim,
    Close,
    Hold,
    Now,
    Operation,
    Pause,
    PeekFunction,
    ReadChildren,
    ReadPromise,
    RunCode,
    RunLeft,
    SendAt,
    Settle,
    Tell,
)
from adapter.engine.pinning import hand_on, is_elsewhere, pin
from adapter.engine.registry import Definition
from adapter.engine.replaying import Ended, become_ordinary, execution_of, policy_of
from adapter.engine.settling import Attempt, settle, settle_leaf
from adapter.engine.suspending import Suspender
from adapter.engine.telling import What
from adapter.engine.waking import Stale, Waker, resume_caller, silent
from adapter.errors import BadMessage, NonDeterminismError
from adapter.protocol.ids import child_id, parent_of
from adapter.protocol.making import changed
from adapter.protocol.messages import Cause, Look, Message, Resume, Start, is_meant
from adapter.protocol.promises import Firing, Refusal, Refused, Written, owes_wake
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import EPOCH, Instant
from adapter.protocol.timing import WATCH, is_closing, is_far
from adapter.replay.blocks import gathered
from adapter.replay.execution import Execution
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Behind, Done, Flush, Left, Suspended


def respond(message: Message, caller: Caller, memory: Memory) -> Steps:
    """Run or resume the message's promise."""
    match message:
        case Start():
            return _Run(message, caller, memory).start(message)
        case Resume():
            checking = message.cause is Cause.CHECK
            return _Run(message, caller, memory, message.firing, checking=checking).resume(message)
        case _:
            assert_never(message)


class _Run:
    """One run of one promise's function.

    ``firing``: the timer whose message started it. ``checking``: it was started because something may be lost.
    """

    def __init__(
        self, message: Message, caller: Caller, memory: Memory, firing: Firing | None = None, *, checking: bool = False
    ) -> None:
        self.message = message
        self.caller = caller
        self.memory = memory
        self.checking = checking
        self.waker = Waker(caller, memory.learnt)
        self.flusher = Flusher(caller, self.waker, memory.learnt, checking=checking)
        self.suspender = Suspender(caller, firing)
        self.loader = Loader()
        self.own = Record(id="")
        self.execution: Execution | None = None
        self.attempt = 1
        self.crashes = 0
        self.since = self.called_at = self.looked_at = self.begun = EPOCH

    # From a message to records.

    def start(self, message: Start) -> Steps:
        self.attempt, self.crashes, self.since = message.attempt, message.crashes, message.since
        if parent_of(message.id) is None:
            return (yield from self._load(message.id, "started", long=False))
        own: Record | None = yield ReadPromise(message.id)
        if own is None:
            raise _unknown(message.id)
        if not self._is_meant(own):
            return (yield from self._refuse(own))
        self.own = own
        # A plain function has no children, and most calls are such leaves. This code may not know one that is pinned.
        is_leaf = self._is_elsewhere() or not registry.find(own.fn).is_async
        children = () if is_leaf else (yield ReadChildren(message.id, own.expires))
        return (yield from self._run(children, "started"))

    def resume(self, message: Resume) -> Steps:
        claims, self.crashes = message.cause.claims, message.crashes
        self.called_at, self.looked_at = message.called_at, message.looked_at
        # If a claim took the record of a later execution of the id, this run has to give it back.
        self.since = EPOCH if claims else message.since
        if claims:
            claimed: Written = yield from self._claim(message)
            if isinstance(claimed, Refused):
                # What this sandbox remembers of the function stays for later runs.
                return (yield from self._superseded(claimed))
            self.own = claimed
            yield from self._watch_deadline()
        known = self.memory.take(message.id, (yield Now()))
        try:
            if not claims and known is not None and message.cause is Cause.DIRECT:
                # The record as it was at suspension. If it has moved since, a conditional write will be refused.
                self.own = known.own
            elif not claims:
                return (yield from self._load(message.id, message.cause.value, message.long))
            if known is None:
                children = yield from self.loader.children(self.own, message.long)
            elif known.resume(self.own, children := (yield from read_news(known))):
                self.execution, known = known, None
            else:
                return (yield from self._load(message.id, message.cause.value, message.long))
            return (yield from self._run(children, message.cause.value))
        finally:
            if known is not None:
                known.abandon()

    def _claim(self, message: Resume) -> Generator[Operation, Any, Written]:
        # The watchdog keeps looking at a root: if this run is lost, no parent misses the root.
        due_at = (yield Now()) + WATCH if parent_of(message.id) is None else None
        by, firing, armed = self.caller.request_id, message.firing, message.armed
        return (yield Claim(message.id, by, firing, due_at, armed))  # type: ignore[no-any-return]

    def _watch_deadline(self) -> Generator[Operation, Any, None]:
        """The claim may have moved a root's entry beyond its deadline, and this run may work for longer than that.

        If it dies before it sends the message, the retry claims again. That costs a message, and only in the last
        twenty minutes before a deadline. For a near one, a message was sent when the root was created.
        """
        deadline, due_at = self.own.deadline, self.own.due_at
        if deadline is None or due_at is None or not is_far(deadline, self.own.created_at):
            return
        if self.own.pending and deadline < due_at:
            yield SendAt(self.own.target, Look(id=self.own.id), deadline)

    def _superseded(self, refused: Refused) -> Steps:
        """Another run has taken over. Go on only if a dead attempt of this request left calls that it didn't invoke.

        No other run would invoke them: only this request knows them as its own.
        """
        own = refused.stands
        if own is None:
            return Ending.REFUSED
        if refused.why is not Refusal.SUPERSEDED:
            return (yield from self._refuse(own))
        children = yield ReadChildren(own.id, own.expires)
        if not self.flusher.orphans(children):
            return Ending.REFUSED
        self.own = own
        return (yield from self._run(children, Cause.AGAIN.value))

    def _load(self, promise: str, why: str, long: bool) -> Steps:
        own, children = yield from self.loader.function(promise, long)
        if own is None:
            raise _unknown(promise)
        if not self._is_meant(own):
            return (yield from self._refuse(own))
        self.own = own
        if self.checking:
            self.own = yield from make_up(own, children)
        return (yield from self._run(children, why))

    def _refuse(self, own: Record) -> Steps:
        """There is nothing to do. But this request's earlier attempt may have died before it resumed the caller.

        Any other message that comes late, a timer's for instance, resumes nobody: the caller has heard.
        """
        if owes_wake(own, self.caller.request_id) and is_meant(own, self.since, self.called_at):
            yield from resume_caller(own)
        return Ending.REFUSED

    def _is_meant(self, own: Record) -> bool:
        """Whether the function still has something to do, and isn't that of a later execution under the same id."""
        return own.runnable and is_meant(own, self.since, self.called_at)

    def _run(self, children: Sequence[Record], why: str) -> Steps:
        try:
            if self._is_elsewhere():
                return (yield from self._hand_on())
            if self.own.expires is not None and is_closing(self.own, (yield Now())):
                return Ending.REFUSED
            yield from self._expire()
            return (yield from self._run_here(children, why))
        except NonDeterminismError as drift:
            yield Pause(self.own.id, str(drift))
            yield Tell(What.PAUSED, self.own.id, self.own.fn, {"drift": str(drift), "why": drift.brief})
            return Ending.PAUSED
        finally:
            if self.execution is not None:
                self.execution.abandon()

    def _run_here(self, children: Sequence[Record], why: str) -> Steps:
        cancelled = not self.own.pending
        never_ran = not self.own.epoch and not children and self.execution is None
        if cancelled and never_ran:
            # Cancelled before it began: there is nothing to clean up, and nothing needs its code.
            yield Close(self.own.id)
            return Ending.CLOSED
        function = registry.find(self.own.fn)
        self.waker.learn(children)
        if self.crashes and self.attempt - 1 + self.crashes >= policy_of(function, self.own).attempts:
            # All children: the run that died may have left a gap among them.
            _, every = yield PeekFunction(self.own.id)
            return (yield from crashed(self.own, every))
        if cancelled and not function.is_async:
            # A plain function, which runs on to its end: there is nothing to clean up.
            yield Close(self.own.id)
            return Ending.CLOSED
        if never_ran and self.checking and not (yield from self._begins_anew(function)):
            return Ending.REFUSED
        if never_ran and function.pin:
            self.own = yield from pin(self.own, self.caller)
        return (yield from self._begin(function, children, why))

    def _begin(self, function: Definition, children: Sequence[Record], why: str) -> Steps:
        if self._is_elsewhere():
            # Another version was the first to pin it.
            return (yield from self._hand_on())
        if self.own.outage:
            yield from self._runs_again()
        yield Tell(What.RUNNING, self.own.id, self.own.fn, {"why": why, "attempt": self.attempt})
        if not function.is_async:
            return (yield from self._leaf(function))
        self.execution = self.execution or self._execution(function, children)
        return (yield from self._until_rest(function))

    def _hand_on(self) -> Steps:
        return (yield from hand_on(self.own, self.caller, self.message))

    def _is_elsewhere(self) -> bool:
        return is_elsewhere(self.own, self.caller, self.message)

    def _expire(self) -> Generator[Operation, Any, None]:
        """Settle the promise if its deadline has passed. Its parent should have done so."""
        deadline = self.own.deadline
        if deadline is None or not self.own.pending or (yield Now()) < deadline:
            return
        written: Written = yield Settle(self.own.id, State.TIMEDOUT, "", guarded=True)
        stands = written.stands if isinstance(written, Refused) else written
        assert stands is not None
        # The write's answer has no arguments.
        self.own = changed(stands, args=self.own.args)

    def _runs_again(self) -> Generator[Operation, Any, None]:
        """Its Lambda runs it: whatever kept it from that is over."""
        now: Instant = yield Now()
        yield Hold(self.own.id, "", EPOCH, now)
        self.own = changed(self.own, outage="", outage_at=EPOCH, retry_at=now)
        if self.execution is not None:
            self.execution.own = self.own

    def _begins_anew(self, function: Definition) -> Generator[Operation, Any, bool]:
        begun = yield from begin_anew(self.own, function, self.looked_at, self.caller.limit)
        self.own = begun or self.own
        return begun is not None

    def _until_rest(self, function: Definition) -> Steps:
        behind = ""
        while True:
            assert self.execution is not None
            try:
                # Roots are dispatched before the replay. It may cancel the follower, but others may follow the root by
                # now.
                orphans = self.flusher.orphans_among(self.execution.known)
                if roots := [one for one in orphans if one.kind is not Kind.CALL]:
                    yield from self.flusher.dispatch(self.execution, roots)
                return (yield from self._drive(self.execution, function))
            except (Stale, Behind, NonDeterminismError) as news:
                behind = self._what_is_behind(news, behind)
                if not (yield from self._load_again(self.execution, function)):
                    return Ending.REFUSED

    def _what_is_behind(self, news: Exception, before: str) -> str:
        """What the journal tells of and the records don't. Raises the drift, if this can't be for want of a load.

        Nor may it be for a chapter's sake: such a drift is judged by the records themselves.
        """
        behind = str(news) if isinstance(news, Behind) else ""
        if not isinstance(news, NonDeterminismError) and (not behind or behind != before):
            return behind
        if not self.loader.by_chapters:
            raise _contradicted(news) if isinstance(news, Behind) else news from None
        self.loader.plain = True
        return ""

    def _load_again(self, execution: Execution, function: Definition) -> Generator[Operation, Any, bool]:
        execution.abandon()
        own, children = yield from self.loader.function(self.own.id, long=execution.known.long)
        if own is None or not own.runnable:
            return False
        self.own = own
        self.execution = self._execution(function, children)
        return True

    def _execution(self, function: Definition, children: Sequence[Record]) -> Execution:
        return execution_of(function, self.own, children, leave=become_ordinary)

    # From records to effects.

    def _leaf(self, function: Definition) -> Steps:
        yield Tell(What.BODY, self.own.id, self.own.fn, {})
        body = functools.partial(function.body, self.own.args)
        self.begun = yield Now()
        outcome: Outcome = yield RunCode(
            self.own.id, self.own.created_at, body, function.encode_result, fork=self.own.fork
        )
        return (yield from self._settle_leaf(function, outcome))

    def _drive(self, execution: Execution, function: Definition) -> Steps:
        if execution.fresh:
            yield Tell(What.BODY, self.own.id, self.own.fn, {})
        while True:
            yield from self._read_blocks(execution)
            now: Instant = yield Now()
            self.begun = self.begun or now
            step = execution.advance(now)
            match step:
                case Flush():
                    if not (yield from self.flusher.flush(execution, step, now)):
                        return (yield from go_on_afresh(self.own, long=execution.known.long))
                case Suspended():
                    if ended := (yield from self._rest(execution, step, now)):
                        return ended
                case Done():
                    return (yield from self._end(execution, function, step.outcome))
                case Left():
                    outcome: Outcome = yield RunLeft(step.task, step.loop, function.encode_result)
                    return (yield from self._settle_leaf(function, outcome))
                case _:
                    assert_never(step)

    def _end(self, execution: Execution, function: Definition, outcome: Outcome) -> Steps:
        for promise, error in execution.unheard():
            # The failure isn't lost: it is logged, and the promise keeps it.
            yield Tell(What.UNHEARD, promise, self.own.fn, {"error": error})
        if execution.is_leaf:
            return (yield from self._settle_leaf(function, outcome))
        self.memory.learnt.is_no_leaf(self.own.fn)
        ended = Ended(function, execution, self.own)
        return (yield from settle(self.own, self.caller, self._attempt(), outcome, ended))

    def _rest(self, execution: Execution, step: Suspended, now: Instant) -> Generator[Operation, Any, Ending | None]:
        """Suspend; None if the code can go on instead, or something had to be done first."""
        if orphans := self.flusher.orphans_among(execution.known):
            # Calls are dispatched only now: the replay has come as far as it can, so it has cancelled what it cancels.
            yield from self.flusher.dispatch(execution, orphans)
            return None
        if unheard := silent(execution, step):
            yield from self.waker.listen(execution, step, unheard)
            return None
        ended: Ending | None = yield from self._suspend(execution, step, now)
        if ended is None:
            self.own = execution.own
        return ended

    def _suspend(self, execution: Execution, step: Suspended, now: Instant) -> Generator[Operation, Any, Ending | None]:
        self.memory.learnt.is_no_leaf(self.own.fn)
        ended: Ending | None = yield from self.suspender.suspend(execution, step, now)
        if ended in (Ending.SUSPENDED, Ending.STUCK):
            # Whether it dies before or after, the next run reads the records, or the chapter.
            yield from self.loader.tell(execution.own)
            self.memory.keep(self.own.id, execution, now)
            self.execution = None
        return ended

    def _settle_leaf(self, function: Definition, outcome: Outcome) -> Steps:
        self.memory.learnt.took(self.own.fn, (yield Now()) - self.begun)
        return (yield from settle_leaf(self.own, self.caller, function, self._attempt(), outcome))

    def _attempt(self) -> Attempt:
        return Attempt(number=self.attempt, crashes=self.crashes, checking=self.checking, begun=self.begun)

    def _read_blocks(self, execution: Execution) -> Generator[Operation, Any, None]:
        for ordinal in execution.known.unread[:]:
            children = yield ReadChildren(child_id(self.own.id, ordinal), self.own.expires)
            execution.known.fill(ordinal, gathered(children))


def _unknown(promise: str) -> BadMessage:
    return BadMessage(f"an envelope names the promise {promise!r}, which doesn't exist")


def _contradicted(news: Behind) -> NonDeterminismError:
    """The error when the journal still tells of what didn't happen after a second load, which reads all that it tells
    of.
    """
    brief = f"the journal tells of {news}, which hasn't happened: it was written by hand, or by another version"
    return NonDeterminismError(f"{brief}. Repair it, then start the execution again under the same id.", brief=brief)
