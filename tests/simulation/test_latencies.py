"""A cloud whose calls, messages and starts take time: one seed is one run, and only times differ from a calm cloud."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapter import durable, errors, promise, resolve, run
from adapter.api.durable import Durable
from adapter.engine.operations import Close, Create, Operation, Settle
from adapter.protocol.times import EPOCH, SECOND, Instant
from adapter.testing import Event, Faults, Latencies, Latency, LocalCloud
from adapter.testing.happenings import Happening
from adapter.testing.in_process.pacing import TAKES, TIMELESS, Pace
from adapter.testing.latencies import Delays
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.stats import SIDE_BY_SIDE
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.laws import plainly

CLOUDS: list[LocalCloud] = []
NOTHING = Latency(0, 0)
STILL = Latencies(**dict.fromkeys(("invocation", "stream", "queue", "read", "write", "invoke", "send"), NOTHING))


@durable(name="latencies:body", target="bodies")
def body(index: int) -> int:
    CLOUDS[-1].elapse(1)
    return index


@durable(name="latencies:step", target="steps")
def step(index: int) -> int:
    return index


@durable(name="latencies:sequence")
async def sequence(count: int) -> int:
    total = sum([await step(index) for index in range(count)])
    return total + sum([await run(abs, index) for index in range(count)])


@durable(name="latencies:wide")
async def wide(width: int) -> int:
    return sum(await body.map(range(width)))


@durable(name="latencies:gathered")
async def gathered(width: int) -> int:
    return sum(await asyncio.gather(*(body(index) for index in range(width))))


@durable(name="latencies:approved")
async def approved() -> bool:
    async with asyncio.timeout(3_600):
        return await promise(bool)


@contextmanager
def timed(latencies: bool | Latencies = True, seed: int = 0, **options: Any) -> Iterator[LocalCloud]:
    with LocalCloud(seed, engine="memory", latencies=latencies, **options) as cloud:
        CLOUDS.append(cloud)
        try:
            yield cloud
        finally:
            CLOUDS.remove(cloud)


def seconds(cloud: LocalCloud, function: Durable[..., Any], *args: Any) -> float:
    """For how long an execution runs."""
    handle = function.start(*args)
    handle.result()
    record = cloud.peek(handle.id)
    assert record is not None
    return (record.settled_at - record.created_at) / SECOND


def history(seed: int, faults: Faults | None = None) -> list[tuple[Any, ...]]:
    """Everything that happens, and when."""
    with timed(seed=seed, faults=faults) as cloud:
        told: list[tuple[Any, ...]] = []
        cloud.watchers.append(lambda event: told.append((event.at, event.what, event.function, event.promise)))
        cloud.run(wide, 40)
        cloud.run(sequence, 3)
        return [*told, (cloud.clock(), repr(cloud.stats))]


def test_the_same_seed_gives_the_same_times() -> None:
    """Invocations overlap in it, and every one of them takes a time of its own."""
    assert history(7) == history(7)
    assert history(7) != history(8)


def test_the_same_seed_gives_the_same_times_under_faults() -> None:
    """Deaths and delays are drawn from other dice than latencies, in the same order each time."""
    weather = Faults(crash=0.03, duplicate=0.05, reorder=0.1, delay=0.05, scatter=0.2)
    assert history(3, weather) == history(3, weather)


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_latencies_change_no_outcome_and_no_count_of_a_sequential_run(engine: str) -> None:
    """Only times differ, and what AWS bills by time."""
    counts = []
    for latencies in (None, True):
        with LocalCloud(engine=engine, latencies=latencies) as cloud:
            assert cloud.run(sequence, 5) == 20
            stats = cloud.stats
            counts.append(
                (stats.writes, stats.reads, stats.write_units, stats.invocations, stats.bodies, stats.resumes)
            )
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_end_as_plain_asyncio_does(name: str) -> None:
    """Whatever overlaps, and whichever sandbox a resume comes to."""
    with timed(seed=1) as cloud:
        assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])


def test_nothing_overlaps_in_one_sandbox() -> None:
    """A function has as many sandboxes as run at once, and each serves one invocation after the other."""
    with timed() as cloud:
        attempt, busy, most = cloud._driver.attempt, Counter[int](), Counter[str]()

        def watched(function: Function, invocation: Invocation) -> Any:
            running[function.spec.name] += 1
            most[function.spec.name] = max(most[function.spec.name], running[function.spec.name])
            try:
                return attempt(function, invocation)
            finally:
                running[function.spec.name] -= 1

        running = Counter[str]()
        take, give_back = cloud._driver._sandboxes.take, cloud._driver._sandboxes.give_back  # type: ignore[attr-defined]

        def taken(function: Function) -> Any:
            sandbox = take(function)
            busy[id(sandbox.host)] += 1
            assert busy[id(sandbox.host)] == 1
            return sandbox

        def given_back(sandbox: Any) -> None:
            busy[id(sandbox.host)] -= 1
            give_back(sandbox)

        cloud._driver.attempt = watched  # type: ignore[method-assign]
        cloud._driver._sandboxes.take = taken  # type: ignore[attr-defined]
        cloud._driver._sandboxes.give_back = given_back  # type: ignore[attr-defined]
        assert cloud.run(wide, 60) == sum(range(60))
        cloud.advance(5)
        assert most[body_lambda(cloud)] == 60
        assert len(busy) >= 60
        assert not +busy


def body_lambda(cloud: LocalCloud) -> str:
    (name,) = [name for name in cloud.service.functions if name.endswith("bodies")]
    return name


def test_bodies_side_by_side_take_as_long_as_one() -> None:
    """Each has an environment of its own. One after the other they would take a minute."""
    with timed() as cloud:
        assert 1 < seconds(cloud, gathered, 60) < 5


def test_no_function_gets_more_environments_than_lambda_makes() -> None:
    """Ten at first and ten in ten seconds: a body of a second each."""
    begun: list[int] = []
    with timed(Latencies(scales_by=10, scales_in_s=10)) as cloud:
        cloud.watchers.append(lambda event: begun.append(event.at) if started_body(event) else None)
        took = seconds(cloud, gathered, 100)
        first = begun[0]
        for after in range(12):
            running = [at for at in begun if first + (after - 1) * SECOND < at <= first + after * SECOND]
            assert len(running) <= 10 + after + 1
    assert 5 < took < 12


def started_body(event: Event) -> bool:
    return event.what == "running" and event.fn == body.name


def test_an_environment_that_was_idle_for_too_long_is_gone() -> None:
    """The next invocation pays for a cold start again."""
    cold = Latencies(cold=Latency(10_000, 10_000))
    with timed(cold) as cloud:
        first, second = seconds(cloud, sequence, 1), seconds(cloud, sequence, 1)
        cloud.advance(301)
        third = seconds(cloud, sequence, 1)
    assert first > 20 > second < third > 20


def test_the_idle_sandbox_that_was_used_last_comes_first() -> None:
    """So a sequential run goes on from memory, though a burst has left many sandboxes."""
    with timed() as cloud:
        cloud.run(wide, 20)
        cloud.stats.reset()
        handle = sequence.start(4)
        handle.result()
        hosts = {len(function.memories) for function in cloud.service.functions.values()}
        assert max(hosts) >= 20
        # A start reads its record; each resume from memory reads what is new.
        assert cloud.stats.reads <= 4 * 3 + 2


def test_a_death_costs_a_cold_start_and_changes_no_outcome() -> None:
    """Lambda starts the environment anew."""
    with timed(Latencies(cold=Latency(5_000, 5_000))) as cloud:
        cloud.run(sequence, 1)
        before = cloud.now()
        cloud.kill(sequence, Settle)
        handle = sequence.start(1)
        handle.result()
        cloud.drive()
        cloud.advance(120)
        assert (cloud.now() - before).total_seconds() > 5
        assert handle.result() == 0


@pytest.mark.parametrize("seed", range(3))
def test_faults_and_latencies_end_in_the_same_outcome(seed: int) -> None:
    """Lambdas die while others are under way; nothing is lost."""
    weather = Faults(crash=0.05, duplicate=0.1, reorder=0.2, delay=0.1, scatter=0.2, lag=0.1)
    with timed(seed=seed, faults=weather) as cloud:
        assert cloud.run(wide, 30) == sum(range(30))
        assert cloud.lost == []


def test_an_account_s_limit_holds_with_latencies() -> None:
    """Forty bodies of a second, four at a time."""
    with timed(concurrency=4) as cloud:
        assert 10 <= seconds(cloud, gathered, 40) < 20


def test_the_bill_follows_from_how_long_invocations_take() -> None:
    """A body of a second is billed for it, and for its calls; half a gigabyte."""
    with timed() as cloud:
        cloud.run(body, 0)
        assert 0.5 < cloud.stats.gigabyte_seconds < 0.5 * 4
    with timed(STILL) as cloud:
        cloud.run(sequence, 1)
        cloud.stats.reset()
        cloud.run(sequence, 1)
        # What is left is what an invocation takes by itself.
        assert 0 < cloud.stats.gigabyte_seconds < 0.1


def test_a_lambda_whose_calls_take_longer_than_its_timeout_is_ended() -> None:
    """As if its code took so long. The write that took too long has taken effect."""
    told: list[str] = []
    with timed(Latencies(write=Latency(61_000, 61_000))) as cloud:
        cloud.watchers.append(lambda event: told.append(event.what))
        assert cloud.run(step, 1) == 1
        cloud.advance(62)
    assert Happening.KILLED in told


def test_what_is_settled_from_outside_and_timers_come_as_late_as_messages_are() -> None:
    """A timer isn't early; a settlement takes the stream and an invocation."""
    with timed() as cloud:
        handle = approved.start()
        cloud.advance(2)
        resolve(f"{handle.id}~0", True)
        begun = cloud.now()
        assert handle.result() is True
        assert 0.05 < (cloud.now() - begun).total_seconds() < 5
        late = approved.start()
        begun = cloud.now()
        with pytest.raises(TimeoutError):
            late.result()
        assert 3_600 <= (cloud.now() - begun).total_seconds() < 3_605


