"""Bugs in where a call runs, and in what becomes of one that can't run in its caller."""

from __future__ import annotations

from tests.faults.mutations.mutation import CRASHES, EVERY, Mutation

PLACEMENT = "tests/simulation/test_placement.py"
ALIKE = "tests/simulation/test_placed_alike.py"
MEANS_THE_SAME = "placement changes no meaning"
ATTEMPTS = "test_a_call_is_tried_as_often_and_after_the_same_delays_wherever_it_begins"


def _placing(
    *, name: str, bug: str, old: str, new: str, law: str, where: str = PLACEMENT, breaks: str = MEANS_THE_SAME
) -> Mutation:
    """A bug in what decides where a call runs."""
    file, check = "adapter/engine/placing.py", (f"{where}::{law}",)
    return Mutation(name=name, bug=bug, breaks=breaks, file=file, old=old, new=new, check=check)


OF_PLACEMENT = [
    Mutation(
        name="digest-tells-the-place",
        bug="A call that is placed otherwise is another call to a replay.",
        breaks="I4",
        file="adapter/api/requests.py",
        old="digest=digest_of(Kind.CALL, definition.name, args),\n        decode",
        new='digest=digest_of(Kind.CALL, definition.name, f"{options.place}\\0{args}"),\n        decode',
        check=(f"{CRASHES}[is placed here-after]",),
    ),
    Mutation(
        name="blocks-digest-tells-the-place",
        bug="A wide map that is placed otherwise drifts.",
        breaks="I4",
        file="adapter/api/blocks.py",
        old="changed(asked, digest=alike.digest, decode=read)",
        new="changed(asked, decode=read)",
        check=(f"{ALIKE}::test_a_wide_map_goes_on_with_another_placement[inline]",),
    ),
    Mutation(
        name="inline-call-announced-as-a-step",
        bug="An inline call that leads remote ones is written as an inline step, which no Lambda runs.",
        breaks="I3",
        file="adapter/engine/flushing.py",
        old="announced = leader.kind is Kind.INLINE",
        new="announced = leader not in requests",
        check=(f"{EVERY}[placed_beside-2crash-0dup-0]",),
    ),
    _placing(
        name="deadline-kept-by-its-caller",
        bug="A call with a deadline runs in its caller, which can't end it.",
        old="if request.deadline is not None or not",
        new="if not",
        law="test_a_call_with_a_deadline_times_out_to_the_second_wherever_it_is_placed[inline]",
    ),
    _placing(
        name="auto-beside-others",
        bug="An auto call runs in its caller though something else goes on, or a timer is set.",
        old="return flush.direct and not own_lambda",
        new="return not own_lambda",
        law="test_an_auto_call_runs_here_only_if_its_caller_waits_for_it_alone",
    ),
    _placing(
        name="auto-away-from-its-lambda",
        bug="An auto call of a function with a Lambda of its own runs in its caller's.",
        breaks="a target is kept",
        old="return flush.direct and not own_lambda",
        new="return flush.direct",
        law="test_an_auto_call_of_a_function_with_another_lambda_runs_there",
    ),
    _placing(
        name="auto-however-long",
        bug="An auto call runs in its caller however long it takes.",
        breaks="only short calls are auto",
        old="and takes is not None and takes <= SHORT",
        new="and takes is not None",
        law="test_an_auto_call_runs_here_if_it_is_shorter_than_the_way_to_a_lambda[0.6-call]",
    ),
    _placing(
        name="auto-at-the-end",
        bug="An auto call begins in its caller though that has no time left.",
        breaks="no Lambda runs into its timeout",
        old="if (yield from self.is_late(self._learnt",
        new="if False and (yield from self.is_late(self._learnt",
        law="test_an_auto_call_goes_to_a_lambda_where_this_invocation_has_little_time_left",
    ),
    _placing(
        name="no-leaf-tried-each-time",
        bug="A caller doesn't remember that a function makes durable calls.",
        breaks="I9",
        old="            self._learnt.is_no_leaf(request.fn)\n",
        new="",
        law="test_a_function_that_is_no_leaf_is_tried_here_once",
    ),
    _placing(
        name="failed-inline-call-stands",
        bug="An inline call has one attempt.",
        old="return policy.delay(1, request.id) if policy.again(",
        new="return policy.delay(1, request.id) if False and policy.again(",
        law=ATTEMPTS,
        where=ALIKE,
    ),
    Mutation(
        name="moved-call-counts-from-one",
        bug="The attempt that failed in the caller isn't counted.",
        breaks="bounded retries",
        file="adapter/engine/flushing.py",
        old="Start(id=record.id, attempt=2, since=record.created_at)",
        new="Start(id=record.id, attempt=1, since=record.created_at)",
        check=(f"{ALIKE}::{ATTEMPTS}",),
    ),
    Mutation(
        name="moved-call-invoked-at-once",
        bug="A call that failed in its caller is invoked at once, beside the message for its second attempt.",
        breaks=MEANS_THE_SAME,
        file="adapter/engine/flushing.py",
        old="            self._dispatched.add(record.id)\n            execution.known.set_going(record)\n"
        "            yield SendAt(",
        new="            yield SendAt(",
        check=(f"{ALIKE}::{ATTEMPTS}",),
    ),
]
