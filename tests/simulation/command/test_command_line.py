"""Where the command cannot do what it is told, it says why in one line; it takes no text of a user for markup."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from rich.text import Text

from adapter import attach, durable, promise
from adapter.aws.sealed import SealedStore
from adapter.aws.sealing import Sealing
from adapter.cli import showing
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.protocol.standing import Way
from adapter.testing import LocalCloud
from adapter.testing.hosting import InOrder
from tests.simulation.command.commanding import SECRET, approval, changed, drifts, invoke, refused, said, unchanged
from tests.support.ciphers import NAME
from tests.support.laws import forget


@pytest.mark.parametrize(
    "arguments", [["show"], ["resume"], ["cancel"], ["resolve", "1"], ["reject", "no"]], ids=lambda found: found[0]
)
@pytest.mark.parametrize("promise", ["nobody", "", "r~01", "\x1b[31mred", "x" * 3000, "\udcff"])
def test_an_unknown_id_is_one_line(arguments: list[str], promise: str, cloud: LocalCloud) -> None:
    """It may look like anything: the command writes out what a terminal would obey."""
    with unchanged(cloud):
        error = refused(arguments[0], promise, *arguments[1:])
    assert "there is no promise" in error
    assert "\x1b" not in error


def test_a_command_line_that_cannot_be_read_ends_with_two(cloud: LocalCloud) -> None:
    """Other commands end so, too."""
    unreadable = (["show"], ["list", "--limit", "0"], ["resolve", "a~0"], ["nonsense"])
    for arguments in (*unreadable, ["move", "a"], ["move", "--undo"], ["move", "a", "b", "--undo"]):
        assert invoke(*arguments).exit_code == 2


def test_without_a_table_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable or an option names it."""
    from adapter.aws import wiring

    monkeypatch.delenv("DURABLE_TABLE", raising=False)
    wiring.host.cache_clear()
    for arguments in (["list"], ["--region", "eu-west-1", "list"]):
        error = refused(*arguments)
        assert "DURABLE_TABLE" in error
        assert "--table" in error


def test_ids_and_names_are_no_markup_and_no_control_characters(cloud: LocalCloud) -> None:
    """Neither rich nor a terminal obeys them."""

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
    """The command shows the text of a pause with the cipher only, and never writes it in clear."""
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
    """It says so in one line, not in a traceback."""
    found = _python(f"import sys; sys.modules[{absent!r}] = None; from adapter.cli import main; main()")
    assert found.returncode == 1
    assert found.stderr == "durable needs click and rich: pip install 'lambda-await[cli]'\n"
