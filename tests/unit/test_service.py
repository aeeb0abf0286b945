"""Lambda's asynchronous invocations: repeated twice, until an event is too old; then its destination gets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapter.protocol.times import SECOND
from adapter.templates.template import default_template, load
from adapter.testing.faults import Dice, Faults, Killed, KilledForTime
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.simulated_aws.outages import InvokeRefused, Outage
from adapter.testing.simulated_aws.service import Service

ENVELOPE = json.dumps({"lambda-await": 1, "start": "r"})


class Surroundings:
    """A clock that is moved by hand, and functions that die."""

    def __init__(self, dies: Callable[[], bool]) -> None:
        self.now = 0
        self.attempts: list[tuple[int, int]] = []
        self.sent: list[tuple[str, Any]] = []
        self.death: BaseException = Killed()
        self._dies = dies

    def clock(self) -> int:
        return self.now

    def happened(self, what: str, detail: dict[str, Any]) -> None:
        pass

    def attempt(self, function: Function, invocation: Invocation) -> None:
        self.attempts.append((self.now // SECOND, invocation.attempt))
        if self._dies():
            raise self.death

    def send(self, queue: str, body: str) -> None:
        self.sent.append((queue, json.loads(body)))


def drive(service: Service, around: Surroundings) -> None:
    while True:
        while service.ready:
            service.invoke(service.take())
        at = service.next_at()
        if at is None:
            return
        around.now = at
        service.pass_time()


def made(max_age_s: int = 21_600, dies: Callable[[], bool] = lambda: False) -> tuple[Service, Surroundings]:
    around = Surroundings(dies)
    service = Service(load(default_template()), Dice(0, Faults()), around)
    function = service.function("f")
    service.functions["f"] = Function(replace(function.spec, max_age_s=max_age_s))
    return service, around


def played(max_age_s: int, dies: Callable[[], bool] = lambda: True) -> Surroundings:
    service, around = made(max_age_s, dies)
    service.enqueue("f", ENVELOPE)
    drive(service, around)
    return around


def test_an_invocation_that_dies_is_repeated_after_a_minute_and_after_two_more() -> None:
    """Lambda repeats it under its request id, and then tells its destination."""
    around = played(21_600)
    assert around.attempts == [(0, 1), (60, 2), (180, 3)]
    ((_, body),) = around.sent
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestPayload"] == json.loads(ENVELOPE)


@pytest.mark.parametrize(("age", "attempts"), [(59, 1), (60, 2), (179, 2), (180, 3)])
def test_an_event_that_is_too_old_is_not_tried_again(age: int, attempts: int) -> None:
    """It may have attempts left."""
    around = played(age)
    assert len(around.attempts) == attempts
    ((_, body),) = around.sent
    assert body["requestContext"]["condition"] == ("RetriesExhausted" if attempts == 3 else "EventAgeExceeded")


def test_what_succeeds_is_not_repeated() -> None:
    """Lambda doesn't tell the destination either."""
    around = played(21_600, lambda: False)
    assert around.attempts == [(0, 1)]
    assert around.sent == []


@pytest.mark.parametrize(
    ("death", "kind", "message"),
    [
        (Killed(), "Runtime.ExitError", "RequestId: request-1 Error: Runtime exited with error: signal: killed"),
        (KilledForTime(), "Sandbox.Timedout", "RequestId: request-1 Error: Task timed out"),
        (ValueError("it raised"), "ValueError", "it raised"),
    ],
    ids=["killed", "timeout", "raised"],
)
def test_a_destination_is_told_as_lambda_tells_it(death: BaseException, kind: str, message: str) -> None:
    """It gets the whole record of an invocation that failed three times."""
    service, around = made(dies=lambda: True)
    around.death = death
    service.enqueue("f", ENVELOPE)
    drive(service, around)
    ((queue, body),) = around.sent
    assert queue.endswith("DeadLetters")
    assert body == {
        "version": "1.0",
        "timestamp": "1970-01-01T00:03:00.000Z",
        "requestContext": {
            "requestId": "request-1",
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": json.loads(ENVELOPE),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": kind, "errorMessage": message},
    }


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [(Outage.MISSING, 404, "ResourceNotFoundException"), (Outage.DENIED, 403, "AccessDeniedException")],
)
def test_what_may_not_be_invoked_or_is_not_there_accepts_nothing(kind: Outage, status: int, code: str) -> None:
    """The caller gets Lambda's own code."""
    service, around = made()
    with service.outage("f", kind), pytest.raises(InvokeRefused) as refused:
        service.enqueue("f", ENVELOPE)
    assert (refused.value.status, refused.value.code) == (status, code)
    drive(service, around)
    assert (around.attempts, around.sent) == ([], [])


