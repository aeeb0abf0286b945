"""Anything that a queue, a stream or another Lambda brings is read as a message of ours, or refused by an error of
ours.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws.store import to_item
from adapter.engine.events import submissions
from adapter.errors import BadMessage
from adapter.lambdas import deadletters, resumer, sweeper
from adapter.lambdas.aside import Held, packed
from adapter.protocol.ids import EVENT, event_id, is_id
from adapter.protocol.messages import (
    MARK,
    VERSION,
    Cause,
    Look,
    Occur,
    Resume,
    Start,
    parse,
    parse_timed,
    to_event,
)
from adapter.protocol.promises import Firing
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.signatures import Key, Ring
from tests.faults.fuzz import entries, laws
from tests.faults.fuzz.strategies import anything, deep, jsons, mutated, quick, swollen
from tests.support.envelopes import trusted

ENVELOPES = [
    to_event(Start(id="order-7~0.2", attempt=2, crashes=1)),
    to_event(Resume(id="order-7", cause=Cause.TIMER, firing=Firing(1_767_225_600_000_000, 3), crashes=2)),
    to_event(Look(id="order-7")),
    to_event(Occur(id="schedule:nightly", at=1_767_225_600_000_000)),
]
TIMED = [{"at": 1_767_225_600_000_000, "target": "shop", "message": envelope} for envelope in ENVELOPES]
DEAD = [
    {"requestContext": {"requestId": "1", "condition": "RetriesExhausted"}, "requestPayload": one} for one in ENVELOPES
]


def settled(**more: Any) -> dict[str, Any]:
    record = Record(id="order-7~0", fn="f", target="shop", state=State.CANCELED, reply_to="shop", settled_at=5, **more)
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": to_item(record)}}


CHANGES = [settled(wake=Wake.DIRECT), settled(wake=Wake.COUNTED), settled(awaiters=frozenset({"other~3"}))]


@quick
@given(event=mutated(ENVELOPES) | mutated(ENVELOPES, deep) | anything)
def test_an_envelope_is_read_or_refused(event: Any) -> None:
    """What is read says the same when it is written again."""
    laws.envelope(swollen(event))


FORGED = [Ring((Key(name="key", secret=b"o" * 32),)).sign(one) for one in ENVELOPES]


@quick
@given(event=mutated(FORGED) | mutated(FORGED, deep) | anything)
def test_whoever_has_no_key_signs_nothing(event: Any) -> None:
    """The event may say anything, at any depth."""
    laws.forged(swollen(event))


@quick
@given(body=jsons(TIMED))
def test_a_body_of_the_timers_queue_is_read_or_refused(body: str) -> None:
    """What is read is due at a time that will come."""
    laws.timer(swollen(body))


@quick
@given(body=jsons(DEAD))
def test_a_dead_letter_is_read_or_refused(body: str) -> None:
    """The engine would try a wrong count for ever, or at a time that is none."""
    laws.dead_letter(swollen(body))


@quick
@given(change=mutated(CHANGES).filter(lambda change: isinstance(change, dict)))
def test_a_change_of_the_stream_is_read_or_refused(change: dict[str, Any]) -> None:
    """A change that is read names only promises, and the Lambda that it wakes can be invoked."""
    laws.change(swollen(change))


@quick
@given(event=mutated([{"source": "aws.events", "time": "2026-01-01T00:00:00Z"}]) | anything)
def test_an_event_of_the_sweeper_has_a_minute_or_is_refused(event: Any) -> None:
    """A time without a zone would be another one on another machine."""
    laws.minute(swollen(event))


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", 5, None])
def test_a_time_without_a_zone_is_no_time_of_a_sweep(time: Any) -> None:
    """The first one raised OverflowError."""
    if time == "0001-01-01T00:00:00+23:59":
        assert sweeper._minute({"time": time}) < 0
        return
    with pytest.raises(BadMessage):
        sweeper._minute({"time": time})


BATCHES = [
    {"Records": [{"messageId": "1", "body": json.dumps(TIMED[1])}, {"messageId": "2", "body": json.dumps(DEAD[0])}]},
    {"Records": CHANGES},
    {"Records": [{"messageId": "1", "body": packed(Held(record=CHANGES[0], tries=1, since=1, why="?"))}]},
]


@quick
@given(which=st.sampled_from(range(4)), event=mutated(BATCHES) | anything)
def test_each_record_of_a_batch_is_handled_or_reported_alone(which: int, event: Any) -> None:
    """Its error is one of ours, and the log tells it."""
    entries.batch(which, swollen(event))


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize(
    "record", [{}, {"messageId": "1", "dynamodb": {"SequenceNumber": 1}}, {"body": "{}", "dynamodb": []}]
)
def test_a_record_that_cannot_be_reported_fails_its_batch_by_name(which: int, record: dict[str, Any]) -> None:
    """A message without an id raised KeyError, an event without any UnexpectedBatchTypeError."""
    with pytest.raises(BadMessage, match="numbers and contents"):
        entries.entered(entries.Nobody(), which, {"Records": [record]})
    with pytest.raises(BadMessage, match="a list of Records"):
        entries.entered(entries.Nobody(), which, {"Records": []})


def test_what_is_wrong_with_a_time_is_told_in_short() -> None:
    """Once the error had the whole event again."""
    with pytest.raises(BadMessage) as refused:
        sweeper._minute({"time": "x" * 100_000})
    assert len(str(refused.value)) < 500


EVENTS = [
    {"headers": {"Idempotency-Key": "key"}, "body": "{}"},
    {"Records": [{"messageId": "1"}, {"messageId": "2"}]},
    {"detail-type": "order", "id": "1", "detail": {}},
    {"Records": [{"eventSource": "aws:kinesis", "eventID": "1", "kinesis": {"sequenceNumber": "7", "data": "e30="}}]},
    {"Records": [{"eventSource": "aws:dynamodb", "eventID": "1", "dynamodb": {"SequenceNumber": "7", "Keys": {}}}]},
    {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "1", "Message": "m"}}]},
    {
        "Records": [
            {"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "sequencer": "0A"}}}
        ]
    },
    {"requestContext": {"http": {"method": "POST"}}, "headers": {}, "multiValueHeaders": {"Idempotency-Key": ["key"]}},
]


@quick
@given(event=mutated(EVENTS) | mutated(EVENTS, deep) | anything)
def test_every_event_identifies_a_root_with_an_id_that_can_be_one(event: Any) -> None:
    """The sender chooses the key: a lone surrogate raised UnicodeEncodeError."""
    laws.identity(swollen(event))


@pytest.mark.parametrize("key", ["schedule:nightly", "a~0", "\ud800", "x" * 300, "\u202eabc", "\0", " "])
def test_no_idempotency_key_is_read_as_another_kind_of_id(key: str) -> None:
    """A root in a schedule's name was swept as a schedule."""
    (submission,) = submissions({"headers": {"idempotency-key": key}}, "request-1")
    assert submission.root("f").startswith(f"{EVENT}f:http:")
    assert is_id(submission.root("f"))


