"""Bugs in what becomes due: messages, sweeps, removals among them, and schedules."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

RETENTION = "tests/simulation/retention"

OF_TIMERS = [
    Mutation(
        name="far-messages-delivered-early",
        bug="What is due later than a message can be delayed is delivered when its first hop ends.",
        breaks="not earlier than asked",
        file="adapter/lambdas/sweeper.py",
        old="    if late or at > host.ports.clock.now() + SECOND:",
        new="    if late:",
        check=("tests/simulation/test_retries.py::test_a_long_delay_needs_no_lambda",),
    ),
    Mutation(
        name="sweeps-overlap",
        bug="Two sweeps send the same entry.",
        breaks="I8",
        file="adapter/protocol/timing.py",
        old="return ahead == 1 or",
        new="return ahead in (0, 1) or",
        check=("tests/unit/test_timers.py::test_an_entry_is_sent_once_before_it_is_due",),
    ),
    Mutation(
        name="removals-among-timers",
        bug="Removals wait in one queue with what somebody waits for to the second.",
        breaks="to the second",
        file="adapter/protocol/timing.py",
        old="        return self.over or self.at not in (self.wake_at, self.deadline)",
        new="        return False",
        check=("tests/simulation/test_timers.py::test_a_removal_that_dies_delays_no_sleeper",),
    ),
    Mutation(
        name="deadlines-among-removals",
        bug="A root's deadline waits in one queue with looks and removals.",
        breaks="to the second",
        file="adapter/protocol/timing.py",
        old="        return self.over or self.at not in (self.wake_at, self.deadline)",
        new="        return self.over or self.at != self.wake_at",
        check=("tests/simulation/test_timers.py::test_a_removal_that_dies_delays_no_deadline",),
    ),
    Mutation(
        name="no-time-for-a-batch",
        bug="The Lambda of upkeep begins another removal, however little time is left for it.",
        breaks="removal comes to an end",
        file="adapter/lambdas/sweeper.py",
        old="    if late or at > ",
        new="    if at > ",
        check=(f"{RETENTION}/test_removals.py::test_what_a_slow_removal_leaves_no_time_for_is_sent_on",),
    ),
    Mutation(
        name="half-a-batch",
        bug="Messages of a batch that SQS didn't take are forgotten.",
        breaks="I3 (in time)",
        file="adapter/aws/timers.py",
        old='            left = [entry for entry in left if entry["Id"] in failed]',
        new="            left = []",
        check=("tests/unit/test_sqs_timers.py::test_what_a_batch_leaves_is_sent_again_at_once",),
    ),
    Mutation(
        name="overdue-not-sent-again",
        bug="An entry whose message was lost is never sent again.",
        breaks="I3",
        file="adapter/protocol/timing.py",
        old="return ahead == 1 or _is_due_again(-ahead - 1)",
        new="return ahead == 1",
        check=("tests/unit/test_timers.py::test_an_overdue_entry_is_sent_again_soon_and_then_now_and_then",),
    ),
    Mutation(
        name="schedule-moves-on-first",
        bug="A schedule moves on to its next occurrence before this one has begun.",
        breaks="each occurrence once",
        file="adapter/lambdas/occurrences.py",
        old="    _, stands = yield from start_root(root)\n",
        new="    moved = Arming(epoch=record.epoch, arrivals=0, wake_at=following, sent=True, due_at=following)\n"
        "    yield Arm(promise, moved)\n"
        "    _, stands = yield from start_root(root)\n",
        check=("tests/simulation/test_schedules.py::test_a_death_at_an_occurrence_starts_it_once[Create-before]",),
    ),
]
