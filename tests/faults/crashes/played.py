"""The functions of the plays: between them they make every write and call there is."""

from __future__ import annotations

import asyncio

from adapter import Retry, attach, durable, errors, link, promise, resolve, run, schedule, unschedule
from adapter.testing import LocalCloud
from adapter.testing.faults import Killed
from tests.faults.crashes.programs import DAY, HOUR, broken, leaf, patient

TEND = "adapter.lambdas.sweeper.tend"

CLOUDS: list[LocalCloud] = []

DEATHS: list[str] = []

BODY = ["old"]

REPLAYS: list[str] = []

TRIED: list[str] = []


@durable
def large(size: int) -> str:
    return "x" * size


@durable
async def calls() -> int:
    first = await leaf(1)
    return first + sum(await asyncio.gather(leaf(2), leaf(3))) + await run(int, "4")


@durable(wake="direct")
async def prompts() -> str:
    """Each call that it waits for alone resumes it by its own run: a leaf, a function with calls, a failure."""
    total = await leaf(1) + await calls()
    try:
        await broken()
    except ValueError:
        return f"{total} {await patient(1)}"
    return "not caught"


@durable(wake="linger")
async def lingers() -> str:
    """It watches a leaf; and a longer call, until it suspends for it."""
    return f"{await leaf(1) + await leaf(2)} {await patient(1)} {await leaf(3)}"


@durable
async def calls_in_turn() -> int:
    """As many as make several chapters, if these are short."""
    first = sum([await leaf(number) for number in range(5)])
    return first + sum(await asyncio.gather(leaf(5), leaf(6))) + await leaf(7)


@durable
async def announces() -> int:
    """An inline step that leads a remote call: it is written before it runs."""
    return sum(await asyncio.gather(run(int, "1"), leaf(2)))


@durable
async def calling(value: int) -> int:
    return await leaf(value)


@durable(retry=Retry(attempts=2, initial=60))
def flaky() -> int:
    """Fails once."""
    TRIED.append("tried")
    if len(TRIED) == 1:
        raise ValueError("not yet")
    return 8


@durable
async def is_placed(first: int) -> int:
    """Each replay asks for another placement, beginning with the ``first``."""
    REPLAYS.append("begun")
    place = ("inline", "lambda", "auto")[(first + len(REPLAYS) - 1) % 3]
    near, far = leaf.with_options(place=place), calling.with_options(place=place)
    found = [await near(1), *await asyncio.gather(near(2), reads.with_options(place=place)()), await near(3)]
    found += await asyncio.gather(far(4), near(5))
    found += await asyncio.gather(near(7), far(0))
    return sum(map(int, found)) + await flaky.with_options(place=place)() + await far(6)


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


@durable(pin=True, target="pinned:live")
async def pins() -> str:
    await leaf(1)
    await asyncio.sleep(6 * HOUR)
    return f"old {await leaf(2)}"


async def pins_anew() -> str:
    """The next version of it."""
    await leaf(1)
    await asyncio.sleep(6 * HOUR)
    return f"new {await leaf(2)}"


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
    """A timer of its own wakes it at its deadline. Otherwise the watchdog would time it out."""
    async with asyncio.timeout(DAY):
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


@durable(timeout=2 * HOUR)
async def ends_between_looks() -> None:
    """A timer is set for a minute after the watchdog's first look, which comes after twenty."""
    await patient(19 / 60)
    await asyncio.sleep(120)
    await promise(str)


@durable(timeout=2 * HOUR)
async def is_claimed_late() -> None:
    await asyncio.gather(promise(str), promise(str))
    await promise(str)


@durable(timeout=2 * HOUR, target="sleepers")
async def sleeps_while_it_is_out() -> None:
    await asyncio.sleep(HOUR)
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
async def races() -> int:
    """An inline step follows the first of two calls."""
    pending = [asyncio.ensure_future(leaf(1)), asyncio.ensure_future(leaf(2))]
    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return await run(int, "4") + sum(await asyncio.gather(*pending))


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


@durable(name="plays:begins")
def begins(event: dict[str, str]) -> int:
    return len(event)


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
