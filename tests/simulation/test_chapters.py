"""A function that has made many promises goes on in any sandbox, and reads in brief how most of them ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from adapter import durable, errors, promise, resolve, run
from adapter.protocol.chapters import LARGEST, LEAST, Chapter, told_by
from adapter.protocol.ids import child_id
from adapter.protocol.times import MINUTE, Instant
from adapter.testing import LocalCloud
from tests.support.ciphers import NAME
from tests.support.effort import effort
from tests.support.laws import STORM, forget

MONTH = 30 * 86_400
VERSION = ["old"]


@durable(name="chapters:step")
def step(number: int) -> int:
    return number


@durable(name="chapters:fails")
def fails(number: int) -> int:
    raise ValueError(number)


@durable(name="chapters:says")
def says(text: str) -> str:
    return text


@durable(name="chapters:sequence")
async def sequence(n: int) -> int:
    return sum([await step(number) for number in range(n)])


@durable(name="chapters:sleeping")
async def sleeping(n: int) -> int:
    for number in range(n):
        await step(number)
        await asyncio.sleep(1)
    return n


@durable(name="chapters:mixed")
async def mixed(n: int) -> list[object]:
    """Calls at once, in a race, failing, cancelled, inline; one is pending throughout, and one has a long outcome."""
    asked = promise(int)
    found: list[object] = list(await asyncio.gather(*(step(number) for number in range(n))))
    for number in range(n):
        try:
            await fails(number)
        except ValueError as error:
            found.append(str(error))
        first, others = await asyncio.wait([step(number), promise(int)], return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        found.extend(one.result() for one in first)
        found.append(await run(abs, -number))
    found.append(len(await says("x" * 2 * LARGEST)))
    found.append(sum(await step.map(range(3))))
    found.append(await asked)
    return found


@durable(name="chapters:below")
async def below(n: int) -> int:
    return await sequence(n) + await step(1)


@durable(name="chapters:changing")
async def changing(n: int) -> int:
    total = sum([await step(number) for number in range(n)])
    total += await step(1 if VERSION[0] == "old" else 2)
    return total + await promise(int)


@pytest.fixture
def cold() -> Iterator[LocalCloud]:
    """No sandbox keeps anything."""
    with never_warm(LocalCloud(engine="memory")) as cloud:
        yield cloud


def never_warm(cloud: LocalCloud) -> LocalCloud:
    cloud.watchers.append(lambda event: forget(cloud))
    return cloud


def chapters(cloud: LocalCloud) -> list[Chapter]:
    return list(cloud._world.chapters())


def told(cloud: LocalCloud) -> set[str]:
    return {record.id for chapter in chapters(cloud) for record in told_by(chapter)}


def units(n: int) -> float:
    """The read units of each step of a sequence."""
    with never_warm(LocalCloud(engine="memory", verify=False)) as cloud:
        cloud.run(sequence, n)
        return cloud.stats.read_units / n


def test_a_step_reads_its_function_in_brief() -> None:
    """Records of two hundred bytes would be 7 units on an average, for 200 steps, and 12 for 400."""
    few, many = units(200), units(effort(400, 800))
    assert few <= 4
    assert many <= few + 1.5


@pytest.mark.parametrize("n", [3, LEAST - 2])
def test_a_short_function_is_read_and_written_as_ever(n: int, cold: LocalCloud) -> None:
    """Two writes a step, two requests for a load at most, and no chapter."""
    cold.run(sequence, n)
    assert cold.stats.writes == 2 + 2 * n
    assert cold.stats.reads == n + n + 1
    assert chapters(cold) == []


def test_a_warm_function_writes_no_chapter() -> None:
    """It paid for no load."""
    with LocalCloud(engine="memory") as cloud:
        cloud.run(sequence, 3 * LEAST)
        assert chapters(cloud) == []
        assert cloud.stats.writes == 2 + 2 * 3 * LEAST


def test_each_outcome_is_told_once(cold: LocalCloud) -> None:
    """One more write for thirty-two steps, and of a kilobyte."""
    n = 5 * LEAST
    cold.run(sequence, n)
    found = [record.id for chapter in chapters(cold) for record in told_by(chapter)]
    assert len(found) == len({*found})
    assert n - 2 * LEAST < len(found) <= n
    assert cold.stats.write_units == cold.stats.writes == 2 + 2 * n + len(chapters(cold))


def test_a_function_that_sleeps_between_its_steps_reads_chapters_too(cold: LocalCloud) -> None:
    """An entry of the index doesn't tell how long its function is; how often it was armed does."""
    cold.run(sleeping, 100)
    assert len(told(cold)) >= 100 - 2 * LEAST
    assert cold.stats.reads / 100 <= 5.5, "two resumes a step"


@pytest.mark.parametrize("seed", range(effort(2, 12)))
def test_what_a_function_hears_is_the_same(seed: int) -> None:
    """Whatever it called, and whatever goes wrong."""
    heard: list[object] = []
    for warm in (True, False):
        with LocalCloud(seed=seed, faults=STORM if seed else None, engine="memory") as cloud:
            if not warm:
                never_warm(cloud)
            handle = mixed.start(LEAST)
            cloud.advance(86_400)
            assert warm or len(told(cloud)) >= 3 * LEAST
            assert child_id(handle.id, 0) not in told(cloud)
            resolve(child_id(handle.id, 0), 42)
            heard.append(handle.result())
    assert heard[0] == heard[1]


