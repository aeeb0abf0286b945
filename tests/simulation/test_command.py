"""The command `durable` on a local cloud, the same code as on AWS: it names, settles once, and harms nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.text import Text

from adapter import attach, durable, promise, run, schedule
from adapter.aws.items import to_item
from adapter.aws.sealed import SealedStore
from adapter.aws.sealing import Sealing
from adapter.cli import showing
from adapter.cli.commands import durable as command
from adapter.cli.reading import LOOKED_AT
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.errors import RemoteError
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.standing import Way
from adapter.protocol.timing import indexed
from adapter.testing import LocalCloud
from adapter.testing.hosting import InOrder
from tests.support.ciphers import NAME
from tests.support.laws import HOUR, forget, slow, step

SECRET = "4711-0815"


@durable(name="command:approval")
async def approval(order: str) -> bool:
    return await promise(bool)


@durable(name="command:checkout")
async def checkout(order: str) -> list[Any]:
    await run(str, order)
    return await asyncio.gather(approval(order), slow(1, 48))


@durable(name="command:deadlock")
async def deadlock() -> None:
    await asyncio.Event().wait()


@durable(name="command:wide")
async def wide(count: int) -> None:
    await asyncio.gather(*(step(n) for n in range(count)), promise(str), promise(int))


changed = [False]


@durable(name="command:drifts")
async def drifts(secret: str) -> str:
    if changed[0]:
        await step(99)
    return await promise(str)


@durable(name="command:calls drifting")
async def calls_drifting() -> str:
    return await drifts(SECRET)


@pytest.fixture(autouse=True)
def as_deployed_first() -> None:
    """No test sees what another one has changed."""
    changed[0] = False


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory") as made:
        yield made


def invoke(*arguments: str, **options: Any) -> Result:
    """A command as the shell runs it; what isn't meant to end so fails the test."""
    result = CliRunner().invoke(command, list(arguments), **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(*arguments: str) -> str:
    """What a command that succeeds prints."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str, **options: Any) -> str:
    """What a command says that fails, in one line; it prints nothing else."""
    result = invoke(*arguments, **options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@contextmanager
def unchanged(cloud: LocalCloud) -> Iterator[None]:
    """Nothing is written, and nobody invoked."""
    before, accepted = cloud.records(), cloud.service.accepted
    yield
    assert (cloud.records(), cloud.service.accepted) == (before, accepted)


# Looking.


def test_show_names_what_each_promise_of_a_tree_waits_for(cloud: LocalCloud) -> None:
    """A call, a person, a timer; and how long."""
    checkout.with_options(id="order-7").start("tea")
    cloud.advance(2 * HOUR)
    with unchanged(cloud):
        lines = said("show", "order-7").splitlines()
    assert len(lines) == 5
    for line, parts in zip(
        lines,
        (
            ["order-7  command:checkout  pending  2 h  waits for command:approval (order-7~1), ", "order-7~2"],
            ["order-7~0  run builtins:str  resolved  2 h  "],
            ["order-7~1  command:approval  pending", "waits for the promise order-7~1.0, to be settled from outside"],
            ["order-7~1.0  promise  pending", "durable resolve order-7~1.0 JSON, a signed link, or resolve()"],
            ["order-7~2", "sleeps until 2026-01-03 00:00:00Z (in 46 h)"],
        ),
        strict=True,
    ):
        for part in parts:
            assert part in line


def test_show_takes_any_promise_and_as_many_levels_as_are_asked_for(cloud: LocalCloud) -> None:
    """How a function stands doesn't depend on how many of its children are shown."""
    checkout.with_options(id="order-7").start("tea")
    cloud.advance(1)
    assert said("show", "order-7~1").count("\n") == 2
    root = said("show", "order-7").splitlines()[0]
    flat = said("show", "order-7", "--depth", "0").splitlines()
    assert flat == [root, "└── and 3 below: 2 pending, 1 resolved"]
    assert "order-7~1.0  promise" not in said("show", "order-7", "--depth", "1")


def test_show_counts_the_children_of_a_wide_function_and_hides_none_that_is_pending(cloud: LocalCloud) -> None:
    """The first few, those first that aren't settled."""
    wide.with_options(id="w").start(300)
    cloud.advance(1)
    lines = said("show", "w", "--width", "4").splitlines()
    assert [line.split()[1] for line in lines[1:5]] == ["w~0", "w~1", "w~300", "w~301"]
    assert lines[5:] == ["└── and 298 more: 298 resolved"]


def test_values_are_shown_only_when_asked_for(cloud: LocalCloud) -> None:
    """Arguments and outcomes are secrets until somebody wants them; in any form."""
    drifts.with_options(id="s").start(SECRET)
    cloud.drive()
    said("resolve", "s~0", f'"{SECRET}"')
    cloud.drive()
    assert SECRET not in said("show", "s") + said("show", "s", "--json") + said("list", "--all")
    shown = said("show", "s", "--values")
    assert f'args: {{"secret":"{SECRET}"}}' in shown
    assert f'value: "{SECRET}"' in shown
    assert json.loads(said("show", "s", "--json", "--values"))["values"] == {
        "args": {"secret": SECRET},
        "value": SECRET,
    }


def test_json_says_what_the_tree_says(cloud: LocalCloud) -> None:
    """For scripts: one document, with what is waited for as values."""
    checkout.with_options(id="order-7", timeout=48 * HOUR).start("tea")
    cloud.advance(1)
    node = json.loads(said("show", "order-7", "--json", "--depth", "1"))
    assert (node["id"], node["stands"], node["state"]) == ("order-7", "waiting", "pending")
    assert [wait["what"] for wait in node["waits"]] == ["call", "call", "deadline"]
    assert node["waits"][0] == {"what": "call", "id": "order-7~1", "fn": "command:approval"}
    assert [child["id"] for child in node["children"]] == ["order-7~0", "order-7~1", "order-7~2"]
    assert node["children"][1]["hidden"] == {"pending": 1}


def test_list_has_what_is_not_settled_the_oldest_first(cloud: LocalCloud) -> None:
    """Executions only: no promises of theirs, and no schedules."""
    schedule("nightly", "0 3 * * *", step, 1)
    for name in ("b", "a"):
        checkout.with_options(id=name).start("tea")
        cloud.advance(60)
    cloud.run(step, 5)
    deadlock.with_options(id="c").start()
    cloud.drive()
    with unchanged(cloud):
        head, *rows = said("list").splitlines()
    assert head.split() == ["ID", "FUNCTION", "STATE", "AGE", "HOW", "IT", "STANDS"]
    assert [row.split()[:3] for row in rows] == [
        ["b", "command:checkout", "pending"],
        ["a", "command:checkout", "pending"],
        ["c", "command:deadlock", "pending"],
    ]
    assert "waits for command:approval (b~1)" in rows[0]
    assert "nothing that could settle" in rows[2]


def test_list_has_who_still_cleans_up_and_all_of_the_index_if_asked(cloud: LocalCloud) -> None:
    """What is settled is listed only with --all, as long as the index has it."""

    @durable(name="command:cleans up")
    async def cleans_up() -> None:
        try:
            await promise(str)
        finally:
            await slow(1, 48)

    assert "nothing runs" in said("list")
    cleans_up.with_options(id="u").start()
    cloud.drive()
    attach("u").cancel()
    cloud.advance(60)
    assert "u  " in said("list")
    assert "cleans up: waits for" in said("list")
    store: Any = cloud._world.store
    done = Record(id="done", fn="f", target="t", created_at=cloud.clock())
    store.create(replace(indexed(done), settled_at=cloud.clock(), state=State.RESOLVED))
    assert "done" not in said("list")
    assert "done" in said("list", "--all")


def test_list_says_what_it_leaves_out(cloud: LocalCloud) -> None:
    """Beyond the limit, and beyond what it looks at."""
    for number in range(3):
        deadlock.with_options(id=f"d{number}").start()
        cloud.advance(1)
    result = invoke("list", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "d0", "d1"]
    assert result.stderr == "and 1 more: --limit 3\n"
    store: Any = cloud._world.store
    for number in range(LOOKED_AT):
        store.create(indexed(Record(id=f"more{number}", fn="f", target="t", created_at=cloud.clock())))
    assert f"only {LOOKED_AT:,} entries of the index were looked at" in invoke("list").stderr
    assert "looked at" not in invoke("list", "--limit", str(LOOKED_AT + 3)).stderr


def test_what_cannot_be_read_hides_nothing_else() -> None:
    """An entry of the index that is none, and a record of a version to come: each is said. It may be known there who
    follows what can't be read.
    """
    with LocalCloud(engine="moto") as cloud:
        deadlock.with_options(id="d").start()
        cloud.drive()
        store: Any = cloud._world.store
        for name, number in (("later", "99"), ("nothing", "1")):
            item = to_item(indexed(Record(id=name, fn="f", target="t")))
            kept = item | {"v": {"N": number}} if name == "later" else {k: v for k, v in item.items() if k != "id"}
            store.client.put_item(TableName=cloud._world.table, Item=kept)
        store.create(indexed(Record(id="f", fn="f", target="t", created_at=cloud.clock())))
        following = Record(id="f~0", kind=Kind.FOLLOW, root="later", wake=Wake.DIRECT, created_at=cloud.clock())
        store.create(following)
        result = invoke("list")
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "d", "f"]
        assert "waits for the execution later (f~0)" in result.stdout
        assert "left out: item ('later', '-1') has format 99" in result.stderr
        assert "left out: entries of the index that can't be read: ('nothing', '-1')" in result.stderr
        assert "has format 99" in refused("show", "later")


