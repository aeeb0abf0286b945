"""Two versions of a Lambda's code alive: executions follow the newest, or stay with the one that they began with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from adapter import Retry, durable, errors, promise, resolve, run
from adapter.engine.operations import Create, Invoke, Pin
from adapter.protocol.messages import Start
from adapter.protocol.records import Kind
from adapter.protocol.standing import Way
from adapter.testing import Event, Faults, LocalCloud
from tests.simulation.command.commanding import said
from tests.simulation.test_outages import LATE, elsewhere, stands
from tests.support.laws import HOUR, STORM, Limit, slow, step

PINNED = "durable:1"


@pytest.fixture
def sky() -> Iterator[LocalCloud]:
    """A cloud with an alias, in which an outage may last for days."""
    with LocalCloud(engine="memory", alias="live") as cloud:
        cloud.watchers.append(Limit(20_000))
        yield cloud


@durable(name="versions:sleeps")
async def sleeps() -> str:
    await step(1)
    await asyncio.sleep(10 * HOUR)
    return f"old {await step(2)}"


async def sleeps_anew() -> str:
    await step(1)
    await asyncio.sleep(10 * HOUR)
    return f"new {await step(2)}"


@durable(name="versions:hears", pin=True)
async def hears() -> str:
    return f"old {await slow(1, 10)}"


@durable(name="versions:counts", pin=True)
async def counts() -> str:
    return f"old {sum(await asyncio.gather(slow(1, 9), slow(2, 10)))}"


@durable(name="versions:wakes", pin=True)
async def wakes() -> str:
    await step(1)
    await asyncio.sleep(10 * HOUR)
    return f"old {await step(2)}"


@durable(name="versions:tries again", pin=True, retry=Retry(attempts=2, initial=10 * HOUR, jitter=0))
def tries_again() -> str:
    tried.append(1)
    if len(tried) == 1:
        raise ValueError
    return "old 1"


@durable(name="versions:asks", pin=True)
async def asks() -> str:
    return f"old {await promise(int)}"


async def otherwise() -> str:
    """It has nothing in common with the code before."""
    return f"new {await slow(7, 1)}"


def otherwise_at_once() -> str:
    return "new 7"


tried: list[int] = []
PROGRAMS: list[tuple[Any, Any]] = [
    (hears, otherwise),
    (counts, otherwise),
    (wakes, otherwise),
    (tries_again, otherwise_at_once),
]


class Ran:
    """Which versions ran a function, since it began to look."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.where: dict[str, set[str]] = {}
        self.told: list[str] = []
        cloud.watchers.append(self._watch)

    def _watch(self, event: Event) -> None:
        self.told.append(event.what)
        if event.what == "running":
            self.where.setdefault(event.fn, set()).add(event.function)


# Those that follow the newest.


def test_without_a_pin_an_execution_goes_on_by_the_newest_code(sky: LocalCloud) -> None:
    """The alias goes to another version while the execution sleeps. Nobody ends a sandbox: a version has its own."""
    ran = Ran(sky)
    handle = sleeps.start()
    sky.advance(HOUR)
    assert sky.publish(sleeps, calls=sleeps_anew) == 2
    assert handle.result() == "new 2"
    assert ran.where[sleeps.name] == {"durable:1", "durable:2"}
    assert {record.target for record in sky.records() if record.kind is Kind.CALL} == {"durable:live"}


def test_code_that_does_not_fit_pauses_an_execution_until_the_alias_goes_back(sky: LocalCloud) -> None:
    """A rollback is one command; `durable resume` then has nothing to repeat."""
    handle = sleeps.start()
    sky.advance(HOUR)
    sky.publish(sleeps, calls=otherwise)
    with pytest.raises(errors.Paused):
        handle.result()
    sky.shift(sleeps, 1)
    said("resume", handle.id)
    assert handle.result() == "old 2"


