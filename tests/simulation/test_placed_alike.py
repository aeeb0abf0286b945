"""Where a call runs changes what it costs, and nothing else: no outcome, attempt or deadline, and no replay."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from adapter import Retry, durable, errors, run, uuid4
from adapter.api.durable import Durable
from adapter.api.requests import Placement
from adapter.engine.operations import SendAt
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from tests.simulation.placed import EVERYWHERE, HERE, async_leaf, calling, in_sequence, kinds, leaf
from tests.support.laws import Broken, forget


@durable
def failing(how: str) -> int:
    if how == "broken":
        raise Broken("it broke", 7)
    if how == "lookup":
        return {}["missing"]  # type: ignore[no-any-return]
    if how == "unstorable":
        return object()  # type: ignore[return-value]
    raise type("Local", (Exception,), {"__module__": "nowhere"})("local")


@durable
async def async_failing(how: str) -> int:
    return failing.__wrapped__(how)  # type: ignore[attr-defined, no-any-return]


def _described(error: BaseException) -> list[Any]:
    trace = str(error.__cause__)
    return [type(error), str(error), vars(error), type(error.__cause__), "in failing" in trace]


@pytest.mark.parametrize("how", ["broken", "lookup", "unstorable", "local"])
@pytest.mark.parametrize("fn", [failing, async_failing], ids=lambda fn: fn.name)
def test_a_call_fails_alike_wherever_it_runs(fn: Durable[[str], int], how: str, cloud: LocalCloud) -> None:
    """Class, message, attributes and the traceback of its code; a class that isn't loaded here is a RemoteError."""
    seen: dict[str, list[Any]] = {}

    @durable
    async def tries(place: Placement) -> None:
        try:
            await fn.with_options(place=place, retry=Retry(attempts=1))(how)
        except Exception as error:
            seen[place] = _described(error)

    for place in EVERYWHERE:
        cloud.run(tries, place)
    assert seen["lambda"] == seen["inline"] == seen["auto"]
    assert kinds(cloud, fn) == {"call": 1, "inline": 2}


CLOUDS: list[LocalCloud] = []
STARTED: list[dt.datetime] = []


@durable
def flaky(times: int) -> int:
    STARTED.append(CLOUDS[-1].now())
    if len(STARTED) <= times:
        raise Broken(f"attempt {len(STARTED)}")
    return len(STARTED)


@durable
async def async_flaky(times: int) -> int:
    return await asyncio.to_thread(flaky.__wrapped__, times)  # type: ignore[attr-defined, no-any-return]


@durable
async def retrying(fn: str, place: Placement, times: int, policy: str) -> str:
    called: Any = {one.name: one for one in (flaky, async_flaky)}[fn].with_options(place=place)
    policies = {"twice": Retry(attempts=2, initial=5), "never": Retry(attempts=5, never=Broken)}
    if policy:
        called = called.with_options(retry=policies[policy])
    try:
        return str(await called(times))
    except Broken as error:
        return str(error)


@pytest.mark.parametrize("policy", ["", "twice", "never"])
@pytest.mark.parametrize("times", [0, 1, 2, 9])
@pytest.mark.parametrize("fn", [flaky, async_flaky], ids=lambda fn: fn.name)
def test_a_call_is_tried_as_often_and_after_the_same_delays_wherever_it_begins(
    fn: Durable[[int], int], times: int, policy: str, cloud: LocalCloud
) -> None:
    """Its first attempt runs here. The next one has its own Lambda, and no Lambda sleeps through a delay."""
    CLOUDS[:] = [cloud]
    seen = []
    for place in EVERYWHERE:
        STARTED.clear()
        outcome = cloud.run(retrying, fn.name, place, times, policy)
        seen.append((outcome, [(at - STARTED[0]).total_seconds() for at in STARTED]))
    assert seen[0] == seen[1] == seen[2]


def test_an_attempt_that_takes_too_long_fails_here_as_in_a_lambda(cloud: LocalCloud) -> None:
    """An `async def` that does real I/O can be interrupted."""

    @durable(place="inline", retry=Retry(attempts=1, attempt_timeout=0.01))
    async def stalls() -> None:
        await asyncio.to_thread(int)
        await asyncio.get_running_loop().create_future()

    @durable
    async def waits() -> str:
        try:
            await stalls()
        except TimeoutError:
            return "timed out"
        return "ended"

    assert cloud.run(waits) == "timed out"
    assert kinds(cloud, stalls) == {"inline": 1}


KEYS: list[str] = []


@durable
def keyed() -> str:
    KEYS.append(str(uuid4()))
    return KEYS[-1]


@durable
async def calls_keyed(place: Placement) -> str:
    return await keyed.with_options(place=place)()


def test_an_idempotency_key_is_the_same_wherever_a_call_runs() -> None:
    """It follows from the promise: what died in one place has its key in the other."""
    KEYS.clear()
    for place in EVERYWHERE:
        with LocalCloud(engine="memory") as cloud:
            cloud.run(calls_keyed.with_options(id="k"), place)
    assert [KEYS[0]] * 3 == KEYS


@pytest.mark.parametrize("place", EVERYWHERE)
def test_an_argument_is_a_copy_wherever_a_call_runs(place: Placement, any_cloud: LocalCloud) -> None:
    """What the callee does to it, its caller doesn't see."""

    @durable
    def emptying(items: list[int]) -> int:
        items.clear()
        return 0

    @durable
    async def keeps() -> list[int]:
        items = [1, 2]
        await emptying.with_options(place=place)(items)
        await emptying.with_options(place=place)(items)
        return items

    assert any_cloud.run(keeps) == [1, 2]


