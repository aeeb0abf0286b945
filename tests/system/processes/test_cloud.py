"""A cloud whose functions are processes: what holds in one process holds here, and they die for real."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter import errors
from adapter.engine.operations import Remove, Settle
from adapter.testing import Event, Faults, LocalCloud
from handlers.demo import ORDER, TEMPLATE
from handlers.orders import Payment, charge, checkout
from tests.simulation.command.commanding import said
from tests.system.processes.durables import (
    boil,
    brew,
    by_the_clock,
    greedy,
    gulp,
    nap,
    stall,
    wrap,
)

DAY = 86_400


@pytest.fixture
def fleet() -> Iterator[LocalCloud]:
    """The infrastructure and the examples; the functions of these tests are in Lambdas made up for them."""
    with LocalCloud(template=TEMPLATE, processes=True) as cloud:
        yield cloud


def test_a_function_of_two_steps_settles_and_is_counted(fleet: LocalCloud) -> None:
    """The cloud counts steps, resumes and writes as in one process. A resume in another process starts from the top."""
    assert fleet.run(brew, 1) == 3
    assert fleet.stats.bodies[boil] == fleet.stats.resumes[brew] == 2
    assert 1 <= fleet.stats.bodies[brew] <= 3
    # The root, its two steps, and the resumer's two batches.
    assert (fleet.stats.writes, fleet.stats.invocations) == (6, 7)


def test_code_that_does_not_replay_fails_its_test_here_too(fleet: LocalCloud) -> None:
    """The process in which it ended replays it; where a resume finds another process, that replays, and pauses it."""
    with pytest.raises((errors.NonDeterminismError, errors.Paused), match="by_the_clock"):
        fleet.run(by_the_clock)


def test_what_is_over_is_removed_after_its_retention(fleet: LocalCloud) -> None:
    """The timers' own process removes records and objects over boto3's client."""
    assert fleet.run(brew, 1) == 3
    assert fleet.run(wrap, 20_000) == 20_000
    assert fleet._world.objects()
    fleet.kill("adapter.lambdas.sweeper.tend", Remove)
    seen: list[Event] = []
    fleet.watchers.append(seen.append)
    fleet.advance(32 * DAY)
    assert fleet.records() == [], [(event.what, event.function, event.promise, event.detail) for event in seen[-40:]]
    assert fleet._world.objects() == {}


def test_what_names_a_renamed_lambda_goes_on_in_the_new_one(fleet: LocalCloud) -> None:
    """Each process reads the move from the table, once it finds the old Lambda missing."""
    ran: set[str] = set()
    handles = [nap.with_options(target="kitchen").start(60), brew.with_options(target="kitchen").start(1)]
    fleet.drive()
    later = brew.with_options(target="kitchen").start(2)
    with fleet.outage("kitchen", "missing"):
        fleet.advance(120)
        assert handles[0].status() == later.status() == "pending"
        fleet.watchers.append(lambda event: ran.add(event.function) if event.what == "running" else None)
        said("move", "kitchen", "pantry")
        assert [handle.result() for handle in (*handles, later)] == ["awake", 3, 4]
    assert ran == {"local_pantry"}
    assert fleet.stats.bodies[boil] == 4


def test_a_kill_before_the_outcome_is_stored_runs_the_step_twice(fleet: LocalCloud) -> None:
    """The demo's example: the step has charged the card, and hasn't stored the receipt yet."""
    seen: list[Event] = []
    fleet.watchers.append(seen.append)
    fleet.kill(charge, Settle, "before")
    purchase = fleet.run(checkout, ORDER)
    assert (purchase.receipt.amount, purchase.receipt.payment) == (ORDER.total, Payment.CHARGED)
    assert purchase.shipment is not None
    assert [event.fn for event in seen if event.what == "killed"] == [charge.name]


def test_an_application_comes_to_its_end_in_a_storm() -> None:
    """The cloud kills processes around their calls of AWS, the resumer's too. Messages come twice."""
    with LocalCloud(1, Faults(crash=0.05, duplicate=0.1), TEMPLATE, processes=True) as cloud:
        purchase = cloud.run(checkout, ORDER)
        assert (purchase.receipt.amount, purchase.receipt.payment) == (ORDER.total, Payment.CHARGED)
        assert purchase.shipment is not None
        assert purchase.shipment.carrier == "tortoise"
        assert cloud.dice.drawn["crash"] > 0


