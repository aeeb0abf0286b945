"""Chapters: what a run without a warm sandbox reads in place of a function's records. Pure.

A *chapter* tells in brief how some neighbouring promises of one function ended: all that a replay asks of their
records, and nothing else. It tells only of promises that have settled, and those never change (I1). So whatever a
chapter tells stays right, and any chapter may be missing, late, written twice or unreadable: then the records are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, repeat
from typing import Any

from adapter.protocol.ids import child_id
from adapter.protocol.records import BLOCK_FUNCTION, FIELDS, Kind, Record, State, Stored, Wake
from adapter.protocol.times import Instant

VERSION = 1
"""The version of the texts that this code writes. A text of another version is as one that can't be read."""

LEAST = 32
"""A chapter tells of so many promises at least: below a kilobyte it would cost as much. And a function that has made
fewer of them has no chapter."""

MOST, MOST_BYTES = 500, 128_000
"""A chapter tells of so many promises at most, and of so many bytes of their texts. So it has room in an item however
badly it is compressed, or encrypted."""

USUAL = 256
"""Bytes of the texts of a promise, on an average. Telling more again would cost more than it spares in the life of most
executions."""

LARGEST = 1_000
"""Bytes of the texts of one promise, so that a few long ones, as exceptions are, don't stand between the others."""

NEAR = 16
"""DynamoDB reads so many records for about the price of one: to skip fewer saves nothing, and costs a request."""

Range = tuple[int, int | None]
"""Ordinals from the first to the last; without end if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One chapter, as it is stored.

    ``number`` is its place among those of the function ``promise``. ``since`` is when the function's record was
    created: an earlier execution of the id may have left chapters. ``expires`` is the record's. ``text`` is what it
    tells, as JSON, and user data.
    """

    promise: str
    number: int
    since: Instant
    expires: int | None
    text: str


def is_long(promises: int) -> bool:
    """Whether a function that has made so many promises may have chapters."""
    return promises >= LEAST


def chapters_of(own: Record, children: Sequence[Record], told: Collection[int], number: int) -> list[Chapter]:
    """The chapters that are worth writing when a run has read these children, and other chapters told the rest.

    Only what has many neighbours saves anything: a single one is read along with those beside it.
    """
    sizes = {child.ordinal: _size(child) for child in children if child.ordinal not in told and _is_final(child)}
    worth = _in_rows(sizes, told, LARGEST)
    if sum(sizes[ordinal] for ordinal in worth) > USUAL * len(worth):
        worth = _in_rows(sizes, told, USUAL)
    if len(worth) < LEAST:
        return []
    by_ordinal = {child.ordinal: child for child in children}
    parts = _parts(worth, sizes)
    return [_chapter(own, [by_ordinal[one] for one in part], number + place) for place, part in enumerate(parts)]


