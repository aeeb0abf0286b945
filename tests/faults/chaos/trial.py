"""One program in one weather: driven until nothing can happen any more, and written down on the way."""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from adapter import cancel, errors, reject, resolve
from adapter.engine.caller import Waking
from adapter.engine.operations import Many, Tell
from adapter.testing import Faults, LocalCloud
from adapter.testing.cloud import BEGINNING
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.faults import Meanwhile
from adapter.testing.happenings import Happening
from adapter.testing.hosting import LocalPorts
from adapter.testing.in_process.inside import Inside
from adapter.testing.simulated_aws.in_memory import MemoryWorld
from adapter.testing.simulated_aws.outages import Outage
from tests.faults.chaos import in_cloud
from tests.faults.chaos.constructs import SHIFT, Broken, told
from tests.faults.chaos.programs import TIMERS, Program
from tests.support.chapters import short_chapters
from tests.support.laws import forget

SECOND = 1_000_000
END = BEGINNING + dt.timedelta(seconds=2 ** (TIMERS + 1) * SHIFT)
"""Later than anything that a program waits for."""

LATEST = round(END.timestamp() * SECOND)
"""The same, in microseconds."""

KEPT = 2 * (END - BEGINNING)
"""For so long it is kept that is over: laws are checked at the end of all."""

MOST = 50_000
"""Lines of a trace: whoever writes more never comes to rest."""


@dataclass(frozen=True)
class Window:
    """A time in which the program's Lambda can't run: seconds from the beginning."""

    kind: Outage
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.kind}={self.begin}..{self.end}"


@dataclass(frozen=True)
class Weather:
    """What goes wrong. ``seed``: of the cloud. ``cold``: each resume is a replay.

    ``concurrency``: the account's; bodies take some seconds then. ``meanwhile``: how often all that is ready happens
    between two operations of a run. ``deadline``: the root has one, long after everything, so the execution expires.
    ``latencies``: calls, messages and starts take time, bodies some seconds, and invocations overlap.
    ``wake``: how calls resume their callers. ``chapters``: of how few promises a chapter tells; 0: of as many as ever.
    """

    seed: int
    faults: Faults = field(default_factory=Faults)
    cold: bool = False
    outages: tuple[Window, ...] = ()
    concurrency: int | None = None
    meanwhile: float = 0.0
    deadline: bool = False
    latencies: bool = False
    wake: Waking = Waking.STREAM
    chapters: int = 0

    @property
    def repeats(self) -> bool:
        """Whether anything comes, or is begun, more than once."""
        return replace(self.faults, scatter=0.0, lag=0.0, stale=0.0) != Faults()

    @property
    def calm(self) -> bool:
        drawn = {name: getattr(self, name) for name in ("cold", "deadline", "wake", "chapters")}
        return self == Weather(self.seed, **drawn)

    def __str__(self) -> str:
        drawn = {f.name: getattr(self.faults, f.name) for f in fields(self.faults)}
        drawn |= {"concurrency": self.concurrency, "meanwhile": self.meanwhile, "chapters": self.chapters}
        drawn["wake"] = "" if self.wake is Waking.STREAM else self.wake
        parts = [f"{name}={value}" for name, value in drawn.items() if value] + [str(one) for one in self.outages]
        flags = [name for name in ("cold", "deadline", "latencies") if getattr(self, name)]
        return ",".join([*parts, *flags] or ["calm"])


MOST_OFTEN = {"crash": 0.15, "duplicate": 0.4, "reorder": 0.5, "delay": 0.4}
DROPS = {"drop": 0.3}
AS_AWS_IS = {"scatter": 0.5, "lag": 0.9, "stale": 0.9}
"""No fault of anybody's."""


