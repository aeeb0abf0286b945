"""Functions in processes: several invocations at the same time, under AWS's runtime interface client.

One lock orders everything in this process, and a thread that runs here holds it. The test's own thread holds it except
while it waits in `Fleet.drive`; a thread that makes an invocation, except while the function runs; the gateway, for
each request. A function takes the lock only if its docstring says that it is called without it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapter.aws.wiring import SystemClock
from adapter.engine.operations import Create
from adapter.errors import BadMessage, ConfigurationError, NonDeterminismError
from adapter.protocol.messages import parse
from adapter.protocol.times import NO_TIME, Instant
from adapter.testing.driver import Driver, Work
from adapter.testing.faults import Kill
from adapter.testing.happenings import Happening
from adapter.testing.ports import Cloud
from adapter.testing.processes import placing, telling
from adapter.testing.processes.deaths import Attempt, Deaths
from adapter.testing.processes.environment import CannotBegin, InvocationFailed
from adapter.testing.processes.environments import Environments
from adapter.testing.processes.offset import ClockOffset
from adapter.testing.simulated_aws.engines import AnyWorld
from adapter.testing.simulated_aws.gateway import Call, Gateway, HangUp
from adapter.testing.simulated_aws.lambdas import Function, Invocation

LIMIT = 8
"""Invocations at the same time. Those that streams and queues make aren't counted."""

LIMIT_PER_FUNCTION = 4

_TICK_SECONDS = 0.05
"""The pause between two looks: meanwhile something may have fallen due, or a function may have reached the point of its
death."""


