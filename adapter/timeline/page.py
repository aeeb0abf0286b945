"""A timeline as one HTML file that needs nothing else: no network, no fonts, no server. Pure.

The data is JSON within a ``<script>`` that isn't run. Nothing in it can end that element, and the page's code puts it
into the document as text only. So whatever is in an id, an argument or an error is shown, and never obeyed.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from adapter.protocol.records import Record, State, Stored
from adapter.protocol.times import Instant
from adapter.timeline.lines import failure
from adapter.timeline.model import Mark, Part, Row, Segment, Sign, Timeline

PARTS = tuple(Part)
SIGNS = tuple(Sign)

ALL_TEXTS = 4_000_000
"""Characters that the payloads of a page have together, about."""

LONGEST, SHORTEST = 20_000, 200
"""Characters of one payload: the more promises there are, the fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """Whether arguments, outcomes and the messages of errors get into the page, and how long each may be there."""

    shown: bool = True
    longest: int = LONGEST

    def text(self, text: str) -> str | None:
        """None: there is a text, and it isn't in the page."""
        if text and (not self.shown or isinstance(text, Stored)):
            return None
        return text if len(text) <= self.longest else f"{text[: self.longest]}…"


def page(timeline: Timeline, *, payloads: bool = True) -> str:
    """The text of the file."""
    longest = max(SHORTEST, min(LONGEST, ALL_TEXTS // max(1, 2 * len(timeline.rows))))
    data = _data(timeline, Payloads(shown=payloads, longest=longest))
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    filled = _shell().replace("/*CSS*/", _file("timeline.css"), 1).replace("/*JS*/", _file("timeline.js"), 1)
    return filled.replace("DATA", escaped(text), 1)


def escaped(text: str) -> str:
    """JSON that no HTML parser takes for anything but the text of its element. It is the same JSON."""
    for char in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    # A lone surrogate can't be written in UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()


@functools.cache
def _file(name: str) -> str:
    return (files("adapter.timeline") / name).read_text(encoding="utf-8")


def _shell() -> str:
    return _file("timeline.html")


class _Names:
    """Texts that many rows share, each once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, name: str) -> int:
        return self.places.setdefault(name, len(self.places))


def _data(timeline: Timeline, payloads: Payloads) -> dict[str, Any]:
    began = min((row.course.begin for row in timeline.rows), default=timeline.now)
    names = _Names()
    rows = [_row(row, began, names, payloads) for row in timeline.rows]
    positions = {row.id: position for position, row in enumerate(timeline.rows)}
    return {
        "title": timeline.title,
        "began": began,
        "now": timeline.now - began,
        "exact": timeline.exact,
        "payloads": payloads.shown,
        "left": timeline.left_out,
        "logs": dict(timeline.logs),
        "parts": PARTS,
        "signs": SIGNS,
        "names": [*names.places],
        "rows": rows,
        "arrows": [
            [positions[arrow.source], arrow.begin - began, positions[arrow.target], arrow.end - began]
            for arrow in timeline.arrows
        ],
    }


def _row(row: Row, began: Instant, names: _Names, payloads: Payloads) -> list[Any]:
    """A row as a list, since names would be longer than what they name; `timeline.js` takes it apart in this order."""
    record, course = row.record, row.course
    return [
        -1 if row.parent is None else row.parent,
        record.id,
        names.place(record.kind.value),
        names.place(record.fn),
        names.place(record.target),
        names.place(record.state.value),
        names.place("" if record.over else row.way.value),
        course.begin - began,
        course.end - began,
        1 if course.open else 0,
        [_segment(one, began, names) for one in course.segments],
        [[SIGNS.index(mark.sign), mark.at - began, names.place(_told(mark, payloads))] for mark in course.marks],
        _more(row, record, began, payloads),
    ]


def _segment(one: Segment, began: Instant, names: _Names) -> list[int]:
    """It begins where the one before it ends."""
    found = [PARTS.index(one.part), one.end - began, one.attempt, names.place(one.why) if one.why else -1]
    while found[-1] in (-1, 0) and len(found) > 2:
        found.pop()
    return found


def _told(mark: Mark, payloads: Payloads) -> str:
    """What a mark says. The text of an exception may have arguments in it."""
    return "" if mark.sign is Sign.FAILED and not payloads.shown else mark.text


def _more(row: Row, record: Record, began: Instant, payloads: Payloads) -> dict[str, Any]:
    """What only some rows have."""
    more: dict[str, Any] = {
        "stands": "" if record.over else row.stands,
        "deadline": None if record.deadline is None else record.deadline - began,
        "by": record.by,
        "root": record.root,
        "from": record.detached_by,
        "tags": dict(record.tags),
        "retries": record.retries,
        "dollars": float(f"{row.dollars:.3g}"),
        "unread": row.unread,
        "error": failure(record) if payloads.shown else "",
    }
    more = {name: value for name, value in more.items() if value}
    for name, text in (("args", record.args), ("value", record.value), ("paused", record.paused)):
        if text:
            generous = Payloads(shown=payloads.shown, longest=LONGEST)
            chosen = generous if record.state is State.REJECTED and name == "value" else payloads
            more[name] = chosen.text(text)
    return more