def test_what_names_no_alias_goes_to_code_that_nobody_has_published() -> None:
    """As on AWS: `$LATEST` is what was deployed last. A pin has nothing to hold on to."""
    with LocalCloud(engine="memory") as cloud:
        ran = Ran(cloud)
        handle = wakes.start()
        cloud.advance(HOUR)
        cloud.publish(wakes, calls=otherwise)
        assert handle.result() == "old 2"
        assert ran.where[wakes.name] == {"durable"}
        assert not any(record.unpinned for record in cloud.records())


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("other:beta", "local_other:beta"),
        ("other:1", "local_other:1"),
        ("arn:aws:lambda:us-east-1:123456789012:function:local_other:beta", None),
    ],
)
def test_a_target_may_name_an_alias_a_version_or_an_arn(target: str, name: str | None, sky: LocalCloud) -> None:
    """Calls, replies and timers go by the very name."""
    ran = Ran(sky)
    named = sleeps.with_options(target=target)
    sky.publish(sleeps.with_options(target="other"), alias="beta")
    sky.publish(sleeps.with_options(target="other"), calls=otherwise)
    assert sky.run(named) == "old 2"
    assert ran.where[sleeps.name] == {"local_other:1"}
    assert {record.target for record in sky.records() if record.kind is Kind.CALL} == {name or target}


def test_an_alias_that_a_lambda_does_not_have_is_an_outage(sky: LocalCloud) -> None:
    """It goes on once there is one."""
    sky.publish(sleeps.with_options(target="other"))
    handle = sleeps.with_options(target="other:beta").start()
    sky.advance(2 * HOUR)
    assert "its Lambda local_other:beta is missing since" in stands(sky, handle.id).text
    sky.publish(sleeps.with_options(target="other"), alias="beta")
    assert handle.result() == "old 2"


def test_a_canary_gets_its_share_of_all_invocations(sky: LocalCloud) -> None:
    """What fits both versions is done by both."""
    sky.publish(sleeps)
    sky.publish(sleeps, share=0.3)
    ran = Ran(sky)
    handles = [sleeps.start() for _ in range(20)]
    sky.advance(11 * HOUR)
    assert {handle.result() for handle in handles} == {"old 2"}
    assert ran.where[sleeps.name] == {"durable:1", "durable:2"}


# Those that are pinned.


@pytest.mark.parametrize(("program", "anew"), PROGRAMS, ids=["hears", "counts", "wakes", "tries again"])
def test_a_pinned_execution_ends_by_the_code_that_it_began_with(program: Any, anew: Any, sky: LocalCloud) -> None:
    """Whatever resumes it: a call, a count, a timer, its next attempt. One that begins later has the newer code."""
    tried.clear()
    ran = Ran(sky)
    handle = program.start()
    sky.advance(HOUR)
    sky.publish(program, calls=anew)
    later = program.start()
    assert handle.result().startswith("old")
    assert later.result() == "new 7"
    pins = {record.id: (record.target, record.unpinned) for record in sky.records() if record.fn == program.name}
    assert pins == {handle.id: (PINNED, "durable:live"), later.id: ("durable:2", "durable:live")}
    assert ran.where[program.name] == {"durable:1", "durable:2"}
    assert "handed on" not in ran.told


def test_a_pin_costs_one_write(sky: LocalCloud) -> None:
    """And none for the calls in its Lambda, which are pinned as they are made."""
    plain = durable(name="versions:not pinned")(hears.__wrapped__)
    sky.run(plain)
    without = sky.stats.writes
    sky.stats.reset()
    sky.run(hears)
    assert sky.stats.writes == without + 1


def test_an_event_pins_its_execution_at_no_write(sky: LocalCloud) -> None:
    """The Lambda that starts it knows its own version."""
    sky.invoke(asks, {})
    sky.drive()
    (root,) = [record for record in sky.records() if record.fn == asks.name]
    assert (root.target, root.unpinned) == ("local_versions-asks:1", "local_versions-asks:live")


