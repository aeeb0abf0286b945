"""A renamed Lambda: one command, and what names the old one goes on by itself in the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapter import Retry, attach, durable, errors, run, schedule
from adapter.protocol.standing import Way
from adapter.testing import Event, LocalCloud
from tests.simulation.command.commanding import refused, said, unchanged
from tests.simulation.test_outages import LATE, MONTH, calls, counts, elsewhere, hears, stands, wakes
from tests.support.laws import HOUR, Limit, step

ANEW = "local_anew"

PROGRAMS: list[tuple[Any, str]] = [(wakes, "before"), (hears, "before"), (counts, "before"), (calls, "elsewhere")]
"""Each with the Lambda that is renamed: that of the program itself, which a timer or its calls resume, or that of what
it calls."""


class Ran:
    """In which Lambdas functions were run, since it began to look."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.where: dict[str, set[str]] = {}
        cloud.watchers.append(self._watch)

    def _watch(self, event: Event) -> None:
        if event.what == "running":
            self.where.setdefault(event.fn, set()).add(event.function)


@pytest.fixture
def sky() -> Iterator[LocalCloud]:
    """A cloud in which an outage may last for days."""
    with LocalCloud(engine="memory") as cloud:
        cloud.watchers.append(Limit(20_000))
        yield cloud


@pytest.mark.parametrize("length", [60, 7 * HOUR, 72 * HOUR], ids=["a minute", "seven hours", "three days"])
@pytest.mark.parametrize(("program", "renamed"), PROGRAMS, ids=["wakes", "hears", "counts", "calls"])
def test_what_names_a_renamed_lambda_goes_on_once_it_is_moved(
    program: Any, renamed: str, length: float, sky: LocalCloud
) -> None:
    """It is a month old when its Lambda goes for good, and a timer or calls are to resume it. Each body runs once."""
    handle = program.with_options(target="before").start()
    sky.advance(MONTH - 60)
    with sky.outage(renamed, "missing"):
        sky.advance(length)
        assert handle.status() == "pending"
        ran = Ran(sky)
        said("move", renamed, "anew")
        sky.advance(LATE)
        assert handle.status() == "resolved"
        assert handle.result() == 1
    moved = elsewhere if renamed == "elsewhere" else program
    assert ran.where[moved.name] == {ANEW}
    leaves = [record for record in sky.records() if record.fn in (step.name, elsewhere.name)]
    assert sky.stats.bodies[elsewhere] + sky.stats.bodies[step] == len(leaves) > 0
    assert not any(record.outage or record.outage_at for record in sky.records())


def test_a_move_that_stands_before_its_lambda_goes_holds_nothing_up(sky: LocalCloud) -> None:
    """The operator says it first. A start, a timer and a wake then find the new Lambda at once."""
    held: list[Event] = []
    sky.watchers.append(lambda event: held.append(event) if event.what in ("held", "stalled") else None)
    handles = [wakes.with_options(target="before").start(), hears.with_options(target="before").start()]
    sky.advance(MONTH - 60)
    said("move", "before", "anew")
    said("move", "elsewhere", "anew")
    with sky.outage("before", "missing"), sky.outage("elsewhere", "missing"):
        handles.append(elsewhere.start(1))
        sky.advance(60)
        assert [handle.result() for handle in handles] == [1, 1, 1]
    assert held == []


def test_a_near_timers_message_that_names_the_old_lambda_finds_the_new_one(sky: LocalCloud) -> None:
    """It lies in the queue when the Lambda goes: an attempt that is to be made again, in a minute."""
    tries: list[int] = []

    @durable(name="moves:fails once", target="before", retry=Retry(attempts=2, initial=60, jitter=0))
    def fails_once() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError
        return len(tries)

    handle = fails_once.start()
    sky.advance(1)
    with sky.outage(fails_once, "missing"):
        said("move", "before", "anew")
        sky.advance(60)
        assert handle.result() == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_event_that_lambda_had_accepted_runs_in_the_new_lambda(when: str, sky: LocalCloud) -> None:
    """Lambda gives it up after three attempts, as nobody has measured on AWS; it is kept then. The body runs once."""
    handle = elsewhere.start(1)
    with sky.outage(elsewhere, "missing"):
        if when == "before":
            said("move", "elsewhere", "anew")
        sky.advance(HOUR)
        if when == "after":
            assert handle.status() == "pending"
            said("move", "elsewhere", "anew")
            sky.advance(LATE)
        assert handle.result() == 1
    assert sky.stats.bodies[elsewhere] == 1


