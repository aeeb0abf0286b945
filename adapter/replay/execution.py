"""One run of a durable function: replay, then go on, until it needs something. Pure: records in, a step out.

The engine asks `Execution.advance` for the next step, performs it, hands what came of it to `learn`, and asks again:

- `Flush`: promises to create, inline steps to run, promises to cancel. The engine performs it before it asks again.
- `Suspended`: the code can't go on until a promise settles or a timer falls due.
- `Done`: the function ended.
- `Left`: the function began real I/O and goes on in an ordinary event loop.

The execution delivers settlements, timers and a cancellation to the code one at a time; after each, the loop runs one
turn. The order of deliveries is the only thing that doesn't follow from the code, so the journal records it: the first
promise of a flush, its *leader*, carries as ``seen`` all deliveries since the last recorded one. A replay delivers in
the recorded order first, and then what is new, by (time, source, ordinal).
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import operator
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

from adapter.errors import InvalidId, MixedIO
from adapter.protocol import forks
from adapter.protocol.chapters import Range
from adapter.protocol.ids import MAX_ID_CHARACTERS, child_id, root_of
from adapter.protocol.making import changed
from adapter.protocol.records import Kind, Record, digest_of
from adapter.protocol.retries import Retry
from adapter.protocol.times import NEVER, SECOND, Instant
from adapter.replay import outcomes, waits
from adapter.replay.attempts import attempts
from adapter.replay.journal import Delivery, Journal, Source, drifted, named
from adapter.replay.known import Known
from adapter.replay.loop import DurableFuture, DurableLoop, new_loop
from adapter.replay.parking import park
from adapter.replay.steps import Behind, Done, Flush, Left, Promise, Request, Scope, Step, current
from adapter.replay.unawaited import refusing

R = TypeVar("R")


@refusing
class _Open(DurableFuture, Promise[Any]):
    """A promise of a running execution. ``deadline`` is the timer of the function's loop that it times out by."""

    def __init__(self, execution: Execution, request: Request) -> None:
        super().__init__(loop=execution.loop)
        self.id = request.id
        self._execution = execution
        self.request = request
        self.deadline: asyncio.TimerHandle | None = None

    @property
    def fn(self) -> str:
        """What was called."""
        return self.request.fn

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        self._execution.cancelled(self.request.ordinal)
        return True