def weather(seed: int) -> Weather:
    """The weather of a seed: calm, of one kind, or everything at once; and now and then something never comes."""
    rng = random.Random(f"weather {seed}")

    def upto(most: float) -> float:
        return round(rng.uniform(0, most), 3)

    kinds = rng.choice(["", "crash", "duplicate reorder", "duplicate delay", "crash reorder", " ".join(MOST_OFTEN)])
    drawn = {kind: upto(MOST_OFTEN[kind]) for kind in kinds.split()}
    cold = rng.random() < 0.4
    if rng.random() < 0.15:
        drawn |= {kind: upto(most) for kind, most in DROPS.items()}
    windows = tuple(_windows(rng)) if rng.random() < 0.25 else ()
    drawn |= {kind: upto(most) for kind, most in AS_AWS_IS.items() if rng.random() < 0.3}
    concurrency = rng.choice([1, 2, 3, 5, 10]) if rng.random() < 0.2 else None
    meanwhile = upto(0.3) if rng.random() < 0.2 else 0.0
    deadline = rng.random() < 0.3
    latencies = rng.random() < 0.15
    wake = rng.choice(list(Waking))
    chapters = random.Random(f"chapters {seed}").choice([0, 1, 2, 4])
    if rng.random() < 0.06:
        # So many ways to go wrong hardly ever leave a calm.
        return Weather(seed, cold=cold, deadline=deadline, wake=wake, chapters=chapters)
    return Weather(seed, Faults(**drawn), cold, windows, concurrency, meanwhile, deadline, latencies, wake, chapters)


def _windows(rng: random.Random) -> Iterator[Window]:
    """Short enough, and far enough apart, that what a shift later is to happen isn't overtaken."""
    begin = 0
    for _ in range(rng.randint(1, 4)):
        begin += rng.choice([0, rng.randrange(120), rng.randrange(SHIFT), SHIFT - 60, 2 * SHIFT - 30])
        end = begin + rng.choice([30, 200, 1_000, 3_600])
        yield Window(rng.choice(list(Outage)), begin, end)
        begin = end + SHIFT


class Endless(Exception):
    """The trace is longer than any program's."""