# Acting.


def test_resume_invokes_what_is_paused_wherever_it_is_in_the_tree(cloud: LocalCloud) -> None:
    """After the fix is deployed, by the root's id alone."""
    cloud.watchers.append(lambda event: forget(cloud))
    handle = calls_drifting.with_options(id="p").start()
    cloud.drive()
    changed[0] = True
    said("resolve", "p~0.0", '"done"')
    cloud.drive()
    line = said("show", "p~0").splitlines()[0]
    assert "pending" in line
    assert "paused: command:drifts (p~0) drifted from its history" in line
    assert SECRET not in said("show", "p")
    changed[0] = False
    assert "invoked command:drifts (p~0) in durable, which was paused" in said("resume", "p")
    cloud.drive()
    assert handle.result() == "done"


def test_resume_changes_nothing_where_nothing_is_wrong(cloud: LocalCloud) -> None:
    """Waiting, settled, or perhaps at work at this moment: each is said, nobody is invoked."""
    checkout.with_options(id="order-7").start("tea")
    slow.with_options(id="now").start(1, 1)
    with unchanged(cloud):
        assert "not invoked: tests.support.laws:slow (now) is about to begin, runs" in said("resume", "now")
    cloud.advance(2 * HOUR)
    with unchanged(cloud):
        assert "not invoked: command:checkout (order-7) waits for" in said("resume", "order-7")
        assert "resolved" in said("resume", "now")
        assert "nothing runs for it" in refused("resume", "order-7~1.0")


