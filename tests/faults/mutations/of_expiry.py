"""Bugs in how executions with a deadline expire."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

EXPIRY = "tests/simulation/test_expiry.py"
ANEW = f"{EXPIRY}::test_a_new_execution_of_the_id_sees_nothing_of_the_expired_one"

OF_EXPIRY = [
    Mutation(
        name="expired-stands",
        bug="A record that has expired, and that DynamoDB hasn't removed yet, refuses a new one.",
        breaks="expiry",
        file="adapter/protocol/promises.py",
        old="if standing is None or is_expired(standing, new.created_at):",
        new="if standing is None:",
        check=(ANEW,),
    ),
    Mutation(
        name="expired-children",
        bug="A run reads what an earlier execution of its id left, which has expired.",
        breaks="I4",
        file="adapter/aws/partitions.py",
        old="return [child for child in children if child.expires == expires]",
        new="return children",
        check=(ANEW,),
    ),
    Mutation(
        name="children-do-not-expire",
        bug="A remote call's record doesn't expire with its execution.",
        breaks="expiry",
        file="adapter/engine/flushing.py",
        old="tags=request.tags,\n            expires=own.expires,",
        new="tags=request.tags,",
        check=(f"{EXPIRY}::test_dynamodb_removes_all_of_it_and_nothing_is_paid_for_that",),
    ),
    Mutation(
        name="runs-until-it-expires",
        bug="A run begins shortly before its children expire, one after the other.",
        breaks="I2",
        file="adapter/engine/run.py",
        old="if self.own.expires is not None and is_closing(self.own, (yield Now())):",
        new="if False:",
        check=(f"{EXPIRY}::test_no_run_begins_shortly_before_it_expires",),
    ),
    Mutation(
        name="expires-with-objects",
        bug="A root that expires leaves the index though it has objects, which DynamoDB doesn't remove.",
        breaks="objects",
        file="adapter/protocol/promises.py",
        old="if unless_objects and standing.objects:",
        new="if False:",
        check=(f"{EXPIRY}::test_a_large_value_that_comes_while_the_root_settles_is_not_missed",),
    ),
    Mutation(
        name="mark-leaves-the-index",
        bug="A mark doesn't bring a root back into the index that has left it.",
        breaks="objects",
        file="adapter/protocol/promises.py",
        old="objects=True, due_at=EPOCH if standing.due_at is None else standing.due_at)",
        new="objects=True)",
        check=(f"{EXPIRY}::test_a_large_value_after_the_end_brings_the_root_back_to_the_watchdog",),
    ),
    Mutation(
        name="unwatched-deadline",
        bug="A root isn't armed for its deadline though a claim has moved its entry in the index beyond it.",
        breaks="to the second",
        file="adapter/engine/suspending.py",
        old="return not is_far(deadline, own.created_at) or (own.due_at is not None and own.due_at <= deadline)",
        new="return True",
        check=("tests/simulation/test_deadlines.py::test_a_claim_does_not_make_a_deadline_late",),
    ),
]
