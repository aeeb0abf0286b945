"""While a deploy is under way, Lambdas of two versions share one table, one stream and the queues.

The old code knows version 1 of items and envelopes; the new one writes version 2, and reads both. Or the versions are
those of user code: two bodies of one function.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapter import Handle, attach, durable, errors, promise, resolve, run
from adapter.engine.caller import Caller
from adapter.engine.memory import Memory
from adapter.engine.operations import Many
from adapter.engine.ports import drive
from adapter.engine.run import respond
from adapter.protocol import messages, records
from adapter.protocol.messages import Start
from adapter.protocol.records import Kind
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from tests.simulation.scenarios.stage import left_open
from tests.support.effort import ENGINE

MINUTE = 60
HOUR = 3_600
DAY = 24 * HOUR

OLD = (1, frozenset({1}))
PREPARED = (1, frozenset({1, 2}))
"""What a release reads that goes before the one that writes: nothing is ever refused then."""
NEW = (2, frozenset({1, 2}))


@contextmanager
def running(version: tuple[int, frozenset[int]]) -> Iterator[None]:
    """For a while, this process runs code of a version."""
    modules: list[Any] = [records, messages]
    before = [(module.VERSION, module.READABLE) for module in modules]
    for module in modules:
        module.VERSION, module.READABLE = version
    try:
        yield
    finally:
        for module, known in zip(modules, before, strict=True):
            module.VERSION, module.READABLE = known


class Deploy:
    """Each Lambda of a cloud runs ``old`` until a moment of its own within ``span`` seconds, then ``new``."""

    def __init__(
        self, cloud: LocalCloud, seed: int, span: float, old: tuple[int, Any] = OLD, new: tuple[int, Any] = NEW
    ) -> None:
        self.cloud = cloud
        self.refused: list[Event] = []
        self.failed: list[Event] = []
        self.engine: tuple[int, frozenset[int]] | None = None
        """Of the engine's own Lambdas, where a test has them apart."""
        self._old, self._new = old, new
        self._seed, self._span = seed, span
        self._begun = cloud.clock()
        self._fresh: set[str] = set()
        self._attempt = cloud._driver.attempt
        cloud._driver.attempt = self.attempt  # type: ignore[method-assign]
        cloud.watchers.append(self._watch)

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        name = function.spec.name
        new = self.cloud.clock() >= self._begun + self._moment(name) * 1_000_000
        if new and name not in self._fresh:
            # Sandboxes of the old code end with it.
            self._fresh.add(name)
            function.memory.clear()
        is_engine = self.engine is not None and function.spec.handler.startswith("adapter.")
        with running(self.engine if is_engine and self.engine else self._new if new else self._old):
            return self._attempt(function, invocation)

    def finish(self, version: tuple[int, frozenset[int]]) -> None:
        """From now on, all run a version."""
        self._new = version
        self._span = 0
        self._fresh.clear()

    def _moment(self, name: str) -> float:
        return random.Random(f"{self._seed} {name}").uniform(0, self._span)

    def _watch(self, event: Event) -> None:
        if event.what in ("failed", "unhandled"):
            known = str(event.detail["error"]).startswith("OtherVersion: ")
            (self.refused if known else self.failed).append(event)


BODIES: Counter[str] = Counter()


@durable(target="leaves")
def leaf(run: str, value: int) -> int:
    BODIES[f"{run} {value}"] += 1
    return value


@durable(target="sleepers")
async def nap(run: str, seconds: int) -> int:
    await asyncio.sleep(seconds)
    return await leaf(run, seconds)


@durable(target="orders")
async def sequence(run: str) -> int:
    return await leaf(run, 1) + await leaf(run, 2) + await leaf(run, 3)


@durable(target="orders")
async def fan(run: str) -> int:
    return sum(await asyncio.gather(*(leaf(run, n) for n in range(4)), nap(run, 20 * MINUTE), nap(run, 90)))


@durable(target="orders")
async def impatient(run: str) -> int:
    try:
        async with asyncio.timeout(5 * MINUTE):
            return await nap(run, 3 * DAY)
    except TimeoutError:
        return await leaf(run, 8)


@durable(target="approvals")
async def asks(run: str) -> int:
    return await promise(int) + await leaf(run, 5)


@durable(target="orders")
async def shares(run: str) -> int:
    return await leaf.with_options(id=f"shared-{run}")(run, 6) + await sequence(run)


PROGRAMS: list[tuple[Any, int]] = [
    (sequence, 6),
    (fan, 6 + 21 * MINUTE + 30),
    (impatient, 8),
    (asks, 46),
    (shares, 12),
]


def play(deploy: Deploy, span: float) -> None:
    """Executions that begin before, during and after the deploy; all have to end well."""
    cloud = deploy.cloud
    BODIES.clear()
    begun: list[tuple[Handle[int], int]] = []
    for number in range(3):
        for program, value in PROGRAMS:
            begun.append((program.start(f"{program.name} {number}"), value))
        cloud.advance(span / 2)
    for handle, _ in begun:
        first = cloud.peek(f"{handle.id}~0")
        if first is not None and first.kind is Kind.EXTERNAL:
            resolve(first.id, 41)
    cloud.advance(4 * DAY)
    assert [handle.result() for handle, _ in begun] == [value for _, value in begun]
    assert left_open(cloud) == []
    assert cloud.lost == []
    assert deploy.failed == []
    # I5: what is refused is refused before the code of a step, not after it.
    assert {run: count for run, count in BODIES.items() if count != 1} == {}


