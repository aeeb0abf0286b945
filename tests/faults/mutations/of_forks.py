"""Bugs in forks and retries: what is taken over, when it begins, and how it repeats history."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

FORKS = "tests/simulation/command/test_forking.py"
RETRY = f"{FORKS}::test_a_retry_keeps_what_was_settled_and_makes_the_failed_call_anew"

OF_FORKS = [
    Mutation(
        name="fork-begins-incomplete",
        bug="A fork's root isn't paused until all that it takes over is written, and the watchdog begins it.",
        breaks="forks",
        file="adapter/steering/taking_over.py",
        old="            paused=INCOMPLETE,\n",
        new="",
        check=(f"{FORKS}::test_an_incomplete_fork_stands_still_however_long",),
    ),
    Mutation(
        name="fork-forgets-its-calls",
        bug="A fork invokes its root only, and not the functions below that go on.",
        breaks="forks",
        file="adapter/steering/forking.py",
        old="calls = [one for one in taken.pending if one.kind is Kind.CALL]",
        new="calls: list[Record] = []",
        check=(f"{FORKS}::test_a_retry_goes_down_to_where_the_failure_came_from",),
    ),
    Mutation(
        name="fork-by-ordinals",
        bug="A fork ends its history by ordinals, though the code had heard of the failure by then.",
        breaks="forks",
        file="adapter/steering/taking_over.py",
        old='over = "c" in seen or (way is not None and str(way.ordinal) in seen)',
        new="over = False",
        check=(f"{FORKS}::test_what_went_on_after_its_failure_is_left_alone_unless_asked",),
    ),
    Mutation(
        name="fork-own-time",
        bug="While it repeats history, a fork tells its code its own time.",
        breaks="I4",
        file="adapter/replay/steps.py",
        old="return at if era is None else at - era.lag",
        new="return at",
        check=(RETRY,),
    ),
    Mutation(
        name="fork-own-chance",
        bug="While it repeats history, a fork draws numbers of its own.",
        breaks="I4",
        file="adapter/replay/steps.py",
        old="promise = self._promise if era is None else forks.renamed(self._promise, era.root)",
        new="promise = self._promise",
        check=(RETRY,),
    ),
    Mutation(
        name="fork-own-ids",
        bug="A call that names a promise of the old execution doesn't fit the history of its fork.",
        breaks="I4",
        file="adapter/replay/journal.py",
        old=" and not self._alike(request, stored)",
        new="",
        check=(f"{FORKS}::test_ids_that_were_handed_out_are_those_of_the_new_execution_where_it_asks_again",),
    ),
    Mutation(
        name="fork-old-clock",
        bug="A fork's timers and deadlines stand where they stood in the old execution, and are past.",
        breaks="forks",
        file="adapter/steering/taking_over.py",
        old="self._lag: Span = at - self._until",
        new="self._lag: Span = Span(0)",
        check=(RETRY, f"{FORKS}::test_a_retry_goes_down_to_where_the_failure_came_from"),
    ),
    Mutation(
        name="fork-leaves-blocks",
        bug="A block of a map is taken over without its calls, which have its outcomes.",
        breaks="forks",
        file="adapter/steering/taking_over.py",
        old="if child.fn == BLOCK_FUNCTION:",
        new="if False:",
        check=(f"{FORKS}::test_blocks_of_a_map_are_taken_over_with_their_calls",),
    ),
]
