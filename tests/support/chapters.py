"""Chapters for tests: one as it is written, and chapters of few promises, so that small programs have some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from adapter.protocol import chapters
from adapter.protocol.chapters import Chapter
from adapter.protocol.times import Instant


def chapter(promise: str, number: int, text: str = "text", since: int = 5) -> Chapter:
    return Chapter(promise=promise, number=number, since=Instant(since), expires=None, text=text)


@contextmanager
def short_chapters(least: int = 1, most: int = 3) -> Iterator[None]:
    """A chapter tells of so many promises; 0: of as many as ever."""
    if not least:
        yield
        return
    with mock.patch.multiple(chapters, LEAST=least, NEAR=1, MOST=most):
        yield
