"""Bugs in what an event starts."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

EVENTS = "tests/simulation/test_events.py"

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
        old='(_text(record, "messageId"),), record.get("body"), ',
        new='(_text(record, "messageId"),), record, ',
        check=(f"{EVENTS}::test_each_message_of_a_batch_starts_its_own_root",),
    ),
]
