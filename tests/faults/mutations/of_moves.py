"""Bugs in how a renamed Lambda is found."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

CONTRACT = "tests/contract/test_moves.py"
MOVES = "tests/simulation/test_moves.py"
LAWS = "tests/unit/test_moves.py"

OF_MOVES = [
    Mutation(
        name="moves-not-followed",
        bug="Whoever invokes a missing Lambda doesn't ask where it was moved.",
        breaks="a move ends an outage (moves)",
        file="adapter/aws/invoker.py",
        old="yield from self._ask(self._moves.known).way(target)",
        new="return",
        check=(f"{MOVES}::test_what_names_a_renamed_lambda_goes_on_once_it_is_moved",),
    ),
    Mutation(
        name="moved-though-it-is-there",
        bug="A Lambda that can't be invoked for another reason is taken for missing: what names it runs elsewhere.",
        breaks="a move needs a missing Lambda (moves)",
        file="adapter/aws/invoker.py",
        old="if _why(refused) != outages.MISSING:",
        new="if False:",
        check=(f"{MOVES}::test_as_long_as_there_is_the_old_lambda_a_move_changes_nothing",),
    ),
    Mutation(
        name="moves-known-for-ever",
        bug="A sandbox that has read the moves doesn't read them again.",
        breaks="a move ends an outage (moves)",
        file="adapter/aws/moves.py",
        old="return known[0] if known is not None and self._clock.now() < known[1] + FRESH else self.read()",
        new="return known[0] if known is not None else self.read()",
        check=(f"{CONTRACT}::test_the_moves_are_read_only_while_a_lambda_is_missing_and_once_in_a_minute[memory]",),
    ),
    Mutation(
        name="moves-written-over",
        bug="A move is written over what another operator wrote since it was read.",
        breaks="no lost update (moves)",
        file="adapter/aws/moves.py",
        old="if self._note.write(changed.to_text(), was):",
        new="if self._note.write(changed.to_text(), self._note.read()):",
        check=(f"{CONTRACT}::test_of_two_operators_at_once_neither_loses_a_move[memory]",),
    ),
    Mutation(
        name="moves-in-a-circle",
        bug="A move may lead back to its own beginning.",
        breaks="every way ends (moves)",
        file="adapter/protocol/moves.py",
        old="if old in (way := self.way(new)):",
        new="if old in (way := ()):",
        check=(f"{LAWS}::test_moves_have_no_circle_and_every_way_ends_where_nothing_was_moved",),
    ),
]
