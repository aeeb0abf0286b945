"""The chapters of a table in memory, beside its promises. They are stored as `adapter.aws.chapters` packs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapter.aws.chapters import to_item
from adapter.protocol.chapters import Chapter
from adapter.testing.stats import item_size


class Chapters:
    """Chapters by function and number, each with its item. Higher numbers are read first, as their keys are lower."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, tuple[Chapter, dict[str, Any]]]] = {}

    def of(self, promise: str) -> list[Chapter]:
        held = self._held.get(promise, {})
        return [held[number][0] for number in sorted(held, reverse=True)]

    def size(self, promise: str) -> int:
        """Bytes of all chapters of a function."""
        return sum(item_size(item) for _, item in self._held.get(promise, {}).values())

    def every(self) -> Sequence[Chapter]:
        return [chapter for held in self._held.values() for chapter, _ in held.values()]

    def item(self, promise: str, number: int) -> dict[str, Any] | None:
        found = self._held.get(promise, {}).get(number)
        return None if found is None else found[1]

    def put(self, chapter: Chapter) -> dict[str, Any]:
        """Keep a chapter. Returns its item."""
        item = to_item(chapter)
        self._held.setdefault(chapter.promise, {})[chapter.number] = chapter, item
        return item

    def pop(self, promise: str, number: int) -> dict[str, Any] | None:
        """Remove a chapter. Returns its item, None if there was none."""
        found = self._held.get(promise, {}).pop(number, None)
        return None if found is None else found[1]
