"""An invocation that never comes is missed, and made again: whichever it is, whatever waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, promise, resolve
from adapter.cli.acting import resume
from adapter.engine.ports import drive
from adapter.lambdas.watchdog import look
from adapter.protocol.times import SECOND
from adapter.protocol.timing import MAX_WATCH, QUIET, WATCH
from adapter.steering.reading import Reader
from adapter.testing import Faults, LocalCloud
from adapter.testing.events import Event
from adapter.testing.simulated_aws.lambdas import Function
from tests.faults.crashes.programs import DAY, HOUR, fails, leaf, patient
from tests.simulation.scenarios.stage import left_open
from tests.support.laws import WINDOW


@durable
async def waits_for_a_person() -> str:
    return await promise(str)


@durable
async def sequence() -> int:
    return await leaf(1) + await leaf(2) + await leaf(3)


@durable
async def fan() -> int:
    return sum(await asyncio.gather(*(leaf(n) for n in range(4))))


@durable
async def nested() -> int:
    return await sequence() + await fan()


@durable
async def race() -> int:
    done, _ = await asyncio.wait([leaf(5), patient(30)], return_when=asyncio.FIRST_COMPLETED)
    return len(done)


@durable
async def impatient() -> str:
    try:
        async with asyncio.timeout(HOUR):
            return await patient(30)
    except TimeoutError:
        return "left"


@durable
async def overdue() -> str:
    try:
        return await patient.with_options(timeout=HOUR)(30)
    except errors.PromiseTimeout:
        return "timed out"


@durable
async def naps() -> str:
    for seconds in (60, 5 * HOUR, 60):
        await asyncio.sleep(seconds)
    return "awake"


@durable
async def rested() -> int:
    await asyncio.sleep(60)
    return await leaf(1) + await leaf(2)


@durable(timeout=30 * DAY)
async def bounded() -> int:
    return await leaf(1) + await leaf(2)


@durable
async def shares() -> int:
    return sum(await asyncio.gather(*(leaf.with_options(id=f"shared-{n}")(n) for n in range(2))))


@durable
async def follows() -> str:
    return str(await attach("other"))


@durable
async def detaches() -> str:
    return leaf.with_options(id="apart").detach(7).id


@durable
async def maps() -> int:
    return sum(await leaf.map(range(6), max_concurrency=2))


PROGRAMS: list[tuple[Any, object]] = [
    (sequence, 6),
    (fan, 6),
    (nested, 12),
    (race, 1),
    (impatient, "left"),
    (overdue, "timed out"),
    (naps, "awake"),
    (rested, 3),
    (bounded, 3),
    (shares, 1),
    (maps, 15),
    (fails, "caught"),
]


def play(program: Any, losses: set[int]) -> tuple[object, int]:
    """The outcome with these invocations lost, and how many there were."""
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses = losses
        value = cloud.run(program)
        # What is cancelled cleans up after that; detached roots go their own way.
        cloud.advance(3 * DAY)
        assert left_open(cloud) == []
        return value, cloud.service.accepted


@pytest.mark.parametrize(("program", "value"), PROGRAMS, ids=lambda one: getattr(one, "name", "").split(":")[-1])
def test_whichever_one_invocation_is_lost_the_outcome_is_the_same(program: Any, value: object) -> None:
    """Nothing stays open in the end."""
    outcome, count = play(program, set())
    assert outcome == value
    assert count > 1
    for number in range(1, count + 1):
        assert play(program, {number})[0] == value, f"without invocation {number} of {count}"


def test_a_detached_root_is_set_going_though_its_first_invocation_is_lost() -> None:
    """Nobody waits for it."""
    for number in (1, 2):
        with LocalCloud(engine="memory") as cloud:
            cloud.service.losses = {number}
            cloud.run(detaches)
            cloud.advance(DAY)
            assert attach("apart").result() == 7


@pytest.mark.parametrize("mend", ["watchdog", "command"])
def test_a_follower_that_its_root_does_not_know_is_registered_again(mend: str) -> None:
    """The watchdog and the command judge it alike: it waits for nothing that would come, and the words say so."""
    with LocalCloud(engine="memory") as cloud:
        patient.with_options(id="other").start(48)
        handle = follows.with_options(id="f").start()
        cloud.drive()
        root, store = cloud.peek("other"), cloud._world.store
        assert root is not None
        assert root.awaiters == {"f~0"}
        store.write("other", replace(root, awaiters=frozenset()))
        cloud.advance(17 * 60)
        assert "about to follow the execution other (f~0); but no news for 17 min" in stands(cloud, "f")
        if mend == "command":
            (invoked,) = resume(cloud._host, "f", force=False)
            assert invoked.endswith(", which didn't move")
            cloud.drive()
        else:
            cloud.advance(5 * 60)
        assert "waits for the execution other (f~0)" in stands(cloud, "f")
        assert handle.result() == "slept"


def stands(cloud: LocalCloud, promise: str) -> str:
    """What the command says of it."""
    reader = Reader(cloud._host)
    return reader.stands(reader.family(promise)).text


@pytest.mark.parametrize("seed", range(12))
def test_a_quarter_of_all_invocations_may_be_lost(seed: int) -> None:
    """Others are late, doubled and out of order."""
    faults = Faults(lose=0.25, crash=0.02, duplicate=0.1, reorder=0.2, delay=0.1)
    for program, value in PROGRAMS:
        with LocalCloud(seed=seed, faults=faults, engine="memory") as cloud:
            outcome = cloud.run(program)
            # Looks come after hours, too, so who wins a race by hours isn't known.
            assert outcome == value or program in (race, impatient)
            cloud.advance(30 * DAY)
            assert left_open(cloud) == []


def test_a_lost_start_is_made_good_at_the_first_look(cloud: LocalCloud) -> None:
    """The look comes after twenty minutes: longer than any invocation runs."""
    cloud.service.losses = {1}
    begun = cloud.now()
    assert cloud.run(leaf, 1) == 1
    waited = (cloud.now() - begun).total_seconds()
    assert WATCH / SECOND <= waited <= WATCH / SECOND + 60


def test_a_look_in_the_moment_of_a_timer_leaves_its_entry(cloud: LocalCloud) -> None:
    """The caller's look sends it with the time at that moment. (Seed 20546 of chaos: the sweeper had died.)"""

    @durable
    async def calls() -> str:
        return await patient(10)

    handle = calls.start()
    cloud.drive()
    sleeper = cloud.peek(f"{handle.id}~0")
    assert sleeper is not None
    assert sleeper.due_at == sleeper.wake_at is not None
    drive(look(sleeper.id, sleeper.due_at, None), cloud._host.ports.perform)
    assert cloud.peek(sleeper.id) == sleeper