def test_what_a_moved_parent_calls_and_cancels_goes_on_too(sky: LocalCloud) -> None:
    """A call without a target is in its parent's Lambda, by its old name."""
    cleaned: list[str] = []

    @durable(name="moves:cleans")
    async def cleans() -> None:
        try:
            await wakes()
        finally:
            await run(cleaned.append, "up")

    @durable(name="moves:parent", target="before")
    async def parent() -> int:
        call = cleans()
        await wakes()
        call.cancel()
        return await step(1)

    handle = parent.start()
    sky.advance(60)
    said("move", "before", "anew")
    with sky.outage("before", "missing"):
        sky.advance(MONTH + LATE)
        assert handle.result() == 1
        sky.advance(LATE)
    assert cleaned == ["up"]
    assert all(record.over for record in sky.records())


def test_a_schedule_that_names_a_moved_lambda_goes_on(sky: LocalCloud) -> None:
    """Each occurrence starts in the new one."""
    schedule("hourly", "rate(1 hour)", elsewhere, 1)
    said("move", "elsewhere", "anew")
    ran = Ran(sky)
    with sky.outage(elsewhere, "missing"):
        sky.advance(3 * HOUR + 60)
    assert sky.stats.bodies[elsewhere] == 3
    assert ran.where[elsewhere.name] == {ANEW}


def test_a_row_of_moves_is_followed_to_the_first_lambda_that_there_is(sky: LocalCloud) -> None:
    """It was renamed twice; whoever remembers the first name finds the third."""
    ran = Ran(sky)
    said("move", "elsewhere", "anew")
    said("move", "anew", "newest")
    with sky.outage(elsewhere, "missing"):
        assert sky.run(elsewhere, 1) == 1
        assert ran.where.pop(elsewhere.name) == {ANEW}
        with sky.outage("anew", "missing"):
            assert sky.run(elsewhere, 2) == 2
        assert ran.where[elsewhere.name] == {"local_newest"}


def test_as_long_as_there_is_the_old_lambda_a_move_changes_nothing(sky: LocalCloud) -> None:
    """The command says so. A Lambda that can't run for another reason isn't missing."""
    ran = Ran(sky)
    assert "as long as there is one, nothing changes" in said("move", "elsewhere", "anew")
    assert sky.run(elsewhere, 1) == 1
    with sky.outage(elsewhere, "denied"):
        handle = elsewhere.start(2)
        sky.advance(HOUR)
        assert handle.status() == "pending"
    assert handle.result() == 2
    assert ran.where[elsewhere.name] == {"local_elsewhere"}


def test_what_says_that_a_lambda_is_missing_names_the_command(sky: LocalCloud) -> None:
    """So do the line of the log and whoever waits. Afterwards both names are shown, and which one is missing, too."""
    told: list[Event] = []
    sky.watchers.append(lambda event: told.append(event) if event.what == "stalled" else None)
    command = "if local_elsewhere has another name now: durable move local_elsewhere NEW"
    with sky.outage(elsewhere, "missing"):
        handle = elsewhere.start(1)
        sky.advance(2 * HOUR)
        text = stands(sky, handle.id).text
        assert "paused: its Lambda local_elsewhere is missing since 2026-01-01 00:00:00Z (2 h ago)" in text
        assert text.endswith(command)
        assert told[-1].detail["remedy"].endswith(command)
        with pytest.raises(errors.Stuck, match=command):
            handle.result()
        said("move", "local_elsewhere", "anew")
        said("resume", handle.id)
    assert handle.result() == 1