def test_resume_finds_what_was_lost_before_the_watchdog_does() -> None:
    """An invocation that never came, below a root that waits."""
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses.add(2)
        approval_of = checkout.with_options(id="order-7").start("tea")
        cloud.advance(17 * 60)
        lost = [one.id for one in cloud.records() if one.id == "order-7~1"]
        assert lost
        assert "no news for 17 min" in said("show", "order-7~1")
        assert "invoked command:approval (order-7~1) in durable, which didn't move" in said("resume", "order-7")
        cloud.drive()
        said("resolve", "order-7~1.0", "true")
        assert approval_of.result() == [True, 1]


def test_resume_invokes_by_force_what_it_would_leave_alone() -> None:
    """Its start was lost a moment ago, and its operator knows that."""
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses.add(1)
        handle = slow.with_options(id="lost").start(7, 1)
        cloud.advance(60)
        assert "not invoked" in said("resume", "lost")
        assert "as was asked" in said("resume", "lost", "--force")
        cloud.drive()
        assert "sleeps until" in said("show", "lost")
        cloud.advance(2 * HOUR)
        assert handle.status() == "resolved"
        with unchanged(cloud):
            said("resume", "lost", "--force")


def test_resolve_settles_by_the_promises_type_and_once(cloud: LocalCloud) -> None:
    """What isn't JSON, or of another type, changes nothing; a second settlement is told what stands."""
    handle = approval.with_options(id="a").start("tea")
    cloud.drive()
    with unchanged(cloud):
        assert "must be one JSON value" in refused("resolve", "a~0", "{")
        assert "must be one JSON value" in refused("resolve", "a~0", "NaN")
        assert "expected boolean, got integer" in refused("resolve", "a~0", "3")
    assert said("resolve", "a~0", " true ") == "a~0 is resolved\n"
    cloud.drive()
    assert handle.result() is True
    with unchanged(cloud):
        assert "a~0 was settled before: it is resolved" in refused("resolve", "a~0", "false")
        assert "a~0 was settled before: it is resolved" in refused("reject", "a~0", "no")
        assert "a was settled before: it is resolved" in refused("cancel", "a")


