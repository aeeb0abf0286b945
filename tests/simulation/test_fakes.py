"""A faked function answers as a test says, without its body, and is a durable function in all else."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, promise, resolve, run
from adapter.engine import registry
from adapter.testing import Event, LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import COLD, HOUR, Broken, step

RAN: list[str] = []


@dataclass(frozen=True)
class Order:
    id: str
    cents: int


@durable
def charge(order: Order) -> int:
    RAN.append("charge")
    return -1


@durable
async def ship(order: Order, *, express: bool = False) -> list[str]:
    RAN.append("ship")
    return [await step(-1)]


@durable
async def checkout(order: Order) -> list[str]:
    paid = await charge(order)
    return [*await ship(order, express=True), f"paid {paid}"]


@durable
async def in_all_ways(orders: list[Order]) -> list[Any]:
    root = await ship.detach(orders[0])
    shared = ship.with_options(id="shared")(orders[1])
    return [await charge.map(orders), *await asyncio.gather(charge(orders[0]), shared), await attach(root)]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


ORDERS = [Order("a", 1), Order("b", 2), Order("c", 3)]


def test_a_fake_answers_wherever_the_function_is_called_and_its_body_never_runs(any_cloud: LocalCloud) -> None:
    """A root, a call, the calls of a map, a shared root and a detached one, in any weather, replays included."""
    any_cloud.fake(charge, returns=7)
    any_cloud.fake(ship, returns=["parcel"])
    assert any_cloud.run(charge, ORDERS[0]) == 7
    assert any_cloud.run(ship, ORDERS[0]) == ["parcel"]
    assert any_cloud.run(checkout, ORDERS[0]) == ["parcel", "paid 7"]
    assert any_cloud.run(in_all_ways, ORDERS) == [[7, 7, 7], 7, ["parcel"], ["parcel"]]
    assert RAN == []


def test_a_fake_lists_each_call_once_however_often_it_ran(any_cloud: LocalCloud) -> None:
    """So a test may assert on calls under faults, where it can't count bodies."""
    charged, shipped = any_cloud.fake(charge, returns=7), any_cloud.fake(ship, calls=ships_with_a_step)
    assert any_cloud.run(checkout, ORDERS[0]) == ["a 6", "paid 7"]
    assert charged.calls == [{"order": ORDERS[0]}]
    assert shipped.calls == [{"order": ORDERS[0], "express": True}]


async def ships_with_a_step(order: Order, *, express: bool = False) -> list[str]:
    await asyncio.sleep(HOUR)
    return [f"{order.id} {await step(6)}"]


def test_a_double_of_an_async_function_makes_durable_calls_and_replays(cold: LocalCloud) -> None:
    """It stands in for the body, and a body may do so; the cloud replays it when it ends, as it does bodies."""
    cold.fake(ship, calls=ships_with_a_step)
    assert cold.run(checkout, ORDERS[1]) == ["b 6", "paid -1"]
    assert cold.stats.bodies[ship] > 1
    assert cold.stats.bodies[step] == 1
    numbers = itertools.count()

    async def drifts(order: Order, *, express: bool = False) -> list[str]:
        return [str(await step(next(numbers)))]

    cold.fake(ship, calls=drifts)
    with pytest.raises((errors.NonDeterminismError, errors.Paused), match="ship"):
        cold.run(ship, ORDERS[0])


def test_plain_and_async_doubles_stand_in_for_either_kind(any_cloud: LocalCloud) -> None:
    """They get decoded arguments, as the body would."""

    async def charges(order: Order) -> int:
        await asyncio.sleep(0)
        return order.cents

    any_cloud.fake(charge, calls=charges)
    any_cloud.fake(ship, calls=lambda order, express=False: [order.id, str(express)])
    assert any_cloud.run(checkout, ORDERS[2]) == ["c", "True", "paid 3"]
    any_cloud.fake(charge, calls=lambda order: order.cents + 1)
    assert any_cloud.run(charge, ORDERS[2]) == 4


@durable(retry=Retry(attempts=3, initial=60))
def pays(cents: int) -> int:
    RAN.append("pays")
    return cents


@durable(retry=Retry(attempts=1))
async def asks(cents: int) -> int:
    RAN.append("asks")
    return cents


@durable
async def says_what_broke() -> list[str]:
    broken: list[str] = []
    for function in (pays, asks):
        try:
            await function(5)
        except Broken as error:
            broken.append(f"{error} {error.code}")
    return broken


def test_what_a_fake_raises_crosses_as_if_the_body_had_raised_it(any_cloud: LocalCloud) -> None:
    """It comes under its class, with its attributes."""
    any_cloud.fake(pays, raises=Broken("no money", 402))
    any_cloud.fake(asks, raises=Broken("no answer", 504))
    assert any_cloud.run(says_what_broke) == ["no money 402", "no answer 504"]
    assert RAN == []


