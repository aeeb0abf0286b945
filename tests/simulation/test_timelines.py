"""Trees and timelines of whole executions, as a local cloud saw them and as the table knows them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from adapter import Retry, durable, promise, resolve, run
from adapter.engine.operations import Settle
from adapter.errors import UnknownPromise
from adapter.testing import Faults, LocalCloud
from adapter.timeline.making import Maker
from adapter.timeline.model import Part, Sign, Timeline
from tests.simulation.command.commanding import refused, said
from tests.support.ciphers import NAME
from tests.unit.timeline.test_pages import data_of

DAY = 86_400
SECRET = "4711-0815"


class Declined(Exception):
    pass


@durable(name="timeline:charge", retry=Retry(attempts=2))
def charge(order: str, fails: bool) -> str:
    if fails:
        raise Declined(f"no money for {order}")
    return order


@durable(name="timeline:ship")
async def ship(order: str, fails: bool) -> str:
    await asyncio.gather(*(charge(order, False) for _ in range(3)))
    await asyncio.sleep(30 * DAY)
    return await charge(order, fails)


@durable(name="timeline:notify")
def notify(order: str) -> str:
    return order


@durable(name="timeline:checkout")
async def checkout(order: str, fails: bool = False) -> str:
    await run(str, order)
    await notify.detach(order)
    await promise(bool)
    return await ship(order, fails)


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory") as made:
        yield made


def play(cloud: LocalCloud, *, fails: bool = False) -> str:
    handle = checkout.with_options(id="order-7").start(SECRET, fails)
    cloud.advance(3_600)
    (waits,) = (one.id for one in cloud.records() if one.kind == "external")
    resolve(waits, True)
    if fails:
        with pytest.raises(Declined):
            handle.result()
    else:
        handle.result()
    return handle.id


def timeline_of(cloud: LocalCloud, promise: str | None = None) -> Timeline:
    return cloud._timeline(promise, ())


def check(timeline: Timeline) -> None:
    for row in timeline.rows:
        parts = row.course.segments
        assert sum(one.length for one in parts) == row.course.end - row.course.begin
        assert all(one.end == following.begin for one, following in pairwise(parts))
        if row.parent is not None:
            above = timeline.rows[row.parent].course
            assert above.begin <= row.course.begin
    assert all(arrow.begin <= arrow.end for arrow in timeline.arrows)


@pytest.mark.parametrize("seed", range(4))
def test_the_laws_hold_in_every_weather(seed: int) -> None:
    """Runs die, messages come twice and late; bars have neither gaps nor overlaps, nobody begins before its caller."""
    faults = Faults(crash=0.05, duplicate=0.2, reorder=0.3, delay=0.2) if seed else None
    with LocalCloud(engine="memory", seed=seed, faults=faults) as cloud:
        play(cloud, fails=seed % 2 == 1)
        check(timeline_of(cloud))
        check(Maker(cloud._stored(), cloud.clock()).make("order-7"))


def test_with_latencies_each_call_waits_runs_and_moves_its_caller_on() -> None:
    """Waiting to start and running are told apart, also by what the table alone knows."""
    with LocalCloud(engine="memory", latencies=True) as cloud:
        play(cloud)
        told, known = timeline_of(cloud), Maker(cloud._stored(), cloud.clock()).make("order-7")
    for made in (told, known):
        check(made)
        (shipped,) = (row for row in made.rows if row.record.fn == "timeline:ship")
        assert Part.SUSPENDED in {one.part for one in shipped.course.segments}
        assert Sign.TIMER in {mark.sign for mark in shipped.course.marks}
        # The last of the three that were called together moved it, then the timer, then the last call. But the run that
        # only went to sleep wrote nothing.
        assert len([arrow for arrow in made.arrows if arrow.target == shipped.id]) == (2 if made is told else 1)
        assert shipped.course.end - shipped.course.begin >= 30 * DAY * 1_000_000
    for row in told.rows:
        if row.record.fn == "timeline:charge":
            assert [one.part for one in row.course.segments] == [Part.WAITING, Part.RUNNING]


def test_attempts_that_failed_are_apart_and_deaths_are_marked(cloud: LocalCloud) -> None:
    """The first attempt of a charge fails, the second one dies, and Lambda repeats it."""
    cloud.kill(charge, Settle, "before")
    play(cloud, fails=True)
    rows = [row for row in timeline_of(cloud).rows if row.record.fn == "timeline:charge"]
    signs = [mark.sign for row in rows for mark in row.course.marks]
    assert signs.count(Sign.KILLED) == 1
    assert signs.count(Sign.RETRY) == 1
    assert [one.attempt for one in rows[-1].course.segments if one.part is Part.RUNNING] == [1, 2]
    assert rows[-1].record.retries == 1


def test_a_tree_shows_each_promise_how_it_stands_and_the_error_of_what_failed(cloud: LocalCloud) -> None:
    """It says of what is pending what it waits for; what was detached stands below the call that did so."""
    checkout.with_options(id="order-7").start("tea")
    cloud.drive()
    lines = str(cloud.tree("order-7")).splitlines()
    assert lines[0].startswith("order-7  timeline:checkout  pending  0 ms  waits for the promise order-7~2")
    assert lines[2] == "├── order-7~1  detach order-7~1@detached  resolved  0 ms" or "detach" in lines[2]
    assert "timeline:notify" in lines[3]
    assert lines[3].startswith("│   └── ")
    resolve("order-7~2", True)
    cloud.advance(31 * DAY)
    tree = cloud.tree("order-7").expect("resolved", {charge: 4, ship: 1, "timeline:notify": 1})
    assert charge in tree
    assert "refund" not in tree
    assert tree.count(charge, "rejected") == 0
    assert repr(tree).startswith("<Tree of order-7, resolved: ")


def test_what_is_expected_in_vain_shows_the_tree(cloud: LocalCloud) -> None:
    """All that is wrong, and then each promise."""
    play(cloud, fails=True)
    with pytest.raises(AssertionError) as failed:
        cloud.tree("order-7").expect("resolved", {charge: 9})
    said = str(failed.value)
    assert said.startswith("expected resolved, got rejected\nexpected 9 calls of timeline:charge, got 4\n\norder-7  ")
    assert f"Declined: no money for {SECRET}" in said
    with pytest.raises(ValueError, match="done"):
        cloud.tree("order-7").expect("done")
    with pytest.raises(UnknownPromise):
        cloud.tree("nobody")


def test_neither_a_tree_nor_a_timeline_changes_or_costs_anything(cloud: LocalCloud, tmp_path: Path) -> None:
    """The test's own reads aren't the application's."""
    play(cloud)
    before = (repr(cloud.stats), cloud.now(), cloud.records())
    cloud.tree("order-7")
    assert cloud.timeline(tmp_path / "new" / "page.html").exists()
    assert (repr(cloud.stats), cloud.now(), cloud.records()) == before


