"""The whole system on one machine, in virtual time: what users test against.

Nothing sleeps: when nothing runs, time jumps to where something falls due next. `adapter.testing.driver` runs the
functions: one at a time in this process, in an order that the seed decides, or in processes of their own.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from adapter.api.durable import Durable
from adapter.engine import hosts
from adapter.engine.operations import Tell
from adapter.engine.telling import Level, What
from adapter.errors import ConfigurationError, Stuck
from adapter.protocol.addresses import split, with_qualifier
from adapter.protocol.ids import is_id
from adapter.protocol.records import SEALED, Record
from adapter.protocol.times import NO_TIME, SECOND, Instant, datetime_of, instant_of, span_of
from adapter.templates.template import default_template, find_template, load_cached
from adapter.testing.driver import DEFAULT_FUNCTION, Driver
from adapter.testing.events import Event, WatcherFailed
from adapter.testing.faults import Dice, Faults, Kill
from adapter.testing.happenings import Happening
from adapter.testing.hosting import LocalHost
from adapter.testing.in_process.inside import Inside
from adapter.testing.interventions import Interventions
from adapter.testing.latencies import Delays, Latencies, latencies_of
from adapter.testing.processes.fleet import Fleet
from adapter.testing.recording import Recording
from adapter.testing.simulated_aws.engines import engine_named
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.simulated_aws.rules import Minutely
from adapter.testing.simulated_aws.service import Service
from adapter.testing.standstill import Movement, stuck
from adapter.testing.stats import Stats
from adapter.testing.steering import Steering
from adapter.testing.targets import check_target, is_application
from adapter.testing.timelines import Timelines
from adapter.testing.verifying import Verifier

P = ParamSpec("P")
R = TypeVar("R")

BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LANES = 4
"""Shards of the stream, if a fault may put them out of step."""


class LocalCloud(Interventions, Steering, Timelines):
    """The table, its stream, the functions and the clock of an application, in this process.

    Args:
        seed: decides every order and every fault.
        faults: what goes wrong, and how often.
        template: the SAM template; by default the nearest ``template.yaml`` above the working directory, else the
            infrastructure that ships with the package. Functions that it doesn't name run in Lambdas made up for them.
        engine: ``"moto"``: the library's own code for DynamoDB and SQS runs against an emulator in this process.
            ``"memory"``: a store in memory behind the same port, for thousands of runs. A URL: the table is on the
            DynamoDB that runs there (ministack, DynamoDB Local), and the rest is in memory.
        processes: each function in operating-system processes of its own, under AWS's runtime interface client, several
            at the same time. They need ``lambda-await[processes]`` and ``engine="moto"``. Functions can only be those
            of modules that can be imported; a function sees the template's environment variables, not this process's.
            Time runs on while anything runs, and jumps when nothing does; what happens at the same time is in no order
            that the seed decides.
        verify: replay each execution once when it ends, and fail with a `NonDeterminismError` if its code goes another
            way. Your function's async code runs once more then; no durable step does, and no count changes.
        concurrency: the account's limit: so many attempts are under way at once, each for 30 ms at least, and longer
            where its code calls `elapse`. Events beyond it wait in Lambda's queue, and Lambda takes the functions that
            wait in turn. Batches of stream and queues come again later. A function for which the template reserves
            concurrency has that to itself. None: there is no limit, and nothing takes time.
        alias: the alias by which Lambdas are invoked whose version nobody names: the stack's ``Alias``. The cloud opens
            with version 1 of each Lambda; `publish` makes others. None: as the template says. With processes there is
            only the newest code, whatever the alias.
        latencies: True: calls of AWS, messages and starts take virtual time, drawn from the seed; the numbers are
            published ones (`adapter.testing.latencies`). Invocations overlap, and a function has as many environments
            as run at once. `Latencies` are numbers of your own. None: nothing takes time.
    """

    def __init__(
        self,
        seed: int = 0,
        faults: Faults | None = None,
        template: str | Path | None = None,
        engine: str = "moto",
        processes: bool = False,
        verify: bool = True,
        concurrency: int | None = None,
        latencies: bool | Latencies | None = None,
        alias: str | None = None,
    ) -> None:
        make_world = engine_named(engine)
        if processes and engine != "moto":
            raise ConfigurationError(f"functions in processes reach AWS over HTTP: engine='moto', not {engine!r}")
        if processes and concurrency is not None:
            raise ConfigurationError("a limit of concurrency is for functions in this process, not for processes=True")
        latencies = latencies_of(latencies, processes)
        found = Path(template) if template is not None else find_template(Path.cwd())
        path = found or default_template()
        self.template = load_cached(path)
        self._application = found is not None and is_application(self.template)
        self.directory = path.resolve().parent if found else Path.cwd()
        self.alias = self.template.variable("DURABLE_ALIAS") if alias is None else alias
        self.stats = Stats()
        self.dice = Dice(seed, faults or Faults())
        self.watchers: list[Callable[[Event], None]] = []
        self.engine = engine
        self.delays = None if latencies is None else Delays(latencies, seed)
        self.service = Service(self.template, self.dice, self, concurrency, self.delays)
        self.service.versions.alias = self.alias
        if not processes:
            self.service.versions.first = self._published_first
        self._kills: list[Kill] = []
        lanes = latencies.shards if latencies else LANES if self.dice.faults.reorder else 1
        self._world = make_world(
            self.template, self.stats, self.service.enqueue, self.clock, lanes, lambda: self.dice.draw("stale")
        )
        kind = Fleet if processes else Inside
        self._driver: Driver = kind(self, self._world, self._kills, instant_of(BEGINNING))
        self._minutely = Minutely(self.template, self._due_minutes, self.clock())
        self.verify = verify
        self._verifier = Verifier(self.peek, lambda: self._host.ports)
        self._ids = 0
        self._progress = Movement()
        self._recording = Recording()

    def __enter__(self) -> Self:
        self._world.open()
        try:
            self._driver.open()
            self._looking = self._driver.store(self._driver.bucket())
            self._host = LocalHost(self, self._driver.ports())
            hosts.enter(self._host)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hosts.leave(self._host)
        self._close()
        if error is None:
            self._driver.check()
            self._check()

    def _close(self) -> None:
        try:
            self._driver.close()
        finally:
            self._world.close()

    @property
    def lost(self) -> list[Invocation]:
        """Invocations that failed for good, and that no queue caught."""
        return self.service.lost

    # What a test calls.

    def run(self, fn: Durable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Start a root, and drive everything, time included, until it settles.

        Returns:
            its value, or raises its exception.

        Raises:
            Stuck: nothing can move any more. The message names what each function waits for.
            Paused: it stands still since its code drifted from its history.
            NonDeterminismError: it ended, but its code doesn't replay.
        """
        return self._placed(fn).start(*args, **kwargs).result()

    def invoke(self, fn: Durable[..., Any], event: object) -> None:
        """Accept an asynchronous event for a function's Lambda, as EventBridge, SNS and S3 send it; `drive` runs it.

        Lambda repeats what fails, and puts it aside in the end. Where no template places the function, a Lambda is made
        up whose handler it is; not with processes, though.
        """
        self.service.enqueue(with_qualifier(self._entry(fn), self.alias), json.dumps(event))

    def send(self, queue: str, body: str) -> None:
        """Put a message into a queue of the template, by its name; `drive` hands it to the function that is mapped."""
        self._world.send(queue, body)

    def drive(self) -> None:
        """Drive until nothing more can happen at this time."""
        try:
            self._driver.drive()
        except WatcherFailed as failed:
            raise failed.error from None
        self._check()

    def advance(self, seconds: float) -> None:
        """Move time forward, and drive what falls due on the way, in order."""
        target = self.clock() + span_of(seconds)
        self.drive()
        while (at := self._next_at(expiring=True)) is not None and at <= target:
            self._jump(at)
            self.drive()
        self._reach(target)

    def elapse(self, seconds: float) -> None:
        """Call this inside a function's code: the code then takes so long. Lambda ends it if it exceeds its timeout.

        Nothing else happens meanwhile, and what fell due is driven afterwards. With ``concurrency`` or ``latencies``,
        others run meanwhile.
        """
        if not self._verifier.replaying:
            self._driver.elapse(span_of(seconds))

    def now(self) -> dt.datetime:
        """The virtual time, aware, in UTC."""
        return datetime_of(self.clock())

    def records(self) -> list[Record]:
        """All records of the table, by id. These reads aren't counted."""
        return [self._opened(record, SEALED) for record in self._stored()]

    def _stored(self) -> list[Record]:
        return list(self._world.records())

    def _opened(self, record: Record, parts: tuple[str, ...]) -> Record:
        return self._looking.sealing.opened(record, parts)

    # What the cloud's hosts and drivers call: `adapter.testing.ports`.

    def created(self, record: Record) -> None:
        """A promise is about to be created: raise a mistake that only a person could find on AWS."""
        if not self._application:
            return
        try:
            check_target(record, self.template, {*self.service.functions, DEFAULT_FUNCTION})
        except ConfigurationError as mistake:
            # It ends the test, and not only the Lambda that makes the call.
            raise WatcherFailed(mistake) if self._driver.running else mistake  # noqa: B904

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """Drive until the promise settles; None when ``timeout`` seconds of virtual time have passed first."""
        if timeout is not None and timeout <= 0:
            # On AWS this is one read, which nothing hurries up.
            record = self.peek(promise)
            return None if record is not None and record.pending else record
        deadline = None if timeout is None else self.clock() + span_of(timeout)
        self._progress.begin()
        passed = NO_TIME
        while True:
            self._progress.begin_jump()
            self.drive()
            self._progress.end_jump(promise, passed)
            record = self.peek(promise)
            if record is None or not record.pending:
                return record
            at = self._next_at()
            if at is None or self._progress.is_over(self.records, self.clock()):
                raise self._stuck(record)
            if deadline is not None and at > deadline:
                self._reach(deadline)
                if record.paused:
                    # As on AWS, it won't go on by itself, however long the caller waits.
                    raise self._stuck(record)
                return None
            passed = at - self.clock()
            self._jump(at)

    def peek(self, promise: str, *, opened: bool = True) -> Record | None:
        """Read a record without counting it as the application's read."""
        self.stats.metered = False
        try:
            read = self._looking.read_promise if opened else self._looking.peek_promise
            return read(promise) if is_id(promise) else None
        finally:
            self.stats.metered = True

    def new_id(self) -> str:
        self._ids += 1
        return f"run-{self._ids}"

    def clock(self) -> Instant:
        return self._driver.now()

    def tell(self, told: Tell) -> None:
        """`adapter.engine.ports.Watcher`."""
        if told.what is What.BODY:
            self.stats.bodies[told.fn] += 1
        elif told.what is What.RUNNING and told.detail["why"] != "started":
            self.stats.resumes[told.fn] += 1
        if told.what.level is not Level.DEBUG:
            self.stats.count_line(told.id, told.fn)
        self._progress.tell(told)
        if self.verify:
            self._verifier.tell(told)
        self.emit(told.what, told.id, told.fn, told.detail)

    def emit(self, what: What | Happening, promise: str, fn: str, detail: Mapping[str, Any]) -> None:
        function = self._driver.running
        self._progress.observe(what, function, promise, detail)
        self._recording.note(self.clock(), what, promise, detail)
        if not self.watchers:
            return
        event = Event(at=self.clock(), what=what, function=function, promise=promise, fn=fn, detail=detail)
        for watcher in self.watchers:
            try:
                watcher(event)
            except Exception as error:
                # The test's own code failed, and no Lambda.
                raise WatcherFailed(error) from error

    # What Lambda's service calls: `adapter.testing.simulated_aws.service.Surroundings`.

    def happened(self, what: Happening, detail: dict[str, Any]) -> None:
        self.emit(what, "", "", detail)

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        return self._driver.attempt(function, invocation)

    def _check(self) -> None:
        """Warn of what doesn't go well, and raise the first execution's drift that nobody was told."""
        drifts, hints = self._verifier.drifts(), self._verifier.hints()
        if drifts:
            for hint in hints:
                drifts[0].add_note(str(hint))
            raise drifts[0]
        for hint in hints:
            hint.warn()

    # Time.

    def _next_at(self, *, expiring: bool = False) -> Instant | None:
        """When something happens next. Nobody waits for what DynamoDB removes by itself, ``expiring``."""
        moments = [self._driver.next_at(), self._minutely.next_at()]
        if expiring:
            moments.append(self._world.time_to_live.next_at())
        return min((at for at in moments if at is not None), default=None)

    def _reach(self, at: Instant) -> None:
        self._driver.past.remember()
        self._driver.reach(at)

    def _due_minutes(self) -> Sequence[int]:
        return self._driver.past.minutes(self._world.due_minutes())

    def _jump(self, at: Instant) -> None:
        fires, passes = self._minutely.next_at() == at, at - self.clock()
        self._reach(at)
        self._world.expire(self.clock())
        if passes >= SECOND:
            self.emit(Happening.LATER, "", "", {"seconds": passes // SECOND})
        if fires:
            for name, event in self._minutely.fire(at):
                self.service.ready.append(self.service.invocation(name, event))
        self.service.pass_time()

    def _placed(self, fn: Durable[P, R]) -> Durable[P, R]:
        """A function that is a Lambda's handler in the template runs there."""
        place = None if fn.options.target else self._place(fn)
        return fn if place is None else fn.with_options(target=place.removeprefix(self.template.prefix))

    def _lambda_of(self, fn: Durable[..., Any] | str) -> str:
        if isinstance(fn, Durable):
            return split(self._host.qualify(self._placed(fn).options.target))[0]
        known = {*self.service.functions, DEFAULT_FUNCTION}
        for name in (fn, f"{self.template.prefix}{fn}"):
            if name in known:
                return name
        raise ConfigurationError(f"there is no Lambda {fn!r}; there are {', '.join(sorted(known))}")

    def _place(self, fn: Durable[..., Any]) -> str | None:
        """The Lambda of the template whose handler is this function."""
        handler = fn.name.replace(":", ".")
        return next((spec.name for spec in self.template.functions if spec.handler == handler), None)

    def _entry(self, fn: Durable[..., Any]) -> str:
        """The Lambda whose handler is this function, made up where the template has none."""
        name = self._place(fn) or f"{self.template.prefix}{re.sub('[^A-Za-z0-9_-]', '-', fn.name)}"
        function = self.service.function(name)
        if not function.spec.handler:
            function.handler = fn
        return name

    def _published_first(self, name: str) -> None:
        self.service.versions.shift(name, self.alias, str(self._publish(name)), 1.0)

    def _stuck(self, record: Record) -> Stuck:
        moved = self._driver.moves().read()
        return stuck(record, self.records(), self.clock(), self._progress.failures, self.service.lost, moved)