def test_calls_in_its_own_lambda_are_pinned_too_and_others_are_not(sky: LocalCloud) -> None:
    """Nor is a root that it starts: that has a life of its own."""

    @durable(name="versions:calls", pin=True)
    async def calls() -> list[Any]:
        own = step.with_options(target="calls")
        detached = step.detach(5)
        return [
            await step(1),
            await own(2),
            await own.with_options(target="calls:$LATEST")(3),
            await elsewhere(4),
            await detached,
        ]

    here = calls.with_options(target="calls")
    *outcomes, root = sky.run(here)
    assert outcomes == [1, 2, 3, 4]
    targets = {record.value: (record.target, record.unpinned) for record in sky.records() if record.fn != calls.name}
    pinned = "local_calls:1", "local_calls:live"
    assert [targets[value] for value in ("1", "2", "3")] == [pinned, pinned, ("local_calls:$LATEST", "")]
    assert targets["4"] == ("local_elsewhere:live", "")
    assert targets["5"] == ("local_calls:live", "")
    assert sky.peek(root) is not None


def test_what_is_cancelled_cleans_up_by_the_code_that_it_began_with(sky: LocalCloud) -> None:
    """The resumer invokes the version that its record names."""
    cleaned: list[str] = []

    @durable(name="versions:cleans", pin=True)
    async def cleans() -> None:
        try:
            await slow(1, 100)
        finally:
            await run(cleaned.append, "old")

    async def cleans_otherwise() -> None:
        await step(3)
        cleaned.append("new")

    handle = cleans.start()
    sky.advance(HOUR)
    sky.publish(cleans, calls=cleans_otherwise)
    handle.cancel()
    sky.drive()
    assert cleaned == ["old"]


def test_the_watchdog_sends_its_checks_to_the_version(sky: LocalCloud) -> None:
    """The message that resumes it is lost."""
    handle = asks.start()
    sky.advance(60)
    sky.publish(asks, calls=otherwise)
    ran = Ran(sky)
    sky.service.losses = {sky.service.accepted + 1}
    resolve(f"{handle.id}~0", 5)
    assert handle.result() == "old 5"
    assert "missed" in ran.told
    assert ran.where[asks.name] == {PINNED}


def test_of_a_canary_each_execution_keeps_the_version_that_it_drew(sky: LocalCloud) -> None:
    """Their codes have nothing in common, and no execution drifts."""
    sky.publish(wakes)
    sky.publish(wakes, calls=otherwise, share=0.5)
    handles = [wakes.start() for _ in range(12)]
    outcomes = [handle.result() for handle in handles]
    assert set(outcomes) == {"old 2", "new 7"}
    pins = {record.id: record.target for record in sky.records() if record.fn == wakes.name}
    assert [pins[handle.id] for handle in handles] == [PINNED if out == "old 2" else "durable:2" for out in outcomes]


@pytest.mark.parametrize("operation", [Pin, Create, Invoke])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_lambda_repeats_in_another_version_is_handed_on(operation: Any, when: str, sky: LocalCloud) -> None:
    """Its first run died, and then the alias moved. No look of the watchdog stands in for the retry."""
    ran = Ran(sky)
    # Whose run it is isn't known before the pin.
    sky.kill("durable" if operation is Pin else hears, operation, when)
    handle = hears.start()
    sky.drive()
    sky.publish(hears, calls=otherwise)
    pinned = (operation, when) != (Pin, "before")
    assert handle.result(timeout=20 * HOUR) == ("old 1" if pinned else "new 7")
    assert ("handed on" in ran.told) == pinned
    assert "missed" not in ran.told
    assert len([record for record in sky.records() if record.fn == slow.name]) == 1


