"""A fork takes over what was settled and makes the rest anew; a retry makes anew what failed. Twice is once."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, now, promise, run, uuid4
from adapter.engine.operations import Create, Invoke
from adapter.protocol import forks
from adapter.protocol.records import State
from adapter.steering import forking
from adapter.steering.forking import retry_id
from adapter.testing import LocalCloud
from tests.simulation.command.commanding import invoke, refused, said, unchanged
from tests.support.ciphers import NAME
from tests.support.laws import forget, step

broken = [True]
calls: list[Any] = []
ONCE = Retry(attempts=1)


@pytest.fixture(autouse=True)
def as_at_first() -> Iterator[None]:
    broken[0] = True
    calls.clear()
    yield
    broken[0] = True


@durable(name="forking:charge", retry=ONCE)
def charge(order: str, key: str, at: dt.datetime) -> str:
    calls.append(("charge", order, key))
    return f"charged {order}"


@durable(name="forking:ship", retry=ONCE, timeout=60)
def ship(order: str) -> str:
    calls.append(("ship", order, str(uuid4())))
    if broken[0]:
        raise ValueError(f"no address for {order}")
    return f"shipped {order}"


@durable(name="forking:order")
async def order(name: str) -> list[str]:
    """Its calls depend on time, chance and ids, and its last one fails."""
    receipt = await charge(name, str(uuid4()), now())
    await asyncio.sleep(3_600)
    noted = await run(str, now().isoformat())
    return [receipt, noted, await ship(name), await charge(name, str(uuid4()), now())]


@durable(name="forking:nested")
async def nested(name: str) -> list[Any]:
    return list(await asyncio.gather(step(1), order(name), step(2)))


@durable(name="forking:asks")
async def asks(name: str) -> Any:
    """It hands out the id of its promise, waits for it under a timeout, and fails by itself."""
    approval = promise(bool)
    await step_with(approval.id)
    async with asyncio.timeout(7_200):
        approved = await approval
    if broken[0]:
        raise KeyError(name)
    return approved


@durable(name="forking:step with", retry=ONCE)
def step_with(name: str) -> str:
    calls.append(name)
    return name


@durable(name="forking:compensates")
async def compensates(name: str) -> str:
    await charge(name, "", now())
    try:
        return await ship(name)
    except ValueError:
        await step(7)
        raise


@durable(name="forking:group")
async def group(name: str) -> int:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(step(4))
        tasks.create_task(ship(name))
        tasks.create_task(promise_of())
    return await first


@durable(name="forking:promise")
async def promise_of() -> bool:
    return await promise(bool) if broken[0] else True


@durable(name="forking:map")
async def mapped(count: int) -> int:
    total = sum(await step.map(range(count), max_concurrency=50))
    await ship("wide")
    return total


@pytest.fixture
def cold(cloud: LocalCloud) -> LocalCloud:
    """Each resume is a replay, so what doesn't replay is noticed."""
    cloud.watchers.append(lambda event: forget(cloud))
    return cloud


def ended(cloud: LocalCloud, name: str) -> Any:
    """The result of an execution, once all that can happen has."""
    cloud.advance(4 * 3_600)
    return attach(name).result()


def test_a_retry_keeps_what_was_settled_and_makes_the_failed_call_anew(cold: LocalCloud) -> None:
    """Times and draws of the history are the old ones, so it replays; what comes behind has its own."""
    order.with_options(id="o", tags={"tenant": "acme"}).start("tea")
    cold.advance(12 * 3_600)
    assert attach("o").status() == "rejected"
    before = [*calls]
    broken[0] = False
    made = cold.retry("o")
    assert (made.id, made.of, made.begun, made.settled, made.pending) == ("o+retry", "o~2", True, 2, 0)
    result = ended(cold, "o+retry")
    assert result[0] == "charged tea"
    assert result[1] < "2026-01-01T01:01"
    assert result[2] == "shipped tea"
    assert [call[0] for call in calls[len(before) :]] == ["ship", "charge"]
    assert calls[-2] == before[-1]
    assert calls[-1][2] != before[0][2]
    root = next(one for one in cold.records() if one.id == "o+retry")
    assert (root.tags, root.paused) == ({"tenant": "acme"}, "")
    assert "o+retry  forking:order  resolved" in said("show", "o+retry")
    assert "forked from o~2" in said("show", "o+retry")


