"""Watch a `LocalCloud` at work: a live view in a terminal, plain lines in a pipe.

    with LocalCloud() as cloud, show(cloud) as view:
        view.heading("An order")
        cloud.run(checkout, order)

A view takes no part in what happens: it reads records without counting the reads, and moves no clock.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from adapter.promises import Record, State, ordinal_of, parent_of
from adapter.testing.cloud import Event, LocalCloud
from adapter.testing.lambdas import RETRY_DELAYS

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

Peek = Callable[[str], Record | None]

SHOWN = 4
"""Of the calls of one function by one caller, this many are shown line by line; the others are counted."""
COUNTED = 50
"""A line for this many of the counted ones."""
MICROSECOND = 1_000_000

_COLORS = {
    "running": "cyan",
    "suspended": "yellow",
    "resumed": "bright_blue",
    State.PENDING: "dim",
    State.RESOLVED: "green",
    State.REJECTED: "magenta",
    State.CANCELED: "magenta",
    State.TIMEDOUT: "magenta",
    "killed": "bold red",
    "failed": "bold red",
    "paused": "bold red",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: when (seconds since the first), whose, which promise, what; the tone is for colors."""

    at: int
    who: str
    promise: str
    text: str
    tone: str = ""

    def __str__(self) -> str:
        clock = dt.timedelta(seconds=self.at)
        who = f"{self.who:<10} {self.promise:<11}  " if self.promise else ""
        return f"{clock!s:>9}  {who}{self.text}"


@dataclass(slots=True)
class Actor:
    """What is known of one promise; its phase is a state, or what its Lambda does while it is pending."""

    id: str
    fn: str = ""
    phase: str = State.PENDING
    woken_by: str = ""
    died: bool = False

    @property
    def name(self) -> str:
        return self.fn.rpartition(":")[2] or "promise"


@dataclass(slots=True)
class Crowd:
    """The calls of one function by one caller: those beyond `SHOWN` are only counted."""

    name: str
    members: dict[str, int] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    told: int = 0


