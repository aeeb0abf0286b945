"""Bugs in chapters, by which a run without a warm sandbox reads a long function."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

UNIT = "tests/unit/test_chapters.py"
WHOLE = "tests/simulation/test_chapters.py"

OF_CHAPTERS = [
    Mutation(
        name="pending-is-told",
        bug="A chapter tells of promises that haven't settled.",
        breaks="I1 (chapters)",
        file="adapter/protocol/chapters.py",
        old="return not (child.pending or child.fn == BLOCK_FUNCTION",
        new="return not (child.fn == BLOCK_FUNCTION",
        check=(f"{UNIT}::test_what_may_change_or_is_large_is_read_from_its_record",),
    ),
    Mutation(
        name="told-without-its-wake",
        bug="A chapter doesn't tell how a settlement was counted, so the next threshold is too low or too high.",
        breaks="I3 (chapters)",
        file="adapter/protocol/chapters.py",
        old='    "wake": lambda value: None if value is None else Wake(value),\n',
        new="",
        check=(f"{UNIT}::test_a_chapter_tells_every_field_that_a_replay_reads",),
    ),
    Mutation(
        name="gaps-left-unread",
        bug="A run reads only what is beyond the last promise that a chapter tells of.",
        breaks="I3, I4 (chapters)",
        file="adapter/protocol/chapters.py",
        old="return ranges([ordinal for ordinal in range(end) if ordinal not in told], end)",
        new="return ranges([], end)",
        check=(f"{WHOLE}::test_what_a_function_hears_is_the_same",),
    ),
    Mutation(
        name="told-by-an-earlier-execution",
        bug="A run goes by the chapters that an earlier execution of the id has left.",
        breaks="I2 (chapters)",
        file="adapter/engine/loading.py",
        old="if chapter.since == own.created_at]",
        new="]",
        check=(f"{WHOLE}::test_a_chapter_of_an_earlier_execution_is_not_heard_of",),
    ),
    Mutation(
        name="drifted-by-a-chapter",
        bug="A drift over chapters pauses the function, though its records replay.",
        breaks="I4 (chapters)",
        file="adapter/engine/run.py",
        old="if not self.loader.by_chapters:",
        new="if True:",
        check=(f"{WHOLE}::test_no_chapter_can_stop_a_function",),
    ),
    Mutation(
        name="short-functions-told",
        bug="A run looks for chapters of any function.",
        breaks="I8 (chapters)",
        file="adapter/protocol/chapters.py",
        old="return promises >= LEAST",
        new="return True",
        check=(f"{WHOLE}::test_a_short_function_is_read_and_written_as_ever",),
    ),
    Mutation(
        name="told-for-ever",
        bug="The chapters of a function stay when its promises are removed.",
        breaks="retention (chapters)",
        file="adapter/lambdas/removal.py",
        old="            yield from self._remove_chapters(below)\n",
        new="",
        check=(f"{WHOLE}::test_chapters_go_with_their_execution",),
    ),
    Mutation(
        name="told-in-plain-words",
        bug="What a chapter tells of outcomes isn't encrypted.",
        breaks="encryption (chapters)",
        file="adapter/aws/sealing.py",
        old="        if self.cipher is None:\n            return text\n        return f",
        new="        if True:\n            return text\n        return f",
        check=(f"{WHOLE}::test_nothing_shows_through_an_encrypted_chapter",),
    ),
]
