"""Envelopes round-trip; what this version can't read is refused, by name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import BadMessage
from adapter.protocol.ids import child_id
from adapter.protocol.messages import (
    MARK,
    VERSION,
    Cause,
    Look,
    Resume,
    Settlement,
    Start,
    Timed,
    is_envelope,
    parse,
    parse_timed,
    to_event,
)
from adapter.protocol.promises import Firing
from adapter.protocol.records import State

ids = st.from_regex(r"[^~]{1,20}(~(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){0,3})?", fullmatch=True)

whole = st.integers(-(2**62), 2**62)
counts = st.integers(0, 2**62)
messages = st.one_of(
    st.builds(Start, id=ids, attempt=st.integers(1, 2**62), crashes=counts, since=counts),
    st.builds(
        Resume,
        id=ids,
        cause=st.sampled_from(Cause),
        firing=st.none() | st.builds(Firing, whole, whole),
        crashes=counts,
        since=counts,
        looked_at=counts,
        called_at=counts,
        armed=st.none() | counts,
    ),
    st.builds(Look, id=ids),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(scalars, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=5)
keys = st.sampled_from(
    [MARK, "start", "resume", "look", "attempt", "crashes", "at", "epoch", "cause", "looked_at", "called_at", "armed"]
)

START: dict[str, Any] = {MARK: VERSION, "start": "r", "attempt": 2, "crashes": 1}
RESUME: dict[str, Any] = {MARK: VERSION, "resume": "r", "cause": "direct"}


@given(message=messages)
def test_a_message_survives_its_envelope(message: Timed) -> None:
    """Lambda carries it as JSON."""
    event = json.loads(json.dumps(to_event(message)))
    assert is_envelope(event)
    assert parse_timed(event) == message


@given(event=st.dictionaries(keys | st.text(max_size=3), values))
def test_garbage_is_read_or_refused_and_nothing_else(event: dict[str, Any]) -> None:
    """Any content gives a message, or BadMessage."""
    with suppress(BadMessage):
        assert isinstance(parse({MARK: VERSION, **event}), (Start, Resume))


@given(version=values.filter(lambda value: value != VERSION))
def test_another_version_is_refused_by_name(version: object) -> None:
    """This code never guesses at it, however well the rest reads."""
    with pytest.raises(BadMessage, match=f"version {VERSION}"):
        parse({**START, MARK: version})


@pytest.mark.parametrize("event", [START, RESUME], ids=["start", "resume"])
def test_an_envelope_without_a_version_is_refused(event: dict[str, Any]) -> None:
    """The mark is the version."""
    with pytest.raises(BadMessage):
        parse({key: value for key, value in event.items() if key != MARK})


@pytest.mark.parametrize("key", ["start", "attempt", "crashes"])
@pytest.mark.parametrize("value", [None, [], {}, 1.5, True, b"x"], ids=repr)
def test_a_wrong_type_is_refused_by_the_name_of_its_key(key: str, value: object) -> None:
    """A boolean isn't a number here."""
    with pytest.raises(BadMessage, match=repr(key)):
        parse({**START, key: value})


def test_what_is_for_the_engine_alone_is_refused_by_a_function() -> None:
    """A deadline is enforced without the user's code."""
    with pytest.raises(BadMessage, match="engine's own"):
        parse(to_event(Look(id="r")))


@pytest.mark.parametrize("event", [{"cause": "direct"}, {"resume": "r"}, {"resume": 1, "cause": "direct"}, {}])
def test_an_incomplete_resumption_is_refused(event: dict[str, Any]) -> None:
    """It needs both a promise and a cause."""
    with pytest.raises(BadMessage):
        parse({MARK: VERSION, **event})


def test_an_unknown_cause_is_refused_by_name() -> None:
    """It may be a later version's."""
    with pytest.raises(BadMessage, match="'boredom'"):
        parse({**RESUME, "cause": "boredom"})


@pytest.mark.parametrize("event", [None, "text", 1, [], [MARK], {}, {"start": "r"}], ids=repr)
def test_other_events_are_no_envelopes(event: object) -> None:
    """They start executions of their own."""
    assert not is_envelope(event)


def test_only_functions_that_were_armed_are_claimed() -> None:
    """A count or a timer wakes by the record; the others need no write."""
    assert {cause for cause in Cause if cause.claims} == {Cause.COUNTED, Cause.TIMER}


def test_a_settlement_knows_its_parent() -> None:
    """A root has none."""

    def settlement(promise: str) -> Settlement:
        return Settlement(
            id=promise,
            kind="call",
            target="",
            rejected=False,
            canceled=False,
            wake=None,
            reply_to="",
            state=State.RESOLVED,
        )

    assert settlement("r").parent is None
    assert settlement(child_id("r~3", 1)).parent == "r~3"
