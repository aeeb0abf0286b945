"""The keys that sign envelopes, in the table and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from adapter.aws.keys import FRESH, PARTITION, Signatures
from adapter.aws.notes import Note
from adapter.errors import UnsignedEnvelope
from adapter.protocol.messages import MARK, VERSION
from adapter.protocol.signatures import NAME
from adapter.testing import LocalCloud

START = {MARK: VERSION, "start": "order-7"}


@dataclass
class Time:
    """A clock that a test sets."""

    at: int = 0

    def now(self) -> int:
        return self.at


@dataclass
class Counted:
    """Keys, and how often they were read and written."""

    keys: Note
    calls: list[str] = field(default_factory=list)

    def read(self) -> str | None:
        self.calls.append("read")
        return self.keys.read()

    def write(self, text: str, was: str | None) -> bool:
        self.calls.append("write")
        return self.keys.write(text, was)


@pytest.fixture(params=["memory", "moto"])
def keys(request: pytest.FixtureRequest) -> Iterator[Counted]:
    with LocalCloud(engine=request.param) as cloud:
        yield Counted(cloud._world.note(PARTITION))
        assert cloud.records() == [], "they are no promise"


def test_whoever_first_signs_makes_the_key_and_all_find_it(keys: Counted) -> None:
    """A sandbox that makes a key at the same time finds the other's: the first write stands."""
    first, second, third = (Signatures(keys, Time(1)) for _ in range(3))
    signed = first.sign(START)
    second.check(signed)
    assert keys.write("another", None) is False
    third.check(second.sign(START))
    first.check(third.sign(START))


def test_a_sandbox_reads_the_keys_once_in_an_hour(keys: Counted) -> None:
    """It signs and checks a hundred envelopes meanwhile."""
    time = Time(1)
    one, other = Signatures(keys, time), Signatures(keys, time)
    signed = other.sign(START)
    keys.calls.clear()
    for _ in range(100):
        one.check(signed)
        one.sign(START)
    assert keys.calls == ["read"]
    time.at += FRESH
    one.sign(START)
    assert keys.calls == ["read", "read"]


def test_without_a_key_nothing_is_signed_and_none_is_made_for_a_stranger(keys: Counted) -> None:
    """The first event to be checked may be an outsider's."""
    with pytest.raises(UnsignedEnvelope, match="lambda-await"):
        Signatures(keys, Time()).check(START)
    assert keys.calls == ["read"]


def test_a_replaced_key_is_good_and_the_new_one_is_found_by_those_who_meet_it(keys: Counted) -> None:
    """A sandbox that read before goes on with what it knows, for an hour at most."""
    time = Time(1)
    old, new = Signatures(keys, time), Signatures(keys, time)
    before = old.sign(START)
    new.rotate()
    after = new.sign(START)
    assert after[NAME] != before[NAME]
    old.check(after)
    new.check(before)
    assert old.sign(START)[NAME] == after[NAME], "it has read them since"
    new.rotate(drop=True)
    third = new.sign(START)
    old.check(third)
    for dropped in (before, after):
        with pytest.raises(UnsignedEnvelope):
            old.check(dropped)


def test_keys_that_were_replaced_meanwhile_are_not_written_over(keys: Counted) -> None:
    """Two operators rotate at once: both keys are in the ring."""
    one = Signatures(keys, Time(1))
    one.sign(START)
    was = keys.read()
    assert was is not None
    Signatures(keys, Time(2)).rotate()
    assert keys.write("stale", was) is False
