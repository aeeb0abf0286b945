"""What runs in the caller's own invocation: inline steps, and durable calls that are placed here. Pure.

Placement never changes what a call means, nor what a replay asks for: a call's digest doesn't tell where it ran, and
its record does. What can't be kept here goes to a Lambda. So does a call that turns out to be none for here: a function
that makes a durable call, or sleeps, begins there from the top, and one that failed has its next attempt there.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from typing import Any, assert_never

from adapter.codec.exceptions import decode_exception
from adapter.engine import registry
from adapter.engine.caller import Caller
from adapter.engine.learnt import Learnt
from adapter.engine.operations import Many, Now, Operation, Remaining, RunCode, RunLeft, Tell
from adapter.engine.registry import Definition
from adapter.engine.replaying import become_ordinary, execution_of, policy_of
from adapter.engine.telling import What
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import EPOCH, MILLISECOND, NO_TIME, Instant, Span
from adapter.replay.outcomes import Outcome
from adapter.replay.steps import Done, Flush, Left, Place, Request, Scope

SHORT = 500 * MILLISECOND
"""An ``auto`` call may take so long here: about what the way to its own Lambda and back takes."""


class Here:
    """Runs code in this invocation, and knows how much time that has left."""

    def __init__(self, caller: Caller, learnt: Learnt) -> None:
        self._caller = caller
        self._learnt = learnt
        self._longest = NO_TIME

    def chosen(self, own: Record, flush: Flush) -> Generator[Operation, Any, list[Request]]:
        """What of a flush runs here, in the order in which the code asked for it."""
        here = [request for request in flush.requests if self._may_run_here(own, request, flush)]
        # An auto call is alone in its flush.
        auto = [request for request in here if request.kind is Kind.CALL and request.place is Place.AUTO]
        for request in auto:
            if (yield from self.is_late(self._learnt.takes(request.fn) or NO_TIME)):
                return []
        return here

    def is_late(self, expected: Span = NO_TIME) -> Generator[Operation, Any, bool]:
        """Whether this invocation can hardly finish further code, which may take as long as ``expected``."""
        left: Span = yield Remaining()
        return left < max(self._caller.limit // 10, max(self._longest, expected) * 3 // 2)

    def _may_run_here(self, own: Record, request: Request, flush: Flush) -> bool:
        if request.kind is Kind.INLINE:
            return True
        if request.place is Place.LAMBDA or request.kind is not Kind.CALL:
            return False
        if request.deadline is not None or not self._learnt.may_be_leaf(request.fn):
            return False
        match request.place:
            case Place.INLINE:
                return True
            case Place.AUTO:
                takes = self._learnt.takes(request.fn)
                own_lambda = self._caller.named(request.target, own.target) != own.target
                return flush.direct and not own_lambda and takes is not None and takes <= SHORT
            case _:
                assert_never(request.place)

    # Running.

    def run(self, scope: Scope, requests: Sequence[Request]) -> Generator[Operation, Any, dict[int, Outcome | None]]:
        """The outcomes by ordinal; None for a call that has to run in a Lambda: it is no leaf, or there is no time."""
        begun: Instant = yield Now()
        outcomes: dict[int, Outcome | None] = {}
        steps = [one for one in requests if one.kind is Kind.INLINE]
        if steps:
            codes = tuple(_code(request, scope.now()) for request in steps)
            outcomes |= zip([one.ordinal for one in steps], (yield Many(codes)), strict=True)
        for request in requests:
            if request.kind is Kind.CALL:
                late = bool(outcomes) and (yield from self._is_enough(begun))
                outcomes[request.ordinal] = None if late else (yield from self._called(request, scope.now()))
        took: Span = (yield Now()) - begun
        self._longest = max(self._longest, took)
        if len(requests) == 1 and requests[0].kind is Kind.CALL and outcomes[requests[0].ordinal] is not None:
            self._learnt.took(requests[0].fn, took)
        return outcomes

    def _is_enough(self, begun: Instant) -> Generator[Operation, Any, bool]:
        """Whether a turn's further calls go to Lambdas of their own: outcomes are written once all calls here have run.

        If this invocation died before, the next one would run all of them again, and die again.
        """
        left: Span = yield Remaining()
        now: Instant = yield Now()
        return left < max(self._caller.limit // 2, now - begun)

    def _called(self, request: Request, now: Instant) -> Generator[Operation, Any, Outcome | None]:
        yield Tell(What.BODY, request.id, request.fn, {})
        if registry.find(request.fn).is_async:
            return (yield from self._tried(request, now))
        outcome: Outcome = yield _code(request, now)
        return outcome

    def _tried(self, request: Request, now: Instant) -> Generator[Operation, Any, Outcome | None]:
        """Run an ``async def`` as its own Lambda would, up to where that would suspend it: then it is no leaf."""
        function = registry.find(request.fn)
        tried = execution_of(function, _as_called(request, now), (), leave=become_ordinary)
        try:
            step = tried.advance(now)
            outcome: Outcome | None = None
            if isinstance(step, Left):
                outcome = yield RunLeft(step.task, step.loop, function.encode_result)
            elif isinstance(step, Done):
                outcome = step.outcome
            unheard = tried.unheard()
        finally:
            tried.abandon()
        if outcome is None:
            self._learnt.is_no_leaf(request.fn)
            return None
        for promise, error in unheard:
            yield Tell(What.UNHEARD, promise, request.fn, {"error": error})
        return outcome


def next_attempt(request: Request, outcome: Outcome) -> Span | None:
    """The delay after which a call that failed here is tried again, in a Lambda; None if its outcome stands."""
    if request.kind is not Kind.CALL or outcome.state is not State.REJECTED:
        return None
    policy = policy_of(registry.find(request.fn), _as_called(request, EPOCH))
    return policy.delay(1, request.id) if policy.again(decode_exception(outcome.text), 1) else None


def _code(request: Request, now: Instant) -> RunCode:
    if request.kind is Kind.CALL:
        function: Definition = registry.find(request.fn)
        return RunCode(request.id, now, functools.partial(function.body, request.args), function.encode_result)
    assert request.inline is not None
    assert request.encode is not None
    return RunCode(request.id, now, request.inline, request.encode, request.context)


def _as_called(request: Request, now: Instant) -> Record:
    """The call as its own Lambda would find it."""
    return Record(id=request.id, fn=request.fn, args=request.args, retry=request.retry, created_at=now)
