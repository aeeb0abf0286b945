"""Frozen dataclasses that are made fast are frozen dataclasses all the same."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol.making import changed, quickly_made
from adapter.protocol.records import Record, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    name: str
    number: int = 0
    tags: dict[str, str] = field(default_factory=dict, hash=False)


Quick: Any = quickly_made(
    dataclasses.make_dataclass(
        "Quick",
        [
            (one.name, Any, field(default=one.default, default_factory=one.default_factory, hash=one.hash))  # type: ignore[call-overload]
            for one in dataclasses.fields(Plain)
        ],
        frozen=True,
        slots=True,
        kw_only=True,
    )
)

values = st.fixed_dictionaries(
    {"name": st.text()}, optional={"number": st.integers(), "tags": st.dictionaries(st.text(), st.text())}
)


@given(values, values)
def test_it_has_the_fields_of_a_plain_one(given: dict[str, Any], changes: dict[str, Any]) -> None:
    """Made and changed, it has the same fields, equality and hash."""
    plain, quick = Plain(**given), Quick(**given)
    assert dataclasses.asdict(quick) == dataclasses.asdict(plain)
    assert dataclasses.asdict(changed(quick, **changes)) == dataclasses.asdict(dataclasses.replace(plain, **changes))
    assert dataclasses.asdict(quick) == dataclasses.asdict(plain), "a change makes another one"
    assert quick == Quick(**given)
    assert hash(quick) == hash(plain)


def test_two_have_no_default_in_common() -> None:
    """A default that can change is made for each."""
    assert Quick(name="a").tags is not Quick(name="a").tags


@pytest.mark.parametrize("bad", [{}, {"name": "a", "size": 1}])
def test_it_refuses_what_the_class_has_not(bad: dict[str, Any]) -> None:
    """A missing field and an unknown one are errors that name the class."""
    with pytest.raises(TypeError, match="Quick"):
        Quick(**bad)


def test_a_record_is_frozen() -> None:
    """Neither a new one nor a changed one lets a field be set."""
    record = Record(id="order-7")
    for one in (record, changed(record, state=State.RESOLVED)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.fn = "orders:charge"  # type: ignore[misc]


def test_an_unknown_change_is_refused() -> None:
    """As with `dataclasses.replace`, nothing can be added."""
    with pytest.raises(AttributeError):
        changed(Quick(name="a"), size=1)
