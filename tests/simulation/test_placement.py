"""Where a call runs, by its placement, and what that costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from adapter import durable, errors, run
from adapter.api.durable import Durable
from adapter.api.requests import Placement
from adapter.protocol.records import Kind
from adapter.testing import LocalCloud
from tests.simulation.placed import EVERYWHERE, HERE, LEAVES, calling, in_sequence, kinds, leaf, sleeping
from tests.support.laws import COLD, WARM, Weather

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


# What is refused.


@pytest.mark.parametrize("word", ["here", "", "INLINE", None, 3])
def test_another_word_is_refused_where_it_is_given(word: Any) -> None:
    """At the decoration, or at the call."""
    with pytest.raises(errors.ConfigurationError, match="place is one of 'lambda', 'inline', 'auto', got"):
        durable(place=word)
    if word is not None:
        with pytest.raises(errors.ConfigurationError, match="place is one of"):
            leaf.with_options(place=word)
