"""README.md and docs/ tell the truth: their code runs, their counts are counted, their links lead somewhere."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cfnlint.api import lint_file
from click.testing import CliRunner

import adapter
from adapter import durable, errors, link, promise, resolve
from adapter import testing as adapter_testing
from adapter.cli.commands import durable as command
from adapter.links.endpoint import handler
from adapter.testing import LocalCloud
from tests.support.effort import ENGINE

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("start", "write", "test", "deploy", "operate", "reference", "patterns", "encryption", "engines", "events")
PAGES = {
    "README": (ROOT / "README.md").read_text(encoding="utf-8"),
    **{name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in NAMES},
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


RUN_HERE = [(page, number) for page in ("README", "write", "test") for number in range(len(blocks(page, "python")))]


@pytest.fixture
def modules() -> Iterator[list[str]]:
    """Modules to be forgotten when the test ends."""
    names: list[str] = []
    yield names
    for name in names:
        del sys.modules[name]


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that docs/write.md asks for."""
    monkeypatch.setenv("DURABLE_LINK_URL", "https://links.example")
    monkeypatch.setenv("DURABLE_LINK_SECRET", "0123456789abcdef" * 2)


def load(page: str, number: int, forget: list[str]) -> ModuleType:
    """Run a block as a module: durable functions and their annotations are looked up by its name."""
    module = ModuleType(f"{page}_{number}")
    sys.modules[module.__name__] = module
    forget.append(module.__name__)
    code = compile(blocks(page, "python")[number], f"{page}.md, block {number}", "exec")
    exec(code, module.__dict__)  # noqa: S102 - our own text
    return module


def run_test(test: Any) -> None:
    """As pytest does: with a fresh cloud, where one is asked for."""
    if "cloud" in inspect.signature(test).parameters:
        with LocalCloud(engine=ENGINE) as cloud:
            test(cloud)
    else:
        test()


def test_every_block_of_code_is_one_that_is_run() -> None:
    """A block that is no longer found would otherwise pass by not being run."""
    found = {page: len(blocks(page, "python")) for page in PAGES}
    # These have tests of their own.
    elsewhere = {"patterns": 2, "encryption": 2, "events": 8}
    assert found == {**dict.fromkeys(PAGES, 0), "README": 1, "start": 4, "write": 15, "test": 9, **elsewhere}


@pytest.mark.parametrize(("page", "number"), RUN_HERE, ids=lambda each: str(each))
@pytest.mark.usefixtures("links")
def test_a_block_runs_and_its_tests_pass(page: str, number: int, modules: list[str]) -> None:
    """Each block shows by itself that it is right: it has tests, or runs a cloud of its own."""
    code = blocks(page, "python")[number]
    tests = [test for name, test in vars(load(page, number, modules)).items() if name.startswith("test_")]
    assert tests or "with LocalCloud" in code
    for test in tests:
        run_test(test)


def test_the_example_prints_the_receipt_and_what_the_run_cost(
    modules: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The test reads it as a reader does."""
    load("README", 0, modules)
    printed = capsys.readouterr().out
    assert re.match(r"order-7: 400 cents, idempotency key [0-9a-f-]{36}\n<Stats \d+ writes, ", printed)


def run_pytest(given: str, directory: Path) -> str:
    """What a command prints, in a directory of its own. Its tests pass."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(given)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_steps_lead_to_tests_that_pass(tmp_path: Path) -> None:
    """The test does as docs/start.md says: its files and commands, in order, in a directory of their own."""
    ran = 0
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGES["start"], re.MULTILINE | re.DOTALL):
        if language == "python":
            name = text.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(text, encoding="utf-8")
        for given, printed in re.findall(
            r"^\$ \.venv/bin/python -m (pytest.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE
        ):
            out = run_pytest(given, tmp_path)
            assert all(line in out for line in printed.splitlines()), out
            ran += 1
    assert ran == 3


def test_the_command_of_docs_test_prints_what_it_shows(tmp_path: Path) -> None:
    """The test runs it over the first example of the page."""
    (tmp_path / "test_approval.py").write_text(blocks("test", "python")[0], encoding="utf-8")
    (block,) = blocks("test", "console")
    (given,) = re.findall(r"^\$ (pytest .*)$", block, re.MULTILINE)
    assert block.splitlines()[-1] in run_pytest(given, tmp_path)


