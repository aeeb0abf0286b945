"""Texts around each threshold, on every engine with a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapter.aws.items import MAX_TEXT_BYTES
from adapter.aws.sealed import SealedStore
from adapter.aws.sealing import INLINE_BYTES, Sealing, in_object
from adapter.engine.ports import Cipher
from adapter.errors import PayloadTooLarge
from adapter.protocol.ids import child_id
from adapter.protocol.promises import Refusal, Refused, Written
from adapter.protocol.records import Kind, Record, State, Stored
from adapter.protocol.times import EPOCH, Instant
from adapter.templates.template import default_template, load
from adapter.testing.hosting import InOrder, SkewedClock
from adapter.testing.simulated_aws.engines import ENGINES
from adapter.testing.simulated_aws.in_memory import MemoryBucket
from adapter.testing.simulated_aws.memory import MemoryStore
from adapter.testing.stats import Stats
from tests.support.ciphers import toy

AROUND = [
    ("x" * INLINE_BYTES, False),
    ("x" * (INLINE_BYTES + 1), True),
    ("é" * (INLINE_BYTES // 2), False),
    ("é" * (INLINE_BYTES // 2) + "x", True),
    ("x" * (MAX_TEXT_BYTES + 1), True),
    ("x" * 5_000_000, True),
]
STILL = SkewedClock(lambda: EPOCH)
sizes = pytest.mark.parametrize(("text", "large"), AROUND, ids=[f"{len(text.encode())}" for text, _ in AROUND])


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The table and the bucket of the template."""
    made = ENGINES[request.param](load(default_template()), Stats(), lambda function, payload: None, lambda: 0)
    made.open()
    yield made
    made.close()


def over(world: Any, cipher: Cipher | None = None) -> SealedStore:
    (bucket,) = load(default_template()).buckets
    return SealedStore(world.store, Sealing(world.bucket(bucket), cipher), InOrder(), STILL)


@pytest.fixture
def sealed(world: Any) -> SealedStore:
    """Over the store of each engine."""
    return over(world)


def stored(world: Any, promise: str) -> Record:
    found: Record | None = world.store.read_promise(promise)
    assert found is not None
    return found


@sizes
def test_only_what_is_large_is_in_an_object(world: Any, sealed: SealedStore, root: str, text: str, large: bool) -> None:
    """A reader reads both alike, arguments and outcome."""
    record = Record(id=root, args=text, objects=large)
    assert sealed.create(replace(record, objects=False)) == record
    assert (stored(world, root).args == text) is not large
    settled = sealed.settle(root, State.RESOLVED, text, 1)
    assert isinstance(settled, Record)
    assert (stored(world, root).value == text) is not large
    assert settled.value == text
    found = sealed.read_promise(root)
    assert found is not None
    assert (found.args, found.value) == (text, text)


@sizes
def test_a_refused_write_tells_what_stands(sealed: SealedStore, root: str, text: str, large: bool) -> None:
    """It does so for a text of any size."""
    sealed.create(Record(id=root))
    sealed.settle(root, State.RESOLVED, text, 1)
    for written in (
        sealed.settle(root, State.REJECTED, "2", 2),
        sealed.create(Record(id=root)),
        sealed.register(root, "other~0"),
    ):
        assert isinstance(written, Refused)
        assert written.stands is not None
        assert written.stands.value == text


def test_children_come_with_their_outcomes_and_without_their_arguments(sealed: SealedStore, root: str) -> None:
    """Only the child itself needs its arguments; but a caller may have to start a follower's root."""
    text = "x" * 20_000
    sealed.create(Record(id=root, args=text))
    sealed.create(Record(id=child_id(root, 0), args=text, state=State.RESOLVED, value=text))
    sealed.create(Record(id=child_id(root, 1), args=text, kind=Kind.FOLLOW, fn="f", root="other"))
    own, (call, follower) = sealed.read_function(root)
    assert own is not None
    assert (own.args, call.value, follower.args) == (text, text, text)
    assert isinstance(call.args, Stored)
    assert sealed.read_children(root) == [call, follower]


def test_a_claim_brings_the_arguments_that_a_replay_needs(sealed: SealedStore, root: str) -> None:
    """The claim comes in place of a load."""
    sealed.create(Record(id=root, args="x" * 20_000))
    claimed = sealed.claim(root, "q")
    assert isinstance(claimed, Record)
    assert claimed.args == "x" * 20_000


def test_whoever_only_counts_reads_no_object(world: Any, root: str) -> None:
    """The resumer only counts. It has no cipher, and needs no arguments."""
    over(world, toy).create(Record(id=root, args="x" * 20_000))
    blind = SealedStore(world.store, Sealing(), InOrder(), STILL)
    for written in (blind.arrive(root, 1), blind.close(root)):
        assert isinstance(written, Record)
        assert isinstance(written.args, Stored)


def test_why_a_function_is_paused_is_encrypted_and_read(world: Any, root: str) -> None:
    """The text of a drift shows arguments."""
    sealed = over(world, toy)
    sealed.create(Record(id=root))
    sealed.pause(root, "drifted: secret")
    found = sealed.read_promise(root)
    assert found is not None
    assert found.paused == "drifted: secret"
    assert "secret" not in stored(world, root).paused