class Scene:
    """All promises that were heard of, and sentences about what happens to them."""

    def __init__(self, peek: Peek) -> None:
        self.actors: dict[str, Actor] = {}
        self._peek = peek
        self._crowds: dict[tuple[str, str], Crowd] = {}
        self._grown: list[Crowd] = []
        self._began = 0
        self._now = 0
        self._current = ""

    def observe(self, event: Event) -> list[Line]:
        """What the event means, in words; nothing for what is only counted."""
        lines = self._pass_time(event.at)
        # A Lambda that dies says nothing of its own; one runs at a time, so it is the last that began.
        promise = event.promise or self._current
        actor = self._actor(promise, event.fn) if promise else Actor("", event.function)
        said = self._say(event, actor)
        if said is None:
            return lines
        tone, text = said
        crowd = self._crowd(actor)
        if crowd is not None and tone not in ("killed", "failed", "paused"):
            return [*lines, *self._count(crowd, actor)]
        return [*lines, *self.untold(), Line(self._elapsed(), actor.name, actor.id, text, tone)]

    def untold(self) -> list[Line]:
        """What was counted and not yet told."""
        grown, self._grown = self._grown, []
        return [self._tally(crowd) for crowd in grown]

    def children(self) -> dict[str, list[Actor]]:
        """The promises by their parent, in order; those whose parent is unknown under the empty id."""
        family: dict[str, list[Actor]] = {}
        for actor in sorted(self.actors.values(), key=lambda actor: ordinal_of(actor.id)):
            parent = parent_of(actor.id)
            family.setdefault(parent if parent in self.actors else "", []).append(actor)
        return family

    # One event, one sentence.

    def _say(self, event: Event, actor: Actor) -> tuple[str, str] | None:
        match event.what:
            case "running":
                return self._run(event, actor)
            case "suspended":
                return self._suspend(event, actor)
            case "waking":
                actor.woken_by = str(event.detail["by"])
                self._refresh(self._actor(actor.woken_by))
                return None
            case "settled":
                return self._ended(actor, str(event.detail["state"]))
            case "refused" | "cleaned up":
                self._refresh(actor)
                text = "its outcome comes too late" if event.what == "refused" else "has cleaned up"
                return self._ended(actor, actor.phase, f"{text}: it is {actor.phase}")
            case "killed" | "failed" | "paused":
                return self._break(event, actor)
            case _:
                return None

    def _run(self, event: Event, actor: Actor) -> tuple[str, str]:
        again = ", in Lambda's retry" if actor.died else ""
        actor.phase, actor.died, self._current = "running", False, actor.id
        match event.detail["why"]:
            case "started":
                return "running", f"runs again{again}" if again else "runs"
            case "direct" | "counted" if actor.woken_by:
                by = self._actor(actor.woken_by)
                return "resumed", f"resumed by the stream: {by.name} {by.id} is {by.phase}{again}"
            case "timer":
                return "resumed", f"resumed by its timer{again}"
            case "cancel":
                return "resumed", f"resumed to clean up: it is cancelled{again}"
            case why:
                return "resumed", f"resumed ({why}){again}"

    def _suspend(self, event: Event, actor: Actor) -> tuple[str, str]:
        waiting: Sequence[str] = event.detail["waiting"]
        for promise in waiting:
            self._actor(promise)
        causes = [self._described(waiting)] if waiting else []
        if event.detail["wake_at"] is not None:
            causes.append(f"a timer, {dt.timedelta(microseconds=event.detail['wake_at'] - event.at)} from now")
        return self._ended(actor, "suspended", f"suspended, waits for {' or '.join(causes) or 'nothing'}")

    def _described(self, waiting: Sequence[str]) -> str:
        if len(waiting) > SHOWN:
            return f"{len(waiting)} promises"
        actors = [self._actor(promise) for promise in waiting]
        for actor in actors:
            if not actor.fn:
                self._refresh(actor)
        if len({actor.name for actor in actors}) == 1:
            return f"{actors[0].name} {', '.join(waiting)}"
        return ", ".join(f"{actor.name} {actor.id}" for actor in actors)

    def _break(self, event: Event, actor: Actor) -> tuple[str, str]:
        if event.what == "paused":
            return self._ended(actor, "paused", "paused, its code drifted from its history")
        attempt = int(event.detail["attempt"])
        actor.died = True
        why = event.detail.get("error", "its Lambda dies")
        then = (
            f"retries in {RETRY_DELAYS[attempt - 1] // MICROSECOND} s" if attempt <= len(RETRY_DELAYS) else "gives up"
        )
        return self._ended(actor, event.what, f"{event.what.upper()}: {why}, attempt {attempt}; Lambda {then}")

    def _ended(self, actor: Actor, phase: str, text: str = "") -> tuple[str, str]:
        actor.phase, self._current = phase, ""
        return phase, text or phase

    # What is known.

    def _actor(self, promise: str, fn: str = "") -> Actor:
        actor = self.actors.setdefault(promise, Actor(promise))
        actor.fn = actor.fn or fn
        return actor

    def _refresh(self, actor: Actor) -> None:
        """From its record: not every settlement is an event of its own."""
        record = self._peek(actor.id)
        if record is not None:
            actor.fn = record.fn
            actor.phase = actor.phase if record.pending else record.state

    def _crowd(self, actor: Actor) -> Crowd | None:
        crowd = self._crowds.setdefault((parent_of(actor.id) or "", actor.fn), Crowd(actor.name))
        place = crowd.members.setdefault(actor.id, len(crowd.members))
        return None if place < SHOWN else crowd

    def _count(self, crowd: Crowd, actor: Actor) -> list[Line]:
        if actor.phase not in list(State):
            return []
        if crowd.counted.total() == crowd.told:
            self._grown.append(crowd)
        crowd.counted[actor.phase] += 1
        return self.untold() if crowd.counted.total() - crowd.told >= COUNTED else []

    def _tally(self, crowd: Crowd) -> Line:
        crowd.told = crowd.counted.total()
        text = f"{crowd.told} others, each in its own Lambda: {_counts(crowd.counted)}"
        return Line(self._elapsed(), crowd.name, "...", text)

    def _pass_time(self, at: int) -> list[Line]:
        self._began = self._began or at
        passed, self._now = at - (self._now or at), at
        if passed < MICROSECOND:
            return []
        return [
            Line(
                self._elapsed(),
                "",
                "",
                f"-- {dt.timedelta(seconds=passed // MICROSECOND)} later; nothing ran meanwhile --",
            )
        ]

    def _elapsed(self) -> int:
        return (self._now - self._began) // MICROSECOND


class View(Protocol):
    """Shows events, and what else there is to say."""

    def __call__(self, event: Event) -> None: ...

    def heading(self, text: str) -> None:
        """A chapter, with promises and a clock of its own."""

    def say(self, text: str) -> None: ...

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A chapter that is a table; columns of numbers are aligned to the right."""

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
        for line in self._scene.untold():
            self.say(str(line))


class LiveView:
    """The tree of promises with their states, redrawn at every event, below a running log.

    Args:
        pace: seconds of real time that a line stays before the next; the cloud is faster than the eye.
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
        self._log(self._scene.untold())
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
        tree.add(_colored(f"{len(actors)} x {names}: {_counts(counts)}", max(counts, key=lambda phase: counts[phase])))
        return
    for actor in actors:
        label = _colored(f"{actor.name}  ").append_text(_colored(actor.phase, actor.phase))
        _grow(tree.add(label), family, family.get(actor.id, []))


def _colored(text: str, tone: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=_COLORS.get(tone, ""))


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items()))


def _numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers, the first aside."""
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
        live: the live view, which needs rich; by default where ``out`` is a terminal.
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
