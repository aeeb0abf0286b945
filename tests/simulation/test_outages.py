"""A Lambda that can't run is no attempt of the function's: what it was to do is kept, and done once it can."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapter import attach, durable, errors, run
from adapter.engine import registry
from adapter.protocol.standing import Standing, Way
from adapter.steering.reading import Reader
from adapter.testing import Event, Killed, LocalCloud
from tests.support.effort import effort
from tests.support.laws import HOUR, Limit, slow, step

KINDS = ["missing", "import", "denied", "throttled", "reserved"]
MONTH = 30 * 24 * HOUR
LENGTHS = {"ten minutes": 600, "seven hours": 7 * HOUR, "three days": 72 * HOUR}
LATE = 20 * 60
"""Seconds after the end of an outage: by then what was kept has been tried again, and has run."""


@durable(name="outages:elsewhere", target="elsewhere")
def elsewhere(value: int) -> int:
    return value


@durable(name="outages:late", target="elsewhere")
async def late(value: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return await elsewhere(value)


@durable(name="outages:wakes")
async def wakes() -> int:
    """Time resumes it."""
    await asyncio.sleep(MONTH)
    return await step(1)


@durable(name="outages:hears")
async def hears() -> int:
    """A call's settlement resumes it, directly."""
    return await late(1, MONTH)


@durable(name="outages:counts")
async def counts() -> int:
    """So do those of several, by their number."""
    return sum(await asyncio.gather(late(0, MONTH - 1), late(1, MONTH), late(0, 1)))


@durable(name="outages:calls")
async def calls() -> int:
    """It calls what can't run."""
    await late(0, MONTH)
    return await elsewhere(1)


PROGRAMS: list[tuple[Any, Any]] = [(wakes, wakes), (hears, hears), (counts, counts), (calls, elsewhere)]
"""Each with whose Lambda is out."""


@pytest.fixture
def sky() -> Iterator[LocalCloud]:
    """A cloud in which an outage may last for days."""
    with LocalCloud(engine="memory") as cloud:
        cloud.watchers.append(Limit(20_000))
        yield cloud


def stands(cloud: LocalCloud, promise: str) -> Standing:
    """As the command reads it."""
    reader = Reader(cloud._host)
    return reader.stands(reader.family(promise))


CASES = [
    pytest.param(program, where, kind, length, id=f"{program.name.partition(':')[2]}-{kind}-{length}")
    for program, where in PROGRAMS
    for kind in KINDS
    for length in (LENGTHS if program is wakes else effort(["seven hours"], list(LENGTHS)))
]


@pytest.mark.parametrize(("program", "where", "kind", "length"), CASES)
def test_an_execution_outlives_any_outage(program: Any, where: Any, kind: str, length: str, sky: LocalCloud) -> None:
    """It is a month old when the outage comes. Afterwards it ends by itself, and each body has run once."""
    handle = program.start()
    sky.advance(MONTH - 60)
    with sky.outage(where, kind):
        sky.advance(LENGTHS[length])
        assert handle.status() == "pending"
    sky.advance(LATE)
    assert handle.status() == "resolved"
    assert handle.result() == 1
    leaves = [record for record in sky.records() if record.fn in (step.name, elsewhere.name)]
    assert sky.stats.bodies[elsewhere] + sky.stats.bodies[step] == len(leaves) > 0
    assert not any(record.outage or record.outage_at for record in sky.records())


@pytest.mark.parametrize("kind", KINDS)
def test_what_never_ran_runs_once_after_an_outage(kind: str, sky: LocalCloud) -> None:
    """I5: a caller starts the root in the outage or just before, and hears nothing of it."""
    before = elsewhere.start(1)
    with sky.outage(elsewhere, kind):
        within = elsewhere.start(2)
        sky.advance(3 * HOUR)
    sky.advance(LATE)
    assert [before.result(), within.result()] == [1, 2]
    assert sky.stats.bodies[elsewhere] == 2


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("missing", "is missing"),
        ("denied", "may not be invoked"),
        ("import", "fails with Runtime.ImportModuleError"),
        ("reserved", "has no reserved concurrency"),
    ],
)
def test_what_an_outage_holds_up_is_paused_after_an_hour_and_says_why(kind: str, why: str, sky: LocalCloud) -> None:
    """Before that, its next try is near. Afterwards it goes on as if nothing had been."""
    told: list[Event] = []
    sky.watchers.append(lambda event: told.append(event) if event.what in ("held", "stalled") else None)
    with sky.outage(elsewhere, kind):
        handle = elsewhere.start(1)
        sky.advance(1_800)
        shortly = stands(sky, handle.id)
        assert (shortly.way, [event.what for event in told if event.what == "stalled"]) == (Way.RUNNING, [])
        assert f"is tried again: its Lambda local_elsewhere {why} since 2026-01-01" in shortly.text
        sky.advance(2 * HOUR)
        paused = stands(sky, handle.id)
        assert paused.way is Way.PAUSED
        assert f"paused: its Lambda local_elsewhere {why} since 2026-01-01" in paused.text
        assert told[-1].what == "stalled"
        assert told[-1].detail["target"] == "local_elsewhere"
    sky.advance(LATE)
    assert stands(sky, handle.id).way is Way.SETTLED