parts = st.text(alphabet=":,#%~a\ud800é", max_size=4) | st.just("x" * 300)


@quick
@given(one=st.tuples(parts, parts, parts), other=st.tuples(parts, parts, parts))
def test_another_function_or_identity_is_another_root(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """A sender can write the signs that separate the parts of an id, too."""
    same = event_id(one[0], "sqs", *one[1:]) == event_id(other[0], "sqs", *other[1:])
    assert same == (one == other)
    assert event_id(one[0], "sqs", *one[1:]) != event_id(other[0], "http", *other[1:])


@pytest.mark.parametrize(
    "event",
    [
        {MARK: True, "start": "r"},
        {MARK: 1.0, "start": "r"},
        {MARK: VERSION, "start": "r", "crashes": -5},
        {MARK: VERSION, "start": "r", "attempt": 0},
        {MARK: VERSION, "start": "r", "attempt": 10**4_000},
        {MARK: 10**5_000, "start": "r"},
        {MARK: VERSION, "resume": "r", "cause": "timer", "at": 2**63},
        {MARK: VERSION, "start": "r~" + "9" * 40},
        {MARK: VERSION, "start": "\ud800"},
        {MARK: VERSION, "start": "ä" * 1_500},
    ],
    ids=range(10),
)
def test_what_no_version_ever_wrote_is_refused(event: dict[str, Any]) -> None:
    """Once this code read each of these, and failed later: in the table, in a sum, or never."""
    with pytest.raises(BadMessage):
        parse(event)


@pytest.mark.parametrize("at", [True, -1, 1.5, 10**18, 10**300, None])
def test_a_timer_beyond_all_calendars_is_refused(at: Any) -> None:
    """Once the Lambda of timers sent it again every 15 minutes, for ever."""
    with pytest.raises(BadMessage):
        sweeper.read(json.dumps({**TIMED[0], "at": at}), trusted)


@pytest.mark.parametrize("reader", [sweeper.read, deadletters.read])
@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000])
def test_a_body_deeper_than_any_stack_is_refused(reader: Any, body: str) -> None:
    """Once it raised a RecursionError."""
    with pytest.raises(BadMessage):
        reader(body, trusted)


def test_a_change_without_a_lambda_to_wake_is_refused() -> None:
    """Once the resumer invoked it all the same, under an empty name."""
    change = settled(wake=Wake.DIRECT)
    del change["dynamodb"]["NewImage"]["reply_to"]
    with pytest.raises(BadMessage, match="order-7~0"):
        resumer.settlement(change)


def test_the_changes_that_are_mutated_here_are_valid_themselves() -> None:
    """Otherwise every law of this file would hold in vain."""
    assert all(resumer.settlement(change).id == "order-7~0" for change in CHANGES)
    assert [parse_timed(one).id for one in ENVELOPES] == ["order-7~0.2", "order-7", "order-7", "schedule:nightly"]
    assert [sweeper.read(json.dumps(one), trusted)[0] for one in TIMED] == ["shop"] * 4
    assert [deadletters.read(json.dumps(one), trusted) is None for one in DEAD] == [False, False, True, True]