def test_what_runs_out_of_memory_again_and_again_has_crashed(fleet: LocalCloud) -> None:
    """Lambda's three attempts are one of the policy's; the dead-letter queue then tells the function."""
    seen: list[Event] = []
    fleet.watchers.append(seen.append)
    with pytest.raises(errors.FunctionCrashed):
        fleet.run(greedy, 600)
    failed = [event for event in seen if event.what == "failed"]
    assert [event.detail["attempt"] for event in failed] == [1, 2, 3]
    assert all("ran out of memory" in event.detail["error"] for event in failed)
    assert fleet.stats.bodies[gulp] == 3


def test_a_module_that_begins_only_here_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process doesn't see this one's environment. Lambda would try three times, and again."""
    (tmp_path / "prices.py").write_text(
        "import os\n\nfrom adapter import durable\n\nTEA = int(os.environ['TEA'])\n\n\n"
        "@durable\ndef price() -> int:\n    return TEA\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TEA", "3")
    prices = importlib.import_module("prices")
    with LocalCloud(template=TEMPLATE, processes=True) as cloud:
        with pytest.raises(errors.ConfigurationError, match=r"durable .* can't begin: KeyError: 'TEA'"):
            cloud.run(prices.price)
        assert cloud.stats.invocations == 1


DEPLOYED = """
import asyncio, os
from adapter import durable

@durable
def note(order: str) -> int:
    return os.getpid()

@durable
async def waits(order: str) -> list[int]:
    first = await note(order)
    await asyncio.sleep(3_600)
    return [first, await note(order)]
"""


def test_a_deploy_ends_all_processes_and_new_ones_replay_by_the_code_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with the same code, and once with a change that drifts."""
    path = tmp_path / "deployed_anew.py"
    path.write_text(DEPLOYED)
    monkeypatch.syspath_prepend(tmp_path)
    waits = importlib.import_module(path.stem).waits
    with LocalCloud(processes=True) as cloud:
        same = waits.start("same")
        cloud.advance(60)
        cloud.forget()
        assert cloud._driver._environments.pids() == []  # type: ignore[attr-defined]
        first, second = same.result()
        assert first != second
        drifts = waits.start("changed")
        cloud.advance(60)
        path.write_text(DEPLOYED.replace("first = await note(order)", "first = await note(order.upper())"))
        cloud.forget()
        with pytest.raises(errors.Paused, match="CHANGED"):
            drifts.result()


def test_the_memory_engine_has_no_address_for_processes() -> None:
    with pytest.raises(errors.ConfigurationError, match="engine='moto', not 'memory'"):
        LocalCloud(engine="memory", processes=True)


def test_killing_midway_needs_processes(cloud: LocalCloud) -> None:
    with pytest.raises(errors.ConfigurationError, match="processes=True"):
        cloud.kill_midway(stall, lambda: True)


class Interrupted(Exception):
    """Somebody lost patience."""


def test_nothing_is_left_of_a_cloud_that_is_closed(tmp_path: Path) -> None:
    """No process is left, idle or in the middle of a step, and no thread."""

    def lose_patience() -> bool:
        if (tmp_path / "begun").exists():
            raise Interrupted
        return False

    threads, processes = threading.active_count(), _children()
    with LocalCloud(template=TEMPLATE, processes=True) as cloud:
        assert cloud.run(brew, 1) == 3
        stall.start(str(tmp_path))
        cloud.kill_midway(stall, lose_patience)
        with pytest.raises(Interrupted):
            cloud.drive()
        assert len(_children() - processes) >= 2
    assert threading.active_count() == threads
    assert _children() == processes


def _children() -> set[str]:
    """The processes that this one has started, and that aren't gone."""
    lists = Path("/proc/self/task").glob("*/children")
    return {pid for children in lists for pid in children.read_text().split()}
