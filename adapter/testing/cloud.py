"""The whole system in one process, in virtual time: what users test against.

Everything happens one at a time, in an order that the seed decides: an invocation runs to its end, then the stream is
read, then the next. Nothing sleeps; `LocalCloud.advance` moves the clock.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from adapter import handles
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.sealed import EVERYTHING, SealedStore
from adapter.aws.sealing import Sealing, cipher_named
from adapter.aws.timers import SqsTimers
from adapter.aws.wiring import NoTimers
from adapter.errors import ConfigurationError, Paused, Stuck
from adapter.functions import Durable
from adapter.host import CodeRunner
from adapter.ports import Clock, Payloads, Ports, Tell, Timers
from adapter.promises import Record, is_id, root_of
from adapter.testing.activities import Activity
from adapter.testing.faults import Dice, Faults, Kill, Killed
from adapter.testing.hosting import InOrder, LocalHost, LocalPayloads, LocalPorts, Run, SkewedClock
from adapter.testing.in_memory import MemoryWorld
from adapter.testing.lambdas import RETRY_DELAYS, Function, Invocation
from adapter.testing.service import Service
from adapter.testing.stats import Stats
from adapter.testing.streams import Lane
from adapter.testing.template import Template, default_template, find_template, load
from adapter.testing.world import World
from adapter.timers import MINUTE, next_sweep

P = ParamSpec("P")
R = TypeVar("R")

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MICROSECOND = 1_000_000
MAX_IDLE = 1_000
"""Moments in a row at which only schedules, and what they start, moved."""
LANES = 4
"""Shards of the stream, where they may be out of step."""
ENGINES: dict[str, type[World | MemoryWorld]] = {"moto": World, "memory": MemoryWorld}
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


class LocalCloud:
    """The table, its stream, the functions and the clock of an application, in this process.

    Args:
        seed: decides every order and every fault.
        faults: what goes wrong, and how often.
        template: the SAM template; by default the nearest ``template.yaml`` above the working directory, else the
            infrastructure that ships with the package. Functions that it doesn't name run in Lambdas made up for them.
        engine: ``"moto"``: the product's own code for DynamoDB and SQS runs, against an emulator in this process.
            ``"memory"``: our own store behind the same port, for thousands of runs.
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
        if engine not in ENGINES or processes:
            raise ConfigurationError(f"this version of LocalCloud has the engines {', '.join(ENGINES)}, in one process")
        path = Path(template) if template is not None else find_template(Path.cwd()) or default_template()
        self.template = _loaded(path, _written(path))
        self.stats = Stats()
        self.dice = Dice(seed, faults or Faults())
        self.watchers: list[Callable[[Event], None]] = []
        self.engine = engine
        self.service = Service(self.template, self.dice, self)
        self._now = _microseconds(BEGINNING)
        lanes = LANES if self.dice.faults.reorder else 1
        self._world = ENGINES[engine](self.template, self.stats, self.service.enqueue, self.clock, lanes)
        self._sweepers = [spec.name for spec in self.template.functions if spec.minutely]
        self._swept = self._now // MINUTE * MINUTE
        self._ids = 0
        self._runs: list[Run] = []
        self._active: list[Activity] = []
        self._paused: list[tuple[int, Activity]] = []
        self._skews: dict[str, int] = {}
        self._moved: set[str] = set()
        self._waiting: dict[str, Tell] = {}
        self._kills: list[Kill] = []

    def __enter__(self) -> Self:
        self._world.open()
        self._cipher = cipher_named(self.template.variable("DURABLE_CIPHER") or os.environ.get("DURABLE_CIPHER", ""))
        self._looking = self._store(self._bucket())
        self._host = LocalHost(self, self._ports(DEFAULT_FUNCTION))
        handles.enter(self._host)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._paused:
            self._paused.pop()[1].drop()
        handles.leave(self._host)
        for function in self.service.functions.values():
            function.memory.clear()
        self._world.close()

    @property
    def lost(self) -> list[Invocation]:
        """What failed for good, and nothing caught."""
        return self.service.lost

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

        The engine's own Lambdas go by the name of their handler, ``"adapter.sweeper.sweep"`` for instance; any Lambda
        by its own name, too, also while it loads, before it is known what it will run.
        """
        self._kills.append(Kill(getattr(fn, "name", str(fn)), operation, when))

    # What the hosts and ports of the cloud ask.

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """Drive until the promise settles; None when ``timeout`` seconds of virtual time have passed first."""
        deadline = None if timeout is None else self._now + round(timeout * MICROSECOND)
        idle = 0
        while True:
            self._moved.clear()
            self.drive()
            # Schedules go on for ever, whoever waits for something else.
            idle = 0 if root_of(promise) in self._moved or not self._world.has_schedules() else idle + 1
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
            return self._looking.get(promise) if is_id(promise) else None
        finally:
            self.stats.metered = True

    def records(self) -> list[Record]:
        """Everything in the table, by id; read without counting."""
        return [self._looking.read(record, EVERYTHING) for record in self._world.records()]

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

    def told(self, what: str, detail: dict[str, Any]) -> None:
        """`adapter.testing.service.Surroundings`."""
        self._emit(what, "", "", detail)

    def send(self, queue: str, body: str) -> None:
        self._world.send(queue, body)

    # One thing after the other, or, where the seed has it so, one within the other.

    def _step(self) -> bool:
        resumable = [entry for entry in self._paused if entry[0] <= self._now]
        if resumable and self.dice.random.random() < 0.5:
            return self._go_on(self.dice.random.choice(resumable))
        starts = [self._invoke_next, self._deliver_changes, self._receive]
        if self.dice.draw("reorder"):
            self.dice.random.shuffle(starts)
        if any(start() for start in starts):
            return True
        return bool(resumable) and self._go_on(self.dice.random.choice(resumable))

    def _go_on(self, entry: tuple[int, Activity]) -> bool:
        self._paused.remove(entry)
        self._resume(entry[1])
        return True

    def _begin(self, code: Callable[[], object]) -> None:
        """Run it to its end; or, where invocations overtake each other, until it is interrupted."""
        if self.dice.faults.reorder:
            self._resume(Activity(code))
        else:
            code()

    def _resume(self, activity: Activity) -> None:
        self._active.append(activity)
        try:
            activity.resume()
        finally:
            self._active.remove(activity)
        if not activity.done:
            self._paused.append((self._now + self.dice.late(), activity))

    def _invoke_next(self) -> bool:
        if not self.service.ready:
            return False
        invocation = self.service.take()
        self._begin(lambda: self.service.invoke(invocation))
        return True

    def _deliver_changes(self) -> bool:
        for poller in self._world.pollers:
            for lane, fresh in poller.fetch():
                lane.not_before = self._now + self.dice.late()
                if self.dice.draw("duplicate"):
                    # Drawn once for what is new: a copy of a copy would never come to an end.
                    lane.backlog.extend(lane.backlog[-fresh:])
        lanes = [lane for lane in self._lanes() if lane.not_before <= self._now]
        if not lanes:
            return False
        chosen = [self.dice.random.choice(lanes)] if self.dice.faults.reorder else lanes
        for lane in chosen:
            limit = self.dice.random.randint(1, len(lane.backlog)) if self.dice.draw("reorder") else None
            self._begin(functools.partial(lane.deliver, self.service.deliver, limit))
        return True

    def _lanes(self) -> list[Lane]:
        """Those that have something to hand over, and a function free to take it."""
        return [lane for poller in self._world.pollers for lane in poller.lanes if lane.backlog and not lane.busy]

    def _receive(self) -> bool:
        """Hand over what falls due in the queues."""
        due = [poller for poller in self._world.queues if (at := poller.next_at()) is not None and at <= self._now]
        for poller in due:
            self._begin(functools.partial(poller.deliver, self.service.deliver))
        return bool(due)

    def _next_at(self) -> int | None:
        """The next moment at which something happens."""
        moments = [self.service.next_at(), self._next_sweep()]
        moments += [poller.next_at() for poller in self._world.queues]
        moments += [lane.not_before for lane in self._lanes()]
        moments += [at for at, _ in self._paused]
        return min((at for at in moments if at is not None), default=None)

    def _next_sweep(self) -> int | None:
        """The next one that sends anything. Those that would find nothing are neither run nor counted."""
        if not self._sweepers:
            return None
        minutes = self._world.due_minutes()
        # What lies ahead is sent in its order; what is overdue, each at a minute of its own.
        overdue = bisect.bisect_right(minutes, self._swept // MINUTE + 1)
        return min((next_sweep(minute * MINUTE, self._swept) for minute in minutes[: overdue + 1]), default=None)

    def _jump(self, at: int) -> None:
        if self._next_sweep() == at:
            self._swept = at
            time = (EPOCH + dt.timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for name in self._sweepers:
                event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": time, "detail": {}}
                self.service.ready.append(self.service.invocation(name, json.dumps(event)))
        self._now = max(self._now, at)
        self.service.pass_time()

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        """`adapter.testing.service.Surroundings`: one attempt, as Lambda makes it."""
        name = function.spec.name
        self.stats.invocations += 1
        host = LocalHost(self, self._ports(name), function.memory)
        run = Run(function, invocation, host, self._active[-1] if self._active else None)
        run.enter(self._runs)
        try:
            return function.call(invocation, lambda event, context: host.handle(event, context, None))
        except Killed:
            self._emit("killed", run.promise, run.fn, {"attempt": invocation.attempt})
            raise
        except Exception as error:
            detail = {"error": f"{type(error).__name__}: {error}", "attempt": invocation.attempt}
            self._emit("failed", run.promise, run.fn, detail)
            raise
        finally:
            run.leave()

    # Wiring.

    def _ports(self, function: str) -> Ports:
        clock = SkewedClock(self.clock, self._skew(function))
        bucket = self._bucket()
        store = self._store(None if bucket is None else LocalPayloads(bucket, self.stats, self._fault))
        return LocalPorts(
            store=store,
            invoker=LambdaInvoker(self._world.lambda_client),
            timers=self._timers(clock),
            clock=clock,
            runner=CodeRunner(),
            watcher=self,
            pool=InOrder(),
            prefix=self._prefix(),
            default_target=function,
            largest=store.sealing.largest,
            fault=self._fault,
        )

    def _bucket(self) -> Payloads | None:
        name = self.template.variable("DURABLE_BUCKET")
        return self._world.bucket(name) if name else None

    def _store(self, payloads: Payloads | None) -> SealedStore:
        return SealedStore(self._world.store, Sealing(payloads, self._cipher), InOrder())

    def _skew(self, function: str) -> int:
        if function not in self._skews:
            self._skews[function] = self.dice.skew()
        return self._skews[function]

    def _timers(self, clock: Clock) -> Timers:
        urls = {spec.environment.get("DURABLE_TIMERS", "") for spec in self.template.functions} - {""}
        return SqsTimers(self._world.sqs, urls.pop(), clock) if urls else NoTimers()

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

    def _fault(self, operation: object, when: str) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None:
            return
        if isinstance(operation, Tell):
            if operation.what == "running":
                run.promise, run.fn = operation.id, operation.fn
            return
        for kill in self._kills:
            if kill.fn in (run.fn, run.function.spec.handler, run.function.spec.name) and kill.meets(operation, when):
                self._kills.remove(kill)
                raise Killed
        if run.invocation.attempt <= len(RETRY_DELAYS) and self.dice.draw("crash"):
            raise Killed
        if run.activity is not None and self.dice.draw("reorder"):
            run.leave()
            run.activity.pause()
            run.enter(self._runs)

    def _emit(self, what: str, promise: str, fn: str, detail: Mapping[str, Any]) -> None:
        event = Event(
            at=self._now,
            what=what,
            function=self._runs[-1].function.spec.name if self._runs else "",
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
            for lost in self.service.lost
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


def _microseconds(time: dt.datetime) -> int:
    return (time - EPOCH) // dt.timedelta(microseconds=1)
