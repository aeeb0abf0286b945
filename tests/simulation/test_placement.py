"""Where a call runs changes what it costs, and nothing else: no outcome, attempt or deadline, and no replay."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from typing import Any

import pytest

from adapter import Retry, durable, errors, run, uuid4
from adapter.api.durable import Durable
from adapter.api.requests import Placement
from adapter.engine.operations import SendAt
from adapter.protocol.records import Kind
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from tests.support.laws import COLD, WARM, Broken, Weather, forget

HERE: tuple[Placement, ...] = ("inline", "auto")
EVERYWHERE: tuple[Placement, ...] = ("lambda", "inline", "auto")


@durable
def leaf(value: int) -> int:
    return value


@durable
async def async_leaf(value: int) -> int:
    return value


@durable
async def reading(value: int) -> int:
    """Real I/O, without a durable call."""
    return await asyncio.to_thread(abs, value)


@durable
async def calling(value: int) -> int:
    return await leaf(value)


@durable
async def sleeping(value: int) -> int:
    await asyncio.sleep(3_600)
    return value


LEAVES = [leaf, async_leaf, reading]


@durable
async def in_sequence(fn: str, place: Placement, n: int) -> int:
    called = {one.name: one for one in [*LEAVES, calling, sleeping]}[fn].with_options(place=place)
    return sum([await called(value) for value in range(n)])


def kinds(cloud: LocalCloud, fn: Durable[..., Any]) -> Counter[str]:
    return Counter(record.kind.value for record in cloud.records() if record.fn == fn.name and "~" in record.id)


# What it costs.


@pytest.mark.parametrize("weather", [WARM, COLD], ids=lambda weather: weather.name)
@pytest.mark.parametrize("fn", LEAVES, ids=lambda fn: fn.name)
def test_an_inline_call_costs_one_write_and_no_invocation(fn: Durable[[int], int], weather: Weather) -> None:
    """I8. The root's creation and settlement cost two writes and an invocation; its body ran as any body."""
    with weather.cloud() as cloud:
        assert cloud.run(in_sequence, fn.name, "inline", 10) == 45
        assert cloud.stats.writes == 10 + 2
        assert cloud.stats.invocations == 1
        assert cloud.stats.bodies[fn] == 10


@pytest.mark.parametrize("fn", LEAVES, ids=lambda fn: fn.name)
def test_an_auto_call_runs_here_once_the_sandbox_knows_that_it_is_short(
    fn: Durable[[int], int], cloud: LocalCloud
) -> None:
    """The first one goes to a Lambda: two writes, and the invocations of the function, the resumer and the parent."""
    assert cloud.run(in_sequence, fn.name, "auto", 10) == 45
    assert kinds(cloud, fn) == {"call": 1, "inline": 9}
    assert cloud.stats.writes == 2 + 2 + 9
    assert cloud.stats.invocations == 1 + 3
    cloud.stats.reset()
    assert cloud.run(in_sequence, fn.name, "auto", 10) == 45
    assert cloud.stats.writes == 2 + 10
    assert cloud.stats.invocations == 1


def test_a_new_sandbox_knows_of_no_function_that_it_is_short(cloud: LocalCloud) -> None:
    """After a deploy, or where a call ran out of its Lambda's memory, the next one has its own Lambda again."""
    cloud.run(in_sequence, leaf.name, "auto", 3)
    cloud.forget()
    cloud.run(in_sequence.with_options(id="later"), leaf.name, "auto", 3)
    assert [cloud.peek(f"later~{n}").kind for n in range(3)] == [Kind.CALL, Kind.INLINE, Kind.INLINE]  # type: ignore[union-attr]


def test_by_default_each_call_is_its_own_invocation(cloud: LocalCloud) -> None:
    """However short it is."""

    @durable
    async def plainly() -> int:
        return await leaf(1) + await leaf(2) + await leaf(3)

    assert cloud.run(plainly) == 6
    assert kinds(cloud, leaf) == {"call": 3}


def test_the_decorator_says_where_a_function_runs_and_a_call_may_say_otherwise(cloud: LocalCloud) -> None:
    """As with all options."""

    @durable(place="inline")
    def near(value: int) -> int:
        return value

    @durable
    async def both() -> int:
        return await near(1) + await near.with_options(place="lambda")(2)

    assert cloud.run(both) == 3
    assert kinds(cloud, near) == {"inline": 1, "call": 1}


# What runs elsewhere all the same.


