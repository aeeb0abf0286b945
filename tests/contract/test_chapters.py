"""Chapters lie beside promises, and no reader of promises ever meets one."""

from __future__ import annotations

from adapter.engine.ports import Store
from adapter.protocol.ids import BUCKET, child_id
from adapter.protocol.records import Record
from adapter.protocol.times import Instant
from adapter.protocol.timing import shard_of
from tests.support.chapters import chapter


def test_chapters_are_read_with_a_root_and_without_its_children(store: Store, root: str) -> None:
    """A short read: the children's records aren't in it."""
    own = Record(id=root, fn="f")
    store.create(own)
    for number in range(3):
        store.create(Record(id=child_id(root, number)))
        store.write_chapter(chapter(root, number))
    assert store.read_chapters(root) == (own, [chapter(root, number) for number in (2, 1, 0)])


def test_chapters_of_a_call_are_read_without_its_record(store: Store, root: str) -> None:
    """That is in its caller's partition. Another call's chapters aren't read."""
    promise = child_id(root, 3)
    store.create(Record(id=root))
    store.create(Record(id=promise))
    store.write_chapter(chapter(promise, 0))
    store.write_chapter(chapter(child_id(root, 2), 0))
    assert store.read_chapters(promise) == (None, [chapter(promise, 0)])
    assert store.read_chapters(child_id(root, 4)) == (None, [])


def test_no_reader_of_promises_meets_a_chapter(store: Store, root: str) -> None:
    """Neither the function's nor its children's, nor a removal's, in whichever partition."""
    own = Record(id=root)
    children = [Record(id=child_id(root, number)) for number in (0, BUCKET - 1, BUCKET)]
    for record in (own, *children):
        store.create(record)
    for number in range(3):
        store.write_chapter(chapter(root, number))
    assert store.read_promise(root) == own
    assert store.read_function(root) == (own, children)
    assert store.peek_function(root) == (own, children)
    assert store.peek_function(root, lagging=True) == (own, children)
    assert list(store.read_children(root)) == children
    assert list(store.read_children(root, 0, BUCKET)) == children
    assert list(store.peek_children(root)) == children
    assert [due for page in store.due(shard_of(root), Instant(2**53)) for due in page] == []


def test_a_chapter_replaces_the_one_of_its_number(store: Store, root: str) -> None:
    """Of two runs at once the later one's stands."""
    store.write_chapter(chapter(root, 0, "first"))
    store.write_chapter(chapter(root, 0, "second", since=6))
    assert store.read_chapters(root) == (None, [chapter(root, 0, "second", since=6)])


def test_chapters_are_found_by_their_numbers_and_removed(store: Store, root: str) -> None:
    """One that is gone may be removed again."""
    store.create(Record(id=root))
    for number in range(3):
        store.write_chapter(chapter(root, number))
    assert list(store.peek_chapters(root)) == [2, 1, 0]
    for _ in range(2):
        store.remove_chapter(root, 1)
    assert list(store.peek_chapters(root)) == [2, 0]
    assert store.read_chapters(root) == (Record(id=root), [chapter(root, 2), chapter(root, 0)])


def test_a_text_of_any_characters_is_kept(store: Store, root: str) -> None:
    """And a long one."""
    text = "ä\0\ud800😀" + "x" * 200_000
    store.write_chapter(chapter(root, 0, text))
    assert store.read_chapters(root) == (None, [chapter(root, 0, text)])
