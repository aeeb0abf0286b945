"""What is played again and again, each time with another death: programs that make every write and call there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from adapter import Retry, attach, durable, errors, link, promise, resolve, run, schedule, unschedule
from adapter.cli.redriving import redrive
from adapter.engine import hosts
from adapter.engine.operations import Create, Remove
from adapter.engine.telling import What
from adapter.lambdas import removal
from adapter.links.endpoint import handler as answer_by_link
from adapter.protocol.messages import Cause, Resume
from adapter.protocol.promises import Firing
from adapter.testing import LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.faults import Kill, Killed
from adapter.testing.happenings import Happening
from tests.faults.crashes.programs import DAY, HOUR, broken, fails, leaf, patient
from tests.simulation.scenarios.stage import left_open
from tests.support.drops import drop
from tests.support.envelopes import sent
from tests.support.laws import Limit, nothing_is_kept

TEND = "adapter.lambdas.sweeper.tend"

CLOUDS: list[LocalCloud] = []
DEATHS: list[str] = []
BODY = ["old"]


@durable
def large(size: int) -> str:
    return "x" * size


@durable
async def calls() -> int:
    first = await leaf(1)
    return first + sum(await asyncio.gather(leaf(2), leaf(3))) + await run(int, "4")


@durable
async def announces() -> int:
    """An inline step that leads a remote call: it is written before it runs."""
    return sum(await asyncio.gather(run(int, "1"), leaf(2)))


@durable
async def waits() -> str:
    try:
        async with asyncio.timeout(2 * HOUR):
            await patient(30)
    except TimeoutError:
        await asyncio.sleep(60)
    return await patient(1)


@durable
async def follows() -> int:
    detached = leaf.with_options(id="apart").detach(5)
    shared = await asyncio.gather(*(leaf.with_options(id="shared")(6) for _ in range(2)))
    return sum(shared) + len(detached.id)


@durable
async def carries() -> int:
    texts = await asyncio.gather(large(20_000), large(30_000), run(str.ljust, "", 20_000))
    shared = await asyncio.gather(*(large.with_options(id="large")(20_000) for _ in range(2)))
    return sum(map(len, [*texts, *shared]))


@durable
async def maps() -> int:
    return sum(await leaf.map(range(4), max_concurrency=2))


@durable
async def reads() -> str:
    """Real I/O, without a durable call."""
    return await asyncio.to_thread(str, 1)


@durable
async def thinks() -> str:
    """Does real I/O in a call."""
    return await reads()


@durable
async def asks() -> int:
    asked = promise(int)
    await run(int)
    return await asked + await leaf(1)


@durable
async def relies() -> int:
    await patient(30)
    return 1


@durable
def answer(asked: str) -> None:
    """A sender with an answer: once it is told that the answer is kept, it doesn't send it again."""
    try:
        resolve(asked, 41)
    except errors.AlreadySettled:
        assert attach(asked).result() == 41


@durable(timeout=2 * HOUR)
async def expires() -> None:
    await patient(30)


@durable(timeout=600)
async def hurries() -> None:
    await promise(str)


@durable
async def is_late() -> str:
    """Its call's deadline, and that of a root which it shares."""
    ended = []
    for late in (patient.with_options(timeout=HOUR)(30), hurries.with_options(id="hurries")()):
        try:
            await late
        except errors.PromiseTimeout:
            ended.append("late")
    return " ".join(ended)


@durable(timeout=42 * 60)
async def ends_between_looks() -> None:
    """The first look is after twenty minutes, the second after forty."""
    await promise(str)


@durable
async def patiently() -> str:
    """Two attempts two hours apart."""
    try:
        await broken.with_options(retry=Retry(attempts=2, initial=2 * HOUR, max_delay=DAY))()
    except ValueError:
        return "broken"
    return "not broken"


@durable
async def works() -> int:
    """Inline steps for which one invocation has no time."""
    for _ in range(10):
        await run(CLOUDS[-1].elapse, 9)
    return 10


@durable
def dies() -> str:
    """As often as Lambda repeats it."""
    DEATHS.append("died")
    if len(DEATHS) <= 3:
        raise Killed
    return "lives"


@durable
async def waits_for_the_dying() -> str:
    return await dies()


def die() -> None:
    raise Killed


@durable
async def dies_beside_a_call() -> None:
    call = patient(90)
    await run(die)
    await call


@durable
async def waits_for_the_dead() -> str:
    try:
        await dies_beside_a_call()
    except errors.FunctionCrashed:
        return "crashed"
    return "not crashed"


def stop(name: str) -> None:
    """A step that dies after it removed the schedule is told that there is none."""
    try:
        unschedule(name)
    except errors.UnknownPromise:
        return


@durable
async def rests() -> int:
    await asyncio.sleep(60)
    return sum(await asyncio.gather(leaf(1), leaf(2)))


