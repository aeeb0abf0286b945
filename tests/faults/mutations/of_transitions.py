"""Bugs in what a record may become, and in the conditional writes that see to it."""

from __future__ import annotations

from tests.faults.mutations.mutation import CRASHES, EVERY, PROMISES, RESUMER, Mutation

OF_TRANSITIONS = [
    Mutation(
        name="settle-twice",
        bug="A later settlement replaces the one that stands.",
        breaks="I1",
        file="adapter/protocol/promises.py",
        old="    if not standing.pending:\n        return Refused(Refusal.SETTLED, standing)\n"
        "    return replace(\n        standing,\n        state=state",
        new="    return replace(\n        standing,\n        state=state",
        check=(f"{PROMISES}::test_no_transition_changes_how_a_settled_promise_ended",),
    ),
    Mutation(
        name="settle-without-condition",
        bug="The write that settles asks only whether there is such an item.",
        breaks="I1",
        file="adapter/aws/store.py",
        old='            changes,\n            condition="#state = :pending",',
        new='            changes,\n            condition="attribute_exists(pk)",',
        check=("tests/simulation/test_promises.py::test_the_second_settlement_is_told_what_stands",),
    ),
    Mutation(
        name="create-over-what-stands",
        bug="Creating a promise replaces the record that has its id.",
        breaks="I1, I4",
        file="adapter/protocol/promises.py",
        old="return new if standing is None else Refused(Refusal.MOVED, standing)",
        new="return new",
        check=(f"{EVERY}[sequence-1crash-1dup-all]",),
    ),
    Mutation(
        name="arm-without-arrivals",
        bug="A function suspends though a settlement was counted since it loaded.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="_has_arrived(standing, arming) or standing.state",
        new="standing.state",
        check=(f"{EVERY}[gather-0crash-0dup-all]",),
    ),
    Mutation(
        name="arm-over-a-rejection",
        bug="A function that one rejection is to wake suspends though something was counted since it loaded.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="if arming.on_reject and standing.arrivals != arming.arrivals:",
        new="if False:",
        check=(f"{PROMISES}::test_an_arming_from_what_no_longer_stands_is_refused",),
    ),
    Mutation(
        name="arm-at-the-threshold",
        bug="A function suspends though the arrivals that it waits for have been counted.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="standing.arrivals + arming.made_up >= arming.threshold",
        new="standing.arrivals + arming.made_up > arming.threshold",
        check=(f"{EVERY}[outcomes-0crash-0dup-all]",),
    ),
    Mutation(
        name="made-up-to-the-threshold",
        bug="What an arming counts itself reaches the threshold, and nobody hears of it.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="arming.threshold is not None and standing.arrivals + arming.made_up",
        new="arming.threshold is not None and standing.arrivals",
        check=(f"{PROMISES}::test_an_arming_from_what_no_longer_stands_is_refused",),
    ),
    Mutation(
        name="arm-without-epoch",
        bug="A run suspends the function over another run that took over.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="if standing.epoch != arming.epoch:",
        new="if False:",
        check=(f"{PROMISES}::test_an_arming_from_what_no_longer_stands_is_refused",),
    ),
    Mutation(
        name="arm-without-state",
        bug="A function suspends though it was cancelled since it loaded.",
        breaks="I3 (cancellation)",
        file="adapter/protocol/promises.py",
        old=" or standing.state is not arming.state:",
        new=":",
        check=(f"{PROMISES}::test_an_arming_from_what_no_longer_stands_is_refused",),
    ),
    Mutation(
        name="arming-keeps-the-epoch",
        bug="Arming doesn't move the epoch, so two runs that loaded alike both arm.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="        epoch=standing.epoch + 1,\n        arrivals=standing.arrivals + arming.made_up,",
        new="        epoch=standing.epoch,\n        arrivals=standing.arrivals + arming.made_up,",
        check=("tests/contract/test_laws.py::test_of_two_runs_that_loaded_the_same_epoch_at_most_one_arms[memory]",),
    ),
    Mutation(
        name="threshold-one-too-high",
        bug="A function waits for one settlement more than it needs.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="return max(consumed, arrivals) + need",
        new="return max(consumed, arrivals) + need + 1",
        check=(f"{EVERY}[gather-0crash-0dup-all]",),
    ),
    Mutation(
        name="wake-only-at-the-threshold",
        bug="A count that has gone past the threshold wakes nobody.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="return parent.arrivals >= parent.threshold or",
        new="return parent.arrivals == parent.threshold or",
        check=(f"{CRASHES}[calls-after]",),
    ),
    Mutation(
        name="arrivals-counted-only-if-armed",
        bug="A settlement that comes while the parent runs isn't counted.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="    return replace(standing, arrivals=standing.arrivals + count)",
        new="    counted = standing.arrivals + (count if standing.threshold is not None else 0)\n"
        "    return replace(standing, arrivals=counted)",
        check=(f"{EVERY}[gather-0crash-0dup-all]",),
    ),
    Mutation(
        name="claim-without-firing",
        bug="A firing of a timer that isn't armed any more takes over.",
        breaks="I5",
        file="adapter/protocol/promises.py",
        old="standing.wake_at != firing.at and standing.epoch > firing.epoch",
        new="False",
        check=(f"{PROMISES}::test_a_firing_claims_what_is_armed_for_it_or_about_to_be",),
    ),
    Mutation(
        name="claim-leaves-the-threshold",
        bug="A claim leaves the threshold, so each further settlement wakes the function while it runs.",
        breaks="I8",
        file="adapter/protocol/promises.py",
        old="return replace(standing, epoch=epoch, threshold=None, expects=None",
        new="return replace(standing, epoch=epoch, expects=None",
        check=(f"{PROMISES}::test_a_claim_takes_what_an_arming_set",),
    ),
    Mutation(
        name="register-with-what-has-settled",
        bug="A follower registers with a root that has settled, and is told nothing.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="        return Refused(Refusal.SETTLED, standing)\n    if awaiter not in",
        new="        pass\n    if awaiter not in",
        check=(f"{EVERY}[shared-0crash-0dup-all]",),
    ),
    Mutation(
        name="followers-without-bound",
        bug="A root takes followers until its item is full, and can't settle any more.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="len(standing.awaiters) >= most_awaiters(awaiter):",
        new="False:",
        check=(
            "tests/contract/test_laws.py::test_a_root_takes_only_so_many_followers_and_settles_all_the_same[memory]",
        ),
    ),
    Mutation(
        name="postpone-whatever-stands",
        bug="The watchdog moves its next look over an entry that a run has set meanwhile.",
        breaks="I3",
        file="adapter/protocol/promises.py",
        old="    if standing.due_at != was:",
        new="    if False:",
        check=("tests/contract/test_due.py::test_a_look_moves_only_the_entry_that_was_looked_at[memory]",),
    ),
    Mutation(
        name="later-versions-overwritten",
        bug="Items of a version that this code doesn't read are updated by it.",
        breaks="I6",
        file="adapter/aws/store.py",
        old="condition = f\"{condition} AND #v IN ({', '.join(readable)})\"",
        new='condition = f"{condition}"',
        check=("tests/contract/test_robustness.py::test_an_item_of_another_version_is_not_written_to[moto-settle]",),
    ),
    Mutation(
        name="object-after-its-item",
        bug="The item that names an object is written, and the object after it.",
        breaks="object before item",
        file="adapter/aws/sealed.py",
        old="""sealed = self._seal(value, promise, "value", self._marks.mark)
        if sealed is None:
            return _REMOVED
        written = self.inner.settle(promise, state, sealed, at, due_at, by_parent)""",
        new="""later: list[tuple[str, str]] = []
        bucket = type("Later", (), {"put": lambda self, *what: later.append(what)})()
        sealing = replace(self.sealing, payloads=self.sealing.payloads and bucket)
        sealed = sealing.seal(value, promise, "value", self._marks.mark)
        written = self.inner.settle(promise, state, sealed, at, due_at, by_parent)
        for key, text in later:
            self.sealing.payloads.put(key, text)""",
        check=("tests/contract/test_payloads.py::test_an_object_is_there_before_any_item_names_it",),
    ),
    Mutation(
        name="other-versions-acknowledged",
        bug="The resumer acknowledges a stream record of a version that it can't read.",
        breaks="I3",
        file="adapter/lambdas/resumer.py",
        old="if raw and not (isinstance(version, str) and is_readable(version)):",
        new="if False:",
        check=(
            f"{RESUMER}/test_failing_records.py::test_a_record_of_another_version_comes_again_and_others_are_handled",
        ),
    ),
]
