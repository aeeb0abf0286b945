"""A sandbox relies on the mark of a root for as long as the root can't be removed, and no longer."""

from __future__ import annotations

import pytest

from adapter.aws.marks import REMEMBERED, TRUSTED, Gone, Marks
from adapter.lambdas.removal import YOUNG
from adapter.protocol.promises import Written
from adapter.protocol.records import Record, State
from adapter.protocol.times import EPOCH, MINUTE, Instant
from adapter.protocol.timing import MIN_RETENTION
from adapter.testing.hosting import SkewedClock
from adapter.testing.simulated_aws.memory import MemoryStore


class Asked(MemoryStore):
    """Counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.marks = 0

    def read_promise(self, promise: str, lagging: bool = False) -> Record | None:
        self.reads += 1
        return super().read_promise(promise, lagging)

    def mark_objects(self, promise: str) -> Written:
        self.marks += 1
        return super().mark_objects(promise)


class Clock:
    """A sandbox's clock, and its marks."""

    def __init__(self) -> None:
        self.store = Asked()
        self.now = EPOCH
        self.marks = Marks(self.store, SkewedClock(lambda: self.now))

    def mark(self, promise: str, at: Instant = EPOCH) -> tuple[int, int]:
        """How many reads and writes there were by then."""
        self.now = at
        self.marks.mark(promise)
        return self.store.reads, self.store.marks


def test_a_root_is_marked_once_and_asked_for_once_an_hour() -> None:
    """The function puts many objects below it."""
    one = Clock()
    one.store.create(Record(id="a"))
    assert one.mark("a~0") == (1, 1)
    assert one.mark("a~1.2") == (1, 1)
    assert one.mark("a", EPOCH + TRUSTED - MINUTE) == (1, 1)
    assert one.mark("a", EPOCH + TRUSTED) == (2, 1)


def test_a_root_that_another_sandbox_has_marked_is_not_marked_again() -> None:
    """A read costs a fifth of a write."""
    one = Clock()
    one.store.create(Record(id="a", objects=True))
    assert one.mark("a~0") == (1, 0)


def test_a_root_that_is_over_is_asked_for_each_time() -> None:
    """The watchdog may remove it at any moment."""
    one = Clock()
    one.store.create(Record(id="a", state=State.RESOLVED))
    assert one.mark("a~0") == (1, 1)
    assert one.mark("a~0") == (2, 1)
    one.store.remove("a", EPOCH)
    with pytest.raises(Gone):
        one.mark("a~0")


def test_what_is_put_by_a_remembered_mark_is_old_at_the_removal() -> None:
    """A removal spares young objects, which may be a later execution's. An invocation takes a quarter of an hour."""
    assert TRUSTED + 15 * MINUTE < MIN_RETENTION - YOUNG


def test_a_later_execution_of_an_id_is_marked_itself() -> None:
    """The sandbox remembers the earlier one."""
    one = Clock()
    one.store.create(Record(id="a"))
    one.mark("a")
    one.store.settle("a", State.RESOLVED, "", EPOCH)
    one.store.remove("a", EPOCH)
    one.store.create(Record(id="a"))
    one.mark("a", EPOCH + MIN_RETENTION)
    found = one.store.read_promise("a")
    assert found is not None
    assert found.objects


def test_a_sandbox_remembers_no_more_roots_than_that() -> None:
    """It asks again for a root that it forgot."""
    one = Clock()
    for number in range(REMEMBERED + 1):
        one.store.create(Record(id=f"{number}"))
        one.mark(f"{number}")
    assert one.mark("0") == (REMEMBERED + 2, REMEMBERED + 1)
