"""An execution that is over is removed after its retention; a record that a live run may still read never is."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, promise, reject, resolve, run, schedule, schedules
from adapter.aws.payloads import prefix_of
from adapter.engine.operations import Create, Many, Now, PeekFunction, PeekPromise, ReadPromise, Remove, Settle
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.errors import ConfigurationError, UnknownPromise
from adapter.lambdas.removal import DEEP, PORTION
from adapter.lambdas.watchdog import look
from adapter.protocol.ids import BUCKET
from adapter.protocol.promises import Refused
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.timing import RETENTION, SHARDS, kept_until, retention_of
from adapter.testing import LocalCloud
from adapter.testing.faults import Kill
from adapter.testing.happenings import Happening
from adapter.testing.hosting import ClearPayloads
from tests.support.effort import effort
from tests.support.laws import HOUR, STORM

DAY = 24 * HOUR
TEND = "adapter.lambdas.sweeper.tend"
tried: list[int] = []
"""The attempts of `flaky`."""
LARGE = 20_000
MONTH = RETENTION // 1_000_000


@durable
async def large_below(letters: str) -> int:
    return len(await large(letters[:1]))


@durable
def length(text: str) -> int:
    return len(text)


@durable(name="retention:leaf")
def leaf(value: int) -> int:
    return value


@durable(name="retention:large")
def large(letter: str) -> str:
    return letter * LARGE


@durable(name="retention:inner")
async def inner(value: int) -> int:
    return await leaf(value) + await run(int, "1")


@durable(name="retention:outer")
async def outer() -> int:
    texts = await asyncio.gather(large("a"), large("b"))
    values = await leaf.map(range(5), max_concurrency=2)
    detached = leaf.with_options(id="retention-apart").detach(1)
    linked = await leaf.with_options(id="retention-shared")(2)
    slow = inner(8)
    slow.cancel()
    await asyncio.sleep(60)
    return sum(map(len, texts)) + sum(values) + linked + len(detached.id) + await inner(3)


@durable(name="retention:asks")
async def asks(text: str) -> str:
    answer = await promise(str)
    return f"{text} {await run(str.upper, answer)}"


@durable(name="retention:waits")
async def waits(days: int) -> int:
    texts = [await large("c")]
    before = await asyncio.gather(inner(1), inner(2))
    await asyncio.sleep(days * DAY)
    return sum(before) + await inner(3) + sum(map(len, texts))


@durable(name="retention:tidies")
async def tidies(days: int) -> None:
    before = await leaf(1)
    try:
        await asyncio.sleep(1_000 * DAY)
    finally:
        await asyncio.sleep(days * DAY)
        await leaf(before)


@durable(name="retention:asks_twice")
async def asks_twice(text: str) -> str:
    return f"{text} {await promise(str)} {await promise(str)}"


@durable(name="retention:asks_below")
async def asks_below(text: str) -> str:
    return await asks_twice(text)


@durable(name="retention:leaves")
async def leaves(days: int) -> str:
    tidying = tidies(days)
    await asyncio.sleep(60)
    tidying.cancel()
    return "left"


@durable(name="retention:asks_for_long")
async def asks_for_long(seconds: int) -> str:
    return await asyncio.wait_for(promise(str), seconds)


@durable(name="retention:shares")
async def shares(days: int) -> str:
    await asyncio.sleep(days * DAY)
    return "shared" * LARGE


@durable(name="retention:gives_up")
async def gives_up(first: bool) -> str:
    if not first:
        return await promise(str)
    try:
        return await asyncio.wait_for(attach("shared"), HOUR)
    except TimeoutError:
        return "nothing"


@durable(name="retention:flaky", retry=Retry(attempts=2, initial=40 * DAY, max_delay=40 * DAY, jitter=0))
def flaky() -> int:
    tried.append(1)
    if len(tried) < 3:
        raise ValueError("not yet")
    return len(tried)


@durable(name="retention:tries")
async def tries(days: int) -> int:
    try:
        return await asyncio.wait_for(flaky(), days * DAY)
    except TimeoutError:
        return 0


@durable(name="retention:attaches")
async def attaches() -> int:
    text = await attach("order")
    return len(text) + len(await promise(str))


@dataclass
class Order:
    total: int


@durable(name="retention:orders")
def orders() -> Order:
    return Order(5)


@durable(name="retention:reads")
async def reads(days: int) -> int:
    order = await attach("order")
    await asyncio.sleep(days * DAY)
    return order.total


@durable(name="retention:wide")
async def wide(width: int) -> int:
    return sum(await asyncio.gather(*(leaf(n) for n in range(width))))


@durable(name="retention:deep")
async def deep(depth: int) -> int:
    return 0 if depth == 0 else 1 + await deep(depth - 1)


@pytest.fixture(params=effort(["memory"], ["memory", "moto"]))
def kept(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """In memory; in a search, on moto, too."""
    with LocalCloud(engine=request.param) as cloud:
        yield cloud


@pytest.fixture
def fast() -> Iterator[LocalCloud]:
    """In memory."""
    with LocalCloud(engine="memory") as cloud:
        yield cloud


def left(cloud: LocalCloud) -> list[str]:
    """What the table and the bucket hold."""
    return [record.id for record in cloud.records()] + sorted(cloud._world.objects())


def keeping(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud, days: str) -> None:
    """Its functions are told to keep what is over for so many days."""
    for function in cloud.template.functions:
        monkeypatch.setitem(function.environment, "DURABLE_RETENTION_DAYS", days)  # type: ignore[arg-type]


def test_an_execution_goes_with_all_that_it_had_when_its_retention_is_over(kept: LocalCloud) -> None:
    """Its tree, its large values, the roots that it started; until then all of it is there."""
    kept.run(outer)
    kept.drive()
    before = left(kept)
    assert len(before) == 16 + 2
    kept.advance(MONTH - HOUR)
    assert left(kept) == before
    kept.advance(2 * HOUR)
    assert left(kept) == []


def test_whatever_waits_for_longer_than_that_loses_nothing(kept: LocalCloud) -> None:
    """It goes on in a sandbox that has never seen it, from all that it had."""
    handle = waits.start(100)
    kept.advance(99 * DAY)
    for function in kept.service.functions.values():
        function.memory.clear()
    assert handle.result() == 2 + 3 + 4 + LARGE
    kept.advance(MONTH + 2 * HOUR)
    assert left(kept) == []


def test_what_still_cleans_up_is_kept_though_its_caller_is_long_over(fast: LocalCloud) -> None:
    """The caller's retention is over before its cancelled call is, which needs its own; then all of it goes."""
    assert fast.run(leaves, 50) == "left"
    fast.advance(MONTH + 10 * DAY)
    assert [record.fn.partition(":")[2] for record in fast.records()] == ["leaves", "tidies", "leaf"]
    assert fast.stats.bodies[leaf] == 1
    fast.advance(12 * DAY)
    assert fast.stats.bodies[leaf] == 2
    assert left(fast) == []


