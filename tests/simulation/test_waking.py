"""How a call resumes its caller: by the stream, by its own run, or not at all, where the caller lingers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from adapter import Retry, cancel, durable, run
from adapter.api.durable import Durable
from adapter.engine.operations import Arm, Create, Invoke
from adapter.engine.telling import What
from adapter.engine.waking import LINGER
from adapter.errors import ConfigurationError, PromiseCancelled
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.records import State
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from adapter.testing.faults import Kill, Meanwhile
from adapter.testing.happenings import Happening
from adapter.testing.simulated_aws.memory import MemoryStore

Word = Literal["stream", "direct", "linger"]
WORDS: tuple[Word, ...] = ("stream", "direct", "linger")
STEPS = 6


@durable(name="waking:step")
def step(number: int) -> int:
    return number + 1


@durable(name="waking:nap")
async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@durable(name="waking:fails")
def fails() -> None:
    raise KeyError("here")


@durable(name="waking:tidy")
def tidy() -> None:
    """It cleans up."""


@durable(name="waking:cancels")
def cancels(root: str) -> None:
    cancel(root)


@durable(name="waking:cancels_in_its_sleep")
async def cancels_in_its_sleep(root: str) -> None:
    await run(cancel, root)
    await asyncio.sleep(60)


@durable(name="waking:interrupted", wake="linger")
async def interrupted(root: str) -> None:
    try:
        await cancels_in_its_sleep(root)
    finally:
        await asyncio.sleep(5)
        await tidy()


@durable(name="waking:detaches", wake="linger")
async def detaches() -> str:
    return await step.with_options(id="apart").detach(1)


@durable(name="waking:hurries")
async def hurries() -> int:
    async with asyncio.timeout(15):
        await nap(0)
    return 2


def impatient(word: Word) -> Durable[[], int]:
    @durable(name=f"waking:impatient-{word}", wake=word)
    async def calls() -> int:
        answer = await hurries()
        await asyncio.sleep(60)
        return answer

    return calls


IMPATIENT = {word: impatient(word) for word in WORDS}
TRIES: list[int] = []


@durable(name="waking:fails_once", place="inline", retry=Retry(attempts=2, initial=60))
def fails_once() -> int:
    TRIES.append(1)
    if len(TRIES) % 2:
        raise ValueError
    return 1


@durable(name="waking:tries_here", wake="linger")
async def tries_here() -> int:
    return await fails_once()


def chain(word: Word) -> Durable[[], int]:
    @durable(name=f"waking:chain-{word}", wake=word)
    async def steps() -> int:
        number = 0
        for _ in range(STEPS):
            number = await step(number)
        return number

    return steps


CHAINS = {word: chain(word) for word in WORDS}


@durable(name="waking:naps", wake="linger")
async def naps(times: int, seconds: float) -> list[str]:
    return [await nap(seconds) for _ in range(times)]


@durable(name="waking:careful", wake="linger")
async def careful(root: str) -> None:
    try:
        await cancels(root)
        await step(1)
        await nap(60)
    finally:
        await tidy()


@durable(name="waking:catches", wake="linger")
async def catches() -> str:
    try:
        await fails()
    except KeyError as error:
        return str(error.args[0])
    return "nothing"


@durable(name="waking:bounded", wake="linger")
async def bounded() -> int:
    async with asyncio.timeout(60):
        return await step(1)


@durable(name="waking:prompted", wake="direct")
async def prompted() -> int:
    return await step(await step(0))


@pytest.mark.parametrize(("word", "each"), [("stream", 3), ("direct", 2), ("linger", 1)])
def test_a_step_takes_two_writes_and_three_two_or_one_invocations(cloud: LocalCloud, word: Word, each: int) -> None:
    """I8: no option costs a write. By the stream there are the step, the resumer and the caller; then fewer."""
    assert cloud.run(CHAINS[word]) == STEPS
    assert cloud.stats.writes == 2 * STEPS + 2
    assert cloud.stats.invocations == each * STEPS + 1
    assert cloud.stats.bodies[step] == STEPS


def test_a_caller_that_lingers_is_not_suspended_for_a_short_call(cloud: LocalCloud) -> None:
    """Nor replayed: its body runs once, from its beginning to its end."""
    cloud.run(CHAINS["linger"])
    assert cloud.stats.resumes[CHAINS["linger"]] == 0


def test_a_caller_suspends_for_a_longer_call_and_is_resumed_by_it(cloud: LocalCloud) -> None:
    """It pays for `LINGER` at most, and one write; the call's end isn't heard any later."""
    begun = cloud.now()
    assert cloud.run(naps, 1, 60) == ["slept"]
    assert cloud.stats.resumes[naps] == 1
    assert (cloud.now() - begun).total_seconds() == 60


def test_a_caller_does_not_linger_for_a_call_that_has_been_long(cloud: LocalCloud) -> None:
    """The sandbox has learnt it: only the first of these calls is asked for its wake."""
    assert cloud.run(naps, 5, 60) == ["slept"] * 5
    # Two for each call, one for the root and its outcome, and one to ask. Each nap arms for its timer, and claims.
    assert cloud.stats.writes == 5 * 4 + 2 + 1


def test_a_caller_lingers_for_no_longer_than_a_resume_would_take(cloud: LocalCloud) -> None:
    """The call settles only after the caller has suspended, so the caller has waited for all of it."""
    told: list[Event] = []
    cloud.watchers.append(told.append)
    cloud.run(naps, 1, 60)
    at = {event.what: event.at for event in reversed(told) if event.fn == naps.name}
    assert at[What.SUSPENDED] - at[What.RUNNING] == LINGER


def test_a_caller_with_a_timer_does_not_linger(cloud: LocalCloud) -> None:
    """The timer would come late. The call is counted, as ever."""
    assert cloud.run(bounded) == 2
    assert cloud.stats.resumes[bounded] == 1


def test_a_failure_crosses_to_a_caller_that_lingers(cloud: LocalCloud) -> None:
    """As to any other."""
    assert cloud.run(catches) == "here"


def test_a_caller_that_lingers_hears_of_its_cancellation(cloud: LocalCloud) -> None:
    """Another run hears of it first. Both come to the same end, and I5: the clean-up's step runs once."""
    handle = careful.with_options(id="careful").start("careful")
    cloud.advance(120)
    with pytest.raises(PromiseCancelled):
        handle.result()
    assert cloud.stats.bodies[tidy] == 1


