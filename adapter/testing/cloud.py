"""The whole system in one process, in virtual time: what users test against.

Everything happens one at a time, in an order that the seed decides: an invocation runs to its end, then the stream is
read, then the next. Nothing sleeps; `LocalCloud.advance` moves the clock.
"""

from __future__ import annotations

import datetime as dt
import functools
import heapq
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from adapter import handles
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.timers import SqsTimers
from adapter.aws.wiring import NoTimers
from adapter.errors import ConfigurationError, Paused, Stuck
from adapter.functions import Durable
from adapter.host import CodeRunner, EngineHost
from adapter.messages import is_envelope
from adapter.ports import Operation, Ports, Tell, Timers
from adapter.promises import Record, is_id, root_of
from adapter.testing.faults import Dice, Faults, Killed
from adapter.testing.lambdas import RETRY_DELAYS, Function, Invocation
from adapter.testing.stats import Stats
from adapter.testing.streams import Poller
from adapter.testing.template import FunctionSpec, Template, default_template, find_template, load
from adapter.testing.world import World
from adapter.timers import MINUTE, SCHEDULES, next_sweep

P = ParamSpec("P")
R = TypeVar("R")

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MICROSECOND = 1_000_000
MAX_IDLE = 1_000
"""Moments in a row at which only schedules, and what they start, moved."""
DEFAULT_FUNCTION = "durable"
"""The Lambda of durable functions that neither the template nor a target places."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, for whoever watches: at (microseconds), what, in which Lambda, to which promise."""

    at: int
    what: str
    function: str
    promise: str = ""
    fn: str = ""
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LocalPorts(Ports):
    """Ports with a fault before and after each call to the outside."""

    fault: Callable[[Operation, str], None]

    def perform(self, operation: Operation) -> Any:
        self.fault(operation, "before")
        result = super().perform(operation)
        self.fault(operation, "after")
        return result