def test_what_lambda_keeps_in_its_own_queue_is_paused_once_it_is_too_old(sky: LocalCloud) -> None:
    """Until then only Lambda knows of it."""
    handle = elsewhere.start(1)
    with sky.outage(elsewhere, "throttled"):
        sky.advance(8 * HOUR)
        assert "elsewhere is throttled since 2026-01-01" in stands(sky, handle.id).text
    sky.advance(LATE)
    assert handle.result() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_caller_does_not_fail_with_what_it_calls(kind: str, sky: LocalCloud) -> None:
    """It suspends. Its other calls run."""

    @durable(name="outages:beside")
    async def beside() -> int:
        return sum(await asyncio.gather(elsewhere(1), step(2), elsewhere(3)))

    with sky.outage(elsewhere, kind):
        handle = beside.start()
        sky.advance(60)
        assert attach(f"{handle.id}~1").status() == "resolved"
        assert sky.stats.bodies[beside] == 1
    sky.advance(LATE)
    assert handle.result() == 6
    assert sky.stats.bodies[elsewhere] == 2


@durable(name="outages:collects")
async def collects(width: int) -> int:
    """The first settlement could move it, and so could each other one."""
    calls = [late(1, 60 * ordinal) for ordinal in range(width)]
    done = 0
    for call in asyncio.as_completed(calls):
        done += await call
    return done


@pytest.mark.parametrize("kind", ["missing", "denied", "reserved"])
def test_a_storm_in_an_outage_is_one_try_at_a_time(kind: str, sky: LocalCloud) -> None:
    """Sixty calls settle meanwhile, and the engine tries their caller as often as if one had."""
    tries: list[Event] = []
    sky.watchers.append(lambda event: tries.append(event) if event.what == "tried again" else None)
    handle = collects.start(60)
    sky.drive()
    with sky.outage(collects, kind):
        sky.advance(6 * HOUR)
    sky.advance(LATE)
    assert handle.result() == 60
    assert len(tries) < 60


def test_tries_grow_rarer_and_end_with_the_outage(sky: LocalCloud) -> None:
    """A function that is out for three days is tried every quarter of an hour."""
    tries: list[Event] = []
    sky.watchers.append(lambda event: tries.append(event) if event.what == "tried again" else None)
    elsewhere.start(1)
    with sky.outage(elsewhere, "missing"):
        sky.advance(72 * HOUR)
        apart = [after.at - before.at for before, after in itertools.pairwise(tries)]
        assert apart[:6] == [s * 1_000_000 for s in (30, 60, 120, 240, 480, 900)]
        assert set(apart[5:]) == {900_000_000}
    sky.advance(LATE)
    told = len(tries)
    sky.advance(72 * HOUR)
    assert len(tries) == told


def test_who_waits_in_an_outage_without_end_is_told_what_it_is(sky: LocalCloud) -> None:
    """Days of virtual time pass first. An outage isn't a drift, since the execution goes on by itself."""
    handle = hears.start()
    with sky.outage(elsewhere, "missing"), pytest.raises(errors.Stuck) as stuck:
        handle.result()
    assert "paused: its Lambda local_elsewhere is missing since" in str(stuck.value)
    assert not isinstance(stuck.value, errors.Paused)
    assert handle.result() == 1


def test_who_waits_in_an_outage_waits_until_its_time_is_over(sky: LocalCloud) -> None:
    """An outage is no reason to give up."""
    handle = elsewhere.start(1)
    with sky.outage(elsewhere, "import"), pytest.raises(TimeoutError):
        handle.result(timeout=5 * HOUR)
    assert handle.result() == 1


def test_a_deadline_holds_in_an_outage(sky: LocalCloud) -> None:
    """The engine's own Lambdas alone enforce it."""
    handle = elsewhere.with_options(timeout=2 * HOUR).start(1)
    with sky.outage(elsewhere, "missing"):
        sky.advance(3 * HOUR)
        assert handle.status() == "rejected_timedout"
    sky.advance(HOUR)
    assert sky.stats.bodies[elsewhere] == 0


def test_what_is_cancelled_in_an_outage_cleans_up_after_it(sky: LocalCloud) -> None:
    """It hears of it once its Lambda runs again."""
    cleaned: list[str] = []

    @durable(name="outages:cleans", target="elsewhere")
    async def cleans() -> None:
        try:
            await slow(1, 100)
        finally:
            await run(cleaned.append, "up")

    handle = cleans.start()
    sky.advance(60)
    with sky.outage(cleans, "reserved"):
        handle.cancel()
        sky.advance(5 * HOUR)
        assert cleaned == []
    sky.advance(LATE)
    assert cleaned == ["up"]
    assert all(record.over for record in sky.records())