def test_a_fake_that_raises_is_tried_again_by_the_functions_policy(cloud: LocalCloud) -> None:
    """Each attempt is a body for the counter, and one call for the fake."""
    fake = cloud.fake(pays, raises=ValueError)
    begun = cloud.now()
    with pytest.raises(ValueError, match=r"^$"):
        cloud.run(pays, 5)
    assert cloud.stats.bodies[pays] == 3
    assert fake.calls == [{"cents": 5}]
    assert (cloud.now() - begun).total_seconds() >= 2 * 60
    cloud.fake(asks, raises=ValueError)
    with pytest.raises(ValueError, match=r"^$"):
        cloud.run(asks, 5)
    assert cloud.stats.bodies[asks] == 1


def test_an_exception_does_not_grow_with_the_calls_that_raise_it(cloud: LocalCloud) -> None:
    """A test has one instance of it, and many calls raise that."""
    error = Broken("no money")
    cloud.fake(asks, raises=error)
    depths = []
    for _ in range(3):
        with pytest.raises(Broken):
            cloud.run(asks, 5)
        trace, depth = error.__traceback__, 0
        while trace is not None:
            trace, depth = trace.tb_next, depth + 1
        depths.append(depth)
    assert len(set(depths)) == 1


@durable
async def appends() -> list[list[str]]:
    found = [await ship(ORDERS[0]), await ship(ORDERS[1])]
    found[0].append("changed")
    return found


def test_each_call_has_a_value_of_its_own(cloud: LocalCloud) -> None:
    """Neither who gets it nor who gave it changes the next one."""
    parcels = ["parcel"]
    cloud.fake(ship, returns=parcels)
    parcels.append("too late")
    assert cloud.run(appends) == [["parcel", "changed"], ["parcel"]]


@durable
def sums(numbers: list[int]) -> int:
    return sum(numbers)


def test_what_a_double_does_to_its_arguments_is_not_listed(cloud: LocalCloud) -> None:
    """The fake lists what it was called with."""

    def takes_all(numbers: list[int]) -> int:
        found = sum(numbers)
        numbers.clear()
        return found

    fake = cloud.fake(sums, calls=takes_all)
    assert cloud.run(sums, [1, 2]) == 3
    assert fake.calls == [{"numbers": [1, 2]}]


def test_a_fake_ends_with_its_with_and_the_one_before_counts_again(cloud: LocalCloud) -> None:
    """Of several for one function the one that was made last counts."""
    cloud.fake(charge, returns=1)
    with cloud.fake(charge, returns=2) as inner:
        assert cloud.run(charge, ORDERS[0]) == 2
        cloud.fake(charge, returns=3)
        assert cloud.run(charge, ORDERS[0]) == 3
    assert cloud.run(charge, ORDERS[0]) == 3
    assert inner.calls == [{"order": ORDERS[0]}]
    with LocalCloud(engine=ENGINE) as other, other.fake(charge, returns=5):
        assert other.run(charge, ORDERS[0]) == 5
    assert RAN == []


def test_no_other_cloud_and_no_later_test_sees_a_fake() -> None:
    """The registry of functions isn't touched, and the fakes of the cloud that was entered first aren't seen."""
    known = dict(registry.definitions)
    with LocalCloud(engine=ENGINE) as outer:
        outer.fake(charge, returns=7)
        with LocalCloud(engine=ENGINE) as inner:
            assert inner.run(charge, ORDERS[0]) == -1
        assert registry.find(charge.name) is charge.definition
        assert outer.run(charge, ORDERS[0]) == 7
    assert registry.definitions == known
    with LocalCloud(engine=ENGINE) as later:
        assert later.run(charge, ORDERS[0]) == -1


@durable
async def checkouts_alone(order: Order) -> int:
    return await charge(order)


def test_a_cloud_that_a_watcher_opens_in_the_middle_of_a_run_leaves_that_runs_fakes_in_place() -> None:
    """Each Lambda has the fakes of its own cloud, also one that is made while the Lambda runs."""
    opened: list[int] = []

    def watch(event: Event) -> None:
        if not opened and event.what == "running":
            with LocalCloud(engine=ENGINE) as inner:
                opened.append(inner.run(charge, ORDERS[0]))
            outer.fake(charge, returns=7)

    with LocalCloud(engine=ENGINE) as outer:
        outer.watchers.append(watch)
        assert outer.run(checkouts_alone, ORDERS[0]) == 7
        assert opened == [-1]
        assert outer.run(charge, ORDERS[0]) == 7
    assert registry.find(charge.name) is charge.definition


@durable
async def approves(order: Order) -> list[Any]:
    return [await promise(bool), await charge(order)]


def test_what_was_answered_stands_when_the_fake_has_ended() -> None:
    """Outcomes are stored: a replay without the fake finds them."""
    with COLD.cloud() as cloud:
        with cloud.fake(approves, calls=asks_after):
            handle = approves.start(ORDERS[0])
            cloud.drive()
        resolve(f"{handle.id}~0", True)
        assert handle.result() == [True, -1]


async def asks_after(order: Order) -> list[Any]:
    return [await promise(bool), 0]


@durable
async def inline() -> int:
    return await run(charge, ORDERS[0])


def test_an_inline_step_is_not_remote(cloud: LocalCloud) -> None:
    """It runs the function's own body in its caller's Lambda: `monkeypatch` is for that."""
    cloud.fake(charge, returns=7)
    assert cloud.run(inline) == -1
