"""What a test sees of its executions when they are over, or stand still: a part of `LocalCloud`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapter.api.durable import Durable
from adapter.errors import UnknownPromise
from adapter.protocol.ids import parent_of
from adapter.protocol.records import SEALED, Record, State
from adapter.protocol.times import Instant
from adapter.testing.driver import Driver
from adapter.testing.recording import Recording
from adapter.timeline.lines import lines
from adapter.timeline.making import Maker
from adapter.timeline.model import Row, Timeline
from adapter.timeline.page import page


class Tree:
    """An execution, or a part of one, as it stands. ``str(tree)`` has a line for each promise."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __str__(self) -> str:
        return "\n".join(lines(self._timeline))

    def __repr__(self) -> str:
        root = self._timeline.rows[0].record
        return f"<Tree of {root.id}, {root.state}: {len(self._timeline.rows)} promises>"

    def __contains__(self, fn: Durable[..., Any] | str) -> bool:
        return self.count(fn) > 0

    @property
    def state(self) -> str:
        """Of the promise at its top."""
        return self._timeline.rows[0].record.state.value

    def count(self, fn: Durable[..., Any] | str, state: str | None = None) -> int:
        """How many promises of a function there are, by it or by its name; in this state, if one is given."""
        return len([row for row in self._of(fn) if state in (None, row.record.state)])

    def _of(self, fn: Durable[..., Any] | str) -> list[Row]:
        name = getattr(fn, "name", fn)
        return [row for row in self._timeline.rows if row.record.fn == name]

    def expect(self, state: str | None = None, calls: Mapping[Durable[..., Any] | str, int] | None = None) -> Tree:
        """Check the state of the promise at the top, and how often functions were called below it and itself.

        Returns:
            the tree.

        Raises:
            AssertionError: it isn't so. The message shows the tree.
            ValueError: there is no such state.
        """
        wrong = []
        if state is not None and self.state != State(state):
            wrong.append(f"expected {state}, got {self.state}")
        for fn, count in (calls or {}).items():
            if (found := self.count(fn)) != count:
                wrong.append(f"expected {_times(count)} of {getattr(fn, 'name', fn)}, got {found}")
        if wrong:
            raise AssertionError("\n".join([*wrong, "", str(self)]))
        return self


def _times(count: int) -> str:
    return f"{count} {'call' if count == 1 else 'calls'}"


class Timelines:
    """It reads records without counting the reads, and moves no clock."""

    _recording: Recording
    _driver: Driver

    def _stored(self) -> list[Record]:
        raise NotImplementedError

    def _opened(self, record: Record, parts: tuple[str, ...]) -> Record:
        raise NotImplementedError

    def clock(self) -> Instant:
        raise NotImplementedError

    def tree(self, promise: str) -> Tree:
        """A promise with those below it, and the executions that it detached.

        Raises:
            UnknownPromise: there is no such promise.
        """
        return Tree(self._timeline(promise, SEALED))

    def trees(self) -> list[str]:
        """A line for each promise of each execution, in trees."""
        return lines(self._timeline(None, SEALED))

    def timeline(
        self, path: str | Path, promise: str | None = None, *, payloads: bool = True, decrypt: bool = False
    ) -> Path:
        """Write a page that shows what happened when: one HTML file, which needs nothing else.

        Args:
            promise: what is shown, with all below it; by default every execution of the cloud.
            payloads: with arguments, outcomes and the messages of errors.
            decrypt: also those that are encrypted, or that are in the bucket.

        Returns:
            the file's path.

        Raises:
            UnknownPromise: there is no such promise.
        """
        found = self._timeline(promise, SEALED if decrypt else ())
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(found, payloads=payloads), encoding="utf-8")
        return file

    def _timeline(self, promise: str | None, opened: tuple[str, ...]) -> Timeline:
        records = self._stored()
        if promise is not None:
            records = below(promise, records)
        records = [self._opened(record, opened) for record in records]
        maker = Maker(records, self.clock(), self._recording.happened(), self._driver.moves().read())
        return maker.make(promise or "Every execution")


def below(promise: str, records: list[Record]) -> list[Record]:
    """The records of a promise and of all below it, what it detached included.

    Raises:
        UnknownPromise: there is no such promise.
    """
    by_caller: dict[str, list[Record]] = {}
    for record in records:
        by_caller.setdefault(parent_of(record.id) or record.detached_by, []).append(record)
    found = [record for record in records if record.id == promise]
    if not found:
        raise UnknownPromise(f"there is no promise {promise!r}")
    for one in found:
        # The list grows while it is read: these are the promises below those before.
        found += by_caller.get(one.id, [])
    return found
