"""docs/operate.md tells of a night: its commands print what it shows, in order, on one cloud."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapter import Retry, durable, promise
from adapter.cli.commands import durable as command
from adapter.testing import LocalCloud

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
MENDED = """
from adapter import durable, promise

@durable(name="parcels:charge")
def charge(order: str) -> str: ...

@durable(name="parcels:address")
def address(order: str) -> str: ...

@durable(name="parcels:order")
async def order(name: str, large: bool = False) -> str:
    receipt = await charge(name)
    if large:
        await promise(bool)
    return f"{receipt}, to {await address(name)}"
"""
broken = [False]


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    yield
    broken[0] = False


@durable(name="parcels:charge")
def charge(order: str) -> str:
    return f"{order} is charged"


@durable(name="parcels:address", retry=Retry(attempts=1))
def address(order: str) -> str:
    return {}["street"] if broken[0] else "1 Main Street"


@durable(name="parcels:order")
async def order(name: str, large: bool = False) -> str:
    receipt = await charge(name)
    if large:
        await promise(bool)
    return f"{receipt}, to {await address(name)}"


def night(cloud: LocalCloud) -> None:
    """A partner changes its answers at night: from then on each order fails, but for two that wait for a person."""
    for number in range(1, 1_001):
        if number == 600:
            cloud.advance(8 * 3_600)
            broken[0] = True
        order.with_options(id=f"order-{number}").start(f"order-{number}", number % 400 == 7)
    cloud.advance(6 * 3_600)


def said(given: str) -> str:
    line, _, tail = given.partition(" | tail -")
    result = CliRunner().invoke(command, shlex.split(line))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines(keepends=True)
    return "".join(lines[-int(tail) :] if tail else lines)


def test_the_night_goes_as_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found, explained, mended, checked against the new code, and redriven with four hundred others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mended").mkdir()
    (tmp_path / "mended" / "shop.py").write_text(MENDED)
    (section,) = re.findall(r"^## A night\n(.*?)^## ", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    told = re.findall(r"^\$ durable (.*)\n((?:(?!\$ |```).*\n)*)", section, re.MULTILINE)
    assert len(told) >= 10
    with LocalCloud(engine="memory") as cloud:
        night(cloud)
        for given, printed in told:
            broken[0] = broken[0] and not given.startswith("retry order")
            assert said(given) == printed
            cloud.advance(1)
