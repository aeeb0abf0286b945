"""A promise as an item of the table: PynamoDB's model, and the way from a record to DynamoDB's typed JSON and back.

All of it follows from `adapter.protocol.records.Record`. An item also has its key, its version, and attributes for the
index and for the stream's filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
from adapter.protocol.ids import is_id, key_of
from adapter.protocol.records import FIELDS, INDEXED, STORED_ALWAYS, Record
from adapter.protocol.timing import shard_of

MAX_TEXT_BYTES = 350_000
"""Bytes of an item's arguments and value together: a whole item of DynamoDB holds 400 KB."""

_ATTRIBUTES: dict[Form, type[Attribute[Any]]] = {
    Form.TEXT: UnicodeAttribute,
    Form.NUMBER: NumberAttribute,
    Form.FLAG: BooleanAttribute,
    Form.TEXTS: UnicodeSetAttribute,
    Form.MAP: JSONAttribute,
}


class Item(Model):
    """One promise."""

    class Meta:
        table_name = ""

    pk = UnicodeAttribute(hash_key=True)
    sk = NumberAttribute(range_key=True)
    v = NumberAttribute()
    # The shard of the index.
    due_shard = UnicodeAttribute(null=True)
    # The stream's filter can't test a set.
    awaited = BooleanAttribute(null=True)
    # An attribute for every field of the record: in a class's body, `locals()` is the class to be.
    locals().update({name: _ATTRIBUTES[field.form](null=name not in STORED_ALWAYS) for name, field in FIELDS.items()})


def to_item(record: Record) -> dict[str, Any]:
    """The record as DynamoDB's typed JSON. A field at its default is left out."""
    made = attributes(record.id, {name: getattr(record, name) for name in FIELDS})
    stored = {name: typed for name, typed in made.items() if typed is not None}
    return {**key(record.id), "v": {"N": str(records.VERSION)}, **stored}


def key(promise: str) -> dict[str, Any]:
    pk, sk = key_of(promise)
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}}


def attributes(promise: str, values: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """The attributes for these values of a promise's fields; None for an attribute that must not be there."""
    made = {name: _WRITERS[name](value) for name, value in values.items()}
    if "due_at" in made:
        made["due_shard"] = made["due_at"] and {"S": shard_of(promise)}
    if "awaiters" in made:
        made["awaited"] = made["awaiters"] and {"BOOL": True}
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
        values = {name: _READERS[name](typed) for name, typed in raw.items() if name in _READERS and _is_set(typed)}
        if missing := wanted - values.keys():
            raise ValueError(f"it has no {min(missing)}")
        record = Record(**values)
        if not is_id(record.id):
            raise ValueError("it has no id that a promise could have")
        if not key(record.id).items() <= raw.items():
            raise ValueError(f"its id {record.id[:80]!r} isn't that of its key")
        return record
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, RecursionError) as unreadable:
        raise BadMessage(f"an item isn't a promise: {str(unreadable)[:300]}") from unreadable


def _is_set(typed: Mapping[str, Any]) -> bool:
    """As in PynamoDB: a null means that the attribute isn't there."""
    return "NULL" not in typed


def _writer(field: Field, attribute: Attribute[Any]) -> Callable[[Any], dict[str, Any] | None]:
    """From a field's value to its attribute."""
    always, default = field.name in STORED_ALWAYS, field.default
    tag, serialize = attribute.attr_type, attribute.serialize
    # The text may be of a subclass of str, as `Stored` is.
    plain = {Form.TEXT: str, Form.MAP: dict}.get(field.form)

    def write(value: Any) -> dict[str, Any] | None:
        if value == default and not always:
            return None
        return {tag: serialize(value if plain is None else plain(value))}

    return write


def _reader(field: Field, attribute: Attribute[Any]) -> Callable[[dict[str, Any]], Any]:
    """From a field's attribute to its value. It may raise anything if the attribute doesn't fit."""
    value_of, deserialize = attribute.get_value, attribute.deserialize
    checks: dict[type, Callable[[Any], Any]] = {str: _text, int: _whole, bool: _true, Mapping: _texts}
    plain = checks.get(field.type, field.type)
    return lambda typed: plain(deserialize(value_of(typed)))


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise ValueError(f"a text is a {type(text).__name__}")
    return text


def _whole(number: float) -> int:
    """Read a whole number. Conditions compare what is stored, so a rounded number would be refused for ever."""
    if number != int(number):
        raise ValueError(f"{number} isn't a whole number")
    return int(number)


def _true(flag: bool) -> bool:
    """Read a flag. Conditions only ask whether it is stored, so a stored one must be true."""
    if not flag:
        raise ValueError("a flag is stored only where it is true")
    return True


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its tags aren't texts by name")
    return found


def _modelled(name: str) -> Attribute[Any]:
    found: Attribute[Any] = Item.get_attributes()[name]
    return found


_WRITERS = {name: _writer(field, _modelled(name)) for name, field in FIELDS.items()}
_READERS = {name: _reader(field, _modelled(name)) for name, field in FIELDS.items()}


def check_size(promise: str, *texts: str) -> None:
    """Raise PayloadTooLarge if an item couldn't hold the texts."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > MAX_TEXT_BYTES:
        raise PayloadTooLarge(
            f"{promise}: {size} bytes of arguments or result; an item takes {MAX_TEXT_BYTES} of them, a bucket more:"
            " set DURABLE_BUCKET to its name"
        )
