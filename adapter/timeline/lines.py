"""A timeline as lines of text: the tree of promises, how each stands, and what befell it. Pure.

Ids, names and errors come from elsewhere: no control character of theirs gets into a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapter.codec.exceptions import named_in
from adapter.protocol.records import Kind, Record, State, Stored
from adapter.protocol.standing import function_of
from adapter.protocol.times import MILLISECOND, SECOND, Span
from adapter.timeline.model import Row, Sign, Timeline

WIDTH = 10
"""So many promises in a row of one function, in one state and with nothing below, have lines; the rest are counted."""

LONGEST = 160
"""Characters of an error's text."""

_TOLD = (Sign.KILLED, Sign.FAILED, Sign.RETRY, Sign.MISSED)
_NAMES = {State.CANCELED: "cancelled", State.TIMEDOUT: "timed out"}


def lines(timeline: Timeline) -> list[str]:
    """A line for each promise."""
    below: dict[int | None, list[int]] = {}
    for position, row in enumerate(timeline.rows):
        below.setdefault(row.parent, []).append(position)
    found = []
    for root in below.get(None, []):
        found.append(_line(timeline.rows[root]))
        found += _grown(timeline.rows, below, root)
    return found


def _grown(rows: Sequence[Row], below: dict[int | None, list[int]], root: int) -> Iterator[str]:
    """The lines below a row. A loop rather than recursion: a tree may be a thousand levels deep."""
    left = [("", _grouped(rows, below, root))]
    while left:
        indent, entries = left[-1]
        if not entries:
            left.pop()
            continue
        position, more = entries.pop(0)
        last = not entries
        text = _line(rows[position]) if not more else f"and {more:,} more of {_name(rows[position].record)}, likewise"
        yield f"{indent}{'└── ' if last else '├── '}{text}"
        if not more and position in below:
            left.append((indent + ("    " if last else "│   "), _grouped(rows, below, position)))


def _grouped(rows: Sequence[Row], below: dict[int | None, list[int]], parent: int) -> list[tuple[int, int]]:
    """The positions below a row; with a number behind one, so many promises like it have no lines."""
    entries: list[tuple[int, int]] = []
    alike = 0
    for position in below.get(parent, []):
        row, before = rows[position], rows[entries[-1][0]] if entries else None
        same = before is not None and (row.record.fn, row.record.state) == (before.record.fn, before.record.state)
        alike = alike + 1 if same and position not in below else 1
        if alike <= WIDTH:
            entries.append((position, 0))
        elif entries[-1][1]:
            entries[-1] = (position, entries[-1][1] + 1)
        else:
            entries.append((position, 1))
    return entries


def _line(row: Row) -> str:
    record = row.record
    took = row.course.end - row.course.begin
    parts = [record.id, _name(record), _NAMES.get(record.state, record.state.value), f"{spelled(took)}"]
    if record.pending:
        parts.append(row.stands)
    elif record.state is State.REJECTED:
        parts.append(failure(record))
    parts += [mark.text for mark in row.course.marks if mark.sign in _TOLD]
    return clean("  ".join(part for part in parts if part))


def failure(record: Record) -> str:
    """The error of a rejected promise: its class and its message, on one line."""
    if record.state is not State.REJECTED or isinstance(record.value, Stored):
        return ""
    kind, message = named_in(record.value)
    text = f"{kind.rpartition('.')[2]}: {message}" if message else kind.rpartition(".")[2]
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _name(record: Record) -> str:
    match record.kind:
        case Kind.EXTERNAL:
            return "promise"
        case Kind.INLINE:
            return f"run {function_of(record.fn)}"
        case Kind.FOLLOW | Kind.DETACH:
            return f"{record.kind.value} {record.root}"
        case _:
            return function_of(record.fn)


def spelled(length: Span) -> str:
    """A length of time in two units at most: ``40 ms``, ``1.2 s``, ``3 h 5 min``, ``30 d``."""
    if length < SECOND:
        return f"{length // MILLISECOND} ms"
    if length < 60 * SECOND:
        return f"{length / SECOND:.1f} s"
    minutes = length // (60 * SECOND)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    units = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (rest, "min")) if count]
    return " ".join(units[:2])


def clean(text: str) -> str:
    """A text in which control characters are written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