class Fleet(Driver):
    """Calls handlers in processes. Time is the machine's time plus the jumps."""

    def __init__(self, cloud: Cloud, world: AnyWorld, kills: list[Kill], beginning: Instant) -> None:
        super().__init__(cloud, world, kills)
        self._still = beginning
        self._offset: ClockOffset | None = None
        self._gateway: Gateway | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stack = ExitStack()
        self._busy: Counter[str] = Counter()
        self._invoking = 0
        self._printed: list[str] = []
        self._errors: list[BaseException] = []
        self._modules: set[str] = set()
        self._deaths = Deaths(cloud, kills, lambda: self._environments.running())

    def open(self) -> None:
        directory = Path(self._stack.enter_context(TemporaryDirectory(prefix="local-cloud-")))
        self._start_clock(directory / "offset")
        world = self.world
        clients = {"dynamodb": world.store.client, "sqs": world.sqs, "s3": world.s3}  # type: ignore[union-attr]
        self._gateway = self._stack.enter_context(Gateway(clients, self._accept, self._lock, self._seen))
        sources = sum(len(poller.lanes) for poller in self.world.pollers) + len(self.world.queues)
        self._threads = self._stack.enter_context(ThreadPoolExecutor(LIMIT + sources, thread_name_prefix="fleet"))
        template, table = self.cloud.template, self.world.table
        self._environments = self._stack.enter_context(
            Environments(
                variables=placing.variables(
                    template, table, self._gateway.url, directory / "offset", verify=self.cloud.verify
                ),
                directory=self.cloud.directory,
                limit=LIMIT_PER_FUNCTION,
                printed=self._keep_printed,
            )
        )
        # Closing releases the lock first: calls under way fail then, and their threads need the lock to come to their
        # end.
        self._stack.enter_context(self._lock)

    def close(self) -> None:
        self._stack.close()
        # Closing made calls fail: their errors mean nothing.
        self._errors.clear()

    def check(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        if self._gateway is not None and self._gateway.failures:
            raise self._gateway.failures.pop(0)

    def now(self) -> Instant:
        return self._still if self._offset is None else SystemClock().now() + self._offset.microseconds

    def reach(self, at: Instant) -> None:
        if self._offset is None:
            self._still = max(self._still, at)
        else:
            self._offset.microseconds += max(NO_TIME, at - self.now())

    def kill(self, kill: Kill) -> None:
        self._deaths.plan(kill)

    def kill_midway(self, fn: str, once: Callable[[], bool]) -> None:
        self._deaths.plan_midway(fn, once)

    def forget(self) -> None:
        self._environments.retire()

    def fault(self, operation: object, when: str) -> None:
        """The test's own engine has no faults. But processes have to know the function that it starts."""
        if isinstance(operation, Create) and operation.record.fn and when == "before":
            module = placing.module_of(operation.record.fn)
            if module not in self._modules:
                self._modules.add(module)
                self._renew()

    def drive(self) -> None:
        while True:
            self.check()
            self._begin_what_is_ready()
            if not self._busy.total():
                return
            self._changed.wait(_TICK_SECONDS)
            for pid in self._deaths.midway():
                self._environments.kill(pid)

    # One invocation, from its beginning to its end.

    def _begin_what_is_ready(self) -> None:
        self.service.pass_time()
        held: list[Invocation] = []
        while self.service.ready and self._invoking < LIMIT:
            taken = self.service.take()
            if taken is None:
                break
            if self._busy[taken.function] < LIMIT_PER_FUNCTION:
                self._begin(self.invocation(taken))
            else:
                held.append(taken)
        self.service.ready.extendleft(reversed(held))
        for work in (*self.changes(), *self.messages()):
            if work.source is not None and not work.source.busy:
                self._begin(work)

    def _begin(self, work: Work) -> None:
        self._busy[work.function] += 1
        if work.source is None:
            self._invoking += 1
        else:
            work.source.busy = True
        self._threads.submit(self._make, work)

    def _make(self, work: Work) -> None:
        with self._lock:
            try:
                work.code()
            except BaseException as error:
                # The error of a watcher, or of this package: the test's thread raises it where it waits.
                self._errors.append(error)
            finally:
                self._busy[work.function] -= 1
                if work.source is None:
                    self._invoking -= 1
                else:
                    work.source.busy = False
                self._changed.notify_all()

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        self.cloud.stats.count_invocation(function.spec.memory_mb)
        attempt = Attempt(function, invocation, _promise_of(invocation))
        spec = placing.placed(function.spec, self.cloud.template, self._modules)
        self._deaths.under_way.append(attempt)
        try:
            try:
                with self._unlocked():
                    return self._environments.call(spec, invocation.payload, invocation.request_id)
            finally:
                self._deaths.under_way.remove(attempt)
                self._tell(function.spec.name)
        except CannotBegin as broken:
            # No fault that Lambda's retries would overcome, but a mistake of the test.
            self._errors.append(ConfigurationError(str(broken)))
            raise
        except InvocationFailed as failed:
            self._tell_failure(attempt, failed)
            raise

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()

    # What processes do, and how they die.

    def _accept(self, function: str, payload: str) -> None:
        with self._lock:
            self.service.enqueue(function, payload)
            self._changed.notify_all()

    def _seen(self, call: Call, when: str) -> None:
        with self._lock:
            if when == "after":
                self._changed.notify_all()
            pid = self._deaths.around(call, when)
        if pid is not None:
            self._environments.kill(pid)
            raise HangUp

    def _renew(self) -> None:
        """Replace processes that were started without a module: they can't run its functions.

        When a test starts a function, all of them are idle.
        """
        for name in [name for name, function in self.service.functions.items() if not function.spec.handler]:
            self._environments.kill(name)

    # What is told of it.

    def _keep_printed(self, function: str, request_id: str, text: str) -> None:
        with self._lock:
            self._printed.append(text)

    def _tell(self, function: str) -> None:
        self.running = function
        try:
            while self._printed:
                for told in telling.read(self._printed.pop(0)):
                    if isinstance(told, NonDeterminismError):
                        self._errors.append(told)
                    else:
                        self.cloud.tell(told)
        finally:
            self.running = ""

    def _tell_failure(self, attempt: Attempt, failed: InvocationFailed) -> None:
        record = self.cloud.peek(attempt.promise)
        self.running = attempt.function.spec.name
        try:
            detail: dict[str, Any] = {"attempt": attempt.invocation.attempt}
            if not attempt.killed:
                detail["error"] = str(failed)
            what = Happening.KILLED if attempt.killed else Happening.FAILED
            self.cloud.emit(what, attempt.promise, record.fn if record else "", detail)
        finally:
            self.running = ""

    def _start_clock(self, path: Path) -> None:
        offset = ClockOffset(path, create=True)
        offset.microseconds = self._still - SystemClock().now()
        self._offset = offset
        self._stack.callback(self._stop_clock)

    def _stop_clock(self) -> None:
        assert self._offset is not None
        self._still = self.now()
        self._offset.close()
        self._offset = None


def _promise_of(invocation: Invocation) -> str:
    """The promise that it runs; empty for a batch, or for an event that starts a root."""
    try:
        return parse(json.loads(invocation.payload)).id
    except BadMessage:
        return ""
