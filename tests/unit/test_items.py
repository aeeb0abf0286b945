"""Items follow from the record's fields: what is stored, under which name and type, and what the index has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws.items import Item, attributes, to_entry, to_item, to_record
from adapter.errors import BadMessage
from adapter.protocol.fields import Form, Mark, fields_of, marked
from adapter.protocol.ids import child_id
from adapter.protocol.records import ATTRIBUTES, FIELDS, INDEXED, SEALED, Kind, Record, attribute
from adapter.protocol.timing import due_of
from tests.contract.strategies import any_record

BESIDES = {"pk": "S", "sk": "N", "v": "N", "due_shard": "S", "awaited": "BOOL", "streamed": "BOOL"}
"""What an item has that is no field of its record."""

records = any_record(["order-7", child_id("order-7", 3)])


def test_the_model_has_every_field_of_the_record() -> None:
    """It also has the attributes that only an item has."""
    modelled = {name: attribute.attr_type for name, attribute in Item.get_attributes().items()}
    assert modelled == BESIDES | {name: field.form.tag for name, field in ATTRIBUTES.items()}


@given(record=records)
def test_an_item_is_read_as_the_record_that_it_was_made_of(record: Record) -> None:
    """The test takes every field at every kind of value."""
    assert to_record(to_item(record)) == record


@given(record=records)
def test_an_entry_of_the_index_tells_what_the_record_would(record: Record) -> None:
    """The sweeper reads only the projected attributes."""
    projected = {name: typed for name, typed in to_item(record).items() if name in INDEXED | {"pk", "sk"}}
    assert due_of(to_entry(projected)) == due_of(record)


@given(record=records)
def test_what_an_attribute_holds_is_found_by_its_fields_name(record: Record) -> None:
    """The resumer reads a stream's image so."""
    item = to_item(record)
    assert attribute(item, "kind") == record.kind
    assert attribute(item, "fn", "") == record.fn
    assert set(attribute(item, "awaiters", [])) == record.awaiters
    assert attribute({"awaiters": {"S": "text"}}, "awaiters") is None
    assert attribute({"awaiters": "text"}, "awaiters") is None


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.form is Form.FLAG])
def test_a_flag_that_is_stored_as_false_is_refused(name: str) -> None:
    """Conditions ask only whether it is there."""
    assert attributes("order-7", {name: False}) == {name: None}
    assert getattr(to_record({**to_item(Record(id="order-7")), name: {"BOOL": True}}), name) is True
    with pytest.raises(BadMessage, match="only where it is true"):
        to_record({**to_item(Record(id="order-7")), name: {"BOOL": False}})


@pytest.mark.parametrize("missing", ["kind", "state", "created_at"])
def test_a_field_that_is_always_stored_is_missed(missing: str) -> None:
    """The store would guess if it took the default."""
    item = to_item(Record(id="order-7"))
    del item[missing]
    with pytest.raises(BadMessage, match=f"it has no {missing}"):
        to_record(item)


def test_what_is_due_or_awaited_has_an_attribute_for_whoever_looks_for_it() -> None:
    """One is for the index, which is spread over shards, the other for the stream's filter."""
    assert attributes("schedule:a", {"due_at": 5}) == {"due_at": {"N": "5"}, "due_shard": {"S": "schedules"}}
    assert attributes("a", {"due_at": None}) == {"due_at": None, "due_shard": None}
    assert attributes("a", {"awaiters": frozenset({"b~0"})}) == {"awaiters": {"SS": ["b~0"]}, "awaited": {"BOOL": True}}
    assert attributes("a", {"awaiters": frozenset()}) == {"awaiters": None, "awaited": None}


def test_user_data_is_what_is_marked_as_such() -> None:
    """The store writes all else in the clear, as docs/encryption.md says."""
    assert SEALED == ("args", "value", "paused")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One field of each form."""

    text: Annotated[str, Mark.SEALED]
    kind: Kind | None = None
    number: Annotated[int | None, Mark.INDEXED, Mark.ALWAYS] = None
    flag: bool = False
    texts: frozenset[str] = frozenset({"x"})
    named: Mapping[str, str] | None = None


def test_a_fields_form_follows_from_its_type() -> None:
    """Its default says whether none is among its values."""
    fields = fields_of(Example)
    assert [field.form for field in fields.values()] == [
        Form.TEXT,
        Form.TEXT,
        Form.NUMBER,
        Form.FLAG,
        Form.TEXTS,
        Form.MAP,
    ]
    assert [field.type for field in fields.values()] == [str, Kind, int, bool, frozenset, Mapping]
    assert [name for name, field in fields.items() if field.optional] == ["kind", "number", "named"]
    assert (marked(fields, Mark.SEALED), marked(fields, Mark.INDEXED)) == (("text",), ("number",))


@pytest.mark.parametrize("unknown", [float, list[str], dict[str, str], str | int])
def test_a_field_of_another_type_cannot_be_stored(unknown: Any) -> None:
    """The import of the module fails, not the write of the first record."""
    with pytest.raises(TypeError, match="field can't be stored"):
        fields_of(make_dataclass("Bad", [("field", unknown)]))


@given(text=st.text(st.characters(codec="utf-8"), max_size=3))
def test_a_text_of_a_class_of_its_own_is_stored_as_a_plain_one(text: str) -> None:
    """Clients write their argument's type, not its class."""
    stored = attributes("a", {"value": type("Own", (str,), {})(text or "x")})["value"]
    assert stored is not None
    assert type(stored["S"]) is str
