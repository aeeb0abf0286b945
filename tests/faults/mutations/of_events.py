"""Bugs in what an event starts, and in who may speak as the engine does."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

EVENTS = "tests/simulation/test_events.py"
OUTSIDERS = "tests/simulation/test_outsiders.py"
SIGNATURES = "tests/unit/test_signatures.py"

OF_EVENTS = [
    Mutation(
        name="conflict-in-silence",
        bug="An event whose identity has begun with other content is taken for the one that began.",
        breaks="I6 (events)",
        file="adapter/engine/host.py",
        old="if stands.digest == record.digest:\n                return",
        new="if stands:\n                return",
        check=(f"{EVENTS}::test_another_request_under_the_same_key_is_refused",),
    ),
    Mutation(
        name="event-of-any-function",
        bug="An event that goes to two functions starts one of them.",
        breaks="each event starts (events)",
        file="adapter/engine/events.py",
        old="return event_id(fn, self.source",
        new='return event_id("", self.source',
        check=(f"{EVENTS}::test_one_event_that_goes_to_two_functions_starts_both",),
    ),
    Mutation(
        name="batch-by-request",
        bug="A root of a batch is known by the request that created it; a batch comes again under another one.",
        breaks="I3 (events)",
        file="adapter/engine/events.py",
        old="return self.source.value if self.source.is_polled else request_id",
        new="return request_id",
        check=(f"{EVENTS}::test_who_dies_with_a_batch_is_made_good_when_the_batch_comes_again[after]",),
    ),
    Mutation(
        name="delivery-compared",
        bug="What differs by delivery is compared: a message that comes again is taken for another one.",
        breaks="I6 (events)",
        file="adapter/engine/events.py",
        old='record, (name,), record.get("body"), ',
        new="record, (name,), record, ",
        check=(f"{EVENTS}::test_each_message_of_a_batch_starts_its_own_root",),
    ),
    Mutation(
        name="envelope-unchecked",
        bug="Whatever looks like an envelope is done.",
        breaks="who may speak (envelopes)",
        file="adapter/engine/host.py",
        old="            self.ports.check(event)\n",
        new="",
        check=(f"{OUTSIDERS}::test_an_event_that_looks_like_an_envelope_does_nothing[0]",),
    ),
    Mutation(
        name="queue-signs-for-others",
        bug="A message of the timers' queue is signed on its way, though it came unsigned.",
        breaks="who may speak (envelopes)",
        file="adapter/lambdas/sweeper.py",
        old='        check(data["message"])\n',
        new="",
        check=(f"{OUTSIDERS}::test_a_queues_message_that_nobody_signed_does_nothing[Timers]",),
    ),
    Mutation(
        name="dead-letter-unchecked",
        bug="A dead letter that nobody signed gives up a function.",
        breaks="who may speak (envelopes)",
        file="adapter/lambdas/deadletters.py",
        old="        check(payload)\n",
        new="",
        check=(f"{OUTSIDERS}::test_a_queues_message_that_nobody_signed_does_nothing[DeadLetters]",),
    ),
    Mutation(
        name="mac-over-the-name",
        bug="The MAC is over the key's name alone: an envelope can be changed.",
        breaks="who may speak (envelopes)",
        file="adapter/protocol/signatures.py",
        old="text = _ENCODER.encode(covered)",
        new="text = _ENCODER.encode(envelope.get(NAME))",
        check=(f"{OUTSIDERS}::test_a_changed_envelope_is_not_ours",),
    ),
    Mutation(
        name="replaced-keys-are-dropped",
        bug="A key is no longer good once another one signs.",
        breaks="I3 (envelopes)",
        file="adapter/protocol/signatures.py",
        old="if not drop and now < key.replaced_at + OVERLAP))",
        new="if False))",
        check=(f"{SIGNATURES}::test_a_key_is_good_for_a_while_after_it_was_replaced",),
    ),
    Mutation(
        name="dead-letter-of-whatever-has-the-id",
        bug="A dead letter of an execution that is gone counts against a later one of its id.",
        breaks="bounded retries (envelopes)",
        file="adapter/engine/keeping.py",
        old="return own.runnable and messages.is_meant(own, message.since, _called_at(message))",
        new="return own.runnable",
        check=(f"{OUTSIDERS}::test_a_dead_letter_of_an_execution_that_is_gone_reaches_no_later_one",),
    ),
]
