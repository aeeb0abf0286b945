"""Sixteen threads at one record: each write is one transition, so exactly as many win as in some order one by one.

On moto, one thread answers the requests of all: that shows the store's conditions, since the others' requests come
between any two of a write that needs two; it doesn't show that moto is atomic, which it isn't. On other engines nothing
of ours keeps requests apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from adapter.engine.ports import Store
from adapter.protocol.ids import child_id
from adapter.protocol.promises import Arming, Refusal, Refused, Written
from adapter.protocol.records import Record, State
from tests.contract.stores import STORES
from tests.contract.strategies import SETTLED

T = TypeVar("T")

THREADS = 16
ROUNDS = range(5)
"""Luck may hide a race once."""

# The model is a dict without a lock.
SAFE_UNDER_THREADS = [name for name in STORES if name != "model"]


@pytest.fixture(scope="module", params=SAFE_UNDER_THREADS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store that takes calls from several threads at once."""
    with STORES[request.param]() as made, ThreadPoolExecutor(1) as one_thread:
        if request.param == "dynamo-on-moto":
            answered_by(one_thread, made)
        yield made


def answered_by(one_thread: ThreadPoolExecutor, store: Any) -> None:
    """One request after the other, as they come. A bare lock would be taken again by the thread that releases it."""
    send = store.client._make_api_call
    store.client._make_api_call = lambda *request: one_thread.submit(send, *request).result()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """As many threads as run at once."""
    with ThreadPoolExecutor(THREADS) as threads:
        yield threads


@pytest.fixture
def at_once(pool: ThreadPoolExecutor) -> Callable[[Callable[[int], T]], list[T]]:
    """Calls a function with 0 … 15, all released together; the results in this order."""

    def call(function: Callable[[int], T]) -> list[T]:
        gate = threading.Barrier(THREADS)

        def one(number: int) -> T:
            gate.wait(30)
            return function(number)

        return list(pool.map(one, range(THREADS)))

    return call


AtOnce = Callable[[Callable[[int], Written]], list[Written]]


def written(results: list[Written]) -> list[Record]:
    return [result for result in results if isinstance(result, Record)]


def refused(results: list[Written]) -> list[Refused]:
    return [result for result in results if isinstance(result, Refused)]


@pytest.mark.parametrize("_", ROUNDS)
def test_of_all_that_create_one_promise_exactly_one_does(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """The store tells all others what stands."""
    results = at_once(lambda number: store.create(Record(id=root, digest=str(number))))
    (winner,) = written(results)
    assert refused(results) == [Refused(Refusal.MOVED, winner)] * (THREADS - 1)
    assert store.read_promise(root) == winner


@pytest.mark.parametrize("_", ROUNDS)
def test_of_all_that_settle_one_promise_exactly_one_does(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """I2: the store shows all others the one outcome, which every later reader reads."""
    store.create(Record(id=root))
    results = at_once(lambda number: store.settle(root, SETTLED[number % len(SETTLED)], str(number), number + 1))
    (winner,) = written(results)
    assert refused(results) == [Refused(Refusal.SETTLED, winner)] * (THREADS - 1)
    assert store.read_promise(root) == winner
    assert results.index(winner) == int(winner.value) == winner.settled_at - 1


@pytest.mark.parametrize("_", ROUNDS)
def test_every_claim_moves_the_epoch_by_one(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """Any run may take over; each knows an epoch that no other has."""
    store.create(Record(id=root))
    claimed = {record.epoch: record for record in written(at_once(lambda number: store.claim(root, str(number))))}
    assert sorted(claimed) == list(range(1, THREADS + 1))
    assert store.read_promise(root) == claimed[THREADS]


@pytest.mark.parametrize("_", ROUNDS)
def test_of_all_that_one_count_resumes_exactly_one_claims(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """I5: each batch that finds the count reached sends a message. The others learn that a run took over."""
    store.create(Record(id=root, epoch=1, arrivals=2, threshold=1))
    results = at_once(lambda number: store.claim(root, str(number), armed=1))
    (winner,) = written(results)
    assert refused(results) == [Refused(Refusal.SUPERSEDED, winner)] * (THREADS - 1)
    assert winner == Record(id=root, epoch=2, arrivals=2, claimed_by=str(results.index(winner)))


@pytest.mark.parametrize("_", ROUNDS)
def test_of_all_that_arm_with_one_epoch_exactly_one_does(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """The others learn that a run overtook them; its threshold stands."""
    store.create(Record(id=root))
    results = at_once(lambda number: store.arm(root, Arming(epoch=0, arrivals=0, threshold=number + 1)))
    (winner,) = written(results)
    assert refused(results) == [Refused(Refusal.SUPERSEDED, winner)] * (THREADS - 1)
    assert store.read_promise(root) == winner == Record(id=root, epoch=1, threshold=results.index(winner) + 1)


@pytest.mark.parametrize("_", ROUNDS)
def test_no_arrival_is_lost(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """I3: each is told a count of its own, so the one that completes the threshold knows it."""
    store.create(Record(id=root))
    counts = [record.arrivals for record in written(at_once(lambda _: store.arrive(root, 1)))]
    assert sorted(counts) == list(range(1, THREADS + 1))
    assert store.read_promise(root) == Record(id=root, arrivals=THREADS)


@pytest.mark.parametrize("_", ROUNDS)
def test_a_run_that_arms_hears_of_an_arrival_or_is_woken_by_it(
    store: Store, root: str, at_once: AtOnce, _: int
) -> None:
    """I3: the later of the two knows of the other."""
    store.create(Record(id=root))
    arming = Arming(epoch=0, arrivals=0, threshold=1)
    results = at_once(lambda number: store.arrive(root, 1) if number else store.arm(root, arming))
    armed, arrivals = results[0], written(results[1:])
    assert len(arrivals) == THREADS - 1
    if isinstance(armed, Refused):
        assert armed.why is Refusal.MOVED
        assert [record.threshold for record in arrivals] == [None] * len(arrivals)
    else:
        assert armed.arrivals == 0
        assert [record.threshold for record in arrivals] == [1] * len(arrivals)


@pytest.mark.parametrize("_", ROUNDS)
def test_a_link_is_registered_before_its_root_settles_or_told_the_outcome(
    store: Store, root: str, at_once: AtOnce, _: int
) -> None:
    """The root's settlement passes the outcome on to registered followers; the others are refused, and read it."""
    store.create(Record(id=root))
    followers = [child_id("elsewhere", number) for number in range(THREADS)]

    def race(number: int) -> Written:
        return store.register(root, followers[number]) if number else store.settle(root, State.RESOLVED, "1", 1)

    settled, *registered = at_once(race)
    assert isinstance(settled, Record)
    assert refused(registered) == [Refused(Refusal.SETTLED, settled)] * len(refused(registered))
    known = {follower for follower, result in zip(followers[1:], registered, strict=True) if isinstance(result, Record)}
    assert settled.awaiters == known
    assert store.read_promise(root) == settled


@pytest.mark.parametrize("_", ROUNDS)
def test_children_created_side_by_side_are_all_there(store: Store, root: str, at_once: AtOnce, _: int) -> None:
    """Followers of one leader: writes to one partition don't disturb each other."""
    at_once(lambda number: store.create(Record(id=child_id(root, number))))
    assert list(store.read_children(root)) == [Record(id=child_id(root, number)) for number in range(THREADS)]
