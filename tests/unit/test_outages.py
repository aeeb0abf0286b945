"""When what can't run is tried again, and what stands for what; what Lambda tells of an event that it gave up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.engine.keeping import keep
from adapter.engine.operations import Hold, Now, Operation, PeekPromise, SendAt
from adapter.errors import BadMessage
from adapter.lambdas.deadletters import lambda_of, why_not_run
from adapter.protocol.messages import Cause, Look, Message, Resume, Start
from adapter.protocol.outages import FIRST, LONGEST, THROTTLED, is_kept, is_out, next_try
from adapter.protocol.promises import Firing
from adapter.protocol.records import Record, State
from adapter.protocol.times import MINUTE, SECOND

NOW = 1_767_225_600 * SECOND
OUT = Record(id="r", fn="f", target="t", created_at=1, outage="missing", outage_at=NOW - MINUTE)


@given(lasted=st.integers(0, 2**50))
def test_tries_are_apart_as_long_as_it_has_lasted(lasted: int) -> None:
    """Their distance has bounds: their number grows with the logarithm, and later with the time."""
    assert next_try(NOW - lasted, NOW) - NOW == min(max(lasted, FIRST), LONGEST)


@pytest.mark.parametrize(
    ("retry_at", "why", "kept", "kept_if_again", "out"),
    [
        (NOW + MINUTE, "missing", True, True, True),
        (NOW + 10 * SECOND, "missing", True, False, True),
        (NOW - MINUTE, "missing", True, False, True),
        (NOW - 16 * MINUTE, "missing", False, False, False),
        (NOW - 16 * MINUTE, THROTTLED, True, False, True),
        (NOW - 7 * 60 * MINUTE, THROTTLED, False, False, False),
        (NOW - MINUTE, "", False, False, False),
    ],
)
def test_a_try_stands_for_every_other_message(
    retry_at: int, why: str, kept: bool, kept_if_again: bool, out: bool
) -> None:
    """It does so while it is on its way. Until its end is known, it stands for all but itself."""
    own = Record(id="r", outage=why, outage_at=1, retry_at=retry_at)
    assert is_kept(own, NOW, again=False) is kept
    assert is_kept(own, NOW, again=True) is kept_if_again
    assert is_out(own, NOW) is out


class Places:
    """The operations that are asked for."""

    def __init__(self, own: Record | Exception | None) -> None:
        self.own = own
        self.done: list[Operation] = []

    def __call__(self, operation: Operation) -> Any:
        if isinstance(operation, Now):
            return NOW
        if isinstance(operation, PeekPromise):
            if isinstance(self.own, Exception):
                raise self.own
            return self.own
        self.done.append(operation)
        return None


@pytest.mark.parametrize(
    ("message", "again", "retry_at"),
    [
        (Start(id="r", attempt=3, crashes=1), Start(id="r", attempt=3, crashes=1), NOW + MINUTE),
        (Resume(id="r", cause=Cause.DIRECT), Resume(id="r", cause=Cause.AGAIN), NOW + MINUTE),
        (
            Resume(id="r", cause=Cause.TIMER, firing=Firing(1), crashes=2),
            Resume(id="r", cause=Cause.AGAIN, crashes=2),
            NOW + MINUTE,
        ),
        (Resume(id="r", cause=Cause.CHECK), Look(id="r"), 0),
    ],
    ids=["start", "resume", "timer", "check"],
)
def test_what_is_kept_loads_everything_and_a_check_is_judged_again(
    message: Message, again: object, retry_at: int
) -> None:
    """The sender sends it before the record says so. A check stands for nothing else."""
    places = Places(OUT)
    keep(places, "t", message, "denied")
    sent, held, _ = places.done
    assert sent == SendAt("t", again, NOW + MINUTE, upkeep=isinstance(again, Look))  # type: ignore[arg-type]
    assert held == Hold("r", "denied", NOW - MINUTE, retry_at)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (None, Start(id="r")),
        (Record(id="r", state=State.RESOLVED), Start(id="r")),
        (Record(id="r", created_at=2), Start(id="r", since=1)),
        (Record(id="r", outage="missing", retry_at=NOW + MINUTE), Start(id="r")),
    ],
    ids=["gone", "over", "another", "kept"],
)
def test_nothing_is_kept_for_nothing(own: Record | None, message: Message) -> None:
    """The promise is gone, over, another one, or kept already."""
    places = Places(own)
    keep(places, "t", message, "missing")
    assert places.done == []


def test_a_message_is_kept_though_the_table_cannot_be_asked() -> None:
    """Its Lambda's name is enough. A record that can't be read is no outage."""
    places = Places(ConnectionError("DynamoDB"))
    keep(places, "t", Start(id="r"), "ClientError")
    assert places.done == [SendAt("t", Start(id="r"), NOW + LONGEST)]
    with pytest.raises(BadMessage):
        keep(Places(BadMessage("damaged")), "t", Start(id="r"), "ClientError")


@pytest.mark.parametrize(
    ("condition", "status", "response", "why"),
    [
        ("RetriesExhausted", 200, {"errorType": "Sandbox.Timedout", "errorMessage": "x"}, None),
        ("RetriesExhausted", 200, {"errorType": "Runtime.ExitError", "errorMessage": "x"}, None),
        ("RetriesExhausted", 200, {"errorType": "Runtime.OutOfMemory", "errorMessage": "x"}, None),
        ("RetriesExhausted", 200, {"errorType": "MemoryError", "errorMessage": ""}, None),
        ("RetriesExhausted", 200, {"errorMessage": "2026-01-01 r Task timed out after 3.00 seconds"}, None),
        ("RetriesExhausted", 200, {"errorMessage": "RequestId: r Error: Runtime exited without a reason"}, None),
        ("EventAgeExceeded", 200, {"errorType": "Sandbox.Timedout", "errorMessage": "x"}, None),
        ("RetriesExhausted", 200, {"errorType": "Runtime.ImportModuleError"}, "Runtime.ImportModuleError"),
        ("RetriesExhausted", 200, {"errorType": "ClientError", "errorMessage": "secret"}, "ClientError"),
        ("RetriesExhausted", 200, {"errorType": "OtherVersion"}, "OtherVersion"),
        ("RetriesExhausted", 200, {"errorType": "x" * 500}, "x" * 80),
        ("RetriesExhausted", 404, None, "missing"),
        ("EventAgeExceeded", 429, None, "throttled"),
        ("EventAgeExceeded", None, None, "throttled"),
        ("ZeroReservedConcurrency", None, None, "reserved"),
        ("RetriesExhausted", 200, "what?", "an unknown error"),
        (7, [], {"errorType": 7, "errorMessage": 7}, "an unknown error"),
    ],
)
def test_only_the_death_of_code_that_ran_is_an_attempt(
    condition: object, status: object, response: object, why: str | None
) -> None:
    """Lambda's report tells it, and no word of an error's text does."""
    body = json.dumps(
        {
            "requestContext": {"condition": condition},
            "responseContext": {"statusCode": status},
            "responsePayload": response,
        }
    )
    assert why_not_run(body) == why


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:lambda:eu-west-1:123456789012:function:shop-charge:$LATEST", "shop-charge"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:shop-charge:live", "shop-charge:live"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:shop-charge", "shop-charge"),
        ("what?", ""),
        (None, ""),
    ],
)
def test_a_lambda_is_named_by_what_is_told_of_it(arn: object, name: str) -> None:
    """The name is one that can be invoked."""
    assert lambda_of(json.dumps({"requestContext": {"functionArn": arn}})) == name