@pytest.mark.parametrize(("kind", "says"), [("missing", "is missing"), ("denied", "may not be invoked")])
def test_where_the_new_lambda_cannot_be_invoked_either_both_are_named(kind: str, says: str, sky: LocalCloud) -> None:
    """What it is to do is kept as before, and goes on when either of them is there."""
    told: list[Event] = []
    sky.watchers.append(lambda event: told.append(event) if event.what == "held" else None)
    said("move", "elsewhere", "anew")
    sky.service.function(ANEW)
    with sky.outage(elsewhere, "missing"):
        with sky.outage("anew", kind):
            handle = elsewhere.start(1)
            sky.advance(2 * HOUR)
            assert stands(sky, handle.id).way is Way.PAUSED
            shown = said("show", handle.id)
            assert f"paused: its Lambda local_elsewhere (moved to local_anew) {says} since 2026-01-01" in shown
            assert ("durable move local_anew NEW" in shown) is (kind == "missing")
            assert told[-1].detail["target"] == ANEW
            with pytest.raises(errors.Stuck, match=r"local_elsewhere \(moved to local_anew\)"):
                handle.result()
        sky.advance(LATE)
        assert handle.result() == 1


def test_moves_are_listed_replaced_and_taken_back(sky: LocalCloud) -> None:
    """A name may be given as a Lambda has it or as a target is, without the stack's prefix."""
    assert said("move") == "no Lambda was moved\n"
    assert said("move", "before", "local_anew").startswith("local_before (moved to local_anew)\n")
    said("move", "local_anew", "newest")
    said("move", "a:live", "arn:aws:lambda:us-east-1:123456789012:function:b")
    assert said("move").splitlines() == [
        "local_a:live (moved to arn:aws:lambda:us-east-1:123456789012:function:b)",
        "local_anew (moved to local_newest)",
        "local_before (moved to local_anew, then local_newest)",
    ]
    replaced = said("move", "before", "other").splitlines()[0]
    assert replaced == "local_before (moved to local_other), and no longer to local_anew"
    assert said("move", "a:live", "--undo") == "local_a:live is moved no more\n"
    assert said("move", "local_anew", "--undo") == "local_anew is moved no more\n"
    assert said("move").splitlines() == ["local_before (moved to local_other)"]


def test_a_move_that_is_taken_back_is_followed_no_more(sky: LocalCloud) -> None:
    """What names the old Lambda waits for it again."""
    said("move", "elsewhere", "anew")
    with sky.outage(elsewhere, "missing"):
        assert sky.run(elsewhere, 1) == 1
        said("move", "elsewhere", "--undo")
        handle = elsewhere.start(2)
        sky.advance(HOUR)
        assert handle.status() == "pending"
    assert handle.result() == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("before", "local_before"), "local_before is its old name and its new one"),
        (("c", "a"), "local_a was moved to local_b, then local_c: this would be a circle"),
        (("a b", "c"), "no Lambda can have the name 'local_a b'"),
        (("before", "x" * 64), "no Lambda can have the name"),
        (("before", ""), "no Lambda can have the name"),
        (("before", "--undo"), "local_before was not moved: durable move lists what was"),
    ],
    ids=["itself", "circle", "impossible", "too long", "empty", "never moved"],
)
def test_a_move_that_cannot_be_is_one_line_and_changes_nothing(
    arguments: tuple[str, ...], why: str, sky: LocalCloud
) -> None:
    """It says what is wrong."""
    said("move", "a", "b")
    said("move", "b", "c")
    stand = said("move")
    with unchanged(sky):
        assert why in refused("move", *arguments)
    assert said("move") == stand


def test_the_lambda_that_a_cloud_makes_up_can_be_moved_by_its_name(sky: LocalCloud) -> None:
    """Its name has no prefix, and what says that it is missing names it so."""
    handle = step.start(1)
    with sky.outage(step, "missing"):
        sky.advance(HOUR)
        assert "durable move durable NEW" in said("show", handle.id)
        said("move", "durable", "anew")
        sky.advance(LATE)
        assert attach(handle.id).status() == "resolved"
