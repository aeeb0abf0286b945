"""Executions found by what the index ``due`` knows: listed in pages, and counted. It changes nothing.

A root is in the index from its creation until it is removed. One that expires leaves it once it has succeeded (ADR
0025). The index tells function, state and times, so a list reads the records of what it shows, and of what the index
can't rule out. It never scans the table.

Pages go by the time of creation, which never changes: no page repeats an execution, and none leaves out one that has
been there all the time.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from adapter.errors import BadMessage, ConfigurationError
from adapter.protocol.making import changed
from adapter.protocol.records import Record, Stored
from adapter.protocol.standing import named
from adapter.protocol.times import EPOCH, Instant
from adapter.steering.filters import OPEN, STANDING, Filter, word_of
from adapter.steering.reading import Family, Node, Reader, batches

LOOKED_AT = 10_000
"""One page reads the records of so many executions at most. Each takes a request or more."""

KEPT = 100_000
"""A page keeps so many entries of the index in memory, about 30 MB."""

Place = tuple[Instant, str]
"""Where an execution is in a list: its creation, and its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Executions in order. ``left``: so many entries of the index were not looked at. ``after`` finds what follows."""

    nodes: Sequence[Node]
    left: int
    after: str
    unreadable: Sequence[str]


def page(
    reader: Reader, wanted: Filter, limit: int, after: str = "", *, newest: bool = False, errors: bool = False
) -> Page:
    """The first ``limit`` executions that match, the oldest first, after those of a former page.

    Args:
        after: what the former page said; empty: from the beginning.
        newest: the newest first.
        errors: open what failed, also where the filter doesn't need it.

    Raises:
        ConfigurationError: ``after`` is nothing that a page says, or an error is encrypted, and here is no cipher.
    """
    search = Search(reader, wanted, after, newest=newest, errors=errors)
    nodes = list(itertools.islice(search.nodes(LOOKED_AT), limit))
    place = _place(nodes[-1].record) if len(nodes) == limit else search.last
    left = search.left(place)
    return Page(nodes=nodes, left=left, after=f"{place[0]},{place[1]}" if left else "", unreadable=search.unreadable)


class Search:
    """The executions that match, in order. The index is read once, when the search is made."""

    def __init__(
        self, reader: Reader, wanted: Filter, after: str = "", *, newest: bool = False, errors: bool = False
    ) -> None:
        self._reader, self._wanted, self._errors = reader, wanted, errors
        self._newest = newest
        self.unreadable: list[str] = []
        self.last: Place = (EPOCH, "")
        beginning = _read_place(after)
        self._beyond = 0
        choose = heapq.nlargest if newest else heapq.nsmallest
        self._places = choose(KEPT, dict.fromkeys(self._candidates(beginning)))
        self._beyond -= len(self._places)

    def _candidates(self, beginning: Place | None) -> Iterator[Place]:
        for due in self._reader.entries(self.unreadable):
            place = (due.created_at, due.id)
            if self._wanted.may_match(due, self._reader.now) and (
                beginning is None or self._is_after(place, beginning)
            ):
                self._beyond += 1
                yield place

    def _is_after(self, place: Place, other: Place) -> bool:
        return place < other if self._newest else place > other

    def left(self, place: Place) -> int:
        """How many entries that may match come after a place."""
        return self._beyond + sum(self._is_after(one, place) for one in self._places)

    def nodes(self, looked_at: int | None = None) -> Iterator[Node]:
        """What matches, of the first ``looked_at`` entries that may."""
        for batch in batches(self._places[:looked_at]):
            ids = [promise for _, promise in batch]
            found = {one.own.id: one for one in self._reader.families(ids, self.unreadable)}
            for place in batch:
                self.last = place
                if (family := found.get(place[1])) is not None and (node := self._node(family)) is not None:
                    yield node

    def _node(self, family: Family) -> Node | None:
        """The execution, if it matches by itself, or by what stands in its way below."""
        wanted = self._wanted
        if not wanted.matches(family.own, self._reader.now):
            return None
        own = self._readable(family.own)
        standing = self._reader.stands(replace(family, own=own))
        if wanted.matches_standing(own, standing) and wanted.matches_error(own):
            return Node(record=own, standing=standing, hidden={}, values={})
        if own.over or not wanted.of_trouble:
            return None
        for below in self._reader.below(family):
            one = self._readable(below.own)
            stands = self._reader.stands(replace(below, own=one))
            if wanted.matches_standing(one, stands) and wanted.matches_error(one):
                text = f"{standing.text}; {named(one)} is {stands.text}"
                return Node(record=own, standing=replace(stands, text=text), hidden={}, values={})
        return None

    def _readable(self, own: Record) -> Record:
        """The record, with what the filter has to read of it."""
        sealed = own.value if own.over else own.paused
        if not isinstance(sealed, Stored) or not (self._errors or self._wanted.error):
            return own
        try:
            found = self._reader.opened(own.id)
        except (ConfigurationError, BadMessage):
            if self._wanted.error:
                raise
            return own
        return changed(own, value=found.value, paused=found.paused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many executions of a function are in a state."""

    fn: str
    state: str
    count: int


def counts(reader: Reader, wanted: Filter) -> list[Count]:
    """How many executions match, by function and state, in order.

    The index alone gives them, unless the filter asks for more than it knows. How an open execution stands is counted
    only if the filter asks for that.
    """
    if wanted.by_index:
        unreadable: list[str] = []
        entries = (due for due in reader.entries(unreadable) if wanted.may_match(due, reader.now))
        found = Counter((due.fn, word_of(due.state, due.over)) for due in entries)
    else:
        found = Counter((node.record.fn, _word(node)) for node in Search(reader, wanted).nodes())
    return [Count(fn=fn, state=state, count=count) for (fn, state), count in sorted(found.items())]


def _word(node: Node) -> str:
    word = word_of(node.record.state, node.record.over)
    return next((one for one, way in STANDING.items() if way is node.standing.way), word) if word == OPEN else word


def _place(record: Record) -> Place:
    return record.created_at, record.id


def _read_place(after: str) -> Place | None:
    if not after:
        return None
    at, comma, promise = after.partition(",")
    if not comma or not at.isdecimal():
        raise ConfigurationError(f"--after takes what a page of the list has said, and not {after[:80]!r}")
    return Instant(int(at)), promise