def test_code_that_does_not_know_a_function_holds_it_up(sky: LocalCloud) -> None:
    """It counts as code that can't be loaded: once somebody deploys it, the execution goes on."""

    @durable(name="outages:vanishes")
    def vanishes() -> int:
        return 1

    handle = vanishes.start()
    known = registry.definitions.pop(vanishes.name)
    try:
        sky.advance(30 * HOUR)
        assert "its Lambda durable fails with UnknownFunction since" in stands(sky, handle.id).text
    finally:
        registry.definitions[vanishes.name] = known
    sky.advance(LATE)
    assert handle.result() == 1


def test_deaths_are_counted_beside_an_outage(sky: LocalCloud) -> None:
    """An outage neither adds to them nor forgets them."""
    deaths: list[int] = []

    @durable(name="outages:dies", target="elsewhere")
    def dies() -> None:
        deaths.append(1)
        raise Killed

    handle = dies.start()
    while len(deaths) < 3:
        sky.advance(60)
    with sky.outage(dies, "import"):
        sky.advance(5 * HOUR)
    with pytest.raises(errors.FunctionCrashed):
        handle.result()
    assert len(deaths) == 9


def test_an_outage_during_an_outage_is_one(sky: LocalCloud) -> None:
    """The function's own Lambda is out, and so is the one that has to resume it."""
    handle = hears.start()
    sky.advance(MONTH - 60)
    with sky.outage(hears, "missing"), sky.outage(elsewhere, "import"):
        sky.advance(7 * HOUR)
    sky.advance(2 * LATE)
    assert handle.status() == "resolved"
    assert sky.stats.bodies[elsewhere] == 1


@pytest.mark.parametrize("kind", ["missing", "denied"])
def test_one_function_that_cannot_be_reached_does_not_hold_up_a_batch(kind: str, sky: LocalCloud) -> None:
    """The parents of others that settle at the same time hear of them at once."""

    @durable(name="outages:there", target="there")
    async def there() -> int:
        return await step(1)

    @durable(name="outages:here")
    async def here() -> int:
        return await step(2)

    with sky.outage(there, kind):
        handles = [there.start(), here.start()]
        sky.drive()
        assert handles[1].status() == "resolved"
    sky.advance(LATE)
    assert handles[0].status() == "resolved"


@pytest.mark.parametrize("kind", ["import", "throttled", "reserved"])
def test_what_is_accepted_in_an_outage_does_not_run(kind: str, on_moto: LocalCloud) -> None:
    """Its body never began."""
    handle = step.start(1)
    with on_moto.outage(step, kind):
        on_moto.advance(10)
    assert on_moto.stats.bodies[step] == 0
    assert handle.status() == "pending"


def test_an_outage_is_of_one_lambda(cloud: LocalCloud) -> None:
    """The function or its name says which. Others run."""
    elsewhere.start(1)
    for lambda_ in (elsewhere, "elsewhere"):
        with cloud.outage(lambda_, "import"):
            assert cloud.run(step, 7) == 7
    with cloud.outage(slow, "import"), cloud.outage("durable", "throttled"):
        assert cloud.run(elsewhere, 7) == 7


@pytest.mark.parametrize(("fn", "kind"), [("durable", "broken"), ("nobody", "missing"), ("durable", "")])
def test_an_outage_that_there_cannot_be_is_refused(fn: str, kind: str, cloud: LocalCloud) -> None:
    """The error names those that there can."""
    with (
        pytest.raises(errors.ConfigurationError, match=r"there is no Lambda|an outage is one of"),
        cloud.outage(fn, kind),
    ):
        pass


@pytest.mark.parametrize("engine", ["moto", "memory"])
@pytest.mark.parametrize(
    ("kind", "code"), [("missing", "ResourceNotFoundException"), ("denied", "AccessDeniedException")]
)
def test_a_client_of_aws_is_refused_as_by_aws(kind: str, code: str, engine: str) -> None:
    """boto3 raises the error that AWS has for it, and none after the outage."""
    call = {"FunctionName": "durable", "InvocationType": "Event", "Payload": b"{}"}
    with LocalCloud(engine=engine) as cloud:
        with cloud.outage("durable", kind), pytest.raises(ClientError) as refused:
            cloud._world.lambda_client.invoke(**call)
        assert refused.value.response["Error"]["Code"] == code
        assert not cloud.service.ready
        cloud._world.lambda_client.invoke(**call)
        assert len(cloud.service.ready) == 1


@pytest.mark.parametrize("kind", ["missing", "import", "reserved"])
def test_the_watchdog_leaves_alone_what_is_kept(kind: str, sky: LocalCloud) -> None:
    """Its looks go on, and find a message on its way."""
    told: list[str] = []
    sky.watchers.append(lambda event: told.append(event.what))
    with sky.outage(elsewhere, kind):
        elsewhere.start(1)
        sky.advance(20 * HOUR)
    assert "looked" in told
    assert "missed" not in told