@pytest.mark.parametrize("warm", [True, False])
def test_a_retry_goes_down_to_where_the_failure_came_from(warm: bool, cloud: LocalCloud) -> None:
    """Siblings that had succeeded are kept, and so are the steps of the function that failed below."""
    if not warm:
        cloud.watchers.append(lambda event: forget(cloud))
    nested.with_options(id="n").start("tea")
    cloud.advance(2 * 3_600)
    broken[0] = False
    steps, orders = cloud.stats.bodies[step], len(calls)
    made = cloud.retry("n")
    assert (made.of, made.settled, made.pending) == ("n~1.2", 4, 1)
    result = ended(cloud, "n+retry")
    assert (result[0], result[1][2], result[2]) == (1, "shipped tea", 2)
    assert cloud.stats.bodies[step] == steps
    assert [call[0] for call in calls[orders:]] == ["ship", "charge"]


def test_a_second_retry_has_another_id_and_repeats_the_same_history(cold: LocalCloud) -> None:
    """The retry of a retry replays what two executions had."""
    order.with_options(id="o").start("tea")
    cold.advance(2 * 3_600)
    for name in ("o", "o+retry", "o+retry-2"):
        assert attach(name).status() == "rejected"
        broken[0] = name != "o+retry-2"
        said("retry", name, "--yes")
        cold.advance(3_600)
    assert ended(cold, "o+retry-3")[2] == "shipped tea"
    assert [one[0] for one in calls] == ["charge", *["ship"] * 4, "charge"]
    assert len({one[2] for one in calls if one[0] == "ship"}) == 1
    assert [retry_id(one) for one in ("a", "a+retry", "a+retry-9")] == ["a+retry", "a+retry-2", "a+retry-10"]


def test_ids_that_were_handed_out_are_those_of_the_new_execution_where_it_asks_again(cold: LocalCloud) -> None:
    """A link to the old promise doesn't settle the new one. What is history fits though it names the old one."""
    asks.with_options(id="a").start("tea")
    cold.advance(3_600)
    made = cold.fork("a~0")
    cold.drive()
    assert (made.id, calls) == ("a+0", ["a~0", "a+0~0"])
    said("resolve", "a~0", "true")
    cold.drive()
    assert attach("a").status() == "rejected"
    broken[0] = False
    cold.advance(3 * 86_400)
    cold.retry("a")
    assert ended(cold, "a+retry") is True
    assert calls == ["a~0", "a+0~0"]
    assert attach("a+0").status() == "rejected"


def test_timers_go_on_from_where_they_stood(cold: LocalCloud) -> None:
    """A timeout of two hours of which one had passed has one left, however late the fork is made."""
    asks.with_options(id="a").start("tea")
    cold.drive()
    attach("a").cancel()
    cold.advance(30 * 3_600)
    broken[0] = False
    cold.fork("a~1", id="b")
    cold.advance(7_100)
    assert attach("b").status() == "pending"
    cold.advance(200)
    assert attach("b").status() == "rejected"
    with pytest.raises(TimeoutError):
        attach("b").result()


def test_a_fork_may_begin_within_a_function_below_and_leaves_the_old_one_alone(cold: LocalCloud) -> None:
    """The functions on the way go on from their own histories."""
    broken[0] = False
    nested.with_options(id="n").start("tea")
    first = ended(cold, "n")
    count = len(calls)
    old = [one for one in cold.records() if one.id.partition("~")[0] == "n"]
    assert "n goes on as n+1.3: 5 promises taken over, n~1.3 and what follows made anew" in said(
        "fork", "n", "--from", "n~1.3"
    )
    assert ended(cold, "n+1.3") == first
    assert [call[0] for call in calls[count:]] == ["charge"]
    assert [one for one in cold.records() if one.id.partition("~")[0] == "n"] == old


