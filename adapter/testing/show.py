"""Watch a `LocalCloud` at work: a live view in a terminal, plain lines in a pipe.

    with LocalCloud() as cloud, show(cloud) as view:
        view.heading("An order")
        cloud.run(checkout, order)

A view changes nothing, and moves no clock.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from adapter.engine.telling import What
from adapter.protocol.records import State
from adapter.testing.cloud import LocalCloud
from adapter.testing.events import Event
from adapter.testing.happenings import Happening
from adapter.testing.scene import SHOWN, Actor, Line, Peek, Scene, tallied

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

_COLORS = {
    What.RUNNING: "cyan",
    What.SUSPENDED: "yellow",
    "resumed": "bright_blue",
    State.PENDING: "dim",
    State.RESOLVED: "green",
    State.REJECTED: "magenta",
    State.CANCELED: "magenta",
    State.TIMEDOUT: "magenta",
    Happening.KILLED: "bold red",
    Happening.FAILED: "bold red",
    What.PAUSED: "bold red",
}


class View(Protocol):
    """Shows events, headings and tables."""

    def __call__(self, event: Event) -> None: ...

    def heading(self, text: str) -> None:
        """A chapter, with promises and a clock of its own."""

    def say(self, text: str) -> None: ...

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A chapter that is a table. Columns of numbers are aligned to the right."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainView:
    """Lines of text, without control characters."""

    def __init__(self, peek: Peek, out: TextIO) -> None:
        self._peek = peek
        self._out = out
        self._scene = Scene(peek)

    def __call__(self, event: Event) -> None:
        for line in self._scene.observe(event):
            self.say(str(line))

    def heading(self, text: str) -> None:
        self._finish()
        self.say(f"\n{text}\n{'-' * len(text)}")
        self._scene = Scene(self._peek)

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.heading(title)
        cells = [columns, *rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
        for row in cells:
            pairs = zip(row, widths, _numeric(rows), strict=True)
            padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in pairs)
            self.say(("  " + "  ".join(padded)).rstrip())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def _finish(self) -> None:
        for line in self._scene.unshown():
            self.say(str(line))


class LiveView:
    """The tree of promises with their states, redrawn at every event, below a running log.

    Args:
        pace: seconds of real time between two lines, since the cloud is faster than the eye.
    """

    def __init__(self, peek: Peek, out: TextIO, pace: float) -> None:
        from rich.console import Console

        self._peek = peek
        self._pace = pace
        self._console = Console(file=out, force_terminal=True, highlight=False)
        self._scene = Scene(peek)
        self._live: Live | None = None
        self._drawn = 0.0

    def __call__(self, event: Event) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        lines = self._scene.observe(event)
        self._log(lines)
        if lines or time.monotonic() - self._drawn > self._pace:
            self._live.update(self._tree(), refresh=True)
            self._drawn = time.monotonic()
        time.sleep(self._pace if lines else 0)

    def heading(self, text: str) -> None:
        self._finish()
        self._console.print(f"\n{text}", markup=False, style="bold")
        self._scene = Scene(self._peek)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        self._finish()
        table = Table(title=Text(title), title_justify="left", title_style="bold")
        for column, right in zip(columns, _numeric(rows), strict=True):
            table.add_column(column, justify="right" if right else "left")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def _finish(self) -> None:
        """Leave the last tree on the screen."""
        self._log(self._scene.unshown())
        if self._live is not None:
            self._live.update(self._tree(), refresh=True)
            self._live.stop()
            self._live = None

    def _log(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._console.print(_colored(str(line), line.tone))

    def _tree(self) -> Tree:
        from rich.tree import Tree

        family = self._scene.children()
        tree = Tree("", hide_root=True)
        _grow(tree, family, family.get("", []))
        return tree


def _grow(tree: Tree, family: dict[str, list[Actor]], actors: list[Actor]) -> None:
    if len(actors) > 2 * SHOWN:
        names = ", ".join(sorted({actor.name for actor in actors if actor.fn})) or "promise"
        counts = Counter(actor.phase for actor in actors)
        tree.add(_colored(f"{len(actors)} x {names}: {tallied(counts)}", max(counts, key=lambda phase: counts[phase])))
        return
    for actor in actors:
        label = _colored(f"{actor.name}  ").append_text(_colored(actor.phase, actor.phase))
        _grow(tree.add(label), family, family.get(actor.id, []))


def _colored(text: str, tone: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=_COLORS.get(tone, ""))


def _numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns, after the first one, hold numbers."""
    columns = list(zip(*rows, strict=True))
    return [
        position > 0 and all(cell.lstrip("$")[:1].isdigit() for cell in column)
        for position, column in enumerate(columns)
    ]


@contextmanager
def show(
    cloud: LocalCloud, out: TextIO | None = None, *, live: bool | None = None, pace: float = 0.06
) -> Iterator[View]:
    """Show what happens in the cloud, as it happens.

    Args:
        out: standard output by default.
        live: show the live view, which needs rich. By default it is shown if ``out`` is a terminal.
        pace: seconds that the live view pauses at each line.
    """
    out = sys.stdout if out is None else out
    live = _can_live(out) if live is None else live
    view: View = LiveView(cloud.peek, out, pace) if live else PlainView(cloud.peek, out)
    cloud.watchers.append(view)
    try:
        with view:
            yield view
    finally:
        cloud.watchers.remove(view)


def _can_live(out: TextIO) -> bool:
    return out.isatty() and os.environ.get("TERM") != "dumb" and find_spec("rich") is not None
