"""Settlements that come while their function runs: it takes what is new, keeps what it has, and rests in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from adapter import durable, promise, reject, resolve
from adapter.api.durable import Durable
from adapter.engine.operations import Arm, ReadChildren, ReadFunction
from adapter.protocol.ids import child_id
from adapter.testing import LocalCloud

N = 300


@durable
async def whichever(n: int) -> list[int]:
    """Any settlement lets it move."""
    found: list[int] = []

    async def one(number: int) -> None:
        found.append(await promise(int) * 1_000 + number)

    async with asyncio.TaskGroup() as group:
        for number in range(n):
            group.create_task(one(number))
    return found


@durable
async def every(n: int) -> list[int]:
    """One rejection would let it move; else only all of them."""
    return await asyncio.gather(*(promise(int) for _ in range(n)))


class Arrivals:
    """Before each arming of a function one of its promises settles, and the settlement reaches its record."""

    def __init__(
        self, cloud: LocalCloud, fn: Durable[..., Any], root: str, order: Sequence[int], seconds: float = 0
    ) -> None:
        self.operations: Counter[str] = Counter()
        self._cloud = cloud
        self._seconds = seconds
        self._left = [child_id(root, ordinal) for ordinal in order]
        cloud.meanwhile(fn, Arm, self.settle)
        for operation in (Arm, ReadFunction, ReadChildren):
            cloud.meanwhile(fn, operation, lambda name=operation.__name__: self.operations.update([name]))

    def settle(self) -> None:
        if self._left:
            resolve(self._left.pop(0), 1)
            self._cloud.drive()
        self._cloud.elapse(self._seconds)


@pytest.mark.parametrize("order", [range(N), range(N)[::-1]], ids=["forth", "back"])
def test_a_function_whose_promises_settle_one_by_one_while_it_runs_loads_them_once(
    cloud: LocalCloud, order: Sequence[int]
) -> None:
    """A refused arming costs one read, of what isn't settled yet. The code that waits is kept."""
    arrivals = Arrivals(cloud, whichever, "r", order)
    assert len(whichever.with_options(id="r").start(N).result()) == N
    # The invocation that starts it loads it before any of its code is known to run.
    assert arrivals.operations["ReadFunction"] == 0
    assert arrivals.operations["Arm"] == N
    # What is pending and what is new may be in two places.
    assert N <= arrivals.operations["ReadChildren"] <= 2 * N
    assert cloud.stats.bodies[whichever] == 1
    assert cloud.stats.resumes[whichever] == 0


@pytest.mark.parametrize("rejected", [False, True])
def test_what_waits_for_all_or_for_one_rejection_suspends_while_others_settle(
    cloud: LocalCloud, rejected: bool
) -> None:
    """No arrival but a rejection lets it move: each one refused its arming."""
    arrivals = Arrivals(cloud, every, "r", range(N // 2))
    handle = every.with_options(id="r").start(N)
    cloud.drive()
    assert arrivals.operations["Arm"] == 1
    for ordinal in range(1, N - 1):
        resolve(child_id("r", ordinal), 1)
    cloud.drive()
    assert cloud.stats.resumes[every] == 0
    if rejected:
        reject(child_id("r", N - 1), ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            handle.result()
    else:
        resolve(child_id("r", N - 1), 1)
        assert handle.result() == [1] * N
    assert cloud.stats.resumes[every] == 1


def test_a_rejection_that_comes_just_before_the_arming_refuses_it(cloud: LocalCloud) -> None:
    """I3: nothing else would wake the function for it."""

    def reject_one() -> None:
        if cloud.peek("r~7").pending:  # type: ignore[union-attr]
            reject("r~7", ValueError("no"))
            cloud.drive()

    cloud.meanwhile(every, Arm, reject_one)
    with pytest.raises(ValueError, match="no"):
        every.with_options(id="r").start(N).result()
    assert cloud.stats.resumes[every] == 0


def test_what_arrives_late_of_what_is_known_refuses_no_arming(cloud: LocalCloud) -> None:
    """The stream is behind the table: the resumer counts settlements that the function has read already."""
    handle = whichever.with_options(id="r").start(N)
    arms: list[int] = []
    cloud.meanwhile(whichever, Arm, lambda: arms.append(1))
    cloud.drive()
    for ordinal in range(N):
        resolve(child_id("r", ordinal), 1)
    # One batch of the stream after the other; each may resume the function, which then knows of all of them.
    assert len(handle.result()) == N
    assert len(arms) <= 2


def test_a_function_that_never_comes_to_rest_goes_on_in_a_fresh_invocation(cloud: LocalCloud) -> None:
    """It looks at its time before it takes more: no Lambda runs into its timeout."""
    Arrivals(cloud, whichever, "r", range(40), seconds=5)
    killed: list[str] = []
    cloud.watchers.append(lambda event: killed.append(event.what) if event.what == "killed" else None)
    assert len(whichever.with_options(id="r").start(40).result()) == 40
    assert killed == []
    assert 2 <= cloud.stats.resumes[whichever] <= 8