def test_what_waits_for_a_person_is_looked_at_less_and_less_often(cloud: LocalCloud) -> None:
    """A look costs a write and no invocation of the function. In the end there is one a day."""

    @durable
    async def approval() -> str:
        return await promise(str)

    handle = approval.start()
    cloud.drive()
    before, resumes = cloud.stats.writes, cloud.stats.resumes[approval]
    cloud.advance(30 * DAY)
    assert cloud.stats.resumes[approval] == resumes
    # Twice as long each time: 20 minutes, 40, … a day, and then one a day.
    assert cloud.stats.writes - before <= 8 + 30 * DAY / (MAX_WATCH / SECOND)
    resolve(f"{handle.id}~0", "yes")
    assert handle.result() == "yes"


def test_no_look_runs_a_step_again_that_is_between_two_attempts(cloud: LocalCloud) -> None:
    """I5: its next attempt is a message that the table knows nothing of."""
    tries: list[int] = []

    @durable(retry=Retry(attempts=3, initial=2 * HOUR, max_delay=DAY))
    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return "done"

    assert cloud.run(flaky) == "done"
    assert len(tries) == 3


def test_a_paused_execution_is_not_set_going_by_a_look(cloud: LocalCloud) -> None:
    """It waits for its fix."""
    from adapter.engine import registry

    @durable(name="watchdog.drifts")
    async def drifts() -> int:
        return await leaf(1) + await promise(int)

    handle = drifts.start()
    cloud.drive()
    registry.definitions.pop("watchdog.drifts")

    @durable(name="watchdog.drifts")
    async def drifted() -> int:
        return await leaf(2)

    for function in cloud.service.functions.values():
        function.memory.clear()
    resolve(f"{handle.id}~1", 1)
    told: list[Event] = []
    cloud.watchers.append(told.append)
    cloud.advance(10 * DAY)
    assert [event.what for event in told].count("paused") == 1
    with pytest.raises(errors.Paused):
        handle.result()