def test_a_call_below_reads_its_own_chapters(cold: LocalCloud) -> None:
    """They lie beside its promises, and not beside its caller's."""
    n = 3 * LEAST
    assert cold.run(below, n) == n * (n - 1) // 2 + 1
    assert {chapter.promise for chapter in chapters(cold)} == {child_id("run-1", 0)}


def paused(handle: object) -> str:
    with pytest.raises(errors.NonDeterminismError) as drift:
        handle.result()  # type: ignore[attr-defined]
    return str(drift.value)


def test_a_drift_is_judged_by_the_records(cold: LocalCloud) -> None:
    """It shows the stored arguments, which no chapter has; mended, the function goes on."""
    VERSION[0] = "old"
    n = 2 * LEAST
    handle = changing.start(n)
    cold.drive()
    VERSION[0] = "new"
    resolve(child_id(handle.id, n + 1), 0)
    assert f"#{n} call chapters:step" in (text := paused(handle))
    assert "stored" in text
    VERSION[0] = "old"
    assert changing.with_options(id=handle.id).start(n).result() == n * (n - 1) // 2 + 1


def spoilt(chapter: Chapter, text: str) -> Chapter:
    return replace(chapter, text=text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda chapter: spoilt(chapter, chapter.text.replace('"1"', '"2"')),
        lambda chapter: spoilt(chapter, chapter.text.replace('"digest":["', '"digest":["0')),
        lambda chapter: spoilt(chapter, "{}"),
        lambda chapter: replace(chapter, since=Instant(chapter.since - MINUTE)),
        lambda chapter: replace(chapter, number=chapter.number + 7),
    ],
    ids=["heard otherwise", "asked otherwise", "unreadable", "of an earlier execution", "under another number"],
)
def test_no_chapter_can_stop_a_function(spoil: Callable[[Chapter], Chapter], cold: LocalCloud) -> None:
    """Though somebody wrote it by hand."""
    n = 2 * LEAST
    handle = changing.start(n)
    cold.drive()
    assert chapters(cold)
    store = cold._world.store
    for chapter in chapters(cold):
        store.remove_chapter(chapter.promise, chapter.number)
        store.write_chapter(spoil(chapter))
    resolve(child_id(handle.id, n + 1), 0)
    assert isinstance(handle.result(), int)


def test_a_chapter_of_an_earlier_execution_is_not_heard_of(cold: LocalCloud) -> None:
    """Another one with the same id made the same calls, and heard something else. Its chapters give way."""
    n = 2 * LEAST
    handle = sequence.with_options(id="order").start(n)
    wrong = ',"value":["7"' + ',"7"' * (LEAST - 1)
    cold.drive()
    (first, *_) = sorted(chapters(cold), key=lambda chapter: chapter.number)
    assert handle.result() == n * (n - 1) // 2
    with never_warm(LocalCloud(engine="memory")) as later:
        stale = replace(first, since=Instant(first.since - MINUTE), text=first.text.partition(',"value"')[0] + wrong)
        later._world.store.write_chapter(stale)
        assert sequence.with_options(id="order").start(n).result() == n * (n - 1) // 2
        assert stale not in chapters(later)


@pytest.mark.parametrize("engine", effort(["memory"], ["memory", "moto"]))
def test_chapters_go_with_their_execution(engine: str) -> None:
    """The watchdog removes them, of a root and of a call below it."""
    with never_warm(LocalCloud(engine=engine)) as cloud:
        cloud.run(below, 2 * LEAST)
        cloud.drive()
        store = cloud._world.store
        assert store.peek_chapters(child_id("run-1", 0))
        cloud.advance(MONTH + 2 * 86_400)
        assert cloud.records() == []
        assert not store.peek_chapters(child_id("run-1", 0))


@pytest.mark.parametrize("engine", effort(["memory"], ["memory", "moto"]))
def test_chapters_expire_with_their_execution(engine: str) -> None:
    """DynamoDB removes them, and nobody pays for that."""
    with never_warm(LocalCloud(engine=engine)) as cloud:
        cloud.run(sequence.with_options(timeout=86_400), 2 * LEAST)
        cloud.drive()
        store = cloud._world.store
        assert store.peek_chapters("run-1")
        cloud.stats.reset()
        cloud.advance(86_400 + MONTH + 10 * 86_400)
        assert cloud.records() == []
        assert not store.peek_chapters("run-1")
        assert cloud.stats.writes == 0


def test_nothing_shows_through_an_encrypted_chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it tells of outcomes is encrypted with it; and the same cipher opens it."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    with never_warm(LocalCloud(engine="memory")) as cloud:
        handle = speaks.start(2 * LEAST)
        cloud.drive()
        assert handle.result() == "4711-0815"
        assert len(chapters(cloud)) >= 1
        assert all(chapter.text.startswith("!") and "4711" not in chapter.text for chapter in chapters(cloud))
        assert cloud.stats.read_units / (2 * LEAST) < 5


@durable(name="chapters:speaks")
async def speaks(n: int) -> str:
    for _ in range(n):
        text = await says("4711-0815")
    return text


def test_a_chapter_that_cannot_be_opened_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody moved it here from another function."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    with never_warm(LocalCloud(engine="memory")) as cloud:
        n = 2 * LEAST
        handle = changing.start(n)
        cloud.drive()
        for chapter in chapters(cloud):
            cloud._world.store.write_chapter(replace(chapter, text="!QUJD"))
        resolve(child_id(handle.id, n + 1), 0)
        assert handle.result() == n * (n - 1) // 2 + 1