def test_of_two_versions_that_begin_it_at_once_the_first_pin_stands(sky: LocalCloud) -> None:
    """Lambda delivers the start twice, and the alias moves in between."""
    sky.publish(hears)
    once = iter([True])

    def begin_again() -> None:
        if next(once, False):
            sky.publish(hears, calls=otherwise)
            sky._host.ports.perform(Invoke("durable:live", Start(id="run-1")))
            sky.drive()

    sky.meanwhile("durable", Pin, begin_again)
    ran = Ran(sky)
    handle = hears.start()
    assert handle.result() == "new 7"
    assert "handed on" in ran.told
    assert "paused" not in ran.told


# Versions that are gone.


def test_a_version_that_is_gone_is_an_outage_that_names_it(sky: LocalCloud) -> None:
    """`durable show` says what to type. Once it is unpinned, the execution follows the newest."""
    handle = wakes.start()
    sky.advance(HOUR)
    sky.publish(wakes, calls=sleeps_anew)
    sky.unpublish(wakes, 1)
    sky.advance(12 * HOUR)
    found = stands(sky, handle.id)
    assert found.way is Way.PAUSED
    assert "its Lambda durable:1 is missing since" in found.text
    assert "version 1 of durable is gone: durable resume ID --unpin" in found.text
    told = said("resume", handle.id, "--unpin")
    assert f"{handle.id}" in told
    assert "goes on in durable:live, not in durable:1 any more" in told
    assert handle.result() == "new 2"


def test_what_was_published_again_is_found_by_a_move(sky: LocalCloud) -> None:
    """The old code is version 3 now. What is pinned to 1 runs there, and stays pinned to 1."""
    handles = [program.start() for program in (hears, counts, wakes)]
    sky.advance(HOUR)
    sky.publish("durable")
    sky.unpublish("durable", 1)
    sky.advance(12 * HOUR)
    assert {handle.status() for handle in handles} == {"pending"}
    assert sky.publish("durable") == 3
    ran = Ran(sky)
    said("move", "durable:1", "durable:3")
    sky.advance(LATE)
    assert [handle.result() for handle in handles] == ["old 1", "old 3", "old 2"]
    assert ran.where[wakes.name] == {"durable:3"}


def test_a_version_that_moved_to_the_alias_goes_on_there(sky: LocalCloud) -> None:
    """The alias goes to another version than that to which its record is pinned: no message goes round in circles."""
    handle = wakes.start()
    sky.advance(HOUR)
    sky.publish(wakes, calls=sleeps_anew)
    sky.unpublish(wakes, 1)
    said("move", "durable:1", "durable:live")
    ran = Ran(sky)
    assert handle.result() == "new 2"
    # The resume by the timer, and that by the last step.
    assert ran.told.count("handed on") == 3


def test_an_alias_moves_with_its_lambda_and_a_version_does_not(sky: LocalCloud) -> None:
    """The Lambda has another name now. What is pinned is unpinned, and finds the alias there."""
    handles = [sleeps.with_options(target="before").start(), wakes.with_options(target="before").start()]
    sky.advance(HOUR)
    with sky.outage("local_before", "missing"):
        said("move", "before", "anew")
        sky.advance(20 * HOUR)
        assert handles[0].result() == "old 2"
        assert "its Lambda local_before:1 is missing" in stands(sky, handles[1].id).text
        said("resume", handles[1].id, "--unpin")
        assert handles[1].result() == "old 2"


def test_what_is_below_is_unpinned_with_it(sky: LocalCloud) -> None:
    """Calls in its Lambda were pinned with their caller. Their replies come by the old name, half a minute late."""

    @durable(name="versions:above", pin=True)
    async def above() -> str:
        return f"above {await sleeps()}"

    handle = above.start()
    sky.advance(HOUR)
    sky.publish("durable")
    sky.unpublish("durable", 1)
    said("resume", handle.id, "--unpin")
    assert handle.result() == "above old 2"
    left = {record.unpinned for record in sky.records() if record.fn in (above.name, sleeps.name)}
    assert left == {""}


