"""How a call resumes its caller: by the stream, by the run that settles it, or, where the caller lingers, by neither.

A caller *lingers* where it waits for one short call: it watches the call in its own invocation, as a lock spins before
it parks. It pays for that time, and spares a suspension and a resume. It lingers for `LINGER` at most, which is about
what these take; so it never takes twice the time of the better choice. While it lingers, the call carries no ``wake``.
Before it suspends, it asks for one, at one write. If it dies, Lambda's retry of it finds the call.

Pure: `Waker` yields operations.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from adapter.engine import registry
from adapter.engine.caller import Caller, Waking
from adapter.engine.learnt import Learnt
from adapter.engine.operations import Ask, Invoke, Many, Now, Operation, ReadChildren, Remaining, Sleep, Tell
from adapter.engine.telling import What
from adapter.protocol.chapters import is_long
from adapter.protocol.ids import ordinal_of, parent_of
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record, Wake
from adapter.protocol.times import MILLISECOND, NO_TIME, Instant, Span
from adapter.replay.execution import Execution
from adapter.replay.steps import Request, Suspended

LINGER = 250 * MILLISECOND
"""From a settlement to the caller's next run, by the stream: so long in half of all cases. A look begun before may end
later."""

FIRST = 30 * MILLISECOND
"""Hardly any call settles sooner: by published latencies Lambda's queue takes longer."""

NEXT = 15 * MILLISECOND
"""Looks are that far apart, at least: each is billed."""

SHARE = 8
"""The next look comes after this part of the time that has passed: the caller hears at most so much later."""


class Stale(Exception):
    """The table has more than this run loaded: load again."""


class Waker:
    """Decides for one run how its calls resume it, and lingers."""

    def __init__(self, caller: Caller, learnt: Learnt) -> None:
        self._caller = caller
        self._learnt = learnt

    def wake_of(self, own: Record, request: Request, *, direct: bool) -> Wake | None:
        """How a new call resumes its caller. ``direct``: the caller will wait for it alone."""
        if not direct:
            return Wake.COUNTED
        waking = registry.find(own.fn).wake or self._caller.wake
        if request.kind is not Kind.CALL or waking is Waking.STREAM:
            return Wake.DIRECT
        typical = self._learnt.typical(request.fn)
        is_short = typical is None or typical <= LINGER
        return None if waking is Waking.LINGER and is_short else Wake.PROMPT

    def learn(self, children: Iterable[Record]) -> None:
        """How long calls took that resumed this function."""
        for child in children:
            # A chapter doesn't tell when a call was made.
            if child.wake is Wake.PROMPT and not child.pending and child.created_at:
                self._note(child)

    def listen(self, execution: Execution, step: Suspended, silent: list[Record]) -> Generator[Operation, Any, None]:
        """Hear of calls that resume nobody: in this invocation if it lingers; else each is asked to.

        Another run may have cancelled such a call, since the function was cancelled. Its record may be newer than what
        this run has loaded of the function, and the code must hear of its own cancellation first.
        """
        heard = (yield from self._linger(execution, silent[0])) if (yield from self._may(step, silent)) else None
        if heard is None:
            # A run that dies before this is complete is repeated, and finds the same calls.
            asked: list[Written] = yield Many(tuple(Ask(record.id) for record in silent))
            stand = [written.stands if isinstance(written, Refused) else written for written in asked]
        else:
            self._note(heard)
            stand = [heard]
        for record in stand:
            if record is None or record.by_parent:
                raise Stale
            execution.learn(record)

    def _may(self, step: Suspended, silent: list[Record]) -> Generator[Operation, Any, bool]:
        """Whether to linger: for one call that this request made, while no timer falls due, and if there is time."""
        alone = len(step.waiting) == len(silent) == 1 and step.wake_at is None
        if not alone or silent[0].by != self._caller.request_id:
            return False
        left: Span = yield Remaining()
        return left > LINGER + self._caller.limit // 10

    def _linger(self, execution: Execution, call: Record) -> Generator[Operation, Any, Record | None]:
        """The settled record of a call; None if it takes too long."""
        own, begun = execution.own, (yield Now())
        passed = slept = NO_TIME
        pause: Span = max(FIRST, Span((self._learnt.typical(call.fn) or NO_TIME) * 3 // 4))
        while passed < LINGER:
            pause = min(pause, LINGER - passed)
            yield Sleep(pause)
            found: Sequence[Record] = yield ReadChildren(own.id, own.expires, call.ordinal, call.ordinal)
            if found and not found[0].pending:
                return found[0]
            # By the clock: a look takes time, too, and much of it where the table throttles. And by what was slept: a
            # clock may be set back.
            slept += pause
            passed = max(slept, (yield Now()) - begun)
            pause = max(NEXT, Span(passed // SHARE))
        return None

    def _note(self, settled: Record) -> None:
        self._learnt.settled(settled.fn, settled.settled_at - settled.created_at)


def silent(execution: Execution, step: Suspended) -> list[Record]:
    """The calls among those that a function waits for whose settlement resumes nobody."""
    # A promise of what is detached goes by the id of the root that it starts.
    own = [promise for promise in step.waiting if parent_of(promise) == execution.own.id]
    records = [execution.known.records[ordinal_of(promise)] for promise in own]
    return [record for record in records if record.kind is Kind.CALL and record.wake is None and record.pending]


def prompts(own: Record) -> bool:
    """Whether the run that settles a call resumes its caller, now or once the caller has asked."""
    return own.kind is Kind.CALL and bool(own.reply_to) and own.wake in (None, Wake.PROMPT)


def resume_caller(own: Record) -> Generator[Operation, Any, None]:
    """Resume the caller of a call that has settled."""
    yield from resume_direct(own.id, own.reply_to, own.created_at)


def resume_direct(promise: str, reply_to: str, created_at: Instant) -> Generator[Operation, Any, None]:
    """Resume a function that waits for one promise alone, which was created at that time."""
    parent = parent_of(promise)
    if parent is not None:
        yield Tell(What.WAKING, parent, "", {"by": promise})
        resume = Resume(id=parent, cause=Cause.DIRECT, called_at=created_at, long=is_long(ordinal_of(promise)))
        yield Invoke(reply_to, resume)
