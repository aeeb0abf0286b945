"""docs/patterns.md tells the truth: its blocks do what it says, in any weather."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapter import attach, errors
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$",
    (Path(__file__).resolve().parents[2] / "docs/patterns.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


def load(number: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType(f"patterns_{number}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(BLOCKS[number], f"patterns.md, block {number}", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


@pytest.fixture(params=[None, Faults(crash=0.05, duplicate=0.2, reorder=0.3)], ids=["calm", "storm"])
def cloud(request: pytest.FixtureRequest) -> Any:
    with LocalCloud(seed=3, faults=request.param, engine=ENGINE) as cloud:
        yield cloud


def test_an_entity_takes_messages_in_order_and_answers_queries(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does so until it is closed. Then nothing takes a message any more."""
    entity = load(0, monkeypatch)
    handle = entity.account.with_options(id="alice-0").start("alice", 0, 100)
    for number, amount in enumerate([5, -30, 7]):
        cloud.advance(600)
        assert entity.send("alice-0", entity.Message(amount)) == number
        cloud.advance(600)
        assert entity.balance_after("alice-0", number) == 100 + sum([5, -30, 7][: number + 1])
    cloud.advance(600)
    entity.send("alice-0", entity.Message(0, close=True), 3)
    assert handle.result() == 82
    with pytest.raises(errors.UnknownPromise):
        entity.send("alice-0", entity.Message(1))


def test_an_entity_goes_on_in_another_root(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other root has its state, and a fresh history."""
    entity = load(0, monkeypatch)
    entity.MESSAGES = 2
    entity.account.with_options(id="bob-0").start("bob", 0, 0)
    for generation in (0, 1):
        for _ in range(2):
            cloud.advance(600)
            entity.send(f"bob-{generation}", entity.Message(10))
    cloud.advance(600)
    assert attach("bob-1").result() == 40
    assert attach("bob-2").status() == "pending"


def test_an_endless_loop_is_a_chain(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round has its own root."""
    loop = load(1, monkeypatch)
    loop.watch.with_options(id="watch-site-0").start("site", 0)
    cloud.advance(4.5 * 3_600)
    assert attach("watch-site-2").result() == "round 2 done"
    last = max(number for number in range(9) if cloud.peek(f"watch-site-{number}"))
    attach(f"watch-site-{last}").cancel()
    cloud.advance(24 * 3_600)
    assert cloud.peek(f"watch-site-{last + 2}") is None
