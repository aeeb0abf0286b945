"""Bugs in how executions with a deadline expire, and how times are met."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

MET = "tests/simulation/test_times_met.py"
EXPIRY = "tests/simulation/test_expiry.py"
ANEW = f"{EXPIRY}::test_a_new_execution_of_the_id_sees_nothing_of_the_expired_one"

OF_EXPIRY = [
    Mutation(
        name="expired-stands",
        bug="A record that has expired, and that DynamoDB hasn't removed yet, refuses a new one.",
        breaks="expiry",
        file="adapter/protocol/promises.py",
        old="is_expired(standing, new.created_at) or (",
        new="(",
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
        name="failed-leaves-the-index",
        bug="A failed root that expires leaves the index, and no list finds it.",
        breaks="finding",
        file="adapter/engine/settling.py",
        old=" and outcome.state is not State.REJECTED",
        new="",
        check=(
            "tests/simulation/command/test_finding.py"
            "::test_a_failed_execution_with_a_deadline_is_found_until_its_retention_is_over",
        ),
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
        name="child-of-an-earlier-execution",
        bug="A child doesn't replace what an earlier execution left, where the clocks of their creators differ.",
        breaks="I4",
        file="adapter/protocol/promises.py",
        old="(parent_of(new.id) and _is_earlier(standing, new))",
        new="False",
        check=(
            "tests/unit/test_promises.py::test_a_child_replaces_what_an_earlier_execution_left_whatever_the_clocks_say",
        ),
    ),
    Mutation(
        name="objects-kept-beyond-expiry",
        bug="A longer retention keeps an execution's objects until its records have expired, and nothing finds them.",
        breaks="objects",
        file="adapter/lambdas/removal.py",
        old="return last if until is None else min(until, last)",
        new="return until",
        check=(f"{EXPIRY}::test_its_objects_go_in_time_though_the_retention_was_made_longer_since",),
    ),
    Mutation(
        name="deadline-by-the-timers-entry",
        bug="A root relies for its deadline on the entry of a timer, which goes with the timer.",
        breaks="to the second",
        file="adapter/engine/suspending.py",
        old="step.waiting and not _is_timed(own, own.due_at) else",
        new="step.waiting else",
        check=(f"{MET}::test_a_deadline_outlives_a_timer_that_could_not_run",),
    ),
    Mutation(
        name="look-before-a-timer",
        bug="The entry of a look stands in place of a timer's that is due while the look is on its way.",
        breaks="to the second",
        file="adapter/protocol/timing.py",
        old="return timed if timed is not None and timed < look + SOON else look",
        new="return timed if timed is not None and timed < look else look",
        check=(f"{MET}::test_a_timer_just_after_a_look_is_met_to_the_second",),
    ),
    Mutation(
        name="timer-lost-by-a-late-look",
        bug="A look that comes late takes the entry of a timer that is due by now, and doesn't send the timer.",
        breaks="I3",
        file="adapter/lambdas/watchdog.py",
        old="    elif timed is not None:\n",
        new="    elif timed is not None and timed > now:\n",
        check=(f"{MET}::test_a_look_that_comes_late_sends_the_timer_whose_place_it_took",),
    ),
    Mutation(
        name="claimed-beyond-the-deadline",
        bug="A claim moves a root's entry beyond its deadline, and the run works on past it.",
        breaks="to the second",
        file="adapter/engine/run.py",
        old="if self.own.pending and deadline < due_at:",
        new="if False:",
        check=(f"{MET}::test_a_run_that_works_past_the_deadline_is_timed_out_all_the_same",),
    ),
    Mutation(
        name="asleep-while-it-is-out",
        bug="A root that sleeps isn't timed out while its Lambda can't run.",
        breaks="to the second",
        file="adapter/lambdas/sweeper.py",
        old="own.deadline < now + AGAIN",
        new="False",
        check=(f"{MET}::test_a_root_whose_lambda_is_out_is_timed_out_though_it_slept",),
    ),
    Mutation(
        name="follower-of-a-later-execution",
        bug="A stream record that a person sends again after weeks settles the follower of a later execution.",
        breaks="I2",
        file="adapter/lambdas/resumer.py",
        old="meant and follower.pending",
        new="follower.pending",
        check=(
            "tests/unit/resumer/test_waking.py"
            "::test_a_root_that_is_told_again_late_settles_no_later_executions_follower",
        ),
    ),
]
