"""What a deliberate bug is, and the tests that several of them are checked by."""

from __future__ import annotations

from dataclasses import dataclass

EVERY = "tests/faults/interleavings/test_interleavings.py::test_every_interleaving_ends_well"
CRASHES = (
    "tests/faults/crashes/test_every_crash_point.py"
    "::test_a_death_at_any_point_changes_no_outcome_and_leaves_nothing_open"
)
LOST = "tests/faults/crashes/test_watchdog.py::test_whichever_one_invocation_is_lost_the_outcome_is_the_same"
PROMISES = "tests/unit/test_promises.py"
RESUMER = "tests/unit/resumer"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """``old``, which occurs once in ``file``, becomes ``new``; then one of the ``check``'s tests must fail.

    ``bug``: what that is, in a sentence. ``breaks``: an invariant of the design, or a law in words.
    """

    name: str
    bug: str
    breaks: str
    file: str
    old: str
    new: str
    check: tuple[str, ...]