def told_by(chapter: Chapter) -> list[Record]:
    """What a chapter tells, as records that have what a replay asks for; nothing if it can't be read."""
    try:
        body = json.loads(chapter.text)
        if body["v"] != VERSION:
            return []
        ordinals, times = _ordinals(body["ordinals"]), _times(body["times"])
        # What it doesn't tell is at its default. A state never is.
        names = ["state", *(name for name in _READ if name in body and name != "state")]
        columns = [_column(body[name], _READ[name], len(ordinals)) for name in names]
        if len(times) != len(ordinals):
            return []
        ids = (child_id(chapter.promise, ordinal) for ordinal in ordinals)
        rows = zip(ids, times, *columns, strict=False)
        return [
            Record(id=promise, settled_at=at, **dict(zip(names, values, strict=True))) for promise, at, *values in rows
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def untold(told: Collection[int]) -> list[Range]:
    """The ranges of ordinals that no chapter tells of, and which have to be read."""
    end = max(told, default=-1) + 1
    return ranges([ordinal for ordinal in range(end) if ordinal not in told], end)


def ranges(open_: Iterable[int], end: int) -> list[Range]:
    """The ranges to read: these ordinals, in order, and whatever is from ``end`` on.

    A range goes on over a few others where that saves a request. The last one has no end.
    """
    wanted = [*open_, end]
    found: list[Range] = []
    first = wanted[0]
    for ordinal, following in pairwise(wanted):
        if following - ordinal > NEAR:
            found.append((first, ordinal))
            first = following
    return [*found, (first, None)]


def runs(ordinals: Sequence[int]) -> list[tuple[int, int]]:
    """Ordinals, in order, as the first and the last of each row without a gap."""
    found: list[tuple[int, int]] = []
    for ordinal in ordinals:
        if found and found[-1][1] == ordinal - 1:
            found[-1] = found[-1][0], ordinal
        else:
            found.append((ordinal, ordinal))
    return found


def _in_rows(sizes: Mapping[int, int], told: Collection[int], largest: int) -> list[int]:
    """The ordinals of these sizes that stand in long rows, with those that are told already."""
    untold = {ordinal for ordinal, size in sizes.items() if size <= largest}
    rows = [(first, last) for first, last in runs(sorted({*untold, *told})) if last - first >= NEAR - 1]
    return [ordinal for first, last in rows for ordinal in range(first, last + 1) if ordinal in untold]


def _parts(ordinals: Iterable[int], sizes: Mapping[int, int]) -> list[list[int]]:
    """The ordinals of each chapter."""
    parts: list[list[int]] = [[]]
    size = 0
    for ordinal in ordinals:
        size += sizes[ordinal]
        if len(parts[-1]) == MOST or size > MOST_BYTES:
            parts.append([])
            size = sizes[ordinal]
        parts[-1].append(ordinal)
    return parts


def _is_final(child: Record) -> bool:
    """Whether nothing that a replay asks for may change. What a block of a map gives is read below it."""
    return not (child.pending or child.fn == BLOCK_FUNCTION or isinstance(child.value, Stored))


def _size(child: Record) -> int:
    texts = (child.value, child.seen or "", child.fn, child.reads)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _chapter(own: Record, children: Sequence[Record], number: int) -> Chapter:
    times = [child.settled_at for child in children]
    body: dict[str, Any] = {
        "v": VERSION,
        "ordinals": runs([child.ordinal for child in children]),
        # Differences are shorter.
        "times": [times[0], *(later - earlier for earlier, later in pairwise(times))],
    }
    for name in _READ:
        values = [getattr(child, name) for child in children]
        alike = values.count(values[0]) == len(values)
        if not alike or values[0] != FIELDS[name].default:
            body[name] = values[0] if alike else values
    text = json.dumps(body, separators=(",", ":"))
    return Chapter(promise=own.id, number=number, since=own.created_at, expires=own.expires, text=text)


def _ordinals(parts: Any) -> list[int]:
    rows = [(_whole(first), _whole(last)) for first, last in parts]
    if sum(last - first + 1 for first, last in rows) > MOST or any(not 0 <= first <= last for first, last in rows):
        raise ValueError("a chapter tells of a few ordinals")
    return [ordinal for first, last in rows for ordinal in range(first, last + 1)]


def _column(values: Any, read: Callable[[Any], Any], count: int) -> Iterable[Any]:
    """A field's values: a single one, if all are alike."""
    if not isinstance(values, list):
        return repeat(read(values))
    if len(values) != count:
        raise ValueError("a chapter tells as many values as promises")
    return map(read, values)


def _times(differences: list[Any]) -> list[Instant]:
    return [Instant(at) for at in accumulate(map(_whole, differences))]


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no flag")
    return value


def _settled(value: Any) -> State:
    if value == State.PENDING:
        raise ValueError("a chapter tells of what has settled")
    return State(value)


_READ: dict[str, Callable[[Any], Any]] = {
    "kind": Kind,
    "fn": _text,
    "digest": _text,
    "state": _settled,
    "value": _text,
    "by_parent": _flag,
    "wake": lambda value: None if value is None else Wake(value),
    "seen": lambda value: None if value is None else _text(value),
    "reads": _text,
}
"""The fields of a settled child that a replay asks for beside its time, and how each is read."""

TOLD = frozenset({"settled_at", *_READ})
"""All fields that a chapter tells."""