def test_a_deploy_ends_idle_sandboxes_at_once_and_busy_ones_after_their_invocation() -> None:
    """Each function's next invocation is a cold start."""
    with timed(Latencies(cold=Latency(8_000, 8_000))) as cloud:
        cloud.run(wide, 5)
        cloud.meanwhile(sequence, Create, cloud.forget)
        assert cloud.run(sequence, 1) == 0
        cloud.forget()
        assert all(len(function.memories) == 1 for function in cloud.service.functions.values())
        assert seconds(cloud, wide, 1) > 16


class Clock:
    """A clock, and the pace of an invocation whose writes take a second each."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.pace = Pace(Delays(Latencies(write=Latency(1_000, 1_000)), 0), lambda: self.now, self._reach)

    def _reach(self, at: Instant) -> None:
        self.now = at

    def write(self, _: int) -> Instant:
        begun = self.now
        self.pace.take(Close("r"))
        return begun


@pytest.mark.parametrize(("count", "seconds"), [(0, 0), (1, 1), (SIDE_BY_SIDE, 1), (SIDE_BY_SIDE + 1, 2)])
def test_what_is_side_by_side_takes_as_long_as_the_pool_allows(count: int, seconds: int) -> None:
    """A sandbox makes so many calls at a time: the next one begins when the first of these has ended."""
    clock = Clock()
    begun = clock.pace.side_by_side(clock.write, range(count))
    assert begun == [EPOCH + number // SIDE_BY_SIDE * SECOND for number in range(count)]
    assert clock.now == EPOCH + seconds * SECOND


def test_calls_within_what_is_side_by_side_take_their_part_of_its_time() -> None:
    """A task of a batch makes three calls at once, and then one more."""
    clock = Clock()

    def task(_: int) -> None:
        clock.pace.side_by_side(clock.write, range(3))
        clock.write(0)

    clock.pace.side_by_side(task, range(5))
    assert clock.now == EPOCH + 2 * SECOND


def test_the_resumer_invokes_many_parents_at_once() -> None:
    """A batch of a hundred settlements doesn't take a hundred calls, one after the other."""
    with timed(Latencies(invoke=Latency(1_000, 1_000), shards=1)) as cloud:
        handles = [sequence.start(1) for _ in range(30)]
        begun = cloud.now()
        for handle in handles:
            assert handle.result() == 0
        assert (cloud.now() - begun).total_seconds() < 6