@pytest.mark.parametrize("place", EVERYWHERE)
@pytest.mark.parametrize("fn", [leaf, async_leaf], ids=lambda fn: fn.name)
def test_a_fake_answers_wherever_a_call_runs(fn: Durable[[int], int], place: Placement, cloud: LocalCloud) -> None:
    """It stands in for the body."""
    with cloud.fake(fn, returns=5) as fake:
        assert cloud.run(in_sequence, fn.name, place, 3) == 15
    assert fake.calls == [{"value": 0}, {"value": 1}, {"value": 2}]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_plain_function_makes_no_durable_call_wherever_it_runs(place: Placement, cloud: LocalCloud) -> None:
    """The error is its outcome."""

    @durable
    def wrong() -> None:
        leaf(1)

    @durable
    async def calls() -> None:
        await wrong.with_options(place=place)()

    with pytest.raises(errors.NotDurable, match="only the body of an async @durable function"):
        cloud.run(calls)


def test_tags_are_kept_with_an_inline_call(cloud: LocalCloud) -> None:
    """As with each promise of its function."""

    @durable(place="inline", tags={"team": "red"})
    def tagged() -> None: ...

    @durable
    async def calls() -> None:
        await tagged()

    cloud.run(calls.with_options(id="t"))
    found = cloud.peek("t~0")
    assert found is not None
    assert found.tags == {"team": "red"}


def test_a_call_cancelled_in_its_own_turn_never_begins_here(any_cloud: LocalCloud) -> None:
    """As elsewhere."""

    @durable
    async def hasty() -> str:
        call = keyed.with_options(place="inline")()
        call.cancel()
        try:
            return await call
        except asyncio.CancelledError:
            return "cancelled"

    KEYS.clear()
    assert any_cloud.run(hasty) == "cancelled"
    assert KEYS == []


# A running execution.

PLACES: list[Placement] = ["lambda"]


@durable
async def changes(steps: int) -> list[int]:
    """It asks for another placement at each replay."""
    PLACES.append(EVERYWHERE[len(PLACES) % 3])
    place = PLACES[-1]
    found = [await leaf.with_options(place=place)(n) for n in range(steps)]
    found += await asyncio.gather(*(async_leaf.with_options(place=place)(n) for n in range(3)))
    found.append(await calling.with_options(place=place)(7))
    found += await leaf.with_options(place=place).map(range(3), max_concurrency=2)
    await asyncio.sleep(60)
    return [*found, await flaky.with_options(place=place)(1)]


@pytest.mark.parametrize("first", range(3))
def test_a_placement_that_changes_at_each_replay_never_drifts(first: int, any_cloud: LocalCloud) -> None:
    """The record says how a call was placed, and a replay follows it."""
    PLACES[:] = ["lambda"] * first
    CLOUDS[:] = [any_cloud]
    STARTED.clear()
    assert any_cloud.run(changes, 3)[:-1] == [0, 1, 2, 0, 1, 2, 7, 0, 1, 2]
    assert not [record for record in any_cloud.records() if record.paused]


@pytest.mark.parametrize("then", HERE)
def test_a_wide_map_goes_on_with_another_placement(then: Placement) -> None:
    """Its blocks are asked for again by a digest that doesn't tell of it."""
    cold = LocalCloud(engine="memory")

    @durable(name="placed.wide")
    async def wide() -> int:
        return sum(await leaf.with_options(place=PLACES[0]).map(range(501))) + await leaf(1)

    def change(event: Event) -> None:
        if event.what == "suspended" and event.fn == wide.name:
            PLACES[0] = then
            forget(cold)

    PLACES[:] = ["lambda"]
    with cold:
        cold.watchers.append(change)
        assert cold.run(wide) == sum(range(501)) + 1
    assert [then] == PLACES


def test_the_calls_of_an_inline_wide_map_run_in_its_blocks(cloud: LocalCloud) -> None:
    """One write each, and an invocation for each block."""

    @durable
    async def wide() -> int:
        return sum(await leaf.with_options(place="inline").map(range(501)))

    assert cloud.run(wide) == sum(range(501))
    assert cloud.stats.bodies[leaf] == 501
    assert cloud.stats.writes <= 501 + 2 + 3 * 4
    assert cloud.stats.invocations <= 10


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_step_and_a_call_of_the_same_function_stay_apart(place: Placement, cold: LocalCloud) -> None:
    """A step has no attempts, and its arguments don't travel: code that changes one into the other has drifted."""
    calls_it = [False]

    @durable(name="placed.drifts")
    async def drifts() -> int:
        first = await leaf.with_options(place=place)(1) if calls_it[0] else await run(leaf, 1)
        await asyncio.sleep(60)
        return first

    handle = drifts.start()
    cold.drive()
    calls_it[0] = True
    cold.advance(60)
    with pytest.raises(errors.Paused, match="drifted"):
        handle.result()


def test_an_attempt_that_died_before_it_was_sent_is_made_again(cloud: LocalCloud) -> None:
    """At least once: the retry of the caller's request finds the call written and not invoked, and invokes it."""
    CLOUDS[:] = [cloud]
    STARTED.clear()
    cloud.kill(retrying, SendAt, when="before")
    assert cloud.run(retrying, flaky.name, "inline", 2, "") == "3"
    assert kinds(cloud, flaky) == {"call": 1}