@sizes
def test_encrypted_texts_are_read_as_they_were(world: Any, root: str, text: str, large: bool) -> None:
    """The store measures the encrypted text."""
    sealed = over(world, toy)
    record = Record(id=root, args=text)
    sealed.create(record)
    found = stored(world, root)
    assert sealed.read_promise(root) == replace(record, objects=found.args[0] == "@")
    assert text not in found.args
    assert stored(world, root).args[0] == ("@" if len(text.encode()) * 4 // 3 > INLINE_BYTES else "!")


def test_without_a_bucket_the_item_is_the_limit_and_the_error_says_so(world: Any, root: str) -> None:
    """The store writes nothing."""
    without = SealedStore(world.store, Sealing(), InOrder(), STILL)
    without.create(Record(id=root, args="x" * MAX_TEXT_BYTES))
    other = child_id(root, 0)
    with pytest.raises(PayloadTooLarge, match="DURABLE_BUCKET"):
        without.create(Record(id=other, args="x" * (MAX_TEXT_BYTES + 1)))
    assert without.read_promise(other) is None


def test_whoever_carries_an_outcome_on_reads_nothing(world: Any, sealed: SealedStore, root: str) -> None:
    """The follower gets all of it, even if it is settled twice."""
    text, follower = "x" * 20_000, child_id(f"other-{root}", 0)
    sealed.create(Record(id=root))
    sealed.create(Record(id=f"other-{root}"))
    sealed.create(Record(id=follower, kind=Kind.FOLLOW, root=root))
    sealed.settle(root, State.RESOLVED, text, 1)
    carried = Stored(stored(world, root).value, root)
    first = sealed.settle(follower, State.RESOLVED, carried, 2)
    second = sealed.settle(follower, State.RESOLVED, carried, 3)
    assert isinstance(first, Record)
    assert isinstance(first.value, Stored)
    assert isinstance(second, Refused)
    found = sealed.read_promise(follower)
    assert found is not None
    assert found == replace(first, value=text)


class Watchful(MemoryStore):
    """Looks for the object of each key that it is given."""

    def __init__(self, bucket: MemoryBucket) -> None:
        super().__init__()
        self.bucket = bucket
        self.looked = 0

    def create(self, record: Record) -> Written:
        self.look(record.args, record.value)
        return super().create(record)

    def settle(
        self,
        promise: str,
        state: State,
        value: str,
        at: int,
        due_at: int | None = None,
        by_parent: bool = False,
        unless_objects: bool = False,
        prompted_by: str = "",
        took: int = 0,
        retries: int = 0,
    ) -> Written:
        self.look(value)
        return super().settle(promise, state, value, at, due_at, by_parent, unless_objects, prompted_by, took, retries)

    def look(self, *texts: str) -> None:
        for text in texts:
            if in_object(text):
                self.looked += 1
                assert self.bucket.get(text.rpartition("@")[2])


def test_an_object_is_there_before_any_item_names_it() -> None:
    """Otherwise a crash between the two would leave a promise that no run can read."""
    bucket, large = MemoryBucket(), "x" * 20_000
    store = Watchful(bucket)
    sealed = SealedStore(store, Sealing(bucket), InOrder(), STILL)
    sealed.create(Record(id="a", args=large))
    sealed.create(Record(id="b"))
    sealed.create(Record(id="b~0", kind=Kind.FOLLOW, root="a", args=large))
    sealed.settle("a", State.RESOLVED, large, 1)
    found = store.read_promise("a")
    assert found is not None
    sealed.settle("b~0", State.RESOLVED, Stored(found.value, "a"), 2)
    assert store.looked == 4


def test_what_is_put_again_is_as_young_as_its_last_use() -> None:
    """A removal of old objects spares those that a start has just put, and hasn't named yet."""
    bucket = Puts()
    sealed = SealedStore(MemoryStore(), Sealing(bucket), InOrder(), STILL)
    for _ in range(2):
        sealed.create(Record(id="a", args="x" * 20_000))
    assert len(bucket.puts) == 2
    assert len(set(bucket.puts)) == 1


def test_nothing_is_put_for_an_execution_that_was_removed() -> None:
    """A run of it may have slept for long. Its writes are refused, as those of a small text are."""
    bucket, large = Puts(), "x" * 20_000
    sealed = SealedStore(MemoryStore(), Sealing(bucket), InOrder(), STILL)
    gone = Refused(Refusal.UNKNOWN, None)
    assert sealed.settle("a", State.RESOLVED, large, Instant(1)) == gone
    assert sealed.settle("a~0", State.RESOLVED, large, Instant(1)) == gone
    assert sealed.create(Record(id="a~0", args=large)) == gone
    assert sealed.pause("a", large) == gone
    sealed.create(Record(id="b", args=large))
    stands = sealed.inner.peek_promise("b")
    assert stands is not None
    assert sealed.settle("a~0", State.RESOLVED, Stored(stands.args, "b"), Instant(1)) == gone
    assert bucket.puts == [stands.args.removeprefix("@")]


def test_a_start_whose_id_was_just_removed_makes_a_new_execution() -> None:
    """The old one refused it, and was removed before the start could mark it."""
    store = Removing()
    sealed = SealedStore(store, Sealing(MemoryBucket()), InOrder(), STILL)
    store.create(Record(id="a", state=State.RESOLVED))
    record = Record(id="a", args="x" * 20_000)
    assert sealed.create(record) == replace(record, objects=True)
    assert sealed.read_promise("a") == replace(record, objects=True)


class Removing(MemoryStore):
    """Removes a root as soon as it has refused another."""

    def create(self, record: Record) -> Written:
        written = super().create(record)
        if isinstance(written, Refused):
            self.remove(record.id, record.created_at)
        return written


class Puts(MemoryBucket):
    """Remembers each put."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[str] = []

    def put(self, key: str, text: str) -> None:
        self.puts.append(key)
        super().put(key, text)