def test_the_command_writes_what_the_table_knows(cloud: LocalCloud, tmp_path: Path) -> None:
    """All rows and arrows; it says what it wrote."""
    play(cloud)
    file = tmp_path / "page.html"
    output = said("timeline", "order-7", "-o", str(file))
    # What it detached is another execution, which its table's key doesn't tell.
    assert re.fullmatch(rf"{re.escape(str(file))}: 9 promises, \d+ KB\n", output)
    data = data_of(file.read_text())
    assert data["exact"] is False
    assert len(data["rows"]) == 9
    assert data["arrows"]
    assert SECRET in file.read_text()
    said("timeline", "order-7~3", "-o", str(file), "--no-payloads", "--log-group", "/shop")
    assert SECRET not in file.read_text()
    assert data_of(file.read_text())["logs"]["group"] == "/shop"


def test_the_command_costs_a_query_for_each_function_below(cloud: LocalCloud, tmp_path: Path) -> None:
    """One for the root with its children, one each for the five functions below, and one that looks for moves."""
    play(cloud)
    cloud.stats.reset()
    said("timeline", "order-7", "-o", str(tmp_path / "page.html"))
    assert cloud.stats.writes == 0
    assert cloud.stats.reads <= 8
    assert cloud.stats.read_units <= 8


def test_the_command_stops_at_its_limit_and_says_so(cloud: LocalCloud, tmp_path: Path) -> None:
    """A page of a hundred thousand promises helps nobody."""
    from tests.simulation.command.commanding import invoke

    play(cloud)
    result = invoke("timeline", "order-7", "-o", str(tmp_path / "page.html"), "--limit", "2")
    assert "4 promises" in result.stdout or "5 promises" in result.stdout
    assert "1 functions called wasn't read" in result.stderr.replace("function called", "functions called")


def test_the_command_says_what_it_cannot_do_in_one_line(cloud: LocalCloud, tmp_path: Path) -> None:
    """No such promise; no such directory."""
    assert "there is no promise 'nobody'" in refused("timeline", "nobody")
    play(cloud)
    assert "can't be written" in refused("timeline", "order-7", "-o", str(tmp_path / "gone" / "page.html"))


def test_cipher_text_stays_what_it_is_unless_it_is_to_be_decrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither text gets into the page; with the option, the plain one does. Of a cloud's own page the same holds."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    file = tmp_path / "page.html"
    with LocalCloud(engine="memory") as cloud:
        play(cloud)
        cipher = [one.args for one in cloud._stored() if one.args]
        for write in (lambda: said("timeline", "order-7", "-o", str(file)), lambda: cloud.timeline(file)):
            write()
            assert SECRET not in file.read_text()
            assert not any(text in file.read_text() for text in cipher)
        said("timeline", "order-7", "-o", str(file), "--decrypt")
        assert SECRET in file.read_text()
        cloud.timeline(file, decrypt=True)
        assert SECRET in file.read_text()
        cloud.timeline(file, decrypt=True, payloads=False)
        assert SECRET not in file.read_text()
