"""``durable timeline``: what it reads of an execution, and the page that it writes.

It reads a promise, and the children of each function below by a query each. It writes nothing to the table.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapter.engine.host import EngineHost
from adapter.engine.operations import Many, Now, PeekChildren, PeekFunction, ReadPromise
from adapter.errors import BadMessage, ConfigurationError, UnknownPromise
from adapter.protocol.ids import is_id
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.records import Kind, Record, Stored
from adapter.protocol.times import Instant
from adapter.timeline.making import Maker
from adapter.timeline.model import Timeline

TOGETHER = 50
"""Requests side by side."""


@dataclass(slots=True)
class Walked:
    """What was read: callers before what they made. ``unread``: functions whose own promises weren't."""

    records: list[Record] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)


def timeline(host: EngineHost, promise: str, limit: int, decrypt: bool, logs: dict[str, str]) -> Timeline:
    """Read what is below a promise, ``limit`` promises or somewhat more.

    Raises:
        UnknownPromise: there is no such promise.
        ConfigurationError: it is to be decrypted, and this environment names no cipher, or no bucket.
    """
    now: Instant = host.ports.perform(Now())
    walked = walk(host, promise, limit)
    records = [_opened(host, record) for record in walked.records] if decrypt else walked.records
    maker = Maker(records, now, moved=_moves(host))
    made = maker.make(promise, unread=walked.unread, left_out=len(walked.unread))
    return replace(made, logs={name: value for name, value in logs.items() if value})


def walk(host: EngineHost, promise: str, limit: int) -> Walked:
    """The promise's record and those below it, level by level, until there are ``limit``."""
    perform = host.ports.perform
    own, children = perform(PeekFunction(promise)) if is_id(promise) else (None, ())
    if own is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    found = Walked([own, *children])
    level = _functions(children)
    while level and len(found.records) < limit:
        batch, level = level[:TOGETHER], level[TOGETHER:]
        for below in perform(Many(tuple(PeekChildren(one.id, one.expires) for one in batch))):
            found.records += below
            level += _functions(below)
    found.unread.update(one.id for one in level)
    return found


def _functions(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.kind is Kind.CALL]


def _moves(host: EngineHost) -> Moves:
    with contextlib.suppress(BadMessage):
        return host.ports.moves.read()
    return UNMOVED


def _opened(host: EngineHost, record: Record) -> Record:
    """With its texts decrypted, or fetched from the bucket: one more read for each such promise."""
    if not any(isinstance(text, Stored) for text in (record.args, record.value, record.paused)):
        return record
    opened: Record | None = host.ports.perform(ReadPromise(record.id))
    return record if opened is None else opened


def file_named(promise: str) -> Path:
    """The file that a page gets where nobody names one."""
    return Path(re.sub(r"[^A-Za-z0-9._~-]+", "-", promise)[:120] + ".html")


def region_of(place: dict[str, str]) -> str:
    return place.get("AWS_REGION") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""


def written(file: Path, text: str) -> int:
    """Write the page; its size in bytes.

    Raises:
        ConfigurationError: it can't be written there.
    """
    content = text.encode("utf-8")
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be written: {error.strerror}") from error
    return len(content)
