"""Functions in this process, in virtual time. They run one after the other, or overlap where the seed decides so.

Time stands still while anything runs. The same seed gives the same run. Under a limit of concurrency, and with
latencies, the code that lets time pass pauses, so that others run in the same time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from adapter.engine import registry
from adapter.engine.caller import Waking
from adapter.engine.memory import Memory
from adapter.engine.operations import Create, Tell
from adapter.engine.ports import Pool
from adapter.engine.registry import Definition
from adapter.engine.telling import What
from adapter.protocol.addresses import split
from adapter.protocol.times import SECOND, Instant, Span
from adapter.replay.steps import current
from adapter.testing.driver import Driver, Work
from adapter.testing.fakes import Fake, Fakes
from adapter.testing.faults import Kill, Killed, KilledForTime, Meanwhile
from adapter.testing.happenings import Happening
from adapter.testing.hosting import LocalHost
from adapter.testing.in_process.activities import Activity
from adapter.testing.in_process.pacing import Pace, SandboxPool
from adapter.testing.in_process.paused import Paused
from adapter.testing.in_process.runs import INSIDE, Run
from adapter.testing.in_process.sandboxes import AsManyAsRun, OneAtATime, Sandbox, Sandboxes
from adapter.testing.ports import Cloud
from adapter.testing.simulated_aws.engines import AnyWorld
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS, Function, Invocation
from adapter.testing.simulated_aws.versions import Code
from adapter.testing.stats import OVERHEAD_SECONDS


def _promise_of_the_code() -> str:
    """Of the code that is running: a run's own, or that of a call which its caller runs."""
    scope = current.get()
    return "" if scope is None else scope.promise