class Noting(Inside):
    """Writes down each operation that is asked for."""

    cloud: Traced

    def fault(self, operation: object, when: str) -> None:
        if when == "before" and not isinstance(operation, Tell):
            request = self._runs[-1].invocation.request_id if self._runs else "outside"
            self.cloud.write(f"  {request} {shown(operation)}")
        super().fault(operation, when)

    def ports(self, function: str = DEFAULT_FUNCTION) -> LocalPorts:
        return replace(super().ports(function), retention=KEPT // dt.timedelta(microseconds=1))

    @property
    def wake(self) -> Waking:  # type: ignore[override]
        return self.cloud.wake


class Others:
    """Lets all that is ready happen between two operations of a run, now and then."""

    def __init__(self, driver: Noting, weather: Weather) -> None:
        self._drive = driver.drive
        self._often = weather.meanwhile
        self._random = random.Random(f"meanwhile {weather.seed}")
        self._nested = False
        self.happened = 0
        for function in (DEFAULT_FUNCTION, *driver.service.functions) if weather.meanwhile else ():
            driver.meanwhile(Meanwhile(function, object, self._happen))

    def _happen(self) -> None:
        # Others' runs are not interrupted in turn: that would have no end.
        if self._nested or self._random.random() >= self._often:
            return
        self._nested = True
        self.happened += 1
        try:
            self._drive()
        finally:
            self._nested = False


class Traced(LocalCloud):
    """A cloud that writes down what it does."""

    _world: MemoryWorld

    def __init__(self, weather: Weather) -> None:
        super().__init__(
            seed=weather.seed,
            faults=weather.faults,
            engine="memory",
            concurrency=weather.concurrency,
            latencies=weather.latencies,
        )
        self.wake = weather.wake
        self._driver = Noting(self, self._world, self._kills, self.clock())
        self.others = Others(self._driver, weather)
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.watchers.append(self.events.append)
        self.watchers.append(self._note)
        if weather.cold:
            self.watchers.append(lambda event: forget(self))

    @property
    def throttled(self) -> int:
        """How often there was no room for an attempt."""
        return sum(event.what == Happening.THROTTLED for event in self.events)

    def write(self, line: str) -> None:
        self.lines.append(f"{self.clock()} {line}")

    def _note(self, event: Event) -> None:
        if len(self.lines) > MOST:
            raise Endless(f"more than {MOST} lines, and no end: {event}")
        # What ended is an object in this process: its text differs from run to run.
        told = {name: value for name, value in event.detail.items() if name != "ended"}
        detail = json.dumps(told, sort_keys=True, default=str)
        self.write(f"{event.what} {event.function} {event.promise} {event.fn} {detail}")


def shown(operation: Any) -> str:
    """An operation, without what differs from process to process."""
    if isinstance(operation, Many):
        return f"Many({', '.join(shown(one) for one in operation.operations)})"
    subject = getattr(operation, "record", None) or getattr(operation, "message", None) or operation
    promise = getattr(subject, "id", "") or getattr(operation, "scope", "")
    extra = {
        name: getattr(holder, name)
        for holder in (operation, subject)
        for name in ("state", "arming", "firing", "count", "at", "seen", "wake", "cause")
        if getattr(holder, name, None) not in (None, "")
    }
    return f"{type(operation).__name__}({promise}{''.join(f' {name}={value}' for name, value in extra.items())})"


@dataclass
class Played:
    """A run, at rest: what the root came to, and everything that a check wants to see."""

    weather: Weather
    cloud: Traced
    told: in_cloud.Told
    result: Any = None
    error: str = ""

    @property
    def trace(self) -> str:
        return "\n".join(self.cloud.lines)


def play(program: Program, weather: Weather) -> Played:
    """Run it in a cloud of its own, until nothing can happen any more."""
    cloud = Traced(weather)
    played = Played(weather, cloud, in_cloud.begin(cloud.elapse if weather.concurrency or weather.latencies else None))
    with cloud, short_chapters(weather.chapters):
        outside = _Outside(cloud, played.told, program.cancel_after, weather.outages)
        root = in_cloud.function.with_options(id="root")
        timed = root.with_options(timeout=KEPT.total_seconds()) if weather.deadline else root
        handle = timed.start(program.body)
        try:
            outside.drive()
        except Endless as endless:
            played.error = str(endless)
            return played
        if handle.status() == "pending":
            played.error = f"the root is pending, and nothing moves: {_stuck(cloud)}"
            return played
        try:
            played.result = handle.result()
        except Exception as error:
            played.result = told(error)
    return played


def _stuck(cloud: LocalCloud) -> str:
    root = cloud.peek("root")
    return str(cloud._stuck(root)) if root else "it doesn't exist"


class _Outside:
    """The world around a cloud: what it settles, and when."""

    def __init__(
        self, cloud: Traced, told: in_cloud.Told, cancel_after: int | None, outages: tuple[Window, ...]
    ) -> None:
        self._cloud = cloud
        self._told = told
        self._planned: list[tuple[int, str, str, str]] = []
        self._known: set[str] = set()
        if cancel_after is not None:
            self._plan(cancel_after, "", "root", "cancel")
        for window in outages:
            for at, how in ((window.begin, "begin"), (window.end, "end")):
                heapq.heappush(self._planned, (cloud.clock() + at * SECOND, how, window.kind, "outage"))

    def drive(self) -> None:
        self._cloud.drive()
        while (at := self._next()) is not None and at <= LATEST and not self._is_over():
            self._cloud.advance((at - self._cloud.clock()) / SECOND)
            self._settle_planned()

    def _settle_planned(self) -> None:
        while self._planned and self._planned[0][0] <= self._cloud.clock():
            self._settle(*heapq.heappop(self._planned)[1:])
            self._cloud.drive()

    def _is_over(self) -> bool:
        """Only the watchdog is left, which never gives up."""
        return not self._planned and self._cloud._progress.looks_in_vain(self._cloud.records, self._cloud.clock())

    def _next(self) -> int | None:
        for label, (promise, shifts, how) in self._told.asked.items():
            if shifts is not None and label not in self._known:
                self._known.add(label)
                self._plan(shifts, label, promise, how)
        moments = [self._cloud._next_at(), *(entry[0] for entry in self._planned[:1])]
        return min((at for at in moments if at is not None), default=None)

    def _plan(self, shifts: int, label: str, promise: str, how: str) -> None:
        heapq.heappush(self._planned, (self._cloud.clock() + shifts * SHIFT * SECOND, label, promise, how))

    def _settle(self, label: str, promise: str, how: str) -> None:
        self._cloud.write(f"outside: {how} {promise}")
        # Looks before say nothing of what happens now.
        self._cloud._progress.begin()
        outages = self._cloud.service.outages
        with contextlib.suppress(errors.AlreadySettled, errors.UnknownPromise):
            match how:
                case "resolve":
                    resolve(promise, label)
                case "reject":
                    reject(promise, Broken(label))
                case "outage" if label == "begin":
                    outages.begin(DEFAULT_FUNCTION, Outage(promise))
                case "outage":
                    outages.end(DEFAULT_FUNCTION, Outage(promise))
                case _:
                    cancel(promise)