@durable
async def counts() -> int:
    return sum(await asyncio.gather(leaf(1), leaf(2))) + sum(await asyncio.gather(leaf(1), leaf(2)))


@durable
async def keeps_time() -> str:
    await run(schedule, "tick", "rate(10 minutes)", leaf, 1)
    await asyncio.sleep(28 * 60)
    await run(stop, "tick")
    return "kept"


@durable(name="plays.drifts")
async def drifts() -> int:
    first = await leaf(1 if BODY[0] == "old" else 3)
    await promise(int)
    return first + await leaf(2)


@durable
async def nests() -> int:
    return await calls() + await leaf(7)


@durable
async def asks_by_link() -> int:
    asked = promise(int)
    DEATHS.append(await run(link, asked.id, expires_in=DAY, url="https://links.example"))
    return await asked


def answered(cloud: LocalCloud) -> object:
    """Another function answers after an hour."""
    handle = asks.with_options(id="asks").start()
    cloud.advance(HOUR)
    answer.start("asks~0")
    return handle.result()


def posted(cloud: LocalCloud) -> object:
    """A person answers through the Lambda behind the link. If the sender gets no answer, it sends the request again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_LINK_SECRET", "k" * 32)
        handle = asks_by_link.start()
        cloud.advance(HOUR)
        event = {
            "queryStringParameters": {"token": parse_qs(urlsplit(DEATHS[-1]).query)["token"][0]},
            "requestContext": {"http": {"method": "POST"}},
            "body": "41",
        }
        cloud.service.function("links").handler = answer_by_link
        cloud.service.enqueue("links", json.dumps(event))
        cloud.advance(HOUR)
        return handle.result()


def start_again(event: object, context: object) -> None:
    """In any Lambda: the old code is back, and the paused function is started again."""
    BODY[0] = "old"
    drifts.with_options(id="drifts").start()


def timed_out(root: object, cloud: LocalCloud) -> object:
    """A root that meets its deadline."""
    handle = root.start()  # type: ignore[attr-defined]
    cloud.advance(3 * HOUR)
    return handle.status().value


def drifted(cloud: LocalCloud) -> object:
    """Paused by other code, mended, and started again by another function."""
    handle = drifts.with_options(id="drifts").start()
    cloud.advance(60)
    BODY[0] = "new"
    for function in cloud.service.functions.values():
        function.memory.clear()
    answer.start("drifts~1")
    cloud.advance(HOUR)
    cloud.service.function("repairs").handler = start_again
    cloud.service.enqueue("repairs", "{}")
    cloud.advance(HOUR)
    return handle.result()


def fired_twice(cloud: LocalCloud) -> object:
    """One firing dies once it has created a call; the other takes over, and the retry of the first is refused."""

    def again(event: Event) -> None:
        if event.what == "firing":
            message = Resume(id=event.promise, cause=Cause.TIMER, firing=Firing(event.detail["at"], 0))
            sent(cloud, DEFAULT_FUNCTION, message)

    cloud.watchers.append(again)
    cloud.kill(rests, Create, "after")
    return cloud.run(rests)


def settled_in_its_place(cloud: LocalCloud) -> object:
    """Another Lambda settles a function that waits for its call."""
    handle = relies.with_options(id="relies").start()
    cloud.advance(HOUR)
    answer.start("relies")
    cloud.advance(HOUR)
    return handle.result()


@durable(name="plays:begins")
def begins(event: dict[str, str]) -> int:
    return len(event)


def begun_by_an_event(cloud: LocalCloud) -> object:
    """The first root of a table, whose Lambda is the first to sign an envelope."""
    cloud.invoke(begins, {"detail-type": "Order", "id": "e-1"})
    cloud.advance(HOUR)
    return attach("event:plays:begins:eventbridge:e-1").result()


@durable(target="apart")
def apart(value: int) -> int:
    return value


@durable
async def calls_apart() -> int:
    return await apart(1) + await leaf(2)


@durable(target="naps")
async def naps() -> int:
    await asyncio.sleep(600)
    return 3


@durable(target="apart")
async def hears_apart() -> int:
    return await naps()


def out_when_woken(cloud: LocalCloud) -> object:
    """What it waits for settles while it can't run itself."""
    handle = hears_apart.start()
    # By then it is suspended, though it died before.
    cloud.advance(540)
    with cloud.outage(apart, "missing"):
        cloud.advance(600)
    return handle.result()


def out(kind: str, cloud: LocalCloud) -> object:
    """What it calls can't run for ten minutes."""
    with cloud.outage(apart, kind):
        handle = calls_apart.start()
        cloud.advance(600)
    return handle.result()