def test_a_cancellation_is_heard_before_what_follows_from_it(cloud: LocalCloud) -> None:
    """Another run hears of it, and cancels the call, which the run that lingers sees first. The clean-up is whole."""
    waited: list[str] = []

    def linger() -> None:
        call = cloud.peek("interrupted~0")
        if call is not None and call.state is State.CANCELED and not waited:
            waited.append(call.id)
            cloud.advance(0.05)

    cloud._driver.meanwhile(Meanwhile(interrupted.name, Arm, linger))
    handle = interrupted.with_options(id="interrupted").start("interrupted")
    cloud.advance(120)
    with pytest.raises(PromiseCancelled):
        handle.result()
    assert waited
    assert cloud.stats.bodies[tidy] == 1


def test_what_is_detached_is_not_lingered_for(cloud: LocalCloud) -> None:
    """A second run finds it made and not begun: the first one is about to begin it."""

    told: list[Event] = []
    cloud.watchers.append(told.append)
    begun: list[str] = []

    def again() -> None:
        own = cloud.peek("detaches")
        if own is not None and cloud.peek("detaches~0") is not None and not begun:
            begun.append(own.id)
            cloud._driver.ports().perform(Invoke(own.target, Resume(id=own.id, cause=Cause.AGAIN)))
            cloud.drive()

    cloud._driver.meanwhile(Meanwhile(detaches.name, Create, again))
    assert detaches.with_options(id="detaches").start().result() == "apart"
    assert begun
    assert [event for event in told if event.what is Happening.FAILED] == []


@pytest.mark.parametrize("word", WORDS)
def test_a_late_message_to_a_call_that_has_settled_resumes_nobody(cloud: LocalCloud, word: Word) -> None:
    """The message of its timer, which it didn't need, comes while its caller is about something else."""
    caller = IMPATIENT[word]
    assert cloud.run(caller) == 2
    # Once when the call has settled, and once by its own timer.
    assert cloud.stats.resumes[caller] == 2 - (word == "linger")


def test_a_settlement_whose_answer_is_lost_resumes_the_caller(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is asked for again, and refused. No look has to find that."""
    told: list[Event] = []
    cloud.watchers.append(told.append)
    settle = MemoryStore.settle

    def twice(*args: Any, **named: Any) -> Any:
        settle(*args, **named)
        return settle(*args, **named)

    monkeypatch.setattr(MemoryStore, "settle", twice)
    assert cloud.run(prompted) == 2
    assert [event for event in told if event.what is What.MISSED] == []


def test_nobody_lingers_for_an_attempt_that_comes_later(cloud: LocalCloud) -> None:
    """The call began in its caller, and failed; its next attempt has a time."""
    begun = cloud.now()
    assert cloud.run(tries_here) == 1
    assert cloud.stats.resumes[tries_here] == 1
    assert (cloud.now() - begun).total_seconds() == 60
    # The root and its outcome, the call and its outcome: no question.
    assert cloud.stats.writes == 4


@dataclass
class Dying(Kill):
    """A step that has settled dies before it resumes its caller."""

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        if not isinstance(operation, Invoke) or not isinstance(operation.message, Resume):
            return False
        return when == self.when and operation.message.cause is Cause.DIRECT


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_step_that_cannot_resume_its_caller_does_so_later(cloud: LocalCloud, deaths: int) -> None:
    """Lambda's retry finds the settlement, and after the last retry the dead letter does. No look has to find it."""
    told: list[Event] = []
    cloud.watchers.append(told.append)
    for _ in range(deaths):
        cloud._driver.kill(Dying("", object, "before"))
    assert cloud.run(prompted) == 2
    assert cloud.stats.bodies[step] == 2
    assert [event for event in told if event.what is What.MISSED] == []


def test_an_unknown_way_is_refused_when_the_function_is_decorated() -> None:
    """The error names those that there are."""
    with pytest.raises(ConfigurationError, match="'stream', 'direct', 'linger', not 'soon'"):
        durable(wake="soon")  # type: ignore[call-overload]
