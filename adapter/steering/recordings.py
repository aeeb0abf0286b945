"""A recorded execution: its records as they stood at one time, as a file of JSON and back.

The file has all that a replay needs. A text that is encrypted stays so in it, unless the person who exports asks for
plain texts; a redacted file has neither arguments nor outcomes, so it can be read and not replayed. The form has a
version, and nothing but that version is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.aws.sealing import MARKS, PLAIN, Sealing
from adapter.engine.host import EngineHost
from adapter.engine.operations import Now, PeekFunction, ReadPromise
from adapter.errors import CallerError, UnknownPromise
from adapter.protocol.fields import Field, Form
from adapter.protocol.ids import is_id, parent_of, root_of
from adapter.protocol.making import changed
from adapter.protocol.records import FIELDS, SEALED, Kind, Record, Stored
from adapter.protocol.times import Instant

FORMAT = "lambda-await execution"
VERSION = 1
"""Of the files that this code writes, and the only one that it reads."""


class NoRecording(CallerError):
    """A file is no recorded execution, or a redacted one, or one of another version. Nothing was replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An execution as it stood ``at`` a time: the record of each of its promises, parents before their children."""

    at: Instant
    records: Sequence[Record]
    redacted: bool = False
    children: Mapping[str, Sequence[Record]] = field(init=False)

    def __post_init__(self) -> None:
        below: dict[str, list[Record]] = {}
        for record in self.records:
            if (parent := parent_of(record.id)) is not None:
                below.setdefault(parent, []).append(record)
        object.__setattr__(self, "children", below)

    @property
    def root(self) -> Record:
        return self.records[0]


def recorded(host: EngineHost, promise: str, *, opened: bool = True) -> Recording:
    """The execution of a promise, as the table has it, with all promises below its root.

    Args:
        opened: with arguments and outcomes in plain text. Otherwise what is encrypted stays so.

    Raises:
        UnknownPromise: there is no such execution.
        ConfigurationError: its texts are encrypted, or in a bucket, and here is no cipher, or no bucket.
    """
    root = root_of(promise) if is_id(promise) else ""
    own, _ = host.ports.perform(PeekFunction(root)) if root else (None, ())
    if own is None:
        raise UnknownPromise(f"there is no promise {promise!r}")
    found = [_out(host, record, opened) for record in _tree(host, own)]
    return Recording(at=host.ports.perform(Now()), records=found)


def _tree(host: EngineHost, root: Record) -> Iterator[Record]:
    yield root
    functions = [root.id]
    while functions:
        _, children = host.ports.perform(PeekFunction(functions.pop()))
        yield from children
        functions += [child.id for child in children if child.kind is Kind.CALL]


def _out(host: EngineHost, record: Record, opened: bool) -> Record:
    if not opened:
        return host.ports.store.portable(record)
    if not any(isinstance(getattr(record, name), Stored) for name in SEALED):
        return record
    found: Record | None = host.ports.perform(ReadPromise(record.id))
    return found or record


def redacted(recording: Recording) -> Recording:
    """Without arguments, outcomes, reasons of pauses and tags."""
    bare = [changed(one, args="", value="", paused="", tags={}) for one in recording.records]
    return Recording(at=recording.at, records=bare, redacted=True)


def written(recording: Recording) -> str:
    """The file's text. One promise is one line, so that two files can be compared."""
    head = {"format": FORMAT, "version": VERSION, "at": recording.at, "redacted": recording.redacted}
    lines = ",\n".join(f"  {json.dumps(_data(one), ensure_ascii=False)}" for one in recording.records)
    return f'{json.dumps(head)[:-1]}, "promises": [\n{lines}\n]}}\n'


def read(text: str, sealing: Sealing, where: str = "the file") -> Recording:
    """The execution of a file, opened by the cipher of ``sealing``.

    Raises:
        NoRecording: it is no recording that can be replayed.
        ConfigurationError: it is encrypted, and here is no cipher.
    """
    try:
        data = json.loads(text)
        known, version, was_redacted = data["format"] == FORMAT, data["version"], bool(data["redacted"])
        at, promises = Instant(data["at"]), data["promises"]
    except (ValueError, TypeError, KeyError, RecursionError):
        known, version, was_redacted, at, promises = False, None, False, Instant(0), ()
    if not known:
        raise NoRecording(f"{where} is no recorded execution: durable export ID -o FILE writes one")
    if version != VERSION:
        raise NoRecording(f"{where} has version {version!r}, and this code reads {VERSION}: export the execution anew")
    if was_redacted:
        raise NoRecording(f"{where} is redacted, and a replay needs arguments and outcomes: export it without --redact")
    try:
        records = [sealing.opened(_record(one), SEALED) for one in promises]
        Recording(at=at, records=records).root  # noqa: B018 - it has one
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as unreadable:
        raise NoRecording(f"{where} is no recorded execution: {type(unreadable).__name__}: {unreadable}") from None
    return Recording(at=at, records=records)


def _data(record: Record) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in FIELDS}
    return {name: _plain(field, values[name]) for name, field in FIELDS.items() if values[name] != field.default}


def _plain(field: Field, value: Any) -> Any:
    if isinstance(value, Stored):
        return {"sealed": str(value)}
    match field.form:
        case Form.TEXTS:
            return sorted(value)
        case Form.MAP:
            return dict(value)
        case Form.TEXT:
            return str(value)
        case Form.NUMBER | Form.FLAG:
            return value


def _record(data: Mapping[str, Any]) -> Record:
    if not is_id(data["id"]):
        raise ValueError(f"{str(data['id'])[:80]!r} is no promise's id")
    return Record(**{name: _value(FIELDS[name], value) for name, value in data.items() if name in FIELDS})


def _value(field: Field, value: Any) -> Any:
    if field.name in SEALED:
        if isinstance(value, dict):
            return str(value["sealed"])
        return f"{PLAIN}{value}" if value.startswith(MARKS) else value
    if field.form is Form.MAP:
        return {str(key): str(one) for key, one in value.items()}
    wanted = field.type(value)
    if field.form is Form.NUMBER and wanted != value:
        raise ValueError(f"{field.name} is no number")
    return wanted
