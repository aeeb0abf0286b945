"""Nobody without a key makes an envelope, and nobody changes one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import BadMessage
from adapter.protocol.messages import MARK, VERSION
from adapter.protocol.signatures import MAC, NAME, OVERLAP, Key, Ring, ring
from adapter.protocol.times import DAY

OLD, NEW = Key(name="old", secret=b"o" * 32), Key(name="new", secret=b"n" * 32)
START = {MARK: VERSION, "start": "order-7", "attempt": 2, "crashes": 1}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)
envelopes = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


@given(envelope=envelopes)
def test_what_is_signed_is_known_on_the_other_side_of_the_wire(envelope: dict[str, Any]) -> None:
    """Any ring that has the key knows it, in any version of envelopes."""
    signed = json.loads(json.dumps(Ring((OLD,)).sign(envelope)))
    assert Ring((NEW, OLD)).signed(signed)
    assert not Ring((NEW,)).signed(signed)
    assert not Ring((Key(name="old", secret=b"x" * 32),)).signed(signed)


@given(envelope=envelopes, name=st.text(max_size=5) | st.sampled_from([*START, NAME]), value=json_values)
def test_what_was_changed_since_is_no_longer_signed(envelope: dict[str, Any], name: str, value: Any) -> None:
    """Each field counts: who may replay an envelope can't make it say anything else."""
    signed = Ring((OLD,)).sign({**envelope, **START})
    changed = {**signed, name: value}
    assert Ring((OLD,)).signed(changed) == (json.dumps(changed, sort_keys=True) == json.dumps(signed, sort_keys=True))
    assert not Ring((OLD,)).signed({key: one for key, one in signed.items() if key != "start"})


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "event",
    [
        {},
        START,
        {**START, NAME: "old"},
        {**START, NAME: "old", MAC: ""},
        {**START, NAME: "old", MAC: None},
        {**START, NAME: ["old"], MAC: "x"},
        {**START, NAME: "old", MAC: "\ud800"},
        {**START, NAME: "old", MAC: "x", "deep": DEEP},
        {**START, NAME: "old", MAC: "x", "large": 10**5_000},
        {**START, NAME: "old", MAC: "x", 5: 5},
        {**START, NAME: "old", MAC: "", "bytes": b""},
    ],
    ids=range(11),
)
def test_whatever_nobody_signed_is_refused(event: dict[str, Any]) -> None:
    """Its MAC refuses it, and no exception does."""
    assert not Ring((OLD,)).signed(event)


def test_a_key_is_good_for_a_while_after_it_was_replaced() -> None:
    """It is good for longer than any queue keeps a message."""
    signed = Ring((OLD,)).sign(START)
    then = Ring((OLD,)).rotated(NEW, DAY)
    assert then.sign(START)[NAME] == "new"
    assert then.signed(signed)
    third = Key(name="third", secret=b"t" * 32)
    assert then.rotated(third, DAY + OVERLAP - 1).signed(signed)
    assert not then.rotated(third, DAY + OVERLAP).signed(signed)
    assert then.rotated(third, DAY + OVERLAP).signed(then.sign(START)), "replaced only now"
    assert not Ring((OLD,)).rotated(NEW, DAY, drop=True).signed(signed)


def test_a_ring_is_read_as_it_was_written_and_shows_no_secret() -> None:
    """An error's text shows none either."""
    rotated = Ring((OLD,)).rotated(NEW, 5)
    assert ring(rotated.to_text()) == rotated
    assert "secret" not in repr(rotated)
    assert "ooo" not in repr(rotated)


@pytest.mark.parametrize("text", ["", "[]", "{}", "5", '[["a"]]', '[["a","c2hvcnQ=",0]]', '[["a",5,0]]', "[" * 100_000])
def test_a_ring_that_is_none_is_refused(text: str) -> None:
    """Otherwise an empty key would be good."""
    with pytest.raises(BadMessage, match="keys of envelopes"):
        ring(text)
