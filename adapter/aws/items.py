"""A promise as an item of the table: PynamoDB's model, and the way from a record to DynamoDB's typed JSON and back.

All of it follows from `adapter.protocol.records.Record`. An item also has its key, its version, and attributes for the
index and for the stream's filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter, ne
from typing import Any, Final

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from adapter.errors import BadMessage, OtherVersion, PayloadTooLarge
from adapter.protocol import records
from adapter.protocol.fields import Field, Form
from adapter.protocol.ids import key_of
from adapter.protocol.records import ATTRIBUTES, INDEXED, STORED_ALWAYS, Record, id_in
from adapter.protocol.timing import shard_of

MAX_TEXT_BYTES = 330_000
"""Bytes of an item's arguments and value together: a whole item of DynamoDB holds 400 KB."""

_ATTRIBUTES: dict[Form, type[Attribute[Any]]] = {
    Form.TEXT: UnicodeAttribute,
    Form.NUMBER: NumberAttribute,
    Form.FLAG: BooleanAttribute,
    Form.TEXTS: UnicodeSetAttribute,
    Form.MAP: JSONAttribute,
}


PROJECTED = frozenset({"pk", "sk", "due_shard", "due_at", *INDEXED})
"""The attributes of an entry of the index."""


class Item(Model):
    """One promise."""

    class Meta:
        table_name = ""

    pk = UnicodeAttribute(hash_key=True)
    sk = NumberAttribute(range_key=True)
    v = NumberAttribute()
    # The shard of the index.
    due_shard = UnicodeAttribute(null=True)
    # The stream's filter can't test a set, and it tests what is there rather than what isn't.
    awaited = BooleanAttribute(null=True)
    streamed = BooleanAttribute(null=True)
    # An attribute for every field of the record but its key: in a class's body, `locals()` is the class to be.
    locals().update(
        {name: _ATTRIBUTES[field.form](null=name not in STORED_ALWAYS) for name, field in ATTRIBUTES.items()}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """How one field is written and read. ``written`` makes what is stored of its value, ``type`` the value again.

    ``unwritten``: the value that isn't stored.
    """

    name: str
    word: str
    type: Callable[[Any], Any]
    unwritten: Any
    tag: str
    written: Callable[[Any], Any]
    get_value: Callable[[dict[str, Any]], Any]
    deserialize: Callable[[Any], Any]


def _column(field: Field) -> _Column:
    attribute: Attribute[Any] = Item.get_attributes()[field.name]
    return _Column(
        name=field.name,
        word=field.form.word,
        type=dict if field.form is Form.MAP else field.type,
        unwritten=_NO_VALUE if field.name in STORED_ALWAYS else field.default,
        tag=attribute.attr_type,
        written=_WRITTEN.get(field.form, attribute.serialize),
        get_value=attribute.get_value,
        deserialize=attribute.deserialize,
    )


_NO_VALUE: Final = object()
"""No field has it."""

# A text may be of a subclass of str, as `Stored` is; a number, of one of int.
_WRITTEN: dict[Form, Callable[[Any], Any]] = {
    Form.TEXT: str,
    Form.NUMBER: lambda value: str(int(value)),
    Form.FLAG: bool,
    Form.MAP: lambda value: JSONAttribute().serialize(dict(value)),
}
"""As PynamoDB does it, in less time: an item has a dozen of them. The last is of any mapping, not only of a dict."""

_COLUMNS = {name: _column(field) for name, field in ATTRIBUTES.items()}
_IN_ORDER = tuple(_COLUMNS.values())
_UNWRITTEN = tuple(column.unwritten for column in _IN_ORDER)
_VALUES = attrgetter(*_COLUMNS)


def to_item(record: Record) -> dict[str, Any]:
    """The record as DynamoDB's typed JSON. A field at its default is left out."""
    item = {**key(record.id), "v": {"N": str(records.VERSION)}}
    values = _VALUES(record)
    # Most fields are at their defaults, and nothing but a comparison is done for them.
    for column, value in compress(zip(_IN_ORDER, values, strict=True), map(ne, values, _UNWRITTEN)):
        item[column.name] = {column.tag: column.written(value)}
    made = _with_marks(record.id, item)
    if made.get("streamed", item) is None:
        del made["streamed"]
    return made


def key(promise: str) -> dict[str, Any]:
    pk, sk = key_of(promise)
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}}


