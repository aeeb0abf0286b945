"""Ids of promises, and the keys of the table that follow from them. Pure.

A root's id is what its caller chose; a child's is its parent's with its ordinal: ``order-7~0.2``.
"""

from __future__ import annotations

from adapter.errors import InvalidId
from adapter.protocol import paths

ROOT_ORDINAL = -1
BUCKET = 256
"""Children per partition: a partition takes 1,000 writes a second, so a wide fan-out is spread."""

SCHEDULE = "schedule:"
"""How the ids of schedules begin, and no others."""

MAX_ROOT_ID_BYTES = 512
MAX_ID_CHARACTERS = 2_000


def check_root_id(root: str) -> str:
    """Return ``root`` if it can be the id of a root promise.

    Raises:
        InvalidId: empty, longer than 512 UTF-8 bytes, or with ``~`` (which separates a root from the path of a
            child), a control character or a lone surrogate, or one of a schedule.
    """
    if not isinstance(root, str) or not root:
        raise InvalidId(f"a promise's id is a non-empty string, got {root!r}")
    bad = next((c for c in root if c == "~" or ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000), None)
    if bad is not None:
        raise InvalidId(f"{root[:80]!r} can't be a promise's id: it contains {bad!r}")
    if root.startswith(SCHEDULE):
        raise InvalidId(f"{root[:80]!r} can't be an execution's id: {SCHEDULE!r} begins those of schedules")
    if len(root.encode()) > MAX_ROOT_ID_BYTES:
        raise InvalidId(f"the id {root[:40]!r}… is longer than {MAX_ROOT_ID_BYTES} bytes")
    return root


def is_id(promise: str) -> bool:
    """Whether a promise could have this id: a root's, or a root's with the path of a child."""
    root, tilde, path = promise.partition("~")
    if len(promise) > MAX_ID_CHARACTERS or not root or (tilde and not paths.is_path(path)):
        return False
    try:
        # A key of the table is UTF-8, at most 2,048 bytes of it.
        return promise.isascii() or len(promise.encode()) <= MAX_ID_CHARACTERS
    except UnicodeEncodeError:
        return False


def child_id(parent: str, ordinal: int) -> str:
    """``order-7`` → ``order-7~0`` → ``order-7~0.2``."""
    root, _, path = parent.partition("~")
    return f"{root}~{paths.extend(path, ordinal)}"


def parent_of(promise: str) -> str | None:
    """The id of the parent, None for a root."""
    root, tilde, path = promise.partition("~")
    if not tilde:
        return None
    above = paths.shorten(path)
    return f"{root}~{above}" if above else root


def ordinal_of(promise: str) -> int:
    """The ordinal within the parent, `ROOT_ORDINAL` for a root."""
    _, tilde, path = promise.partition("~")
    return paths.last(path) if tilde else ROOT_ORDINAL


def root_of(promise: str) -> str:
    return promise.partition("~")[0]


def partition_of(parent: str, bucket: int) -> str:
    """The partition of the children ``bucket * BUCKET …`` of ``parent``."""
    return parent if bucket == 0 else f"{parent}~~{bucket}"


def key_of(promise: str) -> tuple[str, int]:
    """The table key (pk, sk). A root shares the partition of its first children: one query reads both."""
    parent = parent_of(promise)
    if parent is None:
        return promise, ROOT_ORDINAL
    ordinal = ordinal_of(promise)
    return partition_of(parent, ordinal // BUCKET), ordinal
