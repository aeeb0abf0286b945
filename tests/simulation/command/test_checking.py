"""Executions are taken out as files and replayed by other code: what drifts is found, and nothing is performed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter import attach, durable, errors, now, promise, run
from adapter.aws.sealing import Sealing
from adapter.steering import recordings
from adapter.steering.recordings import NoRecording, read, recorded, redacted, written
from adapter.testing import LocalCloud, replay_file
from tests.simulation.command.commanding import SECRET, invoke, refused, said, unchanged
from tests.support.ciphers import NAME
from tests.support.laws import step

CODE = """
import asyncio
from adapter import durable, promise, run

print("what code prints goes elsewhere")

@durable(name="checking:charge")
def charge(order: str) -> str:
    raise SystemExit("nothing runs")

@durable(name="checking:checkout")
async def checkout(order: str) -> str:
    receipt = await charge(order)
    await asyncio.sleep(60)
    await run(str, 1)
    ok = await promise(bool)
    return receipt
"""

mode = ["as deployed"]


@pytest.fixture(autouse=True)
def as_deployed() -> Iterator[None]:
    mode[0] = "as deployed"
    yield
    mode[0] = "as deployed"


@durable(name="checking:charge")
def charge(order: str) -> str:
    return f"charged {order}"


@durable(name="checking:checkout")
async def checkout(order: str) -> str:
    if mode[0] == "another call first":
        await step(1)
    receipt = await charge(order if mode[0] != "other arguments" else "other")
    await asyncio.sleep(60)
    await run(str, 1)
    if mode[0] == "more at the end":
        await step(1)
    ok = await promise(bool)
    if mode[0] == "more after the end":
        await step(2)
    return receipt if ok else "no"


@durable(name="checking:wide")
async def wide(count: int) -> int:
    return sum(await step.map(range(count), max_concurrency=4))


@durable(name="checking:races")
async def races() -> Any:
    first, second = promise(str), promise(str)
    done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    second.cancel()
    await step(len(done))
    try:
        async with asyncio.timeout(30):
            await promise(str)
    except TimeoutError:
        await run(str, now())
    return await step(3)


@durable(name="checking:cleans up")
async def cleans_up() -> None:
    try:
        await promise(str)
    finally:
        await step(1)
        await promise(bool)


def begun(cloud: LocalCloud, name: str = "c") -> None:
    """It waits for its promise, a minute after its beginning."""
    checkout.with_options(id=name).start(SECRET)
    cloud.advance(120)


def test_an_open_execution_fits_the_code_that_runs_it_and_nothing_is_performed(cloud: LocalCloud) -> None:
    """No body runs, no step, no write and no call."""
    begun(cloud)
    bodies = dict(cloud.stats.bodies)
    with unchanged(cloud):
        (found,) = cloud.check()
    assert (found.id, found.drift, found.asks) == ("c", "", "")
    assert dict(cloud.stats.bodies) == bodies


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("another call first", "stored: #0 call checking:charge; present: #0 call tests.support.laws:step"),
        ("other arguments", "stored: #0 call checking:charge; present: #0 call checking:charge"),
        ("more at the end", "stored: #2 external"),
    ],
)
def test_the_first_divergence_is_told_without_arguments(change: str, why: str, cloud: LocalCloud) -> None:
    """The whole text, with arguments, is for the person who asks for it."""
    begun(cloud)
    mode[0] = change
    with unchanged(cloud):
        (found,) = cloud.check("c")
    assert why in found.brief
    assert SECRET not in found.brief
    assert (SECRET in found.drift) == (change != "more at the end")


def test_what_would_be_asked_for_next_is_no_drift(cloud: LocalCloud) -> None:
    """The code beyond what is stored may be any."""
    begun(cloud)
    mode[0] = "more after the end"
    (found,) = cloud.check("c")
    assert not found.drift
    said("resolve", "c~2", "true")
    (found,) = cloud.check("c")
    assert (found.drift, found.asks) == ("", "#3 call tests.support.laws:step")


def test_an_execution_that_is_over_is_replayed_to_its_end(cloud: LocalCloud, tmp_path: Path) -> None:
    """Also its children, blocks of maps, races, timers, and clean-ups: they replay from records as they ran."""
    begun(cloud)
    said("resolve", "c~2", "true")
    assert cloud.run(wide.with_options(id="w"), 600) == sum(n for n in range(600))
    handle = races.with_options(id="r").start()
    cloud.drive()
    said("resolve", "r~0", '"x"')
    cloud.advance(60)
    assert handle.status() == "resolved"
    cleans_up.with_options(id="u").start()
    cloud.drive()
    attach("u").cancel()
    cloud.drive()
    assert not any(one.drift for one in cloud.check("u"))
    said("resolve", "u~2", "true")
    cloud.drive()
    for name in "cwru":
        cloud.export(name, tmp_path / name)
        found = replay_file(tmp_path / name)
        assert found
    mode[0] = "more after the end"
    with pytest.raises(errors.NonDeterminismError, match=r"asks for #3 call .*:step, where the first run had ended"):
        replay_file(tmp_path / "c")


def test_a_file_says_all_that_is_stored(cloud: LocalCloud, tmp_path: Path) -> None:
    """It is read as it was written, a promise a line."""
    begun(cloud)
    found = recorded(cloud._host, "c~0")
    assert [one.id for one in found.records] == ["c", "c~0", "c~1", "c~2"]
    again = read(written(found), Sealing())
    assert (again.at, again.records) == (found.at, found.records)
    assert written(found).count("\n") == 6


def test_a_redacted_file_has_no_payload_and_is_not_replayed(cloud: LocalCloud, tmp_path: Path) -> None:
    """It shows the shape of the execution."""
    begun(cloud)
    path = tmp_path / "f"
    assert said("export", "c", "-o", str(path), "--redact") == f"{path}: c, 4 promises\n"
    assert SECRET not in path.read_text()
    assert len(json.loads(path.read_text())["promises"]) == 4
    with pytest.raises(NoRecording, match="is redacted"):
        replay_file(path)
    said("export", "c", "-o", str(path))
    assert SECRET in path.read_text()
    assert not redacted(recorded(cloud._host, "c")).root.args


def test_what_is_encrypted_stays_so_unless_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Large texts leave the bucket, and not the cipher. Who has the cipher replays the file."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    large = f"{SECRET} {'x' * 40_000}"
    with LocalCloud(engine="memory") as cloud:
        checkout.with_options(id="c").start(large)
        cloud.advance(120)
        said("export", "c", "-o", str(tmp_path / "sealed"))
        said("export", "c", "-o", str(tmp_path / "plain"), "--decrypt")
    assert SECRET not in (tmp_path / "sealed").read_text()
    assert SECRET in (tmp_path / "plain").read_text()
    assert [one.id for one in replay_file(tmp_path / "sealed")] == ["c"]
    monkeypatch.delenv("DURABLE_CIPHER")
    assert [one.id for one in replay_file(tmp_path / "plain")] == ["c"]
    with pytest.raises(errors.ConfigurationError, match="is encrypted"):
        replay_file(tmp_path / "sealed")


def form(*promises: Any, version: int = 1) -> str:
    head = {"format": recordings.FORMAT, "version": version, "at": 0, "redacted": False}
    return json.dumps(head | {"promises": promises})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '"lambda-await execution"'),
        *(form(), form({}), form({"id": "~"}), form({"id": "a", "state": "sad"}), form({"id": "a", "args": 3})),
        *(form(3), form({"id": "a", "created_at": "x"}), form(version=99)),
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_name(text: str, tmp_path: Path) -> None:
    """It may have been cut, or written by a later version."""
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(NoRecording, match=f"{path} (is no recorded execution|has version 99)"):
        replay_file(path)


def test_the_command_replays_by_code_of_a_directory_in_a_process_of_its_own(cloud: LocalCloud, tmp_path: Path) -> None:
    """It names what would drift, and ends with 1 if anything would."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "shop.py").write_text(CODE)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "shop.py").write_text(CODE.replace("    await run(str, 1)\n", ""))
    begun(cloud, "c1")
    begun(cloud, "c2")
    said("export", "c1", "-o", str(tmp_path / "file"))
    with unchanged(cloud):
        good = said("check", "--open", str(tmp_path / "file"), "--code", str(tmp_path / "good"), "--import", "shop")
        bad = invoke("check", "c2", "--code", str(tmp_path / "bad"), "--import", "shop")
        told = invoke("check", "c2", "--code", str(tmp_path / "bad"), "--import", "shop", "--values")
    assert good.splitlines() == [
        "c1  checking:checkout  fits",
        "c1  checking:checkout  fits",
        "c2  checking:checkout  fits",
        "3 executions replayed, 0 would drift",
    ]
    assert bad.exit_code == 1
    assert bad.stdout.startswith(
        "c2  checking:checkout  drifts: checking:checkout (c2) drifted from its history; stored: #1"
    )
    assert bad.stdout.endswith("1 executions replayed, 1 would drift\n")
    assert "present: #1 external" in told.stdout