class Inside(Driver):
    """Calls handlers in this process."""

    def __init__(self, cloud: Cloud, world: AnyWorld, kills: list[Kill], beginning: Instant) -> None:
        super().__init__(cloud, world, kills)
        self._now = beginning
        self._sandboxes = self._made_sandboxes()
        self._runs: list[Run] = []
        self._active: list[Activity] = []
        self._paused = Paused()
        self._meanwhile: list[Meanwhile] = []
        self._fakes = Fakes(_promise_of_the_code)
        self._overlaps = cloud.service.concurrency.limit is not None or self.delays is not None

    @property
    def running(self) -> str:  # type: ignore[override]
        return self._runs[-1].function.spec.name if self._runs else ""

    def _made_sandboxes(self) -> Sandboxes:
        def make(name: str, memory: Memory) -> LocalHost:
            return LocalHost(self.cloud, self.ports(name), memory)

        if self.service.environments is None:
            return OneAtATime(self.dice, make)
        return AsManyAsRun(self.dice, make, self.service.environments, self.service.function)

    def open(self) -> None:
        if self.delays is not None:
            for queue in self.world.queues:
                queue.delay = functools.partial(self.delays.draw, "queue")

    def close(self) -> None:
        self._paused.drop_all()
        for function in self.service.functions.values():
            function.forget()
        self._fakes.clear()

    def now(self) -> Instant:
        return self._now

    def elapse(self, time: Span) -> None:
        self._take(time, overlaps=self._overlaps)

    def sleep(self, time: Span) -> None:
        self._take(time, overlaps=True)

    def _take(self, time: Span, *, overlaps: bool) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None:
            self._now += time
            return
        self._let_pass(run, time, overlaps=overlaps)
        run.ran += time

    def _let_pass(self, run: Run, time: Span, *, overlaps: bool) -> None:
        """The run is billed for a time. Where invocations overlap, others run meanwhile."""
        self.cloud.stats.count_seconds(time / SECOND, run.function.spec.memory_mb)
        if overlaps and run.activity is not None and run.activity.is_current:
            run.leave()
            run.activity.pause(until=self._now + time)
            run.enter(self._runs)
        else:
            self._now += time

    def reach(self, at: Instant) -> None:
        self._now = max(self._now, at)

    def drive(self) -> None:
        while self._step():
            pass

    def next_at(self) -> Instant | None:
        moments = [super().next_at(), self._paused.next_at(self._now)]
        return min((at for at in moments if at is not None), default=None)

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        self.cloud.stats.count_invocation(function.spec.memory_mb, 0 if self.delays else OVERHEAD_SECONDS)
        sandbox = self._sandboxes.take(function)
        host = sandbox.host
        activity = self._active[-1] if self._active else None
        pace = Pace(self.delays, self.now, self._wait) if self.delays else None
        run = Run(function, invocation, host, activity, self._fakes.definitions, pace)
        run.enter(self._runs)
        try:
            self._begin_in(sandbox, run)
            return function.call(invocation, lambda event, context: host.handle(event, context, None), lambda: run.ran)
        except Killed:
            host.memory.clear()
            if sandbox.environment is not None:
                sandbox.environment.fresh = True
            self.cloud.emit(Happening.KILLED, run.promise, run.fn, {"attempt": invocation.attempt})
            raise
        except Exception as error:
            host.memory.clear()
            detail = {"error": f"{type(error).__name__}: {error}", "attempt": invocation.attempt}
            self.cloud.emit(Happening.FAILED, run.promise, run.fn, detail)
            raise
        finally:
            run.leave()
            self._sandboxes.give_back(sandbox)
            if not self.delays:
                self.cloud.stats.count_calls(run.calls.made, function.spec.memory_mb)

    def _begin_in(self, sandbox: Sandbox, run: Run) -> None:
        """The environment starts, where it is new, and the invocation begins. Starting isn't part of the timeout."""
        if self.delays is None or sandbox.environment is None:
            return
        if sandbox.environment.fresh:
            self._let_pass(run, self.delays.draw("cold"), overlaps=self._overlaps)
            sandbox.environment.fresh = False
        self.elapse(self.delays.draw("warm"))

    def meanwhile(self, meanwhile: Meanwhile) -> None:
        self._meanwhile.append(meanwhile)

    def faked(self) -> Mapping[str, Definition]:
        return self._fakes.definitions

    def fake(self, fake: Fake) -> None:
        self._fakes.open(fake)

    def code(self, changed: Fake | None) -> Code:
        others = {} if changed is None else {changed.definition.name: self._fakes.standing_in(changed)}
        return {**registry.definitions, **others}

    def forget(self) -> None:
        for function in self.service.functions.values():
            function.renew()
        self._sandboxes.end()

    def fault(self, operation: object, when: str) -> None:
        if type(operation) is Create and when == "before":
            self.cloud.created(operation.record)
        if not self._runs:
            return
        run = self._runs[-1]
        if type(operation) is Tell:
            if operation.what is What.RUNNING:
                run.promise, run.fn = operation.id, operation.fn
            return
        if type(operation) not in INSIDE:
            run.calls.count(operation, when)
            if when == "after" and run.pace is not None:
                run.pace.take(operation)
        if self._meanwhile or self.kills:
            self._intervene(run, operation, when)
        if run.ran and run.ran > run.function.spec.timeout_s * SECOND:
            # Lambda would end it in the middle of its code. Here it ends at its next operation.
            raise KilledForTime
        if self.dice.faults.crash or self.dice.faults.reorder:
            self._harm(run)

    def _harm(self, run: Run) -> None:
        """Do to the Lambda what the dice draw."""
        faults = self.dice.faults
        if faults.crash and run.invocation.attempt <= len(RETRY_DELAYS) and self.dice.draw("crash"):
            raise Killed
        if faults.reorder and run.activity is not None and self.dice.draw("reorder"):
            run.leave()
            run.activity.pause()
            run.enter(self._runs)

    def _intervene(self, run: Run, operation: object, when: str) -> None:
        """Do what a test has scripted for this operation."""
        name = run.function.spec.name
        names = (run.fn, run.function.spec.handler, name, split(name)[0])
        self._let_others(run, [each for each in self._meanwhile if each.meets(names, operation, when)])
        for kill in self.kills:
            if kill.meets(names, operation, when):
                self.kills.remove(kill)
                raise Killed

    def pool(self) -> Pool:
        return SandboxPool(lambda: self._runs[-1].pace if self._runs else None)

    def _wait(self, until: Instant) -> None:
        if until > self._now:
            self.elapse(until - self._now)

    def _let_others(self, run: Run, scripted: list[Meanwhile]) -> None:
        for meanwhile in scripted:
            begun = self._now
            run.leave()
            try:
                meanwhile.then()
            finally:
                run.enter(self._runs)
                run.ran += self._now - begun

    def _step(self) -> bool:
        resumable = self._paused.ready(self._now)
        if resumable and self.dice.random.random() < 0.5:
            return self._go_on(self.dice.random.randrange(resumable))
        starts = [self._invocations, self.changes, self.messages]
        if self.dice.draw("reorder"):
            self.dice.random.shuffle(starts)
        for start in starts:
            if works := start():
                for work in works:
                    self._begin(work)
                return True
        return bool(resumable) and self._go_on(self.dice.random.randrange(resumable))

    def _invocations(self) -> list[Work]:
        taken = self.service.take()
        return [] if taken is None else [self.invocation(taken)]

    def _go_on(self, position: int) -> bool:
        self._resume(self._paused.take(position))
        return True

    def _begin(self, work: Work) -> None:
        """Run it to its end; or, where invocations overlap, until it is interrupted."""
        if self.dice.faults.reorder or self._overlaps or self._linger():
            self._resume(Activity(work.code))
        else:
            work.code()

    def _linger(self) -> bool:
        return registry.lingers() or self.wake is Waking.LINGER

    def _resume(self, activity: Activity) -> None:
        self._active.append(activity)
        try:
            activity.resume()
        finally:
            self._active.remove(activity)
        if not activity.done:
            at = self._now + self.dice.late() if activity.until is None else activity.until
            self._paused.add(activity, at)