def test_each_operation_takes_a_time_or_none_by_decision() -> None:
    """A new one has to be put into one of the two tables."""
    every = set(Operation.__args__)  # type: ignore[attr-defined]
    assert every <= {*TAKES, *TIMELESS}
    assert not {*TAKES} & {*TIMELESS}
    assert {*TAKES.values()} <= {*Latencies.__dataclass_fields__}


def test_draws_have_the_percentiles_that_were_given() -> None:
    """Of ten thousand, within a tenth."""
    import random

    dice, latency = random.Random(1), Latency(73, 225)
    drawn = sorted(latency.draw(dice) / 1_000 for _ in range(10_000))
    assert drawn[5_000] == pytest.approx(73, rel=0.1)
    assert drawn[9_900] == pytest.approx(225, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Latency(5, 4), "p50"),
        (lambda: Latency(-1, 4), "p50"),
        (lambda: Latencies(scales_by=0), "scales_by"),
        (lambda: LocalCloud(latencies=3), "latencies"),  # type: ignore[arg-type]
        (lambda: LocalCloud(latencies=True, processes=True), "leave processes=True out"),
    ],
)
def test_what_can_t_be_a_latency_is_refused(make: Any, message: str) -> None:
    """The error says what it may be."""
    with pytest.raises(errors.ConfigurationError, match=message):
        make()


def test_without_latencies_nothing_takes_time() -> None:
    """As before."""
    with LocalCloud(engine="memory", latencies=False) as cloud:
        began = cloud.now()
        cloud.run(sequence, 3)
        assert cloud.now() == began
        assert {len(function.memories) for function in cloud.service.functions.values()} == {1}
