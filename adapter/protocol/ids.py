"""Ids of promises, and the keys of the table that follow from them. Pure.

The caller chooses a root's id. Nobody can choose the id of a schedule, of a schedule's occurrence, or of a root that an
event starts: these follow from what they stand for. A child's id is its root's id and a path: ``order-7~0.2`` is the
third promise of the first promise of ``order-7``. Recursion repeats an ordinal at every level, and a key of the table
holds 2,048 bytes, so nine and more equal ordinals in a row are written ``0*9``. A path can be written in one way only.

A run asks for the same few ids again and again, so this module remembers for a while what follows from an id.
"""

from __future__ import annotations

import functools
import hashlib
import re
from urllib.parse import quote

from adapter.errors import InvalidId
from adapter.protocol.times import Instant, datetime_of

REMEMBERED = 4_096
"""Ids."""

ROOT_ORDINAL = -1
BUCKET = 256
"""Children per partition. A partition takes 1,000 writes a second, so the children of a wide fan-out are spread."""

SCHEDULE = "schedule:"
"""The ids of schedules begin so, and no other id does."""

EVENT = "event:"
"""The ids of roots that events start begin so, and no other id does."""

_OCCURRENCE = re.compile(r".*@[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.DOTALL)

MAX_ROOT_ID_BYTES = 512
MAX_ID_CHARACTERS = 2_000


def check_root_id(root: str) -> str:
    """Return ``root`` if a caller may choose it as the id of a root promise.

    Raises:
        InvalidId: empty, longer than 512 UTF-8 bytes, or with ``~`` (which separates a root from the path of a
            child), a control character or a lone surrogate; or of the form that a schedule, an occurrence or what an
            event starts has.
    """
    if not isinstance(root, str) or not root:
        raise InvalidId(f"a promise's id is a non-empty string, got {root!r}")
    bad = next((c for c in root if c == "~" or ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000), None)
    if bad is not None:
        raise InvalidId(f"{root[:80]!r} can't be a promise's id: it contains {bad!r}")
    if root.startswith(SCHEDULE):
        raise InvalidId(f"{root[:80]!r} can't be an execution's id: {SCHEDULE!r} begins those of schedules")
    if root.startswith(EVENT):
        raise InvalidId(f"{root[:80]!r} can't be chosen as an id: {EVENT!r} begins those of what events start")
    if _OCCURRENCE.fullmatch(root):
        raise InvalidId(f"{root[:80]!r} can't be chosen as an id: NAME@TIME is that of a schedule's occurrence")
    if len(root.encode()) > MAX_ROOT_ID_BYTES:
        raise InvalidId(f"the id {root[:40]!r}… is longer than {MAX_ROOT_ID_BYTES} bytes")
    return root


def occurrence_id(name: str, at: Instant) -> str:
    """The root of a schedule's occurrence: ``report@2026-01-02T03:00:00Z``."""
    return f"{name}@{datetime_of(at):%Y-%m-%dT%H:%M:%S}Z"


def event_id(fn: str, source: str, *identity: str) -> str:
    """The root that an event starts: ``event:orders:ship:sqs:059f36b4-87a3``.

    Another function, source or identity always makes another id. ``:`` and ``,`` in the parts of an identity are
    written as ``%3A`` and ``%2C``. An identity that is too long becomes ``#`` and a digest; no other identity begins
    with ``#``.

    Args:
        source: a word without ``:``.
        identity: so many texts as the source always has; trailing empty ones aren't written.
    """
    words = ",".join(_word(part, "") for part in identity).rstrip(",")
    return f"{EVENT}{_short(_word(fn, ':,<>'))}:{source}:{_short(words)}"


MAX_WORD = 200
"""Characters of a function's name, and of an identity, that are written out in an id."""


def _word(text: str, also: str) -> str:
    """Readable ASCII. It never has ``#`` or ``~``, and has ``:`` and ``,`` only if ``also`` does."""
    return quote(text, safe=f"@/+=;!$'()* {also}", errors="surrogatepass").replace("~", "%7E")


def _short(word: str) -> str:
    return word if len(word) <= MAX_WORD else f"#{hashlib.sha256(word.encode()).hexdigest()}"


def is_id(promise: str) -> bool:
    """Whether a promise could have this id: a root's, or a root's with the path of a child."""
    root, tilde, path = promise.partition("~")
    if len(promise) > MAX_ID_CHARACTERS or not root or (tilde and not is_path(path)):
        return False
    try:
        # A key of the table is UTF-8, at most 2,048 bytes of it.
        return promise.isascii() or len(promise.encode()) <= MAX_ID_CHARACTERS
    except UnicodeEncodeError:
        return False


@functools.lru_cache(REMEMBERED)
def child_id(parent: str, ordinal: int) -> str:
    """``order-7`` → ``order-7~0`` → ``order-7~0.2``."""
    root, _, path = parent.partition("~")
    return f"{root}~{extend(path, ordinal)}"


@functools.lru_cache(REMEMBERED)
def parent_of(promise: str) -> str | None:
    """The id of the parent, None for a root."""
    root, tilde, path = promise.partition("~")
    if not tilde:
        return None
    above = shorten(path)
    return f"{root}~{above}" if above else root


@functools.lru_cache(REMEMBERED)
def ordinal_of(promise: str) -> int:
    """The ordinal within the parent, `ROOT_ORDINAL` for a root."""
    _, tilde, path = promise.partition("~")
    return last(path) if tilde else ROOT_ORDINAL


def root_of(promise: str) -> str:
    return promise.partition("~")[0]


def partition_of(parent: str, bucket: int) -> str:
    """The partition of the children ``bucket * BUCKET …`` of ``parent``."""
    return parent if bucket == 0 else f"{parent}~~{bucket}"


@functools.lru_cache(REMEMBERED)
def key_of(promise: str) -> tuple[str, int]:
    """The table key (pk, sk). A root shares the partition of its first children: one query reads both."""
    root, tilde, path = promise.partition("~")
    if not tilde:
        return root, ROOT_ORDINAL
    above, ordinal = shorten(path), last(path)
    return partition_of(f"{root}~{above}" if above else root, ordinal // BUCKET), ordinal


@functools.lru_cache(REMEMBERED)
def id_of(partition: str, ordinal: int) -> str:
    """The id of the promise that has a key of the table.

    Raises:
        ValueError: no promise has it.
    """
    # A root has no tilde, and a path begins with an ordinal: two tildes are those before a bucket.
    parent = partition.partition("~~")[0]
    promise = parent if ordinal == ROOT_ORDINAL else child_id(parent, ordinal)
    if not is_id(promise) or key_of(promise) != (partition, ordinal):
        raise ValueError(f"its key {partition[:80]!r}, {ordinal} is no promise's")
    return promise


WRITTEN_OUT = 8
"""So many equal ordinals in a row are written out."""

_STEP = r"(0|[1-9][0-9]{0,14})(\*[1-9][0-9]{0,5})?"
_PATH = re.compile(rf"{_STEP}(\.{_STEP})*")


def extend(path: str, ordinal: int) -> str:
    """The path of a child. ``path`` is its parent's; it is empty for a root."""
    steps = path.split(".")[-WRITTEN_OUT:]
    same, star, count = steps[-1].partition("*")
    if star and int(same) == ordinal:
        return f"{path.removesuffix(steps[-1])}{same}*{int(count) + 1}"
    if steps == [str(ordinal)] * WRITTEN_OUT:
        return f"{path.removesuffix('.'.join(steps))}{ordinal}*{WRITTEN_OUT + 1}"
    return f"{path}.{ordinal}" if path else str(ordinal)


def shorten(path: str) -> str:
    """The path of the parent; empty for a root's child."""
    head, dot, tail = path.rpartition(".")
    same, star, count = tail.partition("*")
    if not star:
        return head
    left = int(count) - 1
    return f"{head}{dot}{same}*{left}" if left > WRITTEN_OUT else f"{head}{dot}{'.'.join([same] * left)}"


def last(path: str) -> int:
    """The ordinal within the parent."""
    return int(path.rpartition(".")[2].partition("*")[0])


@functools.lru_cache(REMEMBERED)
def is_path(text: str) -> bool:
    """Whether this is a path, written as `extend` writes it."""
    if _PATH.fullmatch(text) is None:
        return False
    before, equal = "", 0
    for step in text.split("."):
        same, star, count = step.partition("*")
        if (same == before and (star or equal >= WRITTEN_OUT)) or (star and int(count) <= WRITTEN_OUT):
            return False
        equal = int(count) if star else equal + 1 if same == before else 1
        before = same
    return True