def test_what_was_unpinned_is_not_pinned_again(sky: LocalCloud) -> None:
    """A pin is for what begins. It follows each version from then on."""
    handle = wakes.start()
    sky.advance(HOUR)
    sky.publish("durable")
    said("resume", handle.id, "--unpin", "--force")
    sky.drive()
    sky.publish(wakes, calls=sleeps_anew)
    assert handle.result() == "new 2"


# What a cloud refuses.


def test_a_version_that_an_alias_goes_to_stays(sky: LocalCloud) -> None:
    """AWS refuses to delete it, and a cloud does."""
    sky.publish(sleeps)
    with pytest.raises(
        errors.ConfigurationError, match=r"version 1 of durable can't be deleted: durable:live goes there"
    ):
        sky.unpublish(sleeps, 1)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_is_a_part(share: float, sky: LocalCloud) -> None:
    """None, and more than all, is refused."""
    sky.publish(sleeps)
    with pytest.raises(errors.ConfigurationError, match="a share of the attempts is above 0"):
        sky.publish(sleeps, share=share)


def test_what_there_is_not_is_refused(sky: LocalCloud) -> None:
    """A version that nobody published; a canary beside nothing; a Lambda's name for a function."""
    with pytest.raises(errors.ConfigurationError, match="durable has no version 9"):
        sky.shift(sleeps, 9)
    with pytest.raises(errors.ConfigurationError, match="goes to no version yet"):
        sky.publish(sleeps, share=0.5)
    with pytest.raises(errors.ConfigurationError, match="Give a durable function"):
        sky.publish("durable", calls=otherwise)


# Chaos.


@pytest.mark.parametrize("seed", range(12))
def test_pinned_executions_keep_their_code_in_a_storm(seed: int) -> None:
    """Two versions with nothing in common, half of the invocations each; Lambdas die, messages come twice and late."""
    with LocalCloud(seed, STORM, engine="memory", alias="live") as cloud:
        cloud.watchers.append(Limit(5_000))
        cloud.publish("durable")
        cloud.publish(counts, calls=otherwise, share=0.5)
        handles = [counts.start() for _ in range(6)]
        outcomes = [handle.result() for handle in handles]
        targets = {record.id: record.target for record in cloud.records()}
        expected = {"old 3": PINNED, "new 7": "durable:2"}
        assert [targets[handle.id] for handle in handles] == [expected[outcome] for outcome in outcomes]


@pytest.mark.parametrize("seed", range(6))
def test_versions_that_fit_may_be_mixed_in_a_storm(seed: int) -> None:
    """Each attempt of an execution that isn't pinned may come to another version. The outcome is one."""
    faults = Faults(crash=0.05, duplicate=0.2, reorder=0.3, delay=0.2, scatter=0.2)
    with LocalCloud(seed, faults, engine="memory", alias="live") as cloud:
        cloud.watchers.append(Limit(5_000))
        cloud.publish("durable")
        cloud.publish("durable", share=0.5)
        assert [cloud.run(program) for program in (sleeps, hears, counts)] == ["old 2", "old 1", "old 3"]


@pytest.mark.parametrize("seed", range(6))
def test_an_alias_that_moves_all_the_time_breaks_no_pin(seed: int) -> None:
    """It goes to and fro between two versions with nothing in common, also while a run begins."""
    with LocalCloud(seed, STORM, engine="memory", alias="live") as cloud:
        cloud.watchers.append(Limit(5_000))
        cloud.publish("durable")
        cloud.publish(counts, calls=otherwise)
        turns = itertools.cycle([1, 2])
        cloud.watchers.append(lambda event: cloud.shift(counts, next(turns)) if event.what != "later" else None)
        outcomes = {handle.result() for handle in [counts.start() for _ in range(4)]}
        assert outcomes <= {"old 3", "new 7"}
