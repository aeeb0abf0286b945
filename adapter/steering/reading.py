"""What is read of executions: the tree under a promise, and what the index knows. It changes nothing."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from adapter.engine.host import EngineHost
from adapter.engine.operations import Many, Now, PeekFunction, PeekPromise, ReadPromise
from adapter.errors import BadMessage, ConfigurationError, UnknownPromise
from adapter.protocol.forks import INCOMPLETE
from adapter.protocol.ids import is_id, parent_of
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.records import Kind, Record, Stored
from adapter.protocol.signs import Roots, followed
from adapter.protocol.standing import Standing, standing
from adapter.protocol.times import NEVER, Instant
from adapter.protocol.timing import SCHEDULES, SHARDS, Due

TOGETHER = 50
"""Requests side by side."""

WALKED = 1_000
"""One command looks at so many functions below one."""


T = TypeVar("T")

Peeked = tuple[Record, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Family:
    """A promise's record, those of its children, and those of the roots that any of them follows."""

    own: Record
    children: Sequence[Record]
    roots: Roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A promise, how it stands, and the children that are shown. The others are counted by state.

    ``values`` are its arguments and its outcome as JSON texts, if the command asks for them.
    """

    record: Record
    standing: Standing
    children: tuple[Node, ...] = ()
    hidden: Mapping[str, int]
    values: Mapping[str, str]


class Reader:
    """Reads from a host. All times are relative to when it was made."""

    def __init__(self, host: EngineHost) -> None:
        self._perform = host.ports.perform
        self._due = host.ports.store.due
        self._read_moves = host.ports.moves.read
        self.now: Instant = self._perform(Now())

    def family(self, promise: str) -> Family:
        """A promise with its children, arguments and outcomes unread.

        Raises:
            UnknownPromise: there is no such promise.
        """
        return self._complete([self._peek(promise)])[0]

    def _peek(self, promise: str) -> Peeked:
        own, children = self._perform(PeekFunction(promise)) if is_id(promise) else (None, ())
        if own is None:
            raise UnknownPromise(f"there is no promise {promise!r}")
        return own, children

    def _complete(self, found: Sequence[Peeked]) -> list[Family]:
        ids = dict.fromkeys(root for own, children in found for root in followed(own, children, self.now))
        roots = {root: record for some in batches(ids) for root, record in self._roots(some)}
        return [Family(own, children, roots) for own, children in found]

    def _roots(self, ids: Sequence[str]) -> Iterator[tuple[str, Record | None]]:
        """The roots that can be read."""
        try:
            yield from zip(ids, self._perform(Many(tuple(PeekPromise(root) for root in ids))), strict=True)
        except BadMessage:
            for root in ids:
                with contextlib.suppress(BadMessage):
                    yield root, self._perform(PeekPromise(root))

    def opened(self, promise: str) -> Record:
        """A promise with its arguments and outcome.

        Raises:
            UnknownPromise: there is no such promise.
            ConfigurationError: they are encrypted, or in a bucket, and this environment names no cipher, or no bucket.
        """
        found: Record | None = self._perform(ReadPromise(promise)) if is_id(promise) else None
        if found is None:
            raise UnknownPromise(f"there is no promise {promise!r}")
        return found

    def is_incomplete(self, own: Record) -> bool:
        """Whether it is a fork that isn't all written. Without the cipher that isn't known, and it counts as whole."""
        if not own.fork or own.epoch or not own.paused:
            return False
        with contextlib.suppress(ConfigurationError, BadMessage):
            return self.opened(own.id).paused == INCOMPLETE
        return False

    def stands(self, family: Family) -> Standing:
        """How it stands. The reason of a pause is opened for it, if that is possible."""
        own = family.own
        if isinstance(own.paused, Stored):
            with contextlib.suppress(ConfigurationError, BadMessage):
                own = replace(own, paused=self.opened(own.id).paused or own.paused)
        return standing(own, family.children, self.now, family.roots, self._moves if own.outage else UNMOVED)

    @functools.cached_property
    def _moves(self) -> Moves:
        """Where renamed Lambdas are found. Nothing else that is shown depends on it."""
        with contextlib.suppress(BadMessage):
            return self._read_moves()
        return UNMOVED

    # A tree.

    def tree(self, promise: str, depth: int, width: int, values: bool) -> Node:
        """The promise, ``depth`` levels below it, and of each function ``width`` children. Raises as `family` does."""
        return self._node(self.family(promise), depth, width, values)

    def _node(self, family: Family, depth: int, width: int, values: bool) -> Node:
        own = family.own
        shown = _chosen(family.children, width) if depth > 0 else []
        hidden = Counter(child.state.value for child in family.children)
        hidden.subtract(child.state.value for child in shown)
        return Node(
            record=own,
            standing=self.stands(family),
            children=tuple(self._node(below, depth - 1, width, values) for below in self._families(shown, depth > 1)),
            hidden=+hidden,
            values=self._values(own) if values else {},
        )

    def _families(self, shown: Sequence[Record], deeper: bool) -> list[Family]:
        """The families of these functions. Children are read if they are shown, or say how their function stands."""
        wanted = [one for one in shown if one.kind is Kind.CALL and (deeper or one.runnable)]
        found = {own.id: (own, children) for own, children in self._glances([one.id for one in wanted], [])}
        return self._complete([found.get(one.id, (one, ())) for one in shown])

    def _values(self, own: Record) -> dict[str, str]:
        try:
            opened = self.opened(own.id)
        except (ConfigurationError, BadMessage) as unreadable:
            return {"unreadable": str(unreadable)}
        return {name: text for name, text in (("args", opened.args), ("value", opened.value)) if text}

    def below(self, family: Family) -> Iterator[Family]:
        """The functions at work below a function, level by level, up to `WALKED` of them."""
        wanted = deque(_at_work(family))
        for _ in range(-(-WALKED // TOGETHER)):
            batch = [wanted.popleft() for _ in range(min(TOGETHER, len(wanted)))]
            for found in self.families(batch, []):
                yield found
                wanted.extend(_at_work(found))

    # Many executions.

    def entries(self, unreadable: list[str]) -> Iterator[Due]:
        """What the index says of executions, in no order; `unreadable` gets what it says of nothing that is known."""
        for shard in SHARDS:
            if shard != SCHEDULES:
                yield from (due for due in self._entries(shard, unreadable) if parent_of(due.id) is None)

    def families(self, ids: Sequence[str], unreadable: list[str]) -> list[Family]:
        """The promises of these ids that exist, each with its children."""
        return self._complete(self._glances(ids, unreadable))

    def _entries(self, shard: str, unreadable: list[str]) -> Iterator[Due]:
        try:
            for page in self._due(shard, NEVER):
                yield from page
        except BadMessage as error:
            # One that can't be read must not hide the others.
            unreadable.append(str(error))

    def _glances(self, ids: Sequence[str], unreadable: list[str]) -> list[Peeked]:
        if not ids:
            return []
        try:
            found: list[Any] = self._perform(Many(tuple(PeekFunction(promise) for promise in ids)))
        except BadMessage:
            found = [self._glance(promise, unreadable) for promise in ids]
        return [(own, children) for own, children in found if own is not None]

    def _glance(self, promise: str, unreadable: list[str]) -> tuple[Record | None, Sequence[Record]]:
        try:
            return self._peek(promise)
        except (BadMessage, UnknownPromise) as error:
            unreadable.append(str(error))
            return None, ()


def _at_work(family: Family) -> list[str]:
    return [child.id for child in family.children if child.kind is Kind.CALL and child.runnable]


def _chosen(children: Sequence[Record], width: int) -> list[Record]:
    """The first ones, in order. Pending ones come before settled ones."""
    unsettled_first = sorted(children, key=lambda child: (not child.pending, child.ordinal))
    return sorted(unsettled_first[:width], key=lambda child: child.ordinal)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(itertools.islice(left, TOGETHER)):
        yield batch