def test_other_arguments_hold_from_the_beginning(cold: LocalCloud) -> None:
    """Where history doesn't follow from them, the fork is paused, as any drift."""
    broken[0] = False
    order.with_options(id="o").start("tea")
    ended(cold, "o")
    said("fork", "o", "--from", "o~0", "--with", '{"name": "milk"}', "--as", "milk")
    assert ended(cold, "milk")[2] == "shipped milk"
    said("fork", "o", "--from", "o~2", "--with", '{"name": "milk"}', "--as", "drifts")
    cold.drive()
    assert "paused: forking:order (drifts) drifted from its history" in said("show", "drifts")
    assert "must be one JSON value" in refused("fork", "o", "--from", "o~0", "--with", "{", "--as", "x")


def test_what_went_on_after_its_failure_is_left_alone_unless_asked(cold: LocalCloud) -> None:
    """A clean-up may have undone what a retry would take for done."""
    compensates.with_options(id="c").start("tea")
    cold.drive()
    broken[0] = False
    with unchanged(cold):
        assert "went on after its failure, and made tests.support.laws:step (c~2)" in said("retry", "c", "--yes")
    said("retry", "c", "--yes", "--compensated")
    assert ended(cold, "c+retry") == "shipped tea"


def test_a_group_whose_member_failed_keeps_its_others(cold: LocalCloud) -> None:
    """Its error is a group, and what the failure cancelled is made anew."""
    group.with_options(id="g").start("tea")
    cold.drive()
    broken[0] = False
    made = cold.retry("g")
    assert made.of == "g~1"
    assert ended(cold, "g+retry") == 4
    assert cold.stats.bodies[step] == 1


def test_blocks_of_a_map_are_taken_over_with_their_calls(cold: LocalCloud) -> None:
    """A replay reads the outcomes of a block from its calls."""
    mapped.with_options(id="m").start(600)
    cold.drive()
    broken[0] = False
    bodies = cold.stats.bodies[step]
    cold.retry("m")
    assert ended(cold, "m+retry") == sum(range(600))
    assert cold.stats.bodies[step] == bodies


def test_followers_and_detached_executions_are_asked_for_again_where_they_lead(cold: LocalCloud) -> None:
    """What a fork makes anew follows the same root, and a detached one that exists isn't started twice."""

    @durable(name="forking:shares")
    async def shares() -> int:
        first = step.with_options(id="shared")(5)
        second = order.detach("x")
        await first
        await second
        return await step(1)

    shares.with_options(id="s").start()
    assert ended(cold, "s") == 1
    roots = {one.id for one in cold.records() if "~" not in one.id}
    cold.fork("s~0")
    assert ended(cold, "s+0") == 1
    assert {one.id for one in cold.records() if "~" not in one.id} == {*roots, "s+0"}


@pytest.mark.parametrize("deadline", [None, 86_400])
def test_a_fork_is_begun_once_however_often_it_is_asked_for(deadline: int | None, cold: LocalCloud) -> None:
    """And a death at any point leaves one that the same command completes; until then nothing runs it."""
    order.with_options(id="o", timeout=deadline or 10**6).start("tea")
    cold.advance(2 * 3_600)
    broken[0] = False
    deaths = 0
    while True:
        left = [deaths]

        def die(operation: object, when: str, left: list[int] = left) -> None:
            if when == "before" and isinstance(operation, Create | Invoke):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            host: Any = cold._host
            patch.setattr(host, "ports", replace(host.ports, fault=die))
            try:
                made = cold.retry("o")
            except KeyboardInterrupt:
                deaths += 1
            else:
                break
        if deaths > 1:
            assert "give the command that forked it again" in said("show", "o+retry")
            assert "not invoked" in said("resume", "o+retry")
    assert deaths >= 4
    assert made.begun
    assert ended(cold, "o+retry")[2] == "shipped tea"
    with unchanged(cold):
        assert said("retry", "o", "--yes") == "o has gone on before, as o+retry\n"
        assert not forking.retry(cold._host, "o~1").begun


def test_an_incomplete_fork_stands_still_however_long(cold: LocalCloud) -> None:
    """The watchdog leaves it paused: its history isn't all there."""
    broken[0] = False
    order.with_options(id="o").start("tea")
    cold.advance(2 * 3_600)
    with pytest.MonkeyPatch.context() as patch:
        host: Any = cold._host

        def die(operation: object, when: str) -> None:
            if isinstance(operation, Create) and "~" in operation.record.id:
                raise KeyboardInterrupt

        patch.setattr(host, "ports", replace(host.ports, fault=die))
        with pytest.raises(KeyboardInterrupt):
            cold.fork("o~1")
    cold.advance(3 * 86_400)
    assert [one.id for one in cold.records() if one.id.startswith("o+")] == ["o+1"]
    assert "o+1" in said("list", "--state", "paused")
    assert cold.fork("o~1").begun
    assert ended(cold, "o+1")[2] == "shipped tea"