@pytest.fixture
def mixed() -> Iterator[LocalCloud]:
    """A cloud whose outside world (clients, the test) reads both versions."""
    with running(PREPARED), LocalCloud(engine=ENGINE) as cloud:
        yield cloud


@pytest.mark.parametrize(("seed", "span"), [(0, 2 * MINUTE), (1, 2 * MINUTE), (2, 30 * MINUTE), (3, 3 * HOUR)])
def test_nothing_is_lost_while_two_versions_run_however_long_the_deploy_takes(
    mixed: LocalCloud, seed: int, span: float
) -> None:
    """An old Lambda refuses by name what it can't read. The platform, dead letters and the watchdog bring it again."""
    deploy = Deploy(mixed, seed, span)
    play(deploy, span)
    assert deploy.refused


def test_nothing_is_even_refused_where_all_read_a_version_before_any_writes_it(mixed: LocalCloud) -> None:
    """A first deploy reads the next version, and a second one writes it."""
    deploy = Deploy(mixed, 4, 30 * MINUTE, old=PREPARED)
    play(deploy, 30 * MINUTE)
    assert deploy.refused == []


def test_what_no_deployed_code_reads_is_kept_until_some_does(mixed: LocalCloud) -> None:
    """An operator rolled a deploy back, or it took hours: no execution ends as crashed."""
    BODIES.clear()
    with running(NEW):
        handle = sequence.start("kept")
    deploy = Deploy(mixed, 0, 0, new=OLD)
    # Whoever buries dead letters reads them.
    deploy.engine = NEW
    mixed.advance(6 * HOUR)
    assert handle.status() == "pending"
    assert BODIES == {}
    assert deploy.refused
    assert deploy.failed == []
    deploy.finish(NEW)
    assert handle.result() == 6
    assert set(BODIES.values()) == {1}


BODY = "old"


@durable(name="rolling.order", target="orders")
async def order(run: str) -> str:
    """Two versions of it that ask for different steps from the beginning."""
    steps = (1, 2) if BODY == "old" else (10, 20)
    for value in steps:
        await leaf(run, value)
        await asyncio.sleep(HOUR)
    return f"{BODY} {sum(steps)}"


class Alternating:
    """The Lambda of orders runs the one body and the other in turns: two sandboxes, of which neither remembers."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.only = ""
        self._turns = itertools.cycle(["old", "new", "new", "old"])
        self._attempt = cloud._driver.attempt
        cloud._driver.attempt = self.attempt  # type: ignore[method-assign]

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        function.memory.clear()
        if function.spec.name.endswith("orders"):
            globals()["BODY"] = self.only or next(self._turns)
        return self._attempt(function, invocation)


def test_two_bodies_in_turns_pause_what_they_disagree_on_and_one_alone_ends_it(cloud: LocalCloud) -> None:
    """Each history goes on with the body that began it, once that is everywhere. No step runs twice."""
    BODIES.clear()
    alternating = Alternating(cloud)
    names = [f"order-{number}" for number in range(6)]
    for name in names:
        order.with_options(id=name).start(name)
        cloud.advance(7 * MINUTE)
    cloud.advance(DAY)
    paused = [record for record in cloud.records() if record.paused]
    assert [record.id for record in paused] == names
    for record in paused:
        assert "rolling.order" in record.paused
        assert "stored:" in record.paused
        assert "present:" in record.paused
        with pytest.raises(errors.Paused):
            attach(record.id).result()
    began = {name: "old" if BODIES[f"{name} 1"] else "new" for name in names}
    assert set(began.values()) == {"old", "new"}
    for body, total in (("new", 30), ("old", 3)):
        alternating.only = body
        for name in names:
            order.with_options(id=name).start(name)
        cloud.advance(DAY)
        ended = [name for name in names if attach(name).status() == "resolved"]
        assert ended == [name for name in names if began[name] == body or body == "old"]
        assert all(attach(name).result() == f"{body} {total}" for name in names if began[name] == body)
    assert set(BODIES.values()) == {1}


NOTED: list[str] = []


@durable(name="rolling.noted")
async def noted() -> int:
    found = await leaf("noted", 1 if BODY == "old" else 10)
    await run(NOTED.append, f"{BODY} {found}")
    await asyncio.sleep(HOUR)
    return found


def test_of_two_bodies_that_begin_at_once_the_one_that_writes_second_drifts(cloud: LocalCloud) -> None:
    """It asks for another step at the same point; the outcome of the first one's step is no outcome of its own."""
    NOTED.clear()
    globals()["BODY"] = "new"
    handle = noted.with_options(id="noted").start()

    def overtaken(operation: Any) -> Any:
        if isinstance(operation, Many) and cloud.peek("noted~0") is None:
            globals()["BODY"] = "old"
            cloud.drive()
            globals()["BODY"] = "new"
        return cloud._host.ports.perform(operation)

    assert drive(respond(Start(id="noted"), Caller("second"), Memory(size=0)), overtaken) == "paused"
    assert NOTED == ["old 1"]
    globals()["BODY"] = "old"
    noted.with_options(id="noted").start()
    assert handle.result() == 1