def test_a_deadline_between_two_looks_is_kept(cloud: LocalCloud) -> None:
    """It is met to the minute, though the entry of the index is for the next look."""

    @durable(timeout=25 * HOUR)
    async def waits() -> str:
        return await promise(str)

    begun = cloud.now()
    with pytest.raises(errors.PromiseTimeout):
        cloud.run(waits)
    assert 25 * HOUR <= (cloud.now() - begun).total_seconds() <= 25 * HOUR + 60


def test_looks_that_an_outage_prevented_are_made_after_it(cloud: LocalCloud) -> None:
    """The entry waits in the index."""
    cloud.service.losses = {1}
    functions, cloud._minutely.functions = cloud._minutely.functions, []
    handle = leaf.start(1)
    cloud.advance(5 * HOUR)
    assert handle.status() == "pending"
    cloud._minutely.functions = functions
    cloud._minutely.fired = cloud.clock() // 60_000_000 * 60_000_000
    assert handle.result() == 1


def test_looks_at_others_do_not_make_an_execution_stuck(cloud: LocalCloud) -> None:
    """Four looks in vain, at others, were taken for the end before the one that mends."""
    for _ in range(6):
        waits_for_a_person.start()
        cloud.advance(61)
    cloud.service.losses = {cloud.service.accepted + 1}
    assert leaf.start(8).result() == 8


@pytest.mark.parametrize(
    ("timeout_s", "bound"), [(60, 20 * 60), (900, 80 * 60)], ids=["a minute", "a quarter of an hour"]
)
def test_a_lost_leaf_is_found_once_all_its_attempts_would_be_over(
    cloud: LocalCloud, timeout_s: int, bound: int
) -> None:
    """They may take three times its Lambda's timeout, and the looks come after 20, 40 and 80 minutes, in batches."""
    function = cloud.service.function("durable")
    cloud.service.functions["durable"] = Function(replace(function.spec, timeout_s=timeout_s))
    cloud.service.losses = {2}
    begun = cloud.now()
    assert cloud.run(sequence) == 6
    assert bound - 60 <= (cloud.now() - begun).total_seconds() <= bound + 120 + 2 * WINDOW


@pytest.mark.parametrize(
    ("program", "value"), [one for one in PROGRAMS if one[0] in (sequence, fan, nested, rested, bounded, shares, maps)]
)
def test_whichever_invocation_is_lost_it_is_found_within_36_minutes(program: Any, value: object) -> None:
    """In virtual time, of an execution that moved lately; a minute for the sweep, and one for the messages."""
    took, count = timed(program, value, set())
    for number in range(1, count + 1):
        assert timed(program, value, {number})[0] <= took + (WATCH + QUIET) / SECOND + 120, number


def timed(program: Any, value: object, losses: set[int]) -> tuple[float, int]:
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses = losses
        begun = cloud.now()
        assert cloud.run(program) == value
        return (cloud.now() - begun).total_seconds(), cloud.service.accepted