def test_an_invocation_of_a_fork_that_is_lost_is_found_by_the_watchdog(cold: LocalCloud) -> None:
    """All is written by then, so the watchdog needs no command."""
    nested.with_options(id="n").start("tea")
    cold.advance(2 * 3_600)
    broken[0] = False
    accepted = cold.service.accepted
    cold.service.losses |= {accepted + 1, accepted + 2, accepted + 3}
    cold.retry("n")
    cold.advance(2 * 3_600)
    assert "paused" in said("show", "n+retry") or attach("n+retry").status() == "resolved"


def test_encrypted_and_large_values_are_those_of_the_new_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is opened, and sealed for its new id, in an object of its own: the old execution can be removed."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    large = "tea " * 20_000
    with LocalCloud(engine="memory") as cloud:
        cloud.watchers.append(lambda event: forget(cloud))
        order.with_options(id="o").start(large)
        cloud.advance(29 * 86_400)
        broken[0] = False
        cloud.retry("o")
        cloud.advance(3 * 86_400)
        assert not any(one.id == "o" for one in cloud.records())
        assert ended(cloud, "o+retry")[2] == f"shipped {large}"
        cloud.advance(40 * 86_400)
        assert cloud.records() == []


def test_what_cannot_be_forked_or_retried_is_left_alone(cold: LocalCloud) -> None:
    """It is said in one line, and nothing is written."""
    broken[0] = False
    order.with_options(id="good").start("tea")
    ended(cold, "good")
    asks.with_options(id="open").start("tea")
    cold.drive()
    asks.with_options(id="taken").start("tea")
    cold.drive()
    with unchanged(cold):
        assert "good hasn't failed" in said("retry", "good", "--yes")
        assert "open hasn't failed" in said("retry", "open", "--yes")
        assert "there is no promise 'nobody'" in refused("retry", "nobody", "--yes")
        assert "'open' is no promise below open" in refused("fork", "open", "--from", "open")
        assert "'open~9' is no promise below open" in refused("fork", "open", "--from", "open~9")
        assert "taken is another execution" in refused("fork", "open", "--from", "open~0", "--as", "taken")
        assert "good~1 is no promise of open" in refused("fork", "open", "--from", "good~1")
        assert "can't be chosen as an id" in refused("fork", "open", "--from", "open~0", "--as", "event:x")
        assert invoke("fork", "open").exit_code == 2


def test_a_timed_out_execution_is_retried_with_all_its_time(cold: LocalCloud) -> None:
    """What had succeeded is kept."""

    @durable(name="forking:slow")
    async def slow() -> bool:
        await step(1)
        return await promise_of()

    slow.with_options(id="t", timeout=600).start()
    cold.advance(86_400)
    assert attach("t").status() == "rejected_timedout"
    broken[0] = False
    bodies = cold.stats.bodies[step]
    cold.retry("t")
    assert ended(cold, "t+retry") is True
    assert cold.stats.bodies[step] == bodies


def test_eras_nest() -> None:
    """The fork of a fork repeats both, each with its own times and draws."""
    first = forks.NONE.continued("a", "a~1", at=forks.Instant(100), lag=forks.Span(60))
    second = forks.read(forks.to_text(first.continued("b", "b~1", at=forks.Instant(500), lag=forks.Span(300))))
    found = [(time, era and (era.root, era.lag)) for time in (400, 401, 500, 501) for era in [second.at(time)]]
    assert found == [(400, ("a", 360)), (401, ("b", 300)), (500, ("b", 300)), (501, None)]
    for text in ("{", "{}", '{"of": "x", "eras": [1]}'):
        with pytest.raises(ValueError, match=r".*"):
            forks.read(text)
    assert forks.retold('["x~0","xx~0","y"]', "x", "z") == '["z~0","xx~0","y"]'
    assert State.RESOLVED
    assert errors.DurableError