def test_reject_and_cancel_reach_the_code_that_waits(cloud: LocalCloud) -> None:
    """As an error with the message, and as a cancellation."""
    handle = approval.with_options(id="a").start("tea")
    other = approval.with_options(id="b").start("tea")
    cloud.drive()
    assert said("reject", "a~0", "not today") == "a~0 is rejected\n"
    assert said("cancel", "b") == "b is cancelled; its function cleans up\n"
    with pytest.raises((RuntimeError, RemoteError), match="not today"):
        handle.result()
    cloud.drive()
    assert other.status() == "rejected_canceled"
    assert [one.closed for one in cloud.records() if one.id == "b"] == [True]


def test_a_functions_own_promise_can_be_resolved_unchecked(cloud: LocalCloud) -> None:
    """Its type is known to the code alone, and that is said."""
    handle = approval.with_options(id="a").start("tea")
    cloud.drive()
    assert "it wasn't checked" in said("resolve", "a", "true")
    assert handle.result() is True


@pytest.mark.parametrize("kind", [Kind.INLINE, Kind.DETACH, Kind.SCHEDULE])
def test_what_is_not_settled_from_outside_is_left_alone(kind: Kind, cloud: LocalCloud) -> None:
    """A caller's own step, and a schedule, which never settles."""
    name = "schedule:s" if kind is Kind.SCHEDULE else "r~0"
    store: Any = cloud._world.store
    store.create(Record(id=name, kind=kind, fn="f", target="t", root="other"))
    with unchanged(cloud):
        for arguments in (["resolve", name, "1"], ["reject", name, "no"], ["cancel", name]):
            assert "was not settled" in refused(*arguments)


# Where, and what can't be.


@pytest.mark.parametrize(
    "arguments", [["show"], ["resume"], ["cancel"], ["resolve", "1"], ["reject", "no"]], ids=lambda found: found[0]
)
@pytest.mark.parametrize("promise", ["nobody", "", "r~01", "\x1b[31mred", "x" * 3000, "\udcff"])
def test_an_unknown_id_is_one_line(arguments: list[str], promise: str, cloud: LocalCloud) -> None:
    """Whatever it looks like; what a terminal would obey is written out."""
    with unchanged(cloud):
        error = refused(arguments[0], promise, *arguments[1:])
    assert "there is no promise" in error
    assert "\x1b" not in error


