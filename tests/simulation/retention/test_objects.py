"""The objects of an execution go with it, and none is left without an execution."""

from __future__ import annotations

from typing import Any

import pytest

from adapter import errors
from adapter.aws.payloads import prefix_of
from adapter.testing import LocalCloud
from tests.simulation.retention.functions import DAY, LARGE, MONTH, keeping, large, large_below, leaf, left, length
from tests.support.laws import HOUR


def test_what_has_no_object_is_removed_without_a_look_into_the_bucket(kept: LocalCloud) -> None:
    """To list an empty prefix costs as much as eight writes."""
    leaf.with_options(id="small").start(1)
    kept.drive()
    kept.stats.reset()
    kept.advance(MONTH + DAY)
    assert left(kept) == []
    assert kept.stats.puts == 0


@pytest.mark.parametrize("letters", ["x", "x" * LARGE])
def test_a_root_is_marked_before_an_object_is_put(letters: str, fast: LocalCloud) -> None:
    """Objects hold the root's arguments, outcomes below it, and the arguments of a second, refused start."""
    large_below.with_options(id="big").start(letters)
    fast.drive()
    assert fast.peek("big").objects  # type: ignore[union-attr]
    length.with_options(id="small").start("x")
    with pytest.raises(errors.IdConflict):
        length.with_options(id="small").start("y" * LARGE)
    assert fast.peek("small").objects  # type: ignore[union-attr]
    fast.advance(MONTH + DAY)
    assert left(fast) == []


def test_what_is_put_for_a_start_under_way_is_not_removed(kept: LocalCloud) -> None:
    """Its record isn't created yet when the removal of the id's earlier execution comes to the objects."""
    first = large.with_options(id="big").start("x")
    assert len(first.result()) == LARGE
    kept.advance(MONTH - HOUR)
    kept._looking.sealing.seal("y" * LARGE, "big", "args")
    kept.advance(2 * HOUR)
    (key,) = left(kept)
    assert key.startswith(prefix_of("big"))


def test_an_object_that_was_put_again_by_a_second_run_is_not_left(kept: LocalCloud, monkeypatch: Any) -> None:
    """The second run ends minutes after the first, whose outcome stands. The retention is the shortest."""
    keeping(monkeypatch, kept, "1")
    first = large.with_options(id="big").start("x")
    assert len(first.result()) == LARGE
    kept.advance(600)
    kept._looking.sealing.seal(f'"{"x" * LARGE}"', "big", "value")
    assert len(left(kept)) == 2
    kept.advance(DAY + HOUR)
    assert left(kept) == []