def test_the_template_of_an_own_application_holds_it(tmp_path: Path, modules: list[str]) -> None:
    """The template of docs/deploy.md is valid, and a LocalCloud runs a function in the Lambda that it defines."""
    text, with_alias, of_versions = blocks("deploy", "yaml")
    assert with_alias
    assert of_versions
    assert text == (ROOT / "docs" / "project" / "template.yaml").read_text(encoding="utf-8").replace("NAME", "shop")
    shutil.copytree(ROOT / "infra", tmp_path / "durable")
    (tmp_path / "src").mkdir()
    path = tmp_path / "template.yaml"
    path.write_text(text, encoding="utf-8")
    assert [str(match) for match in lint_file(path)] == []
    app: Any = ModuleType("app")
    app.checkout = checkout
    sys.modules["app"] = app
    modules.append("app")
    with LocalCloud(template=path, engine=ENGINE) as cloud:
        handle = checkout.with_options(id="order-7", target="checkout").start("order-7")
        cloud.drive()
        resolve("order-7~0.0", True)
        assert handle.result() == "receipt of order-7"
        assert {record.target for record in cloud.records()} == {"local_checkout"}


def test_the_counts_are_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of costs is what ``python -m benchmarks.counts`` prints."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.counts import main

    main()
    assert capsys.readouterr().out in PAGES["operate"]


def anchors(text: str) -> set[str]:
    """How a reader's browser finds the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [(page, target) for page, text in PAGES.items() for target in re.findall(r"\]\(([^)]+)\)", text)]


@pytest.mark.parametrize(("page", "target"), [each for each in LINKS if "://" not in each[1]])
def test_every_link_leads_somewhere(page: str, target: str) -> None:
    """It leads to a file of this repository, and to a heading in it."""
    file, _, anchor = target.partition("#")
    directory = ROOT if page == "README" else ROOT / "docs"
    path = directory / file
    assert path.exists()
    if anchor:
        assert anchor in anchors(path.read_text(encoding="utf-8") if file else PAGES[page])


def named(text: str) -> set[str]:
    """The words that a page shows as code."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))


def test_the_reference_has_every_public_name() -> None:
    """It has every error, too."""
    public = {*adapter.__all__, *adapter_testing.__all__}
    raised = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert public | raised <= named(PAGES["reference"])


def test_the_reference_has_every_variable() -> None:
    """The package reads it, or a template sets it."""
    sources = [*(ROOT / "adapter").rglob("*.py"), ROOT / "template.yaml", *(ROOT / "infra").glob("*.yaml")]
    read = {name for source in sources for name in re.findall(r"\bDURABLE_[A-Z_]+\b", source.read_text("utf-8"))}
    assert read <= named(PAGES["reference"])


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_the_reference_has_every_parameter_and_output(section: str) -> None:
    """It has those of each template."""
    for source in (ROOT / "template.yaml", *(ROOT / "infra").glob("*.yaml")):
        found = re.search(rf"^{section}:\n((?: .*\n|\n)*)", source.read_text(encoding="utf-8"), re.MULTILINE)
        names = set(re.findall(r"^  (\w+):", found[1], re.MULTILINE)) if found else set()
        assert names <= named(PAGES["reference"])
        rows = [row for row in PAGES["reference"].splitlines() if row.startswith("| `") and source.name in row]
        if section == "Outputs":
            assert names <= set.union(*(named(row) for row in rows))


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
    """The test runs each command of the section, in order, on a cloud with two executions."""
    (section,) = re.findall(r"^## Look at what runs\n(.*?)^## ", PAGES["operate"], re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    steps = re.findall(r"^\$ durable (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(steps) == 4
    with LocalCloud(engine=ENGINE) as cloud:
        checkout.with_options(id="order-7").start("order-7")
        report.with_options(id="report-1").start()
        cloud.advance(3 * 3_600)
        for arguments, printed in steps:
            result = CliRunner().invoke(command, shlex.split(arguments))
            assert (result.exit_code, result.stdout) == (0, printed)
            cloud.drive()


@pytest.mark.usefixtures("links")
def test_a_link_answers_as_shown(cloud: LocalCloud) -> None:
    """The test sends the two requests of docs/write.md to the handler behind the links."""
    (block,) = [block for block in blocks("write", "console") if "curl" in block]
    shown = [json.loads(line) for line in block.splitlines() if line.startswith("{")]
    approval.with_options(id="order-7").start("order-7")
    cloud.drive()
    token = link("order-7~0", expires_in=60).rpartition("token=")[2]
    for method, body, said in (("GET", None, shown[0]), ("POST", "true", shown[1])):
        event = {
            "queryStringParameters": {"token": token},
            "requestContext": {"http": {"method": method}},
            "body": body,
        }
        assert json.loads(handler(event, None)["body"]) == said