class InOrder:
    """`adapter.ports.Pool` without threads: the same order at every run."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]


class LocalHost(EngineHost):
    """The engine inside the cloud; whoever waits makes the cloud go on."""

    def __init__(self, cloud: LocalCloud, ports: Ports, memory: Any = None) -> None:
        super().__init__(ports, memory)
        self._cloud = cloud

    def new_id(self) -> str:
        return self._cloud.new_id()

    def get(self, promise: str) -> Record | None:
        return self._cloud.peek(promise)

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        return self._cloud.wait(promise, timeout)


class LocalCloud:
    """The table, its stream, the functions and the clock of an application, in this process.

    Args:
        seed: decides every order and every fault.
        faults: what goes wrong, and how often.
        template: the SAM template; by default the nearest ``template.yaml`` above the working directory, else the
            infrastructure that ships with the package. Functions that it doesn't name run in Lambdas made up for them.
        engine: ``"moto"``; others come with later versions.
        processes: must be False in this version.
    """

    def __init__(
        self,
        seed: int = 0,
        faults: Faults | None = None,
        template: str | Path | None = None,
        engine: str = "moto",
        processes: bool = False,
    ) -> None:
        if engine != "moto" or processes:
            raise ConfigurationError('this version of LocalCloud has engine="moto" and processes=False')
        path = Path(template) if template is not None else find_template(Path.cwd()) or default_template()
        self.template = _loaded(path, _written(path))
        self.stats = Stats()
        self.dice = Dice(seed, faults or Faults())
        self.watchers: list[Callable[[Event], None]] = []
        self._now = _microseconds(BEGINNING)
        self._world = World(self.template, self.stats, self._enqueue, self.clock)
        self._functions = {spec.name: Function(spec) for spec in self.template.functions}
        self._sweepers = [spec.name for spec in self.template.functions if spec.minutely]
        self._ready: deque[Invocation] = deque()
        self._later: list[tuple[int, int, Invocation]] = []
        self._swept = self._now // MINUTE * MINUTE
        self._count = 0
        self._ids = 0
        self._running: list[str] = []
        self._attempt = 1
        self._run_of = ("", "")
        self._moved: set[str] = set()
        self._waiting: dict[str, Tell] = {}
        self._kills: list[_Kill] = []
        self.lost: list[Invocation] = []

    def __enter__(self) -> Self:
        self._world.open()
        self._host = LocalHost(self, self._ports(DEFAULT_FUNCTION))
        handles.enter(self._host)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handles.leave(self._host)
        for function in self._functions.values():
            function.memory.clear()
        self._world.close()

    # What a test does.

    def run(self, fn: Durable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Start a root and drive everything, time included, until it settles.

        Returns:
            its value, or raises its exception.

        Raises:
            Stuck: nothing can move any more; names what each function waits for.
            Paused: it stands still since its code drifted from its history.
        """
        return self._placed(fn).start(*args, **kwargs).result()

    def drive(self) -> None:
        """Until nothing more can happen at this instant."""
        try:
            while self._step():
                pass
        except _WatcherFailed as failed:
            raise failed.error from None

    def advance(self, seconds: float) -> None:
        """Move time forward, driving whatever falls due on the way, in order."""
        target = self._now + round(seconds * MICROSECOND)
        self.drive()
        while (at := self._next_at()) is not None and at <= target:
            self._jump(at)
            self.drive()
        self._now = max(self._now, target)

    def now(self) -> dt.datetime:
        """The virtual time, aware, in UTC."""
        return EPOCH + dt.timedelta(microseconds=self._now)

    def kill(self, fn: Durable[..., Any] | str, operation: type[Any], when: str = "after") -> None:
        """Kill one run of a function, once: its Lambda dies ``"before"`` or ``"after"`` its next such operation.

        The engine's own Lambdas go by the name of their handler, ``"adapter.sweeper.sweep"`` for instance.
        """
        self._kills.append(_Kill(getattr(fn, "name", str(fn)), operation, when))

    # What the hosts and ports of the cloud ask.

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """Drive until the promise settles; None when ``timeout`` seconds of virtual time have passed first."""
        deadline = None if timeout is None else self._now + round(timeout * MICROSECOND)
        idle = 0
        while True:
            self._moved.clear()
            self.drive()
            # Schedules go on for ever, whoever waits for something else.
            idle = 0 if root_of(promise) in self._moved or SCHEDULES not in self._world.due() else idle + 1
            record = self.peek(promise)
            if record is None or not record.pending:
                return record
            at = self._next_at()
            if at is None or idle > MAX_IDLE:
                raise self._stuck(record)
            if deadline is not None and at > deadline:
                self._now = max(self._now, deadline)
                return None
            self._jump(at)

    def peek(self, promise: str) -> Record | None:
        """Read a record without counting it as the application's read."""
        self.stats.metered = False
        try:
            return self._world.store.get(promise) if is_id(promise) else None
        finally:
            self.stats.metered = True

    def new_id(self) -> str:
        self._ids += 1
        return f"run-{self._ids}"

    def clock(self) -> int:
        return self._now

    def tell(self, told: Tell) -> None:
        """`adapter.ports.Watcher`."""
        if told.what == "body":
            self.stats.bodies[told.fn] += 1
        elif told.what == "running" and told.detail["why"] != "started":
            self.stats.resumes[told.fn] += 1
        if told.what == "suspended":
            self._waiting[told.id] = told
        elif told.what in ("settled", "closed"):
            self._waiting.pop(told.id, None)
        self._emit(told.what, told.id, told.fn, told.detail)

    # One thing after the other.

    def _step(self) -> bool:
        if self._ready:
            self._invoke(self._next_ready())
            return True
        polled = [self._poll(poller) for poller in self._world.pollers]
        return any(polled) or self._receive()

    def _receive(self) -> bool:
        """Hand over what falls due in the queues."""
        due = [poller for poller in self._world.queues if (at := poller.next_at()) is not None and at <= self._now]
        for poller in due:
            poller.deliver(self._deliver)
        return bool(due)

    def _next_ready(self) -> Invocation:
        if len(self._ready) > 1 and self.dice.draw("reorder"):
            self._ready.rotate(-self.dice.random.randrange(len(self._ready)))
        return self._ready.popleft()

    def _next_at(self) -> int | None:
        """The next moment at which something happens."""
        moments = [self._later[0][0] if self._later else None, self._next_sweep()]
        moments += [poller.next_at() for poller in self._world.queues]
        return min((at for at in moments if at is not None), default=None)

    def _next_sweep(self) -> int | None:
        """The next one that sends anything. Those that would find nothing are neither run nor counted."""
        if not self._sweepers:
            return None
        times = (at for shard in self._world.due().values() for at in shard)
        return min((next_sweep(at, self._swept) for at in times), default=None)

    def _jump(self, at: int) -> None:
        if self._next_sweep() == at:
            self._swept = at
            time = (EPOCH + dt.timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for name in self._sweepers:
                event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": time, "detail": {}}
                self._ready.append(self._invocation(name, json.dumps(event)))
        self._now = max(self._now, at)
        while self._later and self._later[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._later)[2])

    def _enqueue(self, function: str, payload: str) -> None:
        """Lambda's Invoke: the event is accepted, and run some time."""
        copies = 2 if self.dice.draw("duplicate") else 1
        invocation = self._invocation(function, payload)
        for _ in range(copies):
            if self.dice.draw("delay"):
                self._push(self._now + self.dice.random.randrange(5 * MICROSECOND), invocation)
            else:
                self._ready.append(invocation)

    def _invocation(self, function: str, payload: str) -> Invocation:
        self._count += 1
        return Invocation(function=function, payload=payload, request_id=f"request-{self._count}")

    def _push(self, at: int, invocation: Invocation) -> None:
        self._count += 1
        heapq.heappush(self._later, (at, self._count, invocation))

    def _invoke(self, invocation: Invocation) -> None:
        try:
            self._call(invocation.function, invocation)
        except (Killed, Exception):
            self._retry(invocation)

    def _retry(self, invocation: Invocation) -> None:
        function = self._functions[invocation.function]
        # The sandbox is gone, and what it remembered.
        function.memory.clear()
        if invocation.attempt > function.spec.max_retries:
            self._give_up(invocation, function.spec.on_failure or self._dead_letters())
            return
        delay = RETRY_DELAYS[min(invocation.attempt, len(RETRY_DELAYS)) - 1]
        again = Invocation(
            function=invocation.function,
            payload=invocation.payload,
            request_id=invocation.request_id,
            attempt=invocation.attempt + 1,
        )
        self._push(self._now + delay, again)

    def _give_up(self, invocation: Invocation, queue: str | None) -> None:
        """Lambda's on-failure destination; `lost` keeps what nothing catches."""
        payload = json.loads(invocation.payload)
        if queue is None or not is_envelope(payload):
            self.lost.append(invocation)
        if queue is not None:
            context = {"requestId": invocation.request_id, "condition": "RetriesExhausted"}
            context["functionArn"] = invocation.function
            self._world.send(queue, json.dumps({"requestContext": context, "requestPayload": payload}))

    def _dead_letters(self) -> str | None:
        """Where what fails in a function that no template defines goes: as in those that one does, by the handler."""
        buriers = {spec.name for spec in self.template.functions if spec.handler == "adapter.deadletters.handler"}
        return next((m.queue for m in self.template.queue_mappings if m.function in buriers), None)

    def _poll(self, poller: Poller) -> bool:
        fetched = poller.fetch()
        if fetched and self.dice.draw("duplicate"):
            # Drawn once for what is new: a copy of a copy would never come to an end.
            poller.backlog.extend(poller.backlog[-fetched:])
        return bool(poller.backlog) and poller.deliver(self._deliver)

    def _deliver(self, function: str, event: dict[str, Any], attempt: int) -> Any:
        invocation = self._invocation(function, json.dumps(event))
        invocation.attempt = attempt
        return self._call(function, invocation)

    def _call(self, name: str, invocation: Invocation) -> Any:
        function = self._function(name)
        self.stats.invocations += 1
        self._running.append(name)
        self._attempt = invocation.attempt
        for kill in self._kills:
            kill.armed = kill.fn == function.spec.handler
        host = LocalHost(self, self._ports(name), function.memory)
        handles.enter(host)
        try:
            return function.call(invocation, lambda event, context: host.handle(event, context, None))
        except Killed:
            self._emit("killed", *self._run_of, {"attempt": invocation.attempt})
            raise
        except Exception as error:
            detail = {"error": f"{type(error).__name__}: {error}", "attempt": invocation.attempt}
            self._emit("failed", *self._run_of, detail)
            raise
        finally:
            handles.leave(host)
            self._running.pop()
            self._run_of = ("", "")
            for kill in self._kills:
                kill.armed = False

    def _function(self, name: str) -> Function:
        if name not in self._functions:
            spec = FunctionSpec(
                logical_id=name, name=name, handler="", memory_mb=512, timeout_s=60, environment={}, max_retries=2
            )
            self._functions[name] = Function(spec)
        return self._functions[name]

    # Wiring.

    def _ports(self, function: str) -> Ports:
        return LocalPorts(
            store=self._world.store,
            invoker=LambdaInvoker(self._world.lambda_client),
            timers=self._timers(),
            clock=_Clock(self),
            runner=CodeRunner(),
            watcher=self,
            pool=InOrder(),
            prefix=self._prefix(),
            default_target=function,
            fault=self._fault,
        )

    def _timers(self) -> Timers:
        urls = {spec.environment.get("DURABLE_TIMERS", "") for spec in self.template.functions} - {""}
        return SqsTimers(self._world.sqs, urls.pop(), _Clock(self)) if urls else NoTimers()

    def _prefix(self) -> str:
        prefixes = {spec.environment.get("DURABLE_PREFIX", "") for spec in self.template.functions}
        return max(prefixes, default="")

    def _placed(self, fn: Durable[P, R]) -> Durable[P, R]:
        """A function that is a Lambda's handler in the template runs there."""
        if fn.options.target:
            return fn
        handler = fn.name.replace(":", ".")
        place = next((spec.name for spec in self.template.functions if spec.handler == handler), None)
        return fn if place is None else fn.with_options(target=place.removeprefix(self._prefix()))

    def _fault(self, operation: Operation, when: str) -> None:
        if isinstance(operation, Tell):
            if operation.what == "running":
                self._run_of = (operation.id, operation.fn)
                for kill in self._kills:
                    kill.armed = kill.fn == operation.fn
            return
        if not self._running:
            return
        for kill in self._kills:
            if kill.armed and when == kill.when and isinstance(operation, kill.operation):
                self._kills.remove(kill)
                raise Killed
        if self._attempt <= len(RETRY_DELAYS) and self.dice.draw("crash"):
            raise Killed

    def _emit(self, what: str, promise: str, fn: str, detail: Mapping[str, Any]) -> None:
        event = Event(
            at=self._now,
            what=what,
            function=self._running[-1] if self._running else "",
            promise=promise,
            fn=fn,
            detail=detail,
        )
        self._moved.add(root_of(promise))
        for watcher in self.watchers:
            try:
                watcher(event)
            except Exception as error:
                # The test's own failure: no Lambda's.
                raise _WatcherFailed(error) from error

    def _stuck(self, record: Record) -> Stuck:
        family = {told.id: told for told in self._waiting.values() if root_of(told.id) == root_of(record.id)}
        paused = [
            one for one in (self.peek(promise) for promise in {record.id, *family}) if one is not None and one.paused
        ]
        if paused:
            return Paused("\n".join(one.paused for one in paused))
        lines = [
            f"  {told.fn} ({told.id}) waits for {', '.join(told.detail['waiting']) or 'nothing that could settle'}"
            for told in family.values()
        ]
        lines += [
            f"  an invocation of {lost.function} failed {lost.attempt} times: {lost.payload[:120]}"
            for lost in self.lost
        ]
        return Stuck("\n".join([f"{record.fn} ({record.id}) can't move any more:", *(lines or ["  it never ran"])]))


@functools.lru_cache(maxsize=8)
def _loaded(path: Path, written: tuple[int, ...]) -> Template:
    """Reading YAML takes longer than most runs; ``written`` tells one state of the files from another."""
    return load(path)


def _written(path: Path) -> tuple[int, ...]:
    around = (*path.parent.glob("*.yaml"), *path.parent.glob("infra/*.yaml"))
    return tuple(file.stat().st_mtime_ns for file in sorted({path, *around}))


class _WatcherFailed(BaseException):
    """A watcher raised; carries its exception past everything that a Lambda's failure would meet."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class _Clock:
    cloud: LocalCloud

    def now(self) -> int:
        return self.cloud.clock()


@dataclass
class _Kill:
    fn: str
    operation: type[Any]
    when: str
    armed: bool = False


def _microseconds(time: dt.datetime) -> int:
    return (time - EPOCH) // dt.timedelta(microseconds=1)