def removed(cloud: LocalCloud) -> object:
    """What is left of it when its retention is over; a look removes two records, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "PORTION", 2)
        patch.setattr(removal, "SIDE_BY_SIDE", 1)
        cloud.run(carries)
        cloud.advance(33 * DAY)
        return [record.id for record in cloud.records()] + list(cloud._world.objects())


def crowded(cloud: LocalCloud) -> object:
    """What is left of many whose retention ends within an hour; an invocation has time to remove one."""
    for number in range(40):
        leaf.with_options(id=f"crowd-{number}").start(number)
    cloud.meanwhile(TEND, Remove, lambda: cloud.elapse(40))
    cloud.advance(33 * DAY)
    return [record.id for record in cloud.records()]


def held_up(cloud: LocalCloud) -> object:
    """For a minute the resumer may not invoke a function, nor keep the message for later."""
    handle = asks.with_options(id="held", target="held").start()
    cloud.advance(60)
    with cloud.outage("held", "denied"), nothing_is_kept(cloud):
        answer.start("held~0")
        cloud.advance(60)
    cloud.advance(600)
    return handle.status().value


def redriven(cloud: LocalCloud) -> object:
    """An operator sends again what Lambda has put aside; a command that died is given again."""
    drop(cloud, 1)
    cloud.service.function("operator").handler = lambda event, context: [*redrive(hosts.current(), dry_run=False)]
    handle = counts.start()
    for seconds in (60, 300, 300):
        cloud.advance(seconds)
        cloud.service.enqueue("operator", "{}")
    cloud.drive()
    return handle.status().value


def uncounted(cloud: LocalCloud) -> object:
    """A record of the stream never comes; what it tells of would never be counted."""
    drop(cloud, 1)
    return cloud.run(counts)


def without(lost: int, root: object, cloud: LocalCloud) -> object:
    """One invocation never comes."""
    cloud.service.losses = {lost}
    return cloud.run(root)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Play:
    """What is played, and its outcome.

    ``looked_for``: something is lost or paused, or lies between two attempts, so that a look asks for a run.
    ``dropped``: so many records of the stream never come.
    """

    go: Callable[[LocalCloud], object]
    outcome: object
    looked_for: bool = False
    dropped: int = 0


def ran(root: object, outcome: object, **more: bool) -> Play:
    return Play(lambda cloud: cloud.run(root), outcome, **more)  # type: ignore[arg-type]


PLAYS = {
    "calls": ran(calls, 10),
    "announces": ran(announces, 3),
    "waits": ran(waits, "slept"),
    "follows": ran(follows, 17),
    "asks": Play(answered, 42),
    "link": Play(posted, 41),
    "fails": ran(fails, "caught"),
    "retries": ran(patiently, "broken", looked_for=True),
    "carries": ran(carries, 110_000),
    "maps": ran(maps, 6),
    "thinks": ran(thinks, "1"),
    "works": ran(works, 10),
    "expires": Play(partial(timed_out, expires), "rejected_timedout"),
    "late": ran(is_late, "late late"),
    "between looks": Play(partial(timed_out, ends_between_looks), "rejected_timedout"),
    "fired twice": Play(fired_twice, 3),
    "dies": ran(waits_for_the_dying, "lives"),
    "crashes": ran(waits_for_the_dead, "crashed"),
    "is out": Play(partial(out, "missing"), 3),
    "is out when woken": Play(out_when_woken, 3),
    "is reserved": Play(partial(out, "reserved"), 3),
    "schedules": ran(keeps_time, "kept"),
    "begins": Play(begun_by_an_event, 2),
    "settled in its place": Play(settled_in_its_place, 41),
    "is removed": Play(removed, []),
    "are removed in turn": Play(crowded, []),
    "drifts": Play(drifted, 3, looked_for=True),
    "lost": Play(partial(without, 1, calls), 10, looked_for=True),
    "held up": Play(held_up, "resolved", looked_for=True),
    "redriven": Play(redriven, "resolved", looked_for=True, dropped=1),
    "uncounted": Play(uncounted, 6, looked_for=True, dropped=1),
    "lost below": Play(partial(without, 3, nests), 17, looked_for=True),
}


def play(name: str, kill: Kill) -> object:
    """The outcome, though there is a death."""
    with LocalCloud(engine="memory") as cloud:
        cloud._driver.kill(kill)
        return staged(name, cloud)


def staged(name: str, cloud: LocalCloud) -> object:
    """The outcome; everything that was begun has come to its end."""
    DEATHS.clear()
    BODY[0] = "old"
    wrong: list[Event] = []
    CLOUDS[:] = [cloud]
    cloud.watchers.append(Limit())
    cloud.watchers.append(lambda event: wrong.append(event) if event.what in WRONG else None)
    outcome = PLAYS[name].go(cloud)
    cloud.advance(4 * DAY)
    assert left_open(cloud) == []
    assert cloud.lost == []
    assert PLAYS[name].looked_for or wrong == [], wrong
    assert sum(len(poller.discarded) for poller in cloud._world.pollers) == PLAYS[name].dropped
    return outcome


WRONG = (What.MISSED, Happening.FAILED, What.UNHANDLED)
"""Events that no single death causes: a death is made good without the watchdog, and no run meets a missing record."""