class Execution(Scope):
    """Drives one function over its records. Only this class delivers.

    Args:
        own: the function's promise.
        children: the records of the promises that it made, as loaded.
        body: calls the function with its arguments, and returns its coroutine.
        encode_result: encodes what the function returns; raises CodecError.
        retry: the policy for a body that raises after durable calls: it is run again within the same journal.
        leave: turns the loop into an ordinary one. Without it the execution refuses real I/O.
        since: the deliveries since the last leader, where the caller knows them. The execution follows them, too.
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
        since: str = "",
    ) -> None:
        super().__init__(own.id, own.created_at, own.fork)
        self.own = own
        self.known = Known(children)
        self.left = False
        self.replaying = bool(self.known.records)
        self.loop = new_loop(own.id, own.created_at, self._on_io, self._on_error)
        self._body = body
        self._encode_result = encode_result
        self._retry = retry
        self._leave = leave
        self._journal = Journal(self.known.records.values(), since, self._asked_before)
        self._main: asyncio.Task[Any] | None = None
        self._next_ordinal = 0
        self._asked: list[Request] = []
        self._cancels: list[int] = []
        self._open: dict[int, _Open] = {}
        # The ordinals whose deadline has passed since the last flush.
        self._passed: list[int] = []
        self._fresh: list[tuple[Instant, int]] = []
        self._cancel_delivered = False
        self._cut_short = False
        self._rejected: list[_Open] = []
        self._errors: list[tuple[str, str]] = []
        self._winding_down = False

    # What the code calls.

    def clock(self) -> Instant:
        return self.loop.now

    def request(self, asked: Request) -> Promise[Any]:
        """The code makes a durable call. The call is under way by the end of this turn."""
        if self.left:
            raise MixedIO(
                f"{self._name()} made a durable call after real I/O; move the I/O into a @durable function of its own,"
                " or into an inline step: run(...)"
            )
        promise = child_id(self.own.id, self._next_ordinal)
        if len(promise) > MAX_ID_CHARACTERS or not (promise.isascii() or len(promise.encode()) <= MAX_ID_CHARACTERS):
            raise InvalidId(f"{self._name()} is nested too deep: the id of a further child would be too long")
        request = changed(asked, id=promise, ordinal=self._next_ordinal)
        if (era := self._fork.at(self.loop.now)) is not None:
            request = changed(request, draws_as=era.root)
        self._next_ordinal += 1
        opened = self._open[request.ordinal] = _Open(self, request)
        self._asked.append(request)
        if request.deadline is not None and not request.root:
            opened.deadline = self.loop.call_at(request.deadline / SECOND, self._passed.append, request.ordinal)
        return opened

    def cancelled(self, ordinal: int) -> None:
        """The code cancelled a promise, and hears no more of it."""
        self._close(ordinal)
        self._cancels.append(ordinal)

    @property
    def is_leaf(self) -> bool:
        """Whether a replay would repeat nothing: the function has made no durable call, and no time has passed."""
        return self._next_ordinal == 0 and self.loop.now == self.own.created_at

    def forget(self) -> None:
        """Cancel what a failed attempt left behind, since another attempt follows in its place."""
        for task in [task for task in self.loop.tasks if task is not self._main and not task.done()]:
            task.cancel()
        for promise in list(self._open.values()):
            promise.cancel()

    # What the engine calls.

    def learn(self, record: Record) -> None:
        """Take a child's record that the engine loaded, wrote, or found to stand. A settled one never changes (I1)."""
        if self.known.learn(record) and (ordinal := record.ordinal) in self._open:
            heapq.heappush(self._fresh, (due_for_delivery(record), ordinal))

    def resume(self, own: Record, children: Iterable[Record]) -> bool:
        """Go on from memory with the new records. False if another run wrote more than this one knows: then replay."""
        for record in children:
            if record.ordinal >= self._next_ordinal:
                return False
            self.learn(record)
        self.own = own
        return True

    def advance(self, now: Instant) -> Step:
        """Run the code until it needs something performed, or can't go on at ``now`` (microseconds).

        Raises:
            NonDeterminismError: the code asks for something other than what is stored.
            Behind: the records are older than the journal.
        """
        main = self._main = self._main or self._start()
        # Clocks differ: this Lambda's may be behind the clock that dated a known settlement.
        now = max(now, self.known.latest)
        while True:
            self.loop.run_ready()
            if self.left:
                return Left(task=main, loop=self.loop)
            if main.done() and not self._winding_down and self._wind_down():
                continue
            if (self._asked or self._cancels or self._passed) and (flush := self._flush(now)) is not None:
                return flush
            if not self._deliver_next(now):
                return self._rest()

    def unheard(self) -> list[tuple[str, str]]:
        """The failures that no code has heard of when the function has ended: the promise, and the error's class.

        Not the error's text: payloads may be in it, and they don't belong in a log.
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
            # Another run goes on, and will hear of it or not: no failure is lost here.
            promise._log_traceback = False
        # A loop with real I/O that a crash cut short has sockets, which nobody closes any more.
        park(self.loop.tasks, [self.loop, *self._open.values()], keep=self.left)
        self.loop.tasks.clear()
        for promise in self._open.values():
            # Otherwise a parked coroutine would keep all that awaits this promise alive.
            for callback, _context in list(promise._callbacks or ()):
                promise.remove_done_callback(callback)
        # The rest of the execution goes with the last reference to it, rather than at a collection.
        self._open.clear()
        self._main = None

    def _asked_before(self, request: Request, stored: Record) -> bool:
        """Whether a call is the one that is stored, but that it names promises of the execution of a former era."""
        digests = (
            _digest(request, forks.retold(request.args, root_of(self.own.id), era.root)) for era in self._fork.eras
        )
        return stored.digest in digests

    @property
    def behind_its_history(self) -> bool:
        """Whether more is stored than the code has asked for, or heard of, by now."""
        return bool(self._journal.recorded) or self.known.last >= self._next_ordinal

    @property
    def fresh(self) -> bool:
        """Whether the function's body hasn't begun in this memory."""
        return self._main is None

    @property
    def unrecorded(self) -> str:
        """The deliveries that no leader carries yet."""
        return self._journal.seen

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes. Nobody knows what else its code has in its variables."""
        return 10_000 + 3_000 * len(self._open) + self.known.weight

    def news(self) -> list[Range]:
        """The ranges of ordinals that may have news."""
        return self.known.news(self._next_ordinal)

    # A turn.

    def _start(self) -> asyncio.Task[Any]:
        context = contextvars.copy_context()
        context.run(current.set, self)
        policy, body = self._retry, self._body
        coroutine = context.run(body) if policy is None else context.run(attempts, self, body, policy)
        return self.loop.create_task(coroutine, name=self.own.fn, context=context)

    def _wind_down(self) -> bool:
        """Cancel the tasks that the function left when it ended, as `asyncio.run` does. Whether there were any."""
        self._winding_down = True
        leftover = [task for task in self.loop.tasks if not task.done()]
        for task in leftover:
            task.cancel()
        return bool(leftover)

    def _flush(self, now: Instant) -> Flush | None:
        asked, self._asked = self._asked, []
        cancels, self._cancels = self._cancels, []
        passed = self._passed[:]
        # In place: the timers append to this very list.
        self._passed.clear()
        missing, seen = self._compared(asked) if asked else ([], "")
        wanted = {request.ordinal for request in missing}
        cancels = [each for each in cancels if each in wanted or self.known.is_pending(each)]
        expired = [each for each in passed if each in self._open and (each in wanted or self.known.is_pending(each))]
        if not missing and not cancels and not expired:
            return None
        leads = bool(missing) and missing[0] is asked[0] and self.known.records.get(asked[0].ordinal) is None
        return Flush(
            leader=missing[0] if leads else None,
            requests=tuple(missing),
            seen=seen,
            direct=leads and not cancels and not expired and self._waits_only_for(missing, now),
            cancels=tuple(cancels),
            expired=tuple(expired),
        )

    def _compared(self, asked: list[Request]) -> tuple[list[Request], str]:
        """The requests of a turn that aren't stored yet, and the deliveries that its leader carries."""
        missing, seen = self._journal.compare(asked, self.known, self.own)
        for request in asked:
            record = self.known.records.get(request.ordinal)
            if record is not None and not record.pending and request.ordinal in self._open:
                heapq.heappush(self._fresh, (due_for_delivery(record), request.ordinal))
        if missing:
            self.replaying = False
        return missing, seen

    def _close(self, ordinal: int) -> None:
        """Stop watching a promise and its deadline: the code has heard of it, or doesn't want to any more."""
        promise = self._open.pop(ordinal, None)
        if promise is not None and promise.deadline is not None:
            promise.deadline.cancel()

    def _waits_only_for(self, missing: list[Request], now: Instant) -> bool:
        """Whether the function will wait for this one new promise and nothing else."""
        if len(missing) != 1 or missing[0].kind is Kind.INLINE or self._winding_down:
            return False
        if self.loop.next_timer() is not None or self._candidate(now) is not None:
            return False
        only = missing[0].ordinal
        return all(waits.awaited(promise) == (ordinal == only) for ordinal, promise in self._open.items())

    # Deliveries.

    def _deliver_next(self, now: Instant) -> bool:
        if self._journal.recorded:
            token = self._journal.follow()
            delivery = Delivery.read(token)
            if delivery is None:
                self._drift(None, f"the journal tells of {token[:40]!r}, which is no delivery")
        else:
            delivery = self._candidate(now)
            if delivery is None:
                return False
            self.replaying = False
            self._journal.note(delivery)
        match delivery.source:
            case Source.CHILD:
                self._deliver_settlement(delivery.ordinal)
            case Source.TIMER:
                self._deliver_timer(delivery.ordinal)
            case Source.CANCELLATION:
                self._deliver_cancellation()
        return True

    def _candidate(self, now: Instant) -> Delivery | None:
        """The next new delivery, by (time, source, ordinal)."""
        found: list[tuple[Instant, Delivery]] = []
        while self._fresh and self._fresh[0][1] not in self._open:
            heapq.heappop(self._fresh)
        if self._fresh:
            at, ordinal = self._fresh[0]
            found.append((at, Delivery(Source.CHILD, ordinal)))
        timer = self.loop.next_timer()
        if timer is not None and timer.due <= now:
            found.append((timer.due, Delivery(Source.TIMER, timer.ordinal)))
        if not self.own.pending and not self._cancel_delivered:
            found.append((self.own.settled_at, Delivery(Source.CANCELLATION)))
        # `min` takes the first of those that are due at the same time, and they were added in the order of their
        # sources.
        return min(found, key=operator.itemgetter(0))[1] if found else None

    def _deliver_settlement(self, ordinal: int) -> None:
        promise = self._open.get(ordinal)
        record = self.known.records.get(ordinal)
        if promise is None or record is None:
            self._drift(record, f"the journal tells of a settlement of #{ordinal}, which the code doesn't await")
        if record.pending:
            raise Behind(f"#{ordinal} of {self._name()}")
        self._close(ordinal)
        self.loop.now = max(self.loop.now, record.settled_at)
        outcomes.deliver(promise, promise.request, record)
        if record.rejected:
            self._rejected.append(promise)

    def _deliver_timer(self, ordinal: int) -> None:
        timer = self.loop.timer(ordinal)
        if timer is None:
            self._drift(None, f"the journal tells of timer {ordinal}, which the code didn't set")
        self.loop.fire(timer)

    def _deliver_cancellation(self) -> None:
        assert self._main is not None
        if self.own.pending:
            raise Behind(f"the cancellation of {self._name()}")
        self._cancel_delivered = True
        # The code has ended, so it can't react to the cancellation: cancel in its place what it left behind.
        self._cut_short = self._main.done()
        self.loop.now = max(self.loop.now, self.own.settled_at)
        self._main.cancel(self.own.state.value)

    # At rest.

    def _rest(self) -> Step:
        if self.known.last >= self._next_ordinal:
            self._drift(self.known.records[self.known.last], "the code didn't ask for it")
        assert self._main is not None
        timer = self.loop.next_timer()
        wake_at = None if timer is None else timer.due
        if not self._main.done() or any(not task.done() for task in self.loop.tasks):
            return waits.of_code(self._open, self.known, wake_at)
        pending = self.known.pending()
        failed = self._cut_short or self._main.cancelled() or self._main.exception() is not None
        # A function that failed doesn't need its children, and no code is left to hear from the outside world.
        needless = [record.ordinal for record in pending if failed or record.kind in (Kind.EXTERNAL, Kind.FOLLOW)]
        if needless:
            return Flush(leader=None, requests=(), seen="", direct=False, cancels=tuple(needless))
        if pending:
            return waits.of_ended(pending, self.known, wake_at)
        return Done(outcome=outcomes.of_task(self._main, self._encode_result, self._name()))

    def _on_io(self, operation: str) -> None:
        if self._next_ordinal or self._leave is None:
            raise MixedIO(
                f"{self._name()} began real I/O ({operation}) after a durable call: it would be repeated at every"
                " resume; move it into a @durable function of its own, or into an inline step: run(...)"
            )
        self.left = True
        self._leave(self.loop)

    def _on_error(self, context: dict[str, Any]) -> None:
        """asyncio reports a failure that no code retrieved, for instance a task's."""
        if not self.replaying:
            self._errors.append((self.own.id, type(context.get("exception")).__name__))

    def _name(self) -> str:
        return named(self.own)

    def _drift(self, stored: Record | None, why: str) -> NoReturn:
        raise drifted(self.own, None, stored, why, self._does())

    def _does(self) -> str:
        """What the code does now, for a person who compares it with what is stored."""
        if self._main is None or self._main.done():
            return "it has ended"
        waits_for = [f"#{ordinal} {each.fn}" for ordinal, each in self._open.items() if waits.awaited(each)]
        waits_for += ["a timer (a sleep or a timeout)"] if self.loop.next_timer() is not None else []
        return f"it waits for {', '.join(waits_for[:4])}" if waits_for else "nothing"


def _digest(request: Request, args: str) -> str:
    return digest_of(request.kind, request.fn, f"{request.root}\0{args}" if request.root else args)


def due_for_delivery(record: Record) -> Instant:
    """When a settlement is due for delivery.

    A promise that this function cancelled itself comes last. The cancellation follows from a delivery that may not be
    in the journal yet, so a replay has to make that delivery first, and then cancels again.
    """
    return NEVER if record.by_parent else record.settled_at