def test_a_cancelled_root_is_kept_from_the_end_of_its_clean_up_on(fast: LocalCloud) -> None:
    """Its outcome was settled long before."""
    handle = tidies.start(100)
    fast.advance(DAY)
    handle.cancel()
    fast.advance(99 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(2 * DAY)
    assert fast.stats.bodies[leaf] == 2
    fast.advance(MONTH - 3 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(4 * DAY)
    assert left(fast) == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_time_that_it_waited_for_in_vain_does_not_keep_it(kept: LocalCloud, cancelled: bool) -> None:
    """It would have been woken at the very time at which its retention is over."""
    then = (kept_until("asks", 0, RETENTION) or 0) // 1_000_000
    handle = asks_for_long.with_options(id="asks").start(then)
    kept.drive()
    if cancelled:
        handle.cancel()
    else:
        resolve(f"{handle.id}~0", "yes")
    kept.drive()
    assert handle.status() is (State.CANCELED if cancelled else State.RESOLVED)
    assert {record.wake_at == record.due_at for record in kept.records() if record.id == "asks"} == {True}
    kept.advance(MONTH + 2 * HOUR)
    assert left(kept) == []


def test_a_longer_retention_counts_from_the_end_of_a_clean_up(
    fast: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from the cancellation, which may be as long ago as the retention."""
    handle = tidies.start(50)
    fast.advance(DAY)
    handle.cancel()
    fast.advance(50 * DAY + 60)
    keeping(monkeypatch, fast, "60")
    fast.advance(59 * DAY)
    assert handle.status() is State.CANCELED
    fast.advance(2 * DAY)
    assert left(fast) == []


def test_what_was_cleaned_up_within_the_last_day_keeps_its_tree(fast: LocalCloud) -> None:
    """A run that read it may be under way still; the retention of the root is long over."""
    cleaned = replace(ENDED, id="ended~0", state=State.CANCELED, due_at=None, closed=True)
    made(fast, replace(ENDED, due_at=fast.clock() + HOUR * 1_000_000))
    made(fast, replace(cleaned, closed_at=fast.clock()))
    fast.advance(2 * HOUR)
    assert left(fast) == ["ended", "ended~0"]
    fast.advance(DAY)
    assert left(fast) == []


def made(cloud: LocalCloud, *records: Record) -> None:
    """Written as they are; nobody runs them."""
    for record in records:
        cloud._host.ports.perform(Create(record))


ENDED = Record(
    id="ended", fn="?", target="?", state=State.RESOLVED, value="1", created_at=1, settled_at=1, due_at=RETENTION + 1
)


@pytest.mark.parametrize("kind", [Kind.FOLLOW, Kind.DETACH])
def test_a_root_stays_as_long_as_somebody_has_not_heard_of_it(fast: LocalCloud, kind: Kind) -> None:
    """Otherwise a follower would never settle, and a promise to detach would start the root once more."""
    root = (
        replace(ENDED, awaiters=frozenset({"other~0"}))
        if kind is Kind.FOLLOW
        else replace(ENDED, detached_by="other~0")
    )
    made(fast, root, Record(id="other", fn="?"), Record(id="other~0", kind=kind, root="ended"))
    fast.advance(10 * DAY)
    assert "ended" in left(fast)
    fast._host.ports.perform(Settle("other~0", State.RESOLVED, "1"))
    fast.advance(2 * DAY)
    assert left(fast) == ["other", "other~0"]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", Kind)
def test_only_what_is_over_goes(fast: LocalCloud, kind: Kind, state: State) -> None:
    """A function that has yet to clean up keeps its root. A pending promise that no code will hear of is ended."""
    below = Record(id="ended~0", kind=kind, fn="?", target="?", state=state, created_at=2)
    made(fast, ENDED, below)
    fast.advance(HOUR)
    assert left(fast) == (["ended", "ended~0"] if not below.over else [])
    fast.advance(10 * DAY)
    stays = kind is Kind.CALL and state in (State.CANCELED, State.TIMEDOUT)
    assert left(fast) == (["ended", "ended~0"] if stays else [])


@pytest.mark.parametrize("error", [None, "no"])
def test_what_a_function_called_ends_when_that_is_settled_from_outside(fast: LocalCloud, error: str | None) -> None:
    """No code hears of it any more. Its clean-up runs, and then all of it goes."""
    handle = leaves.start(50)
    fast.advance(10)
    resolve(handle.id, "in its place") if error is None else reject(handle.id, error)
    fast.advance(DAY)
    tidying = fast.peek(f"{handle.id}~0")
    assert tidying is not None
    assert tidying.state is State.CANCELED
    fast.advance(48 * DAY)
    assert handle.status() in (State.RESOLVED, State.REJECTED)
    fast.advance(DAY)
    assert fast.stats.bodies[leaf] == 2
    fast.advance(3 * DAY)
    assert left(fast) == []


def test_a_record_behind_a_gap_goes_too(fast: LocalCloud) -> None:
    """A run died for good while it created many side by side: whole partitions may begin late, and end early."""
    ordinals = [0, 7, BUCKET + 3, 2 * BUCKET, 2 * BUCKET + 200, 3 * BUCKET + 9]
    made(fast, ENDED, *(replace(ENDED, id=f"ended~{ordinal}", due_at=None) for ordinal in ordinals))
    fast.advance(DAY)
    assert left(fast) == []


def test_what_was_made_anew_under_a_removed_id_is_another(fast: LocalCloud) -> None:
    """A removal that was held up meets a record that it doesn't mean."""
    made(fast, replace(ENDED, due_at=None))
    perform = fast._host.ports.perform
    assert isinstance(perform(Remove("ended", 2)), Refused)
    assert left(fast) == ["ended"]
    assert isinstance(perform(Remove("ended", 1)), Record)
    assert left(fast) == []


def test_an_id_is_free_again_afterwards(kept: LocalCloud) -> None:
    """Until then it is taken, as long as its execution is there."""
    first = asks.with_options(id="again").start("x")
    kept.drive()
    resolve("again~0", "old")
    assert first.result() == "x OLD"
    kept.advance(MONTH + 2 * HOUR)
    with pytest.raises(UnknownPromise):
        first.result()
    with pytest.raises(UnknownPromise):
        attach("again")
    with pytest.raises(UnknownPromise):
        resolve("again~0", "late")
    second = asks.with_options(id="again").start("y")
    kept.drive()
    resolve("again~0", "new")
    assert second.result() == "y NEW"


def test_a_sandbox_forgets_what_an_earlier_execution_of_the_id_had(fast: LocalCloud) -> None:
    """Another sandbox ended that one; this one still had it as it was suspended."""
    asks.with_options(id="again").start("x")
    fast.drive()
    (function,) = [one for one in fast.service.functions.values() if one.memory.kept]
    suspended = dict(function.memory.kept)
    function.memory.kept.clear()
    resolve("again~0", "old")
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    handle = asks.with_options(id="again").start("y")
    fast.drive()
    function.memory.kept.update(suspended)
    resolve("again~0", "new")
    assert handle.result() == "y NEW"


def test_a_sandbox_has_nothing_of_a_call_that_ended_long_after_its_root(fast: LocalCloud) -> None:
    """Whoever settled the root died before it ended its calls; one ended elsewhere, shortly before the look."""
    asks_below.with_options(id="again").start("x")
    fast.drive()
    fast._host.ports.perform(Settle("again", State.RESOLVED, '"nothing"'))
    fast.advance(MONTH - 3 * HOUR)
    resolve("again~0.0", "old")
    fast.drive()
    (function,) = [one for one in fast.service.functions.values() if "again~0" in one.memory.kept]
    suspended = dict(function.memory.kept)
    function.memory.kept.clear()
    resolve("again~0.1", "old")
    while left(fast):
        fast.advance(HOUR)
    handle = asks_below.with_options(id="again").start("y")
    fast.drive()
    resolve("again~0.0", "new")
    fast.drive()
    function.memory.kept.update(suspended)
    resolve("again~0.1", "new")
    assert handle.result() == "y new new"


def test_what_has_no_object_is_removed_without_a_look_into_the_bucket(kept: LocalCloud) -> None:
    """To list an empty prefix costs as much as eight writes."""
    leaf.with_options(id="small").start(1)
    kept.drive()
    kept.stats.reset()
    kept.advance(MONTH + DAY)
    assert left(kept) == []
    assert kept.stats.puts == 0


@pytest.mark.parametrize("letters", ["x", "x" * LARGE])
def test_a_root_is_marked_before_an_object_is_put(letters: str, fast: LocalCloud) -> None:
    """Arguments of the root, outcomes of those below it, and what an id's second start put before it was refused."""
    large_below.with_options(id="big").start(letters)
    fast.drive()
    assert fast.peek("big").objects  # type: ignore[union-attr]
    length.with_options(id="small").start("x")
    with pytest.raises(errors.IdConflict):
        length.with_options(id="small").start("y" * LARGE)
    assert fast.peek("small").objects  # type: ignore[union-attr]
    fast.advance(MONTH + DAY)
    assert left(fast) == []


def test_what_is_put_for_a_start_under_way_is_not_removed(kept: LocalCloud) -> None:
    """Its record isn't created yet when the removal of the id's earlier execution comes to the objects."""
    first = large.with_options(id="big").start("x")
    assert len(first.result()) == LARGE
    kept.advance(MONTH - HOUR)
    kept._looking.sealing.seal("y" * LARGE, "big", "args")
    kept.advance(2 * HOUR)
    (key,) = left(kept)
    assert key.startswith(prefix_of("big"))


@pytest.mark.parametrize("function", [tries, flaky])
def test_an_attempt_is_not_one_of_a_later_execution_of_the_id(fast: LocalCloud, function: Any) -> None:
    """Its execution gave up long before it comes, and was removed. The later one has all its attempts, each in time."""
    tried.clear()
    if function is tries:
        assert tries.with_options(id="again").start(1).result() == 0
        fast.advance(MONTH + 2 * DAY)
        handle = tries.with_options(id="again").start(100)
    else:
        first = flaky.with_options(id="again").start()
        fast.drive()
        first.cancel()
        fast.advance(MONTH + 2 * DAY)
        handle = flaky.with_options(id="again").start()
    assert left(fast)[0] == "again"
    fast.drive()
    assert len(tried) == 2
    fast.advance(39 * DAY)
    assert len(tried) == 2
    assert handle.result() == 3


def test_what_once_awaited_a_root_is_not_settled_under_a_later_execution_of_its_id(kept: LocalCloud) -> None:
    """It gave up, and was removed; the root, which knows it still, settles when another promise has the id."""
    shared = shares.with_options(id="shared").start(40)
    assert gives_up.with_options(id="again").start(first=True).result() == "nothing"
    kept.advance(MONTH + DAY)
    handle = gives_up.with_options(id="again").start(first=False)
    kept.advance(15 * DAY)
    assert shared.status() is State.RESOLVED
    assert handle.status() is State.PENDING
    resolve("again~0", "its own")
    assert handle.result() == "its own"


def test_an_outcome_is_not_carried_to_what_is_gone(kept: LocalCloud) -> None:
    """The copy of a large one would be left behind under the id of an execution that was removed."""
    shares.with_options(id="shared").start(40)
    assert gives_up.with_options(id="again").start(first=True).result() == "nothing"
    kept.advance(40 * DAY + MONTH + 2 * DAY)
    assert left(kept) == []


def test_what_a_later_execution_has_under_the_id_of_a_follower_keeps_no_root(fast: LocalCloud) -> None:
    """It doesn't wait for it."""
    made(fast, replace(ENDED, awaiters=frozenset({"other~0"})), Record(id="other", fn="?"))
    made(fast, Record(id="other~0", kind=Kind.EXTERNAL))
    fast.advance(DAY)
    assert left(fast) == ["other", "other~0"]


def test_an_object_that_was_put_again_by_a_second_run_is_not_left(kept: LocalCloud, monkeypatch: Any) -> None:
    """It ended minutes after the first, whose outcome stands; the retention is the shortest."""
    keeping(monkeypatch, kept, "1")
    first = large.with_options(id="big").start("x")
    assert len(first.result()) == LARGE
    kept.advance(600)
    kept._looking.sealing.seal(f'"{"x" * LARGE}"', "big", "value")
    assert len(left(kept)) == 2
    kept.advance(DAY + HOUR)
    assert left(kept) == []


def test_a_replay_reads_what_it_attached_to_though_that_is_gone(kept: LocalCloud) -> None:
    """By the annotation of a function that no record names any more, but the follower's own."""
    orders.with_options(id="order").start()
    kept.drive()
    handle = reads.start(60)
    kept.advance(MONTH + DAY)
    assert "order" not in left(kept)
    for function in kept.service.functions.values():
        function.memory.clear()
    assert handle.result() == 5


def test_a_replay_reads_nothing_of_what_is_being_removed(fast: LocalCloud) -> None:
    """Whoever removes died when the objects were gone and the record wasn't; the outcome was carried on long ago."""
    large.with_options(id="order").start("x")
    fast.drive()
    handle = attaches.start()
    fast.advance(MONTH - HOUR)
    fast.kill("adapter.lambdas.sweeper.tend", ClearPayloads)
    fast.advance(HOUR + 30)
    resolve(f"{handle.id}~1", "!")
    for function in fast.service.functions.values():
        function.memory.clear()
    assert handle.result() == LARGE + 1


def test_a_schedule_stays_and_its_occurrences_go(fast: LocalCloud) -> None:
    """Each in its time."""
    schedule("daily", "0 3 * * *", leaf, 1)
    fast.advance(MONTH + 10 * DAY)
    assert len(schedules()) == 1
    assert len(left(fast)) == 1 + 30
    assert "schedule:daily" in left(fast)


@pytest.mark.parametrize(("days", "stays"), [("0", 1_000), ("1", 1), ("1.5", 1.5), ("365", 365)])
def test_how_long_it_is_kept_is_said_in_days(monkeypatch: pytest.MonkeyPatch, days: str, stays: float) -> None:
    """From 1 on; 0 is for ever."""
    with LocalCloud(engine="memory") as cloud:
        keeping(monkeypatch, cloud, days)
        assert cloud.run(leaf, 1) == 1
        cloud.advance(stays * DAY - 60)
        assert len(left(cloud)) == 1
        cloud.advance(HOUR + 180)
        assert len(left(cloud)) == (days == "0")


@pytest.mark.parametrize("days", ["0.5", "-1", "nan", "inf", "1e400", "a month", "30 days"])
def test_a_retention_that_is_none_is_refused(days: str) -> None:
    """Before anything runs under it."""
    with pytest.raises(ConfigurationError, match="DURABLE_RETENTION_DAYS"):
        retention_of(days)


def test_a_longer_retention_holds_for_what_is_over_already(fast: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was to go after a month."""
    assert fast.run(leaf, 1) == 1
    keeping(monkeypatch, fast, "60")
    fast.advance(MONTH + DAY)
    assert len(left(fast)) == 1
    fast.advance(MONTH)
    assert left(fast) == []


def test_removals_are_spread_over_an_hour(fast: LocalCloud) -> None:
    """Of roots that ended in the same second."""
    for number in range(200):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.drive()
    fast.advance(MONTH - 60)
    assert len(left(fast)) == 200
    sizes = []
    for _ in range(4):
        fast.advance(900)
        sizes.append(len(left(fast)))
    assert all(before - after > 20 for before, after in itertools.pairwise([200, *sizes]))
    fast.advance(180)
    assert left(fast) == []


def test_removals_of_one_minute_share_requests_and_invocations(fast: LocalCloud) -> None:
    """Sixty minutes of ten removals each: a tenth of a request to send, to receive and to delete each."""
    fast.advance(MONTH)
    for number in range(600):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.drive()
    fast.stats.reset()
    # From here on the sweeps are those of an idle hour, and each is an invocation.
    fast.advance(MONTH - 60)
    sweeps = fast.stats.invocations
    fast.advance(2 * HOUR)
    assert left(fast) == []
    assert fast.stats.messages == 600
    assert fast.stats.message_requests <= 3 * 2 * 60
    assert fast.stats.invocations - sweeps <= 2 * 60 + 1 + 61


def test_what_a_slow_removal_leaves_no_time_for_is_sent_on(fast: LocalCloud) -> None:
    """Else Lambda would end the invocation, and its whole batch would come again six minutes later."""
    told: list[str] = []
    fast.watchers.append(lambda event: told.append(event.what))
    for number in range(300):
        leaf.with_options(id=f"night-{number}").start(number)
    fast.meanwhile(TEND, Remove, lambda: fast.elapse(20))
    fast.drive()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert What.SENT_ON in told
    assert Happening.KILLED not in told


def test_removing_costs_a_write_and_a_read_for_each_promise(fast: LocalCloud) -> None:
    """I9; and three reads for each function that called anything, whose children are listed to the last."""
    assert fast.run(wide, 100) == sum(range(100))
    fast.drive()
    fast.stats.reset()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert fast.stats.writes == 101
    # Each leaf; the root, to the last; and the index.
    assert fast.stats.reads <= 100 + 2 + 2 * len(SHARDS)


def test_a_large_tree_goes_in_portions(fast: LocalCloud) -> None:
    """Other messages of the queue get their turn in between."""
    width = 2 * PORTION + PORTION // 2
    assert fast.run(wide, width) == sum(range(width))
    fast.drive()
    fast.stats.reset()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []
    assert fast.stats.writes == width + 1
    assert fast.stats.messages == 3


def test_a_deep_tree_goes_from_its_bottom(fast: LocalCloud) -> None:
    """300 levels, each of one function."""
    assert fast.run(deep, 300) == 300
    fast.drive()
    fast.advance(MONTH + 2 * HOUR)
    assert left(fast) == []


def test_a_look_goes_down_only_so_far(fast: LocalCloud) -> None:
    """Else the deepest trees would never go: each look would be over its Lambda's time before it came to the bottom."""
    depth = 3 * DEEP + 7
    assert fast.run(deep, depth) == depth
    fast.drive()
    (root,) = [record for record in fast.records() if record.id == "run-1"]
    asked = Counter[str]()

    def perform(operation: Any) -> Any:
        asked[type(operation).__name__] += 1
        return fast._host.ports.perform(operation)

    assert root.due_at is not None
    fast.service.ready.clear()
    fast._driver.reach(root.due_at)
    assert drive(look("run-1", root.due_at, RETENTION), perform) == "removing"
    assert asked["Many"] <= DEEP + 1
    fast.stats.reset()
    fast.advance(2 * HOUR)
    assert left(fast) == []
    # Linear: each level is read on the way down, and once more from above it.
    assert fast.stats.reads <= 5 * depth


@dataclass
class Nth(Kill):
    """Whatever removes, at its ``left``-th call; remembers what that was."""

    left: int = 0
    met: list[str] = field(default_factory=list)

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        looks = "adapter.lambdas.sweeper.tend" in names or "adapter.lambdas.sweeper.sweep" in names
        if not looks or when != self.when or isinstance(operation, (ReadPromise, PeekFunction, PeekPromise, Many, Now)):
            return False
        self.left -= 1
        if self.left != 0:
            return False
        self.met.append(type(operation).__name__)
        return True


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_removes_may_die_anywhere(when: str) -> None:
    """One call after the other, until there is none left. What it has left goes, and the root goes last."""
    points: Counter[str] = Counter()
    while True:
        with LocalCloud(engine="memory") as cloud:
            cloud.run(outer)
            cloud.drive()
            kill = Nth("", object, when, left=points.total() + 1)
            cloud._driver.kill(kill)
            gone: list[str] = []
            cloud.watchers.append(lambda event, gone=gone: gone.append(event.promise) if event.what == "removed" else 0)  # type: ignore[misc]
            cloud.advance(MONTH + DAY)
            assert left(cloud) == [], f"died {when} {kill.met}"
            assert set(gone) <= {"run-1", "retention-apart", "retention-shared"}
        if not kill.met:
            break
        points[kill.met[0]] += 1
    assert {"Remove", "ClearPayloads", "PeekChildren", "SendBatch"} <= set(points)


@pytest.mark.parametrize("seed", range(12))
def test_in_any_weather_all_that_is_over_goes_and_nothing_else(seed: int) -> None:
    """A live execution beside it has all that it needs, and more time to come."""
    with LocalCloud(seed=seed, faults=STORM, engine="memory") as cloud:
        outcome = cloud.run(outer)
        live = waits.with_options(id="live").start(100)
        assert outcome == 2 * LARGE + 10 + 2 + len("retention-apart") + 4
        cloud.advance(MONTH + 3 * DAY)
        assert {record.id.partition("~")[0] for record in cloud.records()} == {"live"}
        assert live.result() == 2 + 3 + 4 + LARGE
        cloud.advance(MONTH + 3 * DAY)
        assert left(cloud) == []