def test_the_command_takes_a_templates_handlers(cloud: LocalCloud, tmp_path: Path) -> None:
    """Each of its directories is a process."""
    for name, code in (("a", CODE), ("b", "def handler(event, context): ...\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.py").write_text(code)
    functions = {
        name.upper(): {
            "Type": "AWS::Serverless::Function",
            "Properties": {"CodeUri": f"{name}/", "Handler": f"shop.{handler}", "Runtime": "python3.13"},
        }
        for name, handler in (("b", "handler"), ("a", "checkout"))
    }
    template = tmp_path / "template.yaml"
    template.write_text(json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": functions}))
    begun(cloud)
    assert said("check", "c", "--template", str(template)).splitlines()[0] == "c  checking:checkout  fits"


def test_code_that_does_not_know_a_function_does_not_fit(cloud: LocalCloud, tmp_path: Path) -> None:
    """Its Lambda could not run it. Code that can't be imported is said."""
    (tmp_path / "none.py").write_text("")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    begun(cloud)
    result = invoke("check", "c", "--code", str(tmp_path), "--import", "none")
    assert (result.exit_code, "defines no durable function 'checking:checkout'" in result.stdout) == (1, True)
    assert "can't be imported: ModuleNotFoundError" in refused(
        "check", "c", "--code", str(tmp_path), "--import", "broken"
    )
    assert "there is no promise 'nobody'" in refused("check", "nobody", "--code", str(tmp_path), "--import", "none")
    assert "there is no promise 'nobody'" in refused("export", "nobody", "-o", str(tmp_path / "f"))
    assert invoke("check").exit_code == 2


def test_a_replay_reads_nothing_outside(cloud: LocalCloud) -> None:
    """Code that looks outside between its calls gets an error, as a table that isn't there would give."""

    @durable(name="checking:looks")
    async def looks() -> str:
        await step(1)
        seen = attach("other").status() if mode[0] == "looks" else "not"
        await promise(str)
        return seen

    looks.with_options(id="l").start()
    cloud.drive()
    mode[0] = "looks"
    (found,) = cloud.check("l")
    assert "the code didn't ask for it" in found.brief or "drifted" in found.brief
    assert recordings.VERSION == 1