@pytest.mark.parametrize(
    ("kind", "condition", "count", "response"),
    [
        (Outage.MISSING, "RetriesExhausted", 3, 404),
        (Outage.IMPORT, "RetriesExhausted", 3, 200),
        (Outage.THROTTLED, "EventAgeExceeded", 0, 429),
        (Outage.RESERVED, "ZeroReservedConcurrency", 0, None),
    ],
)
def test_what_was_accepted_ends_as_lambda_ends_it(
    kind: Outage, condition: str, count: int, response: int | None
) -> None:
    """Lambda makes no attempt."""
    service, around = made()
    service.enqueue("f", ENVELOPE)
    with service.outage("f", kind):
        drive(service, around)
    ((_, body),) = around.sent
    assert body["requestContext"]["condition"] == condition
    assert body["requestContext"]["approximateInvokeCount"] == count
    assert body.get("responseContext", {}).get("statusCode") == response
    assert around.attempts == []


def test_an_import_that_fails_is_told_by_its_name() -> None:
    """The name is Lambda's own."""
    service, around = made()
    with service.outage("f", Outage.IMPORT):
        service.enqueue("f", ENVELOPE)
        drive(service, around)
    ((_, body),) = around.sent
    assert body["responsePayload"]["errorType"] == "Runtime.ImportModuleError"


def test_what_was_accepted_before_nobody_may_invoke_it_runs() -> None:
    """Lambda asked when it accepted it."""
    service, around = made()
    service.enqueue("f", ENVELOPE)
    with service.outage("f", Outage.DENIED):
        drive(service, around)
    assert around.attempts == [(0, 1)]


def test_what_is_throttled_is_tried_again_for_as_long_as_lambda_keeps_it() -> None:
    """Lambda waits a second, then twice as long each time, up to five minutes. It counts no attempt."""
    service, around = made()
    service.enqueue("f", ENVELOPE)
    with service.outage("f", Outage.THROTTLED):
        moments = []
        while service.ready:
            moments.append(around.now // SECOND)
            service.invoke(service.take())
            around.now = service.next_at() or around.now
            service.pass_time()
            if around.now > 3_600 * SECOND:
                break
    assert moments[:11] == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811]
    drive(service, around)
    ((_, attempt),) = around.attempts
    assert attempt == 1


def test_events_of_a_function_without_concurrency_go_to_the_destination_at_once() -> None:
    """Events that wait for their repetition go there, too."""
    service, around = made(dies=lambda: True)
    service.enqueue("f", ENVELOPE)
    service.invoke(service.take())
    with service.outage("f", Outage.RESERVED):
        service.enqueue("f", ENVELOPE)
        service.invoke(service.take())
        assert around.now == 0
        drive(service, around)
    assert [body["requestContext"]["condition"] for _, body in around.sent] == ["ZeroReservedConcurrency"] * 2
    assert [body["requestContext"]["approximateInvokeCount"] for _, body in around.sent] == [0, 1]
    assert len(around.attempts) == 1


def test_of_several_outages_the_last_counts() -> None:
    """When it ends, the one before it counts."""
    service, _ = made()
    with service.outage("f", Outage.THROTTLED), service.outage("f", Outage.DENIED):
        with service.outage("f", Outage.THROTTLED):
            assert service.outages.of("f") is Outage.THROTTLED
        assert service.outages.of("f") is Outage.DENIED
    assert service.outages.of("f") is None


def test_an_event_source_mapping_cannot_call_what_is_out() -> None:
    """Its batch fails."""
    service, around = made()
    with service.outage("f", Outage.IMPORT), pytest.raises(Exception, match="Unable to import"):
        service.deliver("f", {}, 1)
    assert around.attempts == []