@durable
async def in_parallel() -> int:
    called = leaf.with_options(place="auto")
    return sum(await asyncio.gather(called(1), called(2))) + await called(3)


@durable
async def beside_another() -> int:
    """It awaits the second call alone, and the first is under way."""
    first = calling(1)
    await run(int)
    return await leaf.with_options(place="auto")(2) + await first


@durable
async def within_a_time() -> int:
    async with asyncio.timeout(60):
        return await leaf.with_options(place="auto")(1)


@durable
async def beside_a_task() -> int:
    async def other() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    found = await leaf.with_options(place="auto")(1)
    await task
    return found


@pytest.mark.parametrize(
    ("fn", "ran"),
    [
        (in_parallel, {"call": 2, "inline": 1}),
        (beside_another, {"call": 1, "inline": 1}),
        (within_a_time, {"call": 1}),
        (beside_a_task, {"call": 1}),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_an_auto_call_runs_here_only_if_its_caller_waits_for_it_alone(
    fn: Durable[[], int], ran: dict[str, int], cloud: LocalCloud
) -> None:
    """Otherwise others would wait for it, or a time come late."""
    cloud.run(in_sequence.with_options(id="learn"), leaf.name, "lambda", 2)
    known = kinds(cloud, leaf)
    cloud.run(fn)
    assert kinds(cloud, leaf) - known == ran


@pytest.mark.parametrize(("seconds", "kind"), [(0.4, "inline"), (0.6, "call")])
def test_an_auto_call_runs_here_if_it_is_shorter_than_the_way_to_a_lambda(
    seconds: float, kind: str, cloud: LocalCloud
) -> None:
    """As the sandbox measured it, in its own Lambda or here."""

    @durable(place="auto")
    def working() -> None:
        cloud.elapse(seconds)

    @durable
    async def works() -> None:
        for _ in range(3):
            await working()

    cloud.run(works)
    assert kinds(cloud, working) == Counter({"call": 1}) + Counter({kind: 2})


def test_an_auto_call_that_has_become_long_runs_here_once(cloud: LocalCloud) -> None:
    """What it took here counts as well."""
    seconds = iter([0, 0, 5, 0, 0])

    @durable(place="auto")
    def working() -> None:
        cloud.elapse(next(seconds))

    @durable
    async def works() -> None:
        for _ in range(5):
            await working()

    cloud.run(works.with_options(id="w"))
    assert [cloud.peek(f"w~{n}").kind.value for n in range(5)] == ["call", "inline", "inline", "call", "call"]  # type: ignore[union-attr]


def test_an_auto_call_of_a_function_with_another_lambda_runs_there(cloud: LocalCloud) -> None:
    """Its role, its memory and its packages are there. Placed inline, it runs here nevertheless."""

    @durable(target="elsewhere", place="auto")
    def apart(value: int) -> int:
        return value

    @durable
    async def calls() -> int:
        # The caller's sandbox knows the function, which it has run in its own Lambda.
        found = [await apart.with_options(target="here")(value) for value in range(3)]
        found += [await apart(value) for value in range(3)]
        return sum(found) + await apart.with_options(place="inline")(1)

    assert cloud.run(calls.with_options(target="here", id="c")) == 7
    assert [cloud.peek(f"c~{n}").kind.value for n in range(7)] == [
        "call",
        "inline",
        "inline",
        "call",
        "call",
        "call",
        "inline",
    ]  # type: ignore[union-attr]


def test_an_auto_call_goes_to_a_lambda_where_this_invocation_has_little_time_left(cloud: LocalCloud) -> None:
    """A Lambda of the default template has 60 seconds."""

    @durable
    async def works(n: int) -> None:
        for _ in range(n):
            await run(cloud.elapse, 9)
            await leaf.with_options(place="auto")(1)

    cloud.run(in_sequence, leaf.name, "lambda", 2)
    before = kinds(cloud, leaf)
    cloud.run(works, 6)
    ran = kinds(cloud, leaf) - before
    assert ran == {"inline": 5, "call": 1}


@pytest.mark.parametrize("is_async", [False, True])
def test_inline_calls_of_one_turn_that_take_too_long_together_go_to_lambdas(is_async: bool, cloud: LocalCloud) -> None:
    """Their outcomes are written once all have run: an invocation that died before would die again. Each runs once."""
    done: list[int] = []

    def work(number: int) -> int:
        cloud.elapse(10)
        done.append(number)
        return number

    async def working(number: int) -> int:
        return work(number)

    body: Any = durable(name=f"placed:work-{is_async}", place="inline")(working if is_async else work)

    @durable(name=f"placed:together-{is_async}")
    async def together() -> int:
        return sum(await asyncio.gather(*(body(number) for number in range(10))))

    assert cloud.run(together) == 45
    assert sorted(done) == list(range(10))


def test_inline_calls_for_which_no_time_is_left_go_on_in_a_fresh_invocation(cloud: LocalCloud) -> None:
    """As inline steps do."""
    done: list[int] = []

    @durable(place="inline")
    def work(number: int) -> None:
        cloud.elapse(7)
        done.append(number)

    @durable
    async def worker() -> None:
        for number in range(20):
            await work(number)

    cloud.run(worker)
    assert done == list(range(20))
    assert cloud.stats.resumes[worker] == 2


@pytest.mark.parametrize("place", HERE)
@pytest.mark.parametrize("fn", [calling, sleeping], ids=lambda fn: fn.name)
def test_a_function_that_makes_durable_calls_or_sleeps_has_its_own_lambda(
    fn: Durable[[int], int], place: Placement, any_cloud: LocalCloud
) -> None:
    """It suspends there; its caller's sandbox remembers that, once it has tried."""
    begun = any_cloud.now()
    assert any_cloud.run(in_sequence, fn.name, place, 3) == 3
    assert kinds(any_cloud, fn) == {"call": 3}
    assert (any_cloud.now() - begun).total_seconds() >= (3 * 3_600 if fn is sleeping else 0)


def test_a_function_that_is_no_leaf_is_tried_here_once(cloud: LocalCloud) -> None:
    """It is begun once more, up to its first durable call, as at a replay."""
    away = calling.with_options(place="inline", target="away")

    @durable
    async def calls() -> int:
        return sum([await away(value) for value in range(3)])

    assert cloud.run(calls) == 3
    assert cloud.stats.bodies[calling] == 1 + 3


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_call_with_a_deadline_times_out_to_the_second_wherever_it_is_placed(
    place: Placement, cloud: LocalCloud
) -> None:
    """No caller can interrupt itself, so such a call has its own Lambda."""

    @durable(place=place, timeout=60)
    def late() -> None:
        cloud.elapse(0)

    @durable(place=place, timeout=60)
    async def asleep() -> None:
        await asyncio.sleep(3_600)

    @durable
    async def waits() -> bool:
        await late()
        try:
            await asleep()
        except errors.PromiseTimeout:
            return True
        return False

    begun = cloud.now()
    assert cloud.run(waits) is True
    assert (cloud.now() - begun).total_seconds() == 60
    assert kinds(cloud, late) == {"call": 1}


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_call_with_an_id_is_a_root_wherever_it_is_placed(place: Placement, any_cloud: LocalCloud) -> None:
    """Others may share it."""

    @durable
    async def shares() -> int:
        shared = leaf.with_options(id="shared", place=place)
        return await shared(1) + await shared(1)

    assert any_cloud.run(shares) == 2
    root = any_cloud.peek("shared")
    assert root is not None
    assert root.kind is Kind.CALL


def test_an_inline_call_before_remote_calls_in_the_same_turn_is_written_first_and_runs_here(cloud: LocalCloud) -> None:
    """As a call, which it is for a Lambda if this one dies. It costs the two writes of a call, and no invocation."""

    @durable
    async def mixed() -> list[int]:
        near = leaf.with_options(place="inline")
        return list(await asyncio.gather(near(1), leaf(2), near(3)))

    ran: list[str] = []
    cloud.watchers.append(lambda event: ran.append(event.promise) if event.what == "running" else None)
    assert cloud.run(mixed.with_options(id="m")) == [1, 2, 3]
    assert [cloud.peek(f"m~{n}").kind.value for n in range(3)] == ["call", "call", "inline"]  # type: ignore[union-attr]
    assert sorted(set(ran)) == ["m", "m~1"]


# What stays the same.


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


# What is refused.


@pytest.mark.parametrize("word", ["here", "", "INLINE", None, 3])
def test_another_word_is_refused_where_it_is_given(word: Any) -> None:
    """At the decoration, or at the call."""
    with pytest.raises(errors.ConfigurationError, match="place is one of 'lambda', 'inline', 'auto', got"):
        durable(place=word)
    if word is not None:
        with pytest.raises(errors.ConfigurationError, match="place is one of"):
            leaf.with_options(place=word)
