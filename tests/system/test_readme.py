"""README.md tells the truth: its Python blocks run, its tests pass, its counts are counted."""

from __future__ import annotations

import asyncio
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from adapter import durable, promise
from adapter.cli.commands import durable as command
from adapter.testing import LocalCloud

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def modules() -> Iterator[list[str]]:
    """Modules to be forgotten when the test ends."""
    names: list[str] = []
    yield names
    for name in names:
        del sys.modules[name]


def load(number: int, forget: list[str]) -> ModuleType:
    """Run a block as a module: durable functions and their annotations are looked up by its name."""
    module = ModuleType(f"readme_{number}")
    sys.modules[module.__name__] = module
    forget.append(module.__name__)
    exec(compile(BLOCKS[number], f"README.md, block {number}", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


def run_test(test: Any) -> None:
    """As pytest does: with a fresh cloud, where one is asked for."""
    if "cloud" in inspect.signature(test).parameters:
        with LocalCloud() as cloud:
            test(cloud)
    else:
        test()


def test_the_readme_has_an_example_and_a_test() -> None:
    """A block that is no longer found would otherwise pass by not being run."""
    assert len(BLOCKS) == 3
    assert ["def test_" in block for block in BLOCKS] == [False, False, True]


def test_the_example_runs(modules: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the receipt and what the run cost."""
    load(0, modules)
    printed = capsys.readouterr().out
    assert re.match(r"order-7: 400 cents, idempotency key [0-9a-f-]{36}\n<Stats \d+ writes, ", printed)


def test_the_example_of_time_and_failures_runs(modules: list[str], cloud: LocalCloud) -> None:
    """Nobody approves, so it starts itself over, once for this test's patience."""
    module = load(1, modules)
    other = module.report.start(9)
    found = cloud.run(module.nightly, [1, 2, 3], other.id)
    assert found == ["page 1", "page 2", "page 3", "receipt of order-7", "page 2026", "page 9"]


def test_the_tests_pass(modules: list[str]) -> None:
    """Each test of the block about testing, as a reader would run it."""
    tests = [value for name, value in vars(load(2, modules)).items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        run_test(test)


def test_the_counts_are_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of costs is what ``python -m benchmarks.counts`` prints."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.counts import main

    main()
    assert capsys.readouterr().out in README


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    """Links are to files of this repository."""
    assert (ROOT / target).exists()


@durable(name="shop:charge")
def charge(order: str) -> str:
    return f"receipt of {order}"


@durable(name="shop:approval")
async def approval(order: str) -> bool:
    return await promise(bool, timeout=3 * 86_400)


@durable(name="shop:checkout")
async def checkout(order: str) -> str:
    return await charge(order) if await approval(order) else "refused"


@durable(name="shop:report")
async def report() -> None:
    await asyncio.gather(charge("all"), asyncio.sleep(7 * 86_400))


def test_the_output_of_the_command_is_what_it_prints() -> None:
    """Each command of the section, in its order, on a cloud with two executions."""
    (section,) = re.findall(r"^## Look at what runs\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    steps = re.findall(r"^\$ durable (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(steps) == 4
    with LocalCloud() as cloud:
        checkout.with_options(id="order-7").start("order-7")
        report.with_options(id="report-1").start()
        cloud.advance(3 * 3_600)
        for arguments, printed in steps:
            result = CliRunner().invoke(command, shlex.split(arguments))
            assert (result.exit_code, result.stdout) == (0, printed)
            cloud.drive()