def attributes(promise: str, values: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """The attributes for these values of a promise's fields; None for an attribute that must not be there."""
    made: dict[str, dict[str, Any] | None] = {}
    for name, value in values.items():
        column = _COLUMNS[name]
        made[name] = None if value == column.unwritten else {column.tag: column.written(value)}
    return _with_marks(promise, made)


def _with_marks(promise: str, made: dict[str, Any]) -> dict[str, Any]:
    """With the attributes that follow from others, for the index and for the stream's filter."""
    if "due_at" in made:
        made["due_shard"] = made["due_at"] and {"S": shard_of(promise)}
    if "awaiters" in made:
        made["awaited"] = made["awaiters"] and {"BOOL": True}
    if "wake" in made:
        made["streamed"] = made["wake"] and {"BOOL": True}
    if made.get("prompted_by"):
        made["streamed"] = None
    return made


def to_record(raw: Mapping[str, Any]) -> Record:
    """Read DynamoDB's typed JSON.

    Raises:
        OtherVersion: this code doesn't read the item's version.
        BadMessage: the item isn't a promise.
    """
    version = raw.get("v", {}).get("N")
    if not records.is_readable(version):
        where = str(raw.get("pk", {}).get("S"))[:80], raw.get("sk", {}).get("N")
        read = ", ".join(map(str, sorted(records.READABLE)))
        raise OtherVersion(f"item {where} has format {version}, this code reads {read}: deploy one version everywhere")
    return _read(raw, STORED_ALWAYS)


def to_entry(raw: Mapping[str, Any]) -> Record:
    """Read an entry of the index: a record whose other fields are at their defaults.

    Raises:
        BadMessage: the entry isn't a promise's.
    """
    return _read(raw, STORED_ALWAYS & INDEXED)


def _read(raw: Mapping[str, Any], wanted: frozenset[str]) -> Record:
    try:
        # As PynamoDB has it: a null is an attribute that isn't there.
        there = {name: typed for name, typed in raw.items() if name in _COLUMNS and "NULL" not in typed}
        if missing := wanted - there.keys():
            raise ValueError(f"it has no {min(missing)}")
        promise = id_in(raw)
        if not promise or not key(promise).items() <= raw.items():
            raise ValueError("it has no key that a promise could have")
        return Record(id=promise, **_values(there))
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, RecursionError) as unreadable:
        raise BadMessage(f"an item isn't a promise: {str(unreadable)[:300]}") from unreadable


def _values(attributes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The values of fields, from their attributes. It may raise anything if an attribute doesn't fit.

    Conditions compare what is stored, so what is read as another value would be refused for ever.
    """
    found = {}
    for name, typed in attributes.items():
        column = _COLUMNS[name]
        stored = column.deserialize(column.get_value(typed))
        value = found[name] = column.type(stored)
        if value != stored:
            raise ValueError(f"its {name} isn't a {column.word}")
        if value is False:
            # Conditions only ask whether it is stored.
            raise ValueError(f"its {name} is a flag, which is stored only where it is true")
        if column.type is dict and not all(isinstance(text, str) for text in value.values()):
            raise ValueError(f"its {name} aren't texts by name")
    return found


def check_size(promise: str, *texts: str) -> None:
    """Raise PayloadTooLarge if an item couldn't hold the texts."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > MAX_TEXT_BYTES:
        raise PayloadTooLarge(
            f"{promise}: {size} bytes of arguments or result; an item takes {MAX_TEXT_BYTES} of them, a bucket more:"
            " set DURABLE_BUCKET to its name"
        )
