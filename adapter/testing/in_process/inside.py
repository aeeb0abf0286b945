"""Functions in this process, in virtual time. They run one after the other, or overlap where the seed decides so.

Time stands still while anything runs. The same seed gives the same run. Under a limit of concurrency the code that lets
time pass pauses, so that others run in the same time.
"""

from __future__ import annotations

from typing import Any

from adapter.engine.operations import Tell
from adapter.engine.telling import What
from adapter.protocol.times import SECOND, Instant, Span
from adapter.testing.driver import Driver, Work
from adapter.testing.fakes import Fake, Fakes
from adapter.testing.faults import Kill, Killed, KilledForTime, Meanwhile
from adapter.testing.happenings import Happening
from adapter.testing.hosting import LocalHost
from adapter.testing.in_process.activities import Activity
from adapter.testing.in_process.runs import Run
from adapter.testing.in_process.sandboxes import Sandboxes
from adapter.testing.ports import Cloud
from adapter.testing.simulated_aws.engines import AnyWorld
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS, Function, Invocation


class Inside(Driver):
    """Calls handlers in this process."""

    def __init__(self, cloud: Cloud, world: AnyWorld, kills: list[Kill], beginning: Instant) -> None:
        super().__init__(cloud, world, kills)
        self._now = beginning
        self._sandboxes = Sandboxes(self.dice, lambda name, memory: LocalHost(cloud, self.ports(name), memory))
        self._runs: list[Run] = []
        self._active: list[Activity] = []
        self._paused: list[tuple[Instant, Activity]] = []
        self._meanwhile: list[Meanwhile] = []
        self._fakes = Fakes(lambda: self._runs[-1].promise)
        self._overlaps = cloud.service.concurrency.limit is not None

    @property
    def running(self) -> str:  # type: ignore[override]
        return self._runs[-1].function.spec.name if self._runs else ""

    def close(self) -> None:
        while self._paused:
            self._paused.pop()[1].drop()
        for function in self.service.functions.values():
            function.forget()
        self._fakes.clear()

    def now(self) -> Instant:
        return self._now

    def elapse(self, time: Span) -> None:
        run = self._runs[-1] if self._runs else None
        if run is not None and self._overlaps and run.activity is not None and run.activity.is_current:
            self._let_pass(run, run.activity, time)
        else:
            self._now += time
        if run is not None:
            run.ran += time
            self.cloud.stats.count_seconds(time / SECOND, run.function.spec.memory_mb)

    def _let_pass(self, run: Run, activity: Activity, time: Span) -> None:
        """Others run meanwhile."""
        run.leave()
        activity.pause(until=self._now + time)
        run.enter(self._runs)

    def reach(self, at: Instant) -> None:
        self._now = max(self._now, at)

    def drive(self) -> None:
        while self._step():
            pass

    def next_at(self) -> Instant | None:
        moments = [super().next_at(), *(at for at, _ in self._paused)]
        return min((at for at in moments if at is not None), default=None)

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        self.cloud.stats.count_invocation(function.spec.memory_mb)
        host = self._sandboxes.host(function)
        activity = self._active[-1] if self._active else None
        run = Run(function, invocation, host, activity, self._fakes.definitions)
        run.enter(self._runs)
        try:
            return function.call(invocation, lambda event, context: host.handle(event, context, None), lambda: run.ran)
        except Killed:
            host.memory.clear()
            self.cloud.emit(Happening.KILLED, run.promise, run.fn, {"attempt": invocation.attempt})
            raise
        except Exception as error:
            host.memory.clear()
            detail = {"error": f"{type(error).__name__}: {error}", "attempt": invocation.attempt}
            self.cloud.emit(Happening.FAILED, run.promise, run.fn, detail)
            raise
        finally:
            run.leave()
            self.cloud.stats.count_calls(run.calls.made, function.spec.memory_mb)

    def meanwhile(self, meanwhile: Meanwhile) -> None:
        self._meanwhile.append(meanwhile)

    def fake(self, fake: Fake) -> None:
        self._fakes.open(fake)

    def forget(self) -> None:
        for function in self.service.functions.values():
            function.renew()
        self._sandboxes.end()

    def fault(self, operation: object, when: str) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None:
            return
        run.calls.count(operation, when)
        if isinstance(operation, Tell):
            if operation.what is What.RUNNING:
                run.promise, run.fn = operation.id, operation.fn
            return
        names = (run.fn, run.function.spec.handler, run.function.spec.name)
        self._let_others(run, [each for each in self._meanwhile if each.meets(names, operation, when)])
        for kill in self.kills:
            if kill.meets(names, operation, when):
                self.kills.remove(kill)
                raise Killed
        if run.ran > run.function.spec.timeout_s * SECOND:
            # Lambda would end it in the middle of its code. Here it ends at its next operation.
            raise KilledForTime
        if run.invocation.attempt <= len(RETRY_DELAYS) and self.dice.draw("crash"):
            raise Killed
        if run.activity is not None and self.dice.draw("reorder"):
            run.leave()
            run.activity.pause()
            run.enter(self._runs)

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
        resumable = [entry for entry in self._paused if entry[0] <= self._now]
        if resumable and self.dice.random.random() < 0.5:
            return self._go_on(self.dice.random.choice(resumable))
        starts = [self._invocations, self.changes, self.messages]
        if self.dice.draw("reorder"):
            self.dice.random.shuffle(starts)
        for start in starts:
            if works := start():
                for work in works:
                    self._begin(work)
                return True
        return bool(resumable) and self._go_on(self.dice.random.choice(resumable))

    def _invocations(self) -> list[Work]:
        taken = self.service.take()
        return [] if taken is None else [self.invocation(taken)]

    def _go_on(self, entry: tuple[Instant, Activity]) -> bool:
        self._paused.remove(entry)
        self._resume(entry[1])
        return True

    def _begin(self, work: Work) -> None:
        """Run it to its end; or, where invocations overlap, until it is interrupted."""
        if self.dice.faults.reorder or self._overlaps:
            self._resume(Activity(work.code))
        else:
            work.code()

    def _resume(self, activity: Activity) -> None:
        self._active.append(activity)
        try:
            activity.resume()
        finally:
            self._active.remove(activity)
        if not activity.done:
            at = self._now + self.dice.late() if activity.until is None else activity.until
            self._paused.append((at, activity))
