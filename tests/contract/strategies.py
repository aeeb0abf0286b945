"""What Hypothesis draws: records, and changes of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from adapter.protocol.fields import Field
from adapter.protocol.records import FIELDS, Kind, Record, State, Wake

SETTLED = [State.RESOLVED, State.REJECTED, State.CANCELED, State.TIMEDOUT]
RUNNABLE = [State.PENDING, State.CANCELED, State.TIMEDOUT]

texts = st.text(st.characters(codec="utf-8"), max_size=8)
times = st.integers(1, 2**53)
counts = st.integers(0, 3)


@st.composite
def pending(draw: st.DrawFn, ids: Sequence[str]) -> Record:
    """A promise as it is created."""
    return Record(
        id=draw(st.sampled_from(ids)),
        kind=draw(st.sampled_from(Kind)),
        fn=draw(texts),
        target=draw(texts),
        args=draw(texts),
        digest=draw(texts),
        created_at=draw(times),
        by=draw(texts),
        wake=draw(st.none() | st.sampled_from(Wake)),
        reply_to=draw(texts),
        seen=draw(st.none() | texts),
        # Long ago, or soon, or late: what stands has often expired by the time at which another is created.
        expires=draw(st.none() | st.sampled_from([1, 2**32])),
        tags=draw(st.dictionaries(texts, texts, max_size=2)),
    )


@st.composite
def created(draw: st.DrawFn, ids: Sequence[str]) -> Record:
    """A promise as it is created: pending, or an inline step with its outcome."""
    record = draw(pending(ids))
    if draw(st.booleans()):
        return record
    state = draw(st.sampled_from([State.RESOLVED, State.REJECTED]))
    return replace(record, kind=Kind.INLINE, state=state, value=draw(texts), settled_at=draw(times))


VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: texts,
    int: counts | times,
    bool: st.booleans(),
    frozenset: st.frozensets(texts.filter(bool), max_size=2),
    Mapping: st.dictionaries(texts, texts, max_size=2),
}
"""Of the fields of a record; an enumeration's are its members."""


def any_record(ids: Sequence[str]) -> st.SearchStrategy[Record]:
    """Every field at any value that it can ever have."""
    values = {name: _values(field) for name, field in FIELDS.items()}
    return st.builds(Record, **{**values, "id": st.sampled_from(ids)})


def _values(field: Field) -> st.SearchStrategy[Any]:
    values = VALUES[field.type] if field.type in VALUES else st.sampled_from(field.type)
    return st.none() | values if field.optional else values
