"""A chapter as an item of the table, beside the promises that it tells of.

It lies in the partition of its function's first children, at a sort key that no promise has. So no query of promises
reads it, and neither the index nor the stream's filter knows any of its attributes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from adapter.protocol.chapters import Chapter
from adapter.protocol.ids import ROOT_ORDINAL
from adapter.protocol.times import Instant

LAST_KEY = ROOT_ORDINAL - 1
"""The sort key of the first chapter. Those that follow go down from it."""

MAX_BYTES = 1_000_000
"""Of a chapter's text: one that is longer wasn't written by this code."""


def chapter_key(promise: str, number: int) -> dict[str, Any]:
    return {"pk": {"S": promise}, "sk": {"N": str(LAST_KEY - number)}}


def number_of(key: Mapping[str, Any]) -> int:
    """The number of the chapter that has this key."""
    return LAST_KEY - int(key["sk"]["N"])


def is_chapter(key: Mapping[str, Any]) -> bool:
    """Whether an item with this key is a chapter. The table's notes have partitions of their own."""
    return number_of(key) >= 0


def to_item(chapter: Chapter) -> dict[str, Any]:
    expires = {} if chapter.expires is None else {"expires": {"N": str(chapter.expires)}}
    return {
        **chapter_key(chapter.promise, chapter.number),
        "since": {"N": str(chapter.since)},
        "text": {"B": zlib.compress(chapter.text.encode("utf-8", "surrogatepass"))},
        **expires,
    }


def to_chapter(raw: Mapping[str, Any]) -> Chapter | None:
    """Read an item; None if it can't be read, and then its promises' records are."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(raw["text"]["B"], MAX_BYTES).decode("utf-8", "surrogatepass")
        expires = raw.get("expires")
        return Chapter(
            promise=raw["pk"]["S"],
            number=number_of(raw),
            since=Instant(raw["since"]["N"]),
            expires=None if expires is None else int(expires["N"]),
            text=text,
        )
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        return None
