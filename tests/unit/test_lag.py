"""Reads that lag, as the engine in memory plays them: each record as it stood up to a second before."""

from __future__ import annotations

from dataclasses import replace

from adapter.protocol.records import Record, State
from adapter.protocol.times import EPOCH, Instant
from adapter.testing.simulated_aws.memory import LAG, MemoryStore

CHILD = Record(id="order~0", created_at=EPOCH + 1)


class Bench:
    """A store whose lagging reads lag while ``lags``."""

    def __init__(self) -> None:
        self.now: Instant = EPOCH + 10 * LAG
        self.lags = True
        self.store = MemoryStore(clock=lambda: self.now, lags=lambda: self.lags)
        self.store.create(Record(id="order"))
        self.store.create(CHILD)
        self.now += 2 * LAG

    def children(self, lagging: bool = True) -> list[Record]:
        return list(self.store.peek_children("order", None, lagging))


def settled(bench: Bench) -> Record:
    written = bench.store.settle(CHILD.id, State.RESOLVED, "", bench.now)
    assert isinstance(written, Record)
    return written


def test_a_lagging_read_shows_what_stood_a_second_before() -> None:
    """A consistent one doesn't, nor does one that happens not to lag."""
    bench = Bench()
    done = settled(bench)
    assert bench.children() == [CHILD]
    assert bench.store.peek_promise(CHILD.id, True) == CHILD
    assert bench.children(lagging=False) == [done]
    bench.lags = False
    assert bench.children() == [done]


def test_it_lags_for_a_second_at_most() -> None:
    """What was written before that is shown."""
    bench = Bench()
    done = settled(bench)
    bench.now += LAG + 1
    assert bench.children() == [done]


def test_it_shows_what_was_removed_and_not_what_was_made() -> None:
    """Of several changes within the second, the first counts."""
    bench = Bench()
    settled(bench)
    bench.store.remove(CHILD.id, CHILD.created_at)
    bench.store.create(replace(CHILD, created_at=bench.now))
    bench.store.create(Record(id="order~1"))
    assert bench.children() == [CHILD]
