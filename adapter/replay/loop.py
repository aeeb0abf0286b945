"""The durable event loop: a FIFO of ready callbacks and timers that fire only when told to. Pure.

It has no clock, no selector and no thread: what runs next follows from the deliveries and their order. Time is logical,
in whole microseconds: the creation time of the function's promise, then the time of the last delivery.

Futures and tasks hash by creation ordinal. So the sets inside `asyncio.TaskGroup` and `asyncio.wait` iterate in the
same order at every replay.

At its first real I/O a function leaves this loop. The hook ``on_io`` decides whether it may, and turns the loop into an
ordinary one. The object stays the same, since tasks and futures hold a reference to it.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVarTuple

from adapter.protocol.times import EPOCH, NEVER, SECOND, Instant, span_of

MAX_STEPS = 5_000_000
"""Callbacks in one turn. A turn that takes more is a busy loop, to which nothing could be delivered any more."""

_OrdinalHash = int
_Ts = TypeVarTuple("_Ts")


async def _awaiting(promise: asyncio.Future[Any]) -> Any:
    return await promise


class DurableFuture(asyncio.Future[Any]):
    """A future whose hash is its creation ordinal in its loop."""

    def __init__(self, *, loop: DurableLoop) -> None:
        self._ordinal_hash: _OrdinalHash = loop.next_hash()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._ordinal_hash


class DurableTask(asyncio.Task[Any]):
    """A task whose hash is its creation ordinal in its loop."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: DurableLoop, **options: Any) -> None:
        self._ordinal_hash: _OrdinalHash = loop.next_hash()
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._ordinal_hash


class DurableTimer(asyncio.TimerHandle):
    """A timer, known by its creation ordinal; ``due`` is in logical microseconds."""

    def __init__(
        self, ordinal: int, due: Instant, callback: Callable[..., object], args: Any, loop: DurableLoop, context: Any
    ):
        super().__init__(due / SECOND, callback, args, loop, context)
        self.ordinal = ordinal
        self.due = due

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, asyncio.TimerHandle)
        if isinstance(other, DurableTimer):
            return (self.due, self.ordinal) < (other.due, other.ordinal)
        return bool(self.when() < other.when())


class DurableLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order they became ready, until none is.

    Args:
        name: the promise's id; salts the hashes, so that equal ordinals of different loops differ.
        now: logical microseconds at the start.
        on_io: called with the name of the first real I/O operation; raises, or makes this an ordinary loop.
        on_error: called with asyncio's error context when nobody retrieved a failure.
    """

    def __init__(
        self,
        name: str,
        now: Instant,
        on_io: Callable[[str], None],
        on_error: Callable[[dict[str, Any]], None],
    ) -> None:
        self.now = now
        self.tasks: list[DurableTask] = []
        self._on_io = on_io
        self._on_error = on_error
        self._queue: deque[asyncio.Handle] = deque()
        self._timers: dict[int, DurableTimer] = {}
        self._by_due: list[DurableTimer] = []
        self._timer_count = 0
        self._hash_count = zlib.crc32(name.encode("utf-8", "surrogatepass")) << 28
        self._task_count = 0

    def next_hash(self) -> int:
        self._hash_count += 1
        return self._hash_count

    def run_ready(self) -> None:
        """Run until nothing is ready: one turn."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for _ in range(MAX_STEPS):
                if not self._queue:
                    return
                handle = self._queue.popleft()
                if not handle.cancelled():
                    handle._run()
            raise RuntimeError(f"{MAX_STEPS} callbacks ran and none waited: is there a loop around asyncio.sleep(0)?")
        finally:
            asyncio._set_running_loop(outer)

    def next_timer(self) -> DurableTimer | None:
        """The pending timer that falls due first."""
        while self._by_due and (self._by_due[0].cancelled() or self._by_due[0].ordinal not in self._timers):
            self._timers.pop(heapq.heappop(self._by_due).ordinal, None)
        return self._by_due[0] if self._by_due else None

    def timer(self, ordinal: int) -> DurableTimer | None:
        timer = self._timers.get(ordinal)
        return None if timer is None or timer.cancelled() else timer

    def fire(self, timer: DurableTimer) -> None:
        """Deliver a timer: its callback becomes ready, and logical time is at least its due time."""
        del self._timers[timer.ordinal]
        self.now = max(self.now, timer.due)
        self._queue.append(timer)

    def pending_timers(self) -> list[DurableTimer]:
        return [timer for timer in self._timers.values() if not timer.cancelled()]

    def take_ready(self) -> list[asyncio.Handle]:
        """Take out the callbacks that are ready and haven't run, for the loop that goes on in this one's place."""
        ready = list(self._queue)
        self._queue.clear()
        return ready

    # What asyncio calls.

    def time(self) -> float:
        return self.now / SECOND

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        due = NEVER if math.isinf(when) else EPOCH + span_of(when)
        timer = DurableTimer(self._timer_count, due, callback, args, self, context)
        self._timer_count += 1
        self._timers[timer.ordinal] = timer
        if due <= self.now:
            # It is due already: that needs no delivery, so the journal records none.
            self.fire(timer)
        elif due < NEVER:
            heapq.heappush(self._by_due, timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if isinstance(handle, DurableTimer):
            self._timers.pop(handle.ordinal, None)

    def create_future(self) -> asyncio.Future[Any]:
        return DurableFuture(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        self._task_count += 1
        options.pop("eager_start", None)
        if isinstance(coro, asyncio.Future):
            # A call gives a coroutine without @durable and a promise with it: user code may pass either here.
            coro = _awaiting(coro)
        task = DurableTask(coro, loop=self, name=name or f"Task-{self._task_count}", context=context, **options)
        if len(self.tasks) % 64 == 63:
            self.tasks = [known for known in self.tasks if not known.done()]
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_error(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_error(context)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Ignored: asyncio's debug mode measures real time."""

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def get_exception_handler(self) -> None:
        return None

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do: a suspended function's generators stay suspended."""

    def stop(self) -> None:
        raise RuntimeError("a durable function can't stop its event loop")


REAL_IO = (
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "call_soon_threadsafe",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "getnameinfo",
    "remove_reader",
    "remove_signal_handler",
    "remove_writer",
    "run_in_executor",
    "sendfile",
    "set_default_executor",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendfile",
    "sock_sendto",
    "start_tls",
    "subprocess_exec",
    "subprocess_shell",
)


def _leaving(name: str) -> Any:
    def operation(loop: DurableLoop, *args: Any, **kwargs: Any) -> Any:
        loop._on_io(name)
        return getattr(loop, name)(*args, **kwargs)

    operation.__name__ = name
    return operation


for _name in REAL_IO:
    setattr(DurableLoop, _name, _leaving(_name))


def new_loop(
    name: str, now: Instant, on_io: Callable[[str], None], on_error: Callable[[dict[str, Any]], None]
) -> DurableLoop:
    """A loop in which every operation of real I/O asks ``on_io`` first."""
    concrete: Any = DurableLoop
    loop: DurableLoop = concrete(name, now, on_io, on_error)
    return loop


_as_completed = asyncio.as_completed


def _ordered_as_completed(fs: Any, *, timeout: float | None = None) -> Any:
    """`asyncio.as_completed`, whose tasks start in the order given.

    asyncio's own first makes a set of its arguments. Coroutines hash by address, so a replay would start them in
    another order. Tasks and promises of a durable loop hash alike at every replay.
    """
    if isinstance(asyncio._get_running_loop(), DurableLoop):
        fs = [asyncio.ensure_future(awaitable) for awaitable in fs]
    return _as_completed(fs, timeout=timeout)


asyncio.as_completed = _ordered_as_completed
