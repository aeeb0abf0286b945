"""Trees and lists as text: in colors and to the width of a terminal, in plain lines for a pipe, or as JSON.

Ids and names come from elsewhere. Nothing in them is read as markup, and no control character reaches a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from adapter.protocol import forks
from adapter.protocol.records import Kind, Record
from adapter.protocol.standing import Way, function_of, span
from adapter.protocol.times import Instant
from adapter.steering.filters import STATES, failure
from adapter.steering.finding import Count
from adapter.steering.reading import Node

WIDE = 100_000
"""Columns where the output is no terminal: so nothing is wrapped."""

LONGEST = 200
"""Characters of a value in a tree."""

_COLORS = {
    Way.SETTLED: "green",
    Way.PAUSED: "red",
    Way.DEADLOCKED: "red",
    Way.LOST: "red",
    Way.RUNNING: "cyan",
    Way.WAITING: "yellow",
}


def put(renderable: RenderableType) -> None:
    """Print to standard output."""
    out = sys.stdout
    console = Console(file=out, highlight=False, width=None if out.isatty() else WIDE)
    with console.capture() as captured:
        console.print(renderable)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def shown(text: str) -> str:
    """A text in which control characters are written out, so that no terminal obeys them."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def tree(node: Node, now: Instant) -> Tree:
    """A promise, with the promises that it made below it."""
    grown = Tree(_label(node, now))
    _grow(grown, node, now)
    return grown


def _grow(tree: Tree, node: Node, now: Instant) -> None:
    for name, text in node.values.items():
        tree.add(Text(shown(f"{name}: {text if len(text) <= LONGEST else text[:LONGEST] + '…'}")))
    for child in node.children:
        _grow(tree.add(_label(child, now)), child, now)
    if node.hidden:
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(node.hidden.items()))
        tree.add(Text(f"and {sum(node.hidden.values()):,} {'more' if node.children else 'below'}: {counts}"))


def _label(node: Node, now: Instant) -> Text:
    record, stands = node.record, node.standing
    label = Text(f"{shown(record.id)}  {shown(_what(record))}  ")
    label.append(record.state.value, _COLORS[stands.way])
    forked = f"; forked from {of}" if (of := forks.read(record.fork).of) else ""
    return label.append(
        f"  {span(now - record.created_at)}  {shown(stands.text + _failure(record, messages=False) + forked)}"
    )


def _what(record: Record) -> str:
    match record.kind:
        case Kind.CALL:
            return function_of(record.fn)
        case Kind.EXTERNAL:
            return "promise"
        case Kind.INLINE:
            return f"run {function_of(record.fn)}"
        case Kind.FOLLOW | Kind.DETACH:
            return f"{record.kind.value} {record.root}"
        case Kind.SCHEDULE:
            return f"schedule of {function_of(record.fn)}"


def listing(nodes: Sequence[Node], now: Instant, messages: bool = False) -> Table:
    """A row for each execution. ``messages``: with those of errors, which may be secret."""
    table = _table("ID", "FUNCTION", "STATE", "AGE", "HOW IT STANDS")
    for node in nodes:
        record, stands = node.record, node.standing
        table.add_row(
            Text(shown(record.id)),
            Text(shown(_what(record))),
            Text(record.state.value, _COLORS[stands.way]),
            Text(span(now - record.created_at)),
            Text(shown(stands.text + _failure(record, messages))),
        )
    return table


def _failure(record: Record, messages: bool) -> str:
    kind, message = failure(record)
    return f": {kind}{f': {message}' if messages and message else ''}" if kind else ""


def tally(counts: Sequence[Count]) -> Table:
    """A row for each function, and a column for each state."""
    states = list(dict.fromkeys(word for word in STATES for one in counts if one.state == word))
    table = _table("FUNCTION", *(state.upper() for state in states))
    for fn in dict.fromkeys(one.fn for one in counts):
        of = {one.state: one.count for one in counts if one.fn == fn}
        table.add_row(Text(shown(function_of(fn))), *(Text(f"{of.get(state, 0):,}") for state in states))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def line(node: Node, messages: bool = False) -> str:
    """An execution of a list as one line of JSON, for scripts."""
    kind, message = failure(node.record)
    error = {"class": kind} | ({"message": message} if messages else {}) if kind else None
    found = {name: value for name, value in as_json(node).items() if name not in ("children", "hidden")}
    return json.dumps(found | {"tags": dict(node.record.tags), "error": error})


def as_json(node: Node) -> dict[str, Any]:
    """A tree as plain values. Times are in microseconds, as they are stored."""
    record, stands = node.record, node.standing
    data: dict[str, Any] = {
        "id": record.id,
        "kind": record.kind.value,
        "fn": record.fn,
        "state": record.state.value,
        "created_at": record.created_at,
        "settled_at": record.settled_at or None,
        "deadline": record.deadline,
        "forked_from": forks.read(record.fork).of or None,
        "stands": stands.way.value,
        "text": stands.text,
        "cleans_up": stands.cleans_up,
        "waits": [
            {name: getattr(wait, name) for name in ("what", "id", "fn", "root", "at") if getattr(wait, name)}
            for wait in stands.waits
        ],
        "children": [as_json(child) for child in node.children],
        "hidden": dict(node.hidden),
    }
    return data | ({"values": _parsed(node.values)} if node.values else {})


def _parsed(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: _json(text) for name, text in values.items()}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
