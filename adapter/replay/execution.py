"""One run of a durable function: replay, then go on, until it needs something. Pure: records in, a step out.

The shell asks `Execution.advance` for the next step, performs it, tells what came of it by `learn`, and asks again:

- `Flush`: promises to create, inline steps to run, promises to cancel. Performed before anything else happens.
- `Suspended`: nothing can move until something settles or falls due.
- `Done`: the function ended.
- `Left`: the function began real I/O and goes on in an ordinary event loop.

Deliveries (settlements, timers, a cancellation) are handed to the code one at a time, each followed by a turn of the
loop. Their order is the only thing that isn't a function of the code, so it is what the journal records: the first
promise of a flush, its *leader*, carries as ``seen`` all deliveries since the last recorded one. A replay redelivers in
that order, and only then what is new, by (time, kind, ordinal).
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import re
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from adapter.codec.exceptions import encode_exception
from adapter.errors import (
    CodecError,
    InvalidId,
    MixedIO,
    PayloadTooLarge,
    PromiseCancelled,
)
from adapter.protocol.ids import child_id, is_id
from adapter.protocol.promises import BLOCK_FUNCTION, Kind, Record, State, Wake
from adapter.protocol.retries import Retry
from adapter.protocol.times import SECOND
from adapter.replay import waits
from adapter.replay.attempts import attempts
from adapter.replay.delivery import deliver, due_for_delivery
from adapter.replay.drift import drifted
from adapter.replay.loop import DurableFuture, DurableLoop, new_loop
from adapter.replay.parking import park
from adapter.replay.steps import Behind, Done, Flush, Left, Promise, Request, Scope, Step, Suspended, current

R = TypeVar("R")

CANCEL = "c"
"""The token of a cancellation in ``seen``; a child's is its ordinal, a timer's ``t`` and its ordinal."""

_TOKEN = re.compile(r"c|(?P<timer>t?)(?P<ordinal>0|[1-9][0-9]{0,14})", re.ASCII)

_CHILD, _TIMER, _CANCEL = range(3)


class _Open(DurableFuture, Promise[Any]):
    """A promise of a running execution."""

    def __init__(self, execution: Execution, request: Request) -> None:
        super().__init__(loop=execution.loop)
        self.id = child_id(execution.own.id, request.ordinal)
        self._execution = execution
        self.request = request

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        self._execution.cancelled(self.request.ordinal)
        return True


class Execution(Scope):
    """Drives one function over its records. Only this class delivers.

    Args:
        own: the function's promise.
        children: the records of its promises, as loaded.
        body: makes the coroutine of the function, arguments included.
        encode_result: encodes what the function returns; raises CodecError.
        retry: the policy by which a body that made durable calls and raised is run again, within the same journal.
        leave: turns the loop into an ordinary one; without it real I/O is refused.
    """

    def __init__(
        self,
        own: Record,
        children: Iterable[Record],
        body: Callable[[], Coroutine[Any, Any, Any]],
        *,
        encode_result: Callable[[Any], str],
        retry: Retry | None = None,
        leave: Callable[[DurableLoop], None] | None = None,
    ) -> None:
        super().__init__(own.id, own.created_at)
        self.own = own
        self.records: dict[int, Record] = {}
        self.replaying = False
        self.left = False
        self.loop = new_loop(own.id, own.created_at, self._on_io, self._on_error)
        self._body = body
        self._encode_result = encode_result
        self._retry = retry
        self._leave = leave
        self._main: asyncio.Task[Any] | None = None
        self._next_ordinal = 0
        self._last_stored = -1
        self._asked: list[Request] = []
        self._cancels: list[int] = []
        self._expired: list[int] = []
        self._expiries: dict[int, asyncio.TimerHandle] = {}
        self._open: dict[int, _Open] = {}
        self._fresh: list[tuple[int, int]] = []
        self._unrecorded: list[str] = []
        self._consumed = 0
        self._refusals = 0
        self._latest = 0
        self._cancel_delivered = False
        self._cut_short = False
        self._rejected: list[_Open] = []
        self._unread: list[int] = []
        self._errors: list[tuple[str, str]] = []
        self._winding_down = False
        for record in children:
            self.learn(record)
        self._script = deque(self._recorded_deliveries())
        self.replaying = bool(self.records)

    # What the code asks.

    def now(self) -> int:
        return self.loop.now

    def request(self, asked: Request) -> Promise[Any]:
        """The code asks for something durable: it is under way at the latest at the end of this turn."""
        if self.left:
            raise MixedIO(
                f"{self._name()} made a durable call after real I/O; move the I/O into a @durable function of its own,"
                " or into an inline step: run(...)"
            )
        request = replace(asked, ordinal=self._next_ordinal)
        if not is_id(child_id(self.own.id, request.ordinal)):
            raise InvalidId(f"{self._name()} is nested too deep: the id of a further child would be too long")
        self._next_ordinal += 1
        promise = _Open(self, request)
        self._asked.append(request)
        self._open[request.ordinal] = promise
        if request.deadline is not None and not request.root:
            self._expiries[request.ordinal] = self.loop.call_at(
                request.deadline / SECOND, self._expired.append, request.ordinal
            )
        return promise

    def cancelled(self, ordinal: int) -> None:
        """The code cancelled a promise; it hears no more of it."""
        self._close(ordinal)
        self._cancels.append(ordinal)

    @property
    def is_leaf(self) -> bool:
        """The function has done nothing yet that a replay would repeat: no durable call, and no time has passed."""
        return self._next_ordinal == 0 and self.loop.now == self.own.created_at

    def forget(self) -> None:
        """An attempt failed, and another follows in its place: what it left behind is cancelled."""
        for task in [task for task in self.loop.tasks if task is not self._main and not task.done()]:
            task.cancel()
        for promise in list(self._open.values()):
            promise.cancel()

    # What the shell tells.

    def learn(self, record: Record) -> None:
        """A child's record was loaded, written, or found to stand. A settled one never changes again (I1)."""
        ordinal = record.ordinal
        known = self.records.get(ordinal)
        if known is not None and not known.pending:
            return
        self.records[ordinal] = record
        self._last_stored = max(self._last_stored, ordinal)
        if record.pending:
            return
        self._latest = max(self._latest, record.settled_at)
        if record.fn == BLOCK_FUNCTION and record.state is State.RESOLVED:
            self._unread.append(ordinal)
        if record.wake is Wake.COUNTED:
            self._consumed += 1
            self._refusals += record.rejected
        if ordinal in self._open:
            heapq.heappush(self._fresh, (due_for_delivery(record), ordinal))

    def unread(self) -> list[int]:
        """Blocks of a map that have ended, and whose outcomes are still to be read, for `fill`."""
        found, self._unread = self._unread, []
        return found

    def fill(self, ordinal: int, outcomes: str) -> None:
        """Before the next `advance`: the block's outcomes are what its settlement delivers."""
        self.records[ordinal] = replace(self.records[ordinal], value=outcomes)

    def resume(self, own: Record, children: Iterable[Record]) -> bool:
        """Go on from memory with what is new. False where another run wrote more than this one knows: replay."""
        for record in children:
            if record.ordinal >= self._next_ordinal:
                return False
            self.learn(record)
        self.own = own
        return True

    def advance(self, now: int) -> Step:
        """Run until something is to be performed, or nothing can move at ``now`` (microseconds).

        Raises:
            NonDeterminismError: the code asks for something other than what is stored.
            Behind: the records are older than the journal.
        """
        if self._main is None:
            self._start()
        # Clocks differ: this one may be behind the one by which something known has happened.
        now = max(now, self._latest)
        while True:
            self.loop.run_ready()
            if self.left:
                assert self._main is not None
                return Left(task=self._main, loop=self.loop)
            if self._wind_down():
                continue
            if (flush := self._flush(now)) is not None:
                return flush
            if not self._deliver_next(now):
                return self._rest()

    def unheard(self) -> list[tuple[str, str]]:
        """Failures that no code has asked for, once the function has ended: the promise, and the error's class.

        Not its text, which may hold what no log should.
        """
        for promise in self._rejected:
            if promise._log_traceback:
                self._errors.append((promise.id, type(promise.exception()).__name__))
        for task in self.loop.tasks:
            if task is not self._main and task.done() and task._log_traceback:
                self._errors.append((self.own.id, type(task.exception()).__name__))
        found, self._errors, self._rejected = self._errors, [], []
        return found

    def abandon(self) -> None:
        """Drop the suspended code without running any of its ``finally:`` blocks."""
        for promise in self._rejected:
            # Another run goes on, and hears of it or not.
            promise._log_traceback = False
        for task in self.loop.tasks:
            if not task.done():
                park(task)
        self.loop.tasks.clear()
        for promise in self._open.values():
            # Else what is parked would keep its task, and whatever else waits, alive through the promise.
            for callback, _context in list(promise._callbacks or ()):
                promise.remove_done_callback(callback)

    @property
    def fresh(self) -> bool:
        """The function's body hasn't begun in this memory."""
        return self._main is None

    def first_open(self) -> int:
        """The least ordinal under which there may be news."""
        pending = [ordinal for ordinal, record in self.records.items() if record.pending]
        return min(pending, default=self._next_ordinal)

    # A turn.

    def _start(self) -> None:
        context = contextvars.copy_context()
        context.run(current.set, self)
        policy, body = self._retry, self._body
        coroutine = context.run(body) if policy is None else context.run(attempts, self, body, policy)
        self._main = self.loop.create_task(coroutine, name=self.own.fn, context=context)

    def _wind_down(self) -> bool:
        """When the function has ended, its leftover tasks are cancelled, as `asyncio.run` does it."""
        assert self._main is not None
        if not self._main.done() or self._winding_down:
            return False
        self._winding_down = True
        leftover = [task for task in self.loop.tasks if not task.done()]
        for task in leftover:
            task.cancel()
        return bool(leftover)

    def _flush(self, now: int) -> Flush | None:
        asked, self._asked = self._asked, []
        cancels, self._cancels = self._cancels, []
        expired = tuple(self._expired)
        # In place: the timers append to this very list.
        self._expired.clear()
        missing = self._compare(asked) if asked else []
        seen = ",".join(self._unrecorded)
        if asked:
            self._unrecorded.clear()
        for request in asked:
            record = self.records.get(request.ordinal)
            if record is not None and not record.pending and request.ordinal in self._open:
                heapq.heappush(self._fresh, (due_for_delivery(record), request.ordinal))
        wanted = {r.ordinal for r in missing}
        cancels = [c for c in cancels if c in wanted or self._is_pending(c)]
        expired = tuple(e for e in expired if e in self._open and (e in wanted or self._is_pending(e)))
        if not missing and not cancels and not expired:
            return None
        if missing:
            self.replaying = False
        leads = bool(missing) and missing[0] is asked[0] and asked[0].ordinal not in self.records
        return Flush(
            leader=missing[0] if leads else None,
            followers=tuple(missing[1:] if leads else missing),
            seen=seen,
            direct=leads and not cancels and not expired and self._waits_only_for(missing, now),
            cancels=tuple(cancels),
            expired=expired,
        )

    def _is_pending(self, ordinal: int) -> bool:
        known = self.records.get(ordinal)
        return known is not None and known.pending

    def _close(self, ordinal: int) -> None:
        """The code hears of a promise, or doesn't want to any more: its deadline is no affair of this function's."""
        self._open.pop(ordinal, None)
        expiry = self._expiries.pop(ordinal, None)
        if expiry is not None:
            expiry.cancel()

    def _compare(self, asked: list[Request]) -> list[Request]:
        """Hold what the code asks for in this turn against what is stored; what isn't stored yet is returned."""
        leader = self.records.get(asked[0].ordinal)
        if leader is None:
            if self._script or self._last_stored >= asked[0].ordinal:
                self._drift(asked[0], None)
            return asked
        if leader.seen is None or leader.seen != ",".join(self._unrecorded):
            self._drift(asked[0], leader, "it was made at another point of the run")
        for request in asked:
            stored = self.records.get(request.ordinal)
            if stored is not None and stored.digest != request.digest:
                self._drift(request, stored)
            if stored is not None and stored is not leader and stored.seen is not None:
                self._drift(request, stored, "it was made later in the run")
        missing = [request for request in asked if self._is_missing(request)]
        told = set(self._script) if missing else set()
        if lost := [request for request in missing if str(request.ordinal) in told]:
            # Made anew it would run again, though it has ended.
            raise Behind(f"#{lost[0].ordinal} of {self._name()}")
        return missing

    def _is_missing(self, request: Request) -> bool:
        """Not stored yet; or an inline step that was announced, and whose run died before it was recorded."""
        stored = self.records.get(request.ordinal)
        return stored is None or (stored.kind is Kind.INLINE and stored.pending)

    def _waits_only_for(self, missing: list[Request], now: int) -> bool:
        """Whether the function will wait for this one new promise and nothing else."""
        if len(missing) != 1 or missing[0].kind is Kind.INLINE or self._winding_down:
            return False
        if self.loop.next_timer() is not None or self._candidate(now) is not None:
            return False
        only = missing[0].ordinal
        return all(waits.awaited(promise) == (ordinal == only) for ordinal, promise in self._open.items())

    # Deliveries.

    def _recorded_deliveries(self) -> Iterable[str]:
        for ordinal in sorted(self.records):
            seen = self.records[ordinal].seen
            if seen:
                yield from seen.split(",")

    def _deliver_next(self, now: int) -> bool:
        recorded = bool(self._script)
        token = self._script.popleft() if recorded else self._candidate(now)
        if token is None:
            return False
        if not recorded:
            self.replaying = False
        self._unrecorded.append(token)
        known = _TOKEN.fullmatch(token)
        if known is None:
            self._drift(None, None, f"the journal tells of {token[:40]!r}, which is no delivery")
        elif token == CANCEL:
            self._deliver_cancellation()
        elif known["timer"]:
            self._deliver_timer(int(known["ordinal"]))
        else:
            self._deliver_settlement(int(known["ordinal"]))
        return True

    def _candidate(self, now: int) -> str | None:
        """The next new delivery, by (time, kind, ordinal)."""
        found: list[tuple[int, int, int, str]] = []
        while self._fresh and self._fresh[0][1] not in self._open:
            heapq.heappop(self._fresh)
        if self._fresh:
            at, ordinal = self._fresh[0]
            found.append((at, _CHILD, ordinal, str(ordinal)))
        timer = self.loop.next_timer()
        if timer is not None and timer.due <= now:
            found.append((timer.due, _TIMER, timer.ordinal, f"t{timer.ordinal}"))
        if not self.own.pending and not self._cancel_delivered:
            found.append((self.own.settled_at, _CANCEL, 0, CANCEL))
        return min(found)[3] if found else None

    def _deliver_settlement(self, ordinal: int) -> None:
        promise = self._open.get(ordinal)
        record = self.records.get(ordinal)
        if promise is None or record is None:
            self._drift(None, record, f"the journal tells of a settlement of #{ordinal}, which the code doesn't await")
        if record.pending:
            raise Behind(f"#{ordinal} of {self._name()}")
        self._close(ordinal)
        self.loop.now = max(self.loop.now, record.settled_at)
        deliver(promise, record)
        if record.rejected:
            self._rejected.append(promise)

    def _deliver_timer(self, ordinal: int) -> None:
        timer = self.loop.timer(ordinal)
        if timer is None:
            self._drift(None, None, f"the journal tells of timer {ordinal}, which the code didn't set")
        self.loop.fire(timer)

    def _deliver_cancellation(self) -> None:
        assert self._main is not None
        if self.own.pending:
            raise Behind(f"the cancellation of {self._name()}")
        self._cancel_delivered = True
        # Its code has ended and can't cancel what it left behind, as code that is cancelled does.
        self._cut_short = self._main.done()
        self.loop.now = max(self.loop.now, self.own.settled_at)
        self._main.cancel(self.own.state.value)

    # At rest.

    def _rest(self) -> Step:
        if self._last_stored >= self._next_ordinal:
            self._drift(None, self.records[self._last_stored], "the code didn't ask for it")
        assert self._main is not None
        if not self._main.done() or any(not task.done() for task in self.loop.tasks):
            return self._suspended()
        pending = [record for record in self.records.values() if record.pending]
        failed = self._cut_short or self._main.cancelled() or self._main.exception() is not None
        # What failed needs its children no longer, and no code is left to hear from the outside world.
        needless = [record.ordinal for record in pending if failed or record.kind in (Kind.EXTERNAL, Kind.FOLLOW)]
        if needless:
            return Flush(leader=None, followers=(), seen="", direct=False, cancels=tuple(needless))
        return self._suspended_on_children(pending) if pending else self._done()

    def _suspended(self) -> Suspended:
        promises = [promise for promise in self._open.values() if waits.awaited(promise)]
        counted = [p for p in promises if self.records[p.request.ordinal].wake is not Wake.DIRECT]
        timer = self.loop.next_timer()
        need = waits.need_of(counted)
        return Suspended(
            waiting=tuple(promise.id for promise in promises),
            wake_at=None if timer is None else timer.due,
            direct=bool(promises) and not counted and timer is None,
            consumed=self._consumed,
            refusals=self._refusals,
            need=need.count,
            on_reject=need.on_reject,
        )

    def _suspended_on_children(self, pending: list[Record]) -> Suspended:
        """The function has ended; it settles when everything it started has."""
        counted = [record for record in pending if record.wake is not Wake.DIRECT]
        # What is left of its timers are its children's deadlines.
        timer = self.loop.next_timer()
        return Suspended(
            waiting=tuple(record.id for record in pending),
            wake_at=None if timer is None else timer.due,
            direct=not counted and timer is None,
            consumed=self._consumed,
            refusals=self._refusals,
            need=len(counted) or None,
            on_reject=False,
        )

    def _done(self) -> Done:
        assert self._main is not None
        if self._main.cancelled():
            cancelled = PromiseCancelled(f"{self._name()} was cancelled from within")
            return Done(state=State.CANCELED, value=encode_exception(cancelled))
        error = self._main.exception()
        if error is None:
            try:
                return Done(state=State.RESOLVED, value=self._encode_result(self._main.result()))
            except (CodecError, PayloadTooLarge) as unstorable:
                error = unstorable
        return Done(state=State.REJECTED, value=encode_exception(error))

    def _on_io(self, operation: str) -> None:
        if self._next_ordinal or self._leave is None:
            raise MixedIO(
                f"{self._name()} began real I/O ({operation}) after a durable call: it would be repeated at every"
                " resume; move it into a @durable function of its own, or into an inline step: run(...)"
            )
        self.left = True
        self._leave(self.loop)

    def _on_error(self, context: dict[str, Any]) -> None:
        """asyncio's word for a failure that no code retrieved: a task's, for instance."""
        if not self.replaying:
            self._errors.append((self.own.id, type(context.get("exception")).__name__))

    def _name(self) -> str:
        return f"{self.own.fn} ({self.own.id})"

    def _drift(self, asked: Request | None, stored: Record | None, why: str = "") -> NoReturn:
        raise drifted(self._name(), asked, stored, why)