def test_a_command_line_that_cannot_be_read_ends_with_two(cloud: LocalCloud) -> None:
    """As for any command."""
    for arguments in (["show"], ["list", "--limit", "0"], ["resolve", "a~0"], ["nonsense"]):
        assert invoke(*arguments).exit_code == 2


def test_without_a_table_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a variable or an option."""
    from adapter.aws import wiring

    monkeypatch.delenv("DURABLE_TABLE", raising=False)
    wiring.host.cache_clear()
    for arguments in (["list"], ["--region", "eu-west-1", "list"]):
        error = refused(*arguments)
        assert "DURABLE_TABLE" in error
        assert "--table" in error


def test_ids_and_names_are_no_markup_and_no_control_characters(cloud: LocalCloud) -> None:
    """Neither rich's nor a terminal's."""

    @durable(name="[bold]f\x9b31m[/bold]")
    async def odd() -> None:
        await promise(str)

    odd.with_options(id="[red]x[/red]").start()
    cloud.drive()
    for output in (said("list"), said("show", "[red]x[/red]"), said("resume", "[red]x[/red]")):
        assert "[red]x[/red]" in output
        assert "[bold]f\\x9b31m[/bold]" in output
        assert output.replace("\n", "").isprintable()


class _Terminal:
    """Standard output that says it is a terminal, and keeps what is written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_has_colors_unless_they_are_not_wanted(
    variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe never has any: the other tests compare plain text."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    showing.put(Text("pending", showing._COLORS[Way.WAITING]))
    assert ("\x1b" in out.written) is colored
    assert "pending" in out.written


@contextmanager
def _without_cipher(cloud: LocalCloud) -> Iterator[None]:
    """An operator's machine that has the table and not the cipher."""
    ports = cloud._host.ports
    store: Any = ports.store
    blind = EngineHost(replace(ports, store=SealedStore(store.inner, Sealing(None, None), InOrder(), ports.clock)))
    made: Any = blind
    hosts.enter(made)
    try:
        yield
    finally:
        hosts.leave(made)


def test_without_the_cipher_all_but_the_texts_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why something is paused, too, is said with the cipher only; and nothing is ever written in clear."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    with LocalCloud(engine="memory") as cloud:
        cloud.watchers.append(lambda event: forget(cloud))
        drifts.with_options(id="p").start(SECRET)
        approval.with_options(id="a").start("tea")
        cloud.drive()
        changed[0] = True
        said("resolve", "p~0", '"done"')
        cloud.drive()
        changed[0] = False
        assert "drifted from its history" in said("show", "p")
        with _without_cipher(cloud):
            assert "paused: why is encrypted, and wasn't read" in said("show", "p")
            assert "paused" in said("list")
            assert "set DURABLE_CIPHER" in said("show", "p", "--values")
            with unchanged(cloud):
                assert "set DURABLE_CIPHER" in refused("resolve", "a~0", "true")
                assert "set DURABLE_CIPHER" in refused("reject", "a~0", "no")
            assert "invoked" in said("resume", "p")
            assert "is cancelled" in said("cancel", "a")
        cloud.drive()
        assert attach("p").status() == "resolved"


def _python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **variables}, check=False
    )


def test_importing_the_package_imports_neither_click_nor_rich() -> None:
    """They come with an extra, and a Lambda has no use for them."""
    found = _python("import sys, adapter, adapter.cli; print([m for m in ('click', 'rich') if m in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.parametrize("absent", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(absent: str) -> None:
    """In one line, and not as a traceback."""
    found = _python(f"import sys; sys.modules[{absent!r}] = None; from adapter.cli import main; main()")
    assert found.returncode == 1
    assert found.stderr == "durable needs click and rich: pip install 'lambda-await[cli]'\n"
