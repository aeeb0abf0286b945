"""`cloud.forget()`: every sandbox is gone, as after a deploy, and nothing else changes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapter import durable, errors, promise, resolve
from adapter.engine import registry
from adapter.engine.operations import Create
from adapter.templates.template import FunctionSpec
from adapter.testing import Faults, LocalCloud
from adapter.testing.simulated_aws.lambdas import Function
from tests.simulation.asyncio_programs import PROGRAMS, made_durable
from tests.support.effort import ENGINE
from tests.support.laws import STORM, Limit, history, plainly, step

ORDERS = """
import asyncio
from adapter import durable

@durable
def charge(order: str) -> str:
    return f"charged {order}"

@durable
async def checkout(order: str) -> list[str]:
    first = await charge(order)
    await asyncio.sleep(3_600)
    return [first, await charge("again"), "old"]
"""


class Shop:
    """A module that is deployed anew: its file is written, and it is loaded again."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "forgotten_shop.py"
        self._module: ModuleType | None = None

    def deploy(self, *changes: tuple[str, str]) -> Any:
        source = ORDERS
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        self._path.write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        if self._module is None:
            self._module = importlib.import_module(self._path.stem)
        else:
            importlib.reload(self._module)
        return self._module


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Nothing of it is left after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    # Files of one second and one length would share their compiled code.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(registry, "definitions", registry.definitions.copy())
    monkeypatch.setitem(sys.modules, "forgotten_shop", ModuleType("forgotten_shop"))
    del sys.modules["forgotten_shop"]
    return Shop(tmp_path)


CHANGED = ("charge(order)\n    await", "charge(order.upper())\n    await")


def test_after_forgetting_a_changed_function_is_replayed_and_its_drift_is_named(shop: Shop, cloud: LocalCloud) -> None:
    """The error has both calls, the stored one and the present one. The old code, deployed again, goes on."""
    handle = shop.deploy().checkout.start("order-7")
    cloud.advance(60)
    fresh = shop.deploy(CHANGED, ('"old"', '"new"'))
    cloud.forget()
    with pytest.raises(errors.Paused, match=r"forgotten_shop:charge.*order-7(.|\n)*ORDER-7"):
        handle.result()
    assert cloud.stats.bodies[fresh.checkout] == 2
    shop.deploy().checkout.with_options(id=handle.id).start("order-7")
    assert handle.result() == ["charged order-7", "charged again", "old"]


def test_without_forgetting_the_warm_code_runs_to_its_end(shop: Shop) -> None:
    """So it is on AWS while old sandboxes live. The cloud's own check, left out here, would replay the new code."""
    with LocalCloud(engine=ENGINE, verify=False) as cloud:
        handle = shop.deploy().checkout.start("order-7")
        cloud.advance(60)
        shop.deploy(CHANGED, ('"old"', '"new"'))
        assert handle.result() == ["charged order-7", "charged again", "old"]


def test_a_change_that_replays_goes_on_by_the_new_code(shop: Shop, cloud: LocalCloud) -> None:
    """A step that has run doesn't run again."""
    handle = shop.deploy().checkout.start("order-7")
    cloud.advance(60)
    fresh = shop.deploy(('"old"', '"new"'))
    cloud.forget()
    assert handle.result() == ["charged order-7", "charged again", "new"]
    assert cloud.stats.bodies[fresh.charge] == 2


def steps(cloud: LocalCloud) -> dict[str, int]:
    return {fn: count for fn, count in cloud.stats.bodies.items() if fn.endswith((":step", ":fails"))}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_else_changes_wherever_a_cloud_forgets(name: str) -> None:
    """Its watcher forgets at every event, also in the middle of a run: history, writes and steps are the same."""
    seen = []
    for forgets in (False, True):
        with LocalCloud(engine="memory") as cloud:
            cloud.watchers.append(Limit())
            if forgets:
                cloud.watchers.append(lambda event, cloud=cloud: cloud.forget())  # type: ignore[misc]
            assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])
            seen.append((history(cloud), cloud.stats.writes, steps(cloud)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", list(PROGRAMS)[::4])
def test_a_cloud_that_forgets_in_a_storm_gives_what_plain_asyncio_gives(name: str, seed: int) -> None:
    """Invocations that were interrupted go on in sandboxes that nobody uses any more."""
    with LocalCloud(seed=seed, faults=STORM, engine="memory") as cloud:
        cloud.watchers += [Limit(), lambda event: cloud.forget()]
        assert cloud.run(made_durable(name)) == plainly(PROGRAMS[name])


@durable
async def asks_after(count: int) -> int:
    return sum([await step(number) for number in range(count)]) + await promise(int)


def test_no_sandbox_is_left_and_one_that_runs_keeps_nothing() -> None:
    """Each function begins with one that knows nothing, under a fault that gave it three, too."""
    for scatter in (0.0, 1.0):
        with LocalCloud(3, Faults(scatter=scatter), engine="memory") as cloud:
            handle = asks_after.start(8)
            cloud.drive()
            function = cloud.service.functions["durable"]
            before = list(function.memories)
            assert any(memory.kept for memory in before)
            cloud.forget()
            assert not any(memory.kept for memory in before)
            assert [len(memory.kept) for memory in function.memories] == [0]
            bodies = cloud.stats.bodies[asks_after]
            resolve(f"{handle.id}~8", 1)
            assert handle.result() == 29
            assert cloud.stats.bodies[asks_after] == bodies + 1


def test_a_sandbox_that_runs_while_the_cloud_forgets_keeps_nothing() -> None:
    """What it suspends afterwards would otherwise never be freed."""
    with LocalCloud(engine="memory") as cloud:
        forgotten: list[Any] = []

        def forgets() -> None:
            if not forgotten:
                forgotten.append(cloud.service.functions["durable"].memory)
                cloud.forget()

        cloud.meanwhile(asks_after, Create, forgets)
        handle = asks_after.start(1)
        cloud.drive()
        assert len(forgotten) == 1
        assert not forgotten[0].kept
        resolve(f"{handle.id}~1", 1)
        assert handle.result() == 1


def test_the_handler_of_a_template_is_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy may bring another one under its name."""
    module: Any = ModuleType("forgotten_handlers")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = FunctionSpec(
        logical_id="Orders",
        name="local-orders",
        handler="forgotten_handlers.orders",
        memory_mb=128,
        timeout_s=15,
        environment={},
        max_retries=2,
    )
    function = Function(spec)
    module.orders = lambda event, context: "old"
    assert function.resolve(lambda event, context: None)({}, None) == "old"
    module.orders = lambda event, context: "new"
    assert function.resolve(lambda event, context: None)({}, None) == "old"
    function.renew()
    assert function.resolve(lambda event, context: None)({}, None) == "new"
