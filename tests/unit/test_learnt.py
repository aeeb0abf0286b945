"""What a sandbox has learnt of functions: bounded, quick to see what is long, slow to forget it."""

from __future__ import annotations

from adapter.engine.learnt import LAST, MOST, Learnt
from adapter.protocol.times import SECOND, Span


def test_nothing_is_known_of_a_function_that_never_ran() -> None:
    """It may be a leaf, and isn't known to be short."""
    learnt = Learnt()
    assert learnt.takes("f") is None
    assert learnt.may_be_leaf("f")


def test_one_long_run_counts_at_once_and_short_ones_after_it_slowly() -> None:
    """A function that is long now and then isn't taken for a short one."""
    learnt = Learnt()
    learnt.took("f", 0)
    learnt.took("f", 8 * SECOND)
    assert learnt.takes("f") == 8 * SECOND
    learnt.took("f", 0)
    assert learnt.takes("f") == 7 * SECOND
    for _ in range(30):
        learnt.took("f", 0)
    assert (learnt.takes("f") or 0) < SECOND


def test_what_has_made_a_durable_call_is_no_leaf_whatever_it_does_then() -> None:
    """With other arguments it may make none."""
    learnt = Learnt()
    learnt.is_no_leaf("f")
    learnt.took("f", 0)
    assert not learnt.may_be_leaf("f")
    assert learnt.takes("f") is None


def test_of_too_many_functions_those_are_forgotten_that_have_not_run_for_longest() -> None:
    """The table has an end, though names of functions have none."""
    learnt = Learnt()
    learnt.took("old", 1)
    learnt.took("kept", 1)
    for number in range(MOST - 1):
        learnt.took(f"f{number}", 1)
        learnt.took("kept", 1)
    assert learnt.takes("old") is None
    assert learnt.takes("kept") == 1


def test_a_typical_call_is_the_median_of_the_last_ones() -> None:
    """One that was long by chance counts for little, and a change is seen after a few."""
    learnt = Learnt()
    assert learnt.typical("f") is None
    for span in (1, 100, 2):
        learnt.settled("f", Span(span))
    assert learnt.typical("f") == 2
    for _ in range(LAST // 2 + 1):
        learnt.settled("f", Span(50))
    assert learnt.typical("f") == 50


def test_how_long_a_call_takes_says_nothing_of_how_long_its_function_runs() -> None:
    """It may have waited in a queue; and a function with calls of its own is no leaf, however short."""
    learnt = Learnt()
    learnt.settled("f", 7 * SECOND)
    assert learnt.takes("f") is None
    assert learnt.may_be_leaf("f")
    learnt.is_no_leaf("f")
    assert learnt.typical("f") == 7 * SECOND
