"""Lambda's asynchronous invocations: repeated twice, until an event is too old; then its destination gets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapter.protocol.times import SECOND
from adapter.testing.faults import Dice, Faults, Killed
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.simulated_aws.service import Service
from adapter.testing.simulated_aws.template import default_template, load

ENVELOPE = json.dumps({"lambda-await": 1, "start": "r"})


class Surroundings:
    """A clock that is moved by hand, and functions that die."""

    def __init__(self, dies: Callable[[], bool]) -> None:
        self.now = 0
        self.attempts: list[tuple[int, int]] = []
        self.sent: list[tuple[str, Any]] = []
        self._dies = dies

    def clock(self) -> int:
        return self.now

    def told(self, what: str, detail: dict[str, Any]) -> None:
        pass

    def attempt(self, function: Function, invocation: Invocation) -> None:
        self.attempts.append((self.now // SECOND, invocation.attempt))
        if self._dies():
            raise Killed

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


def played(max_age_s: int, dies: Callable[[], bool] = lambda: True) -> Surroundings:
    around = Surroundings(dies)
    service = Service(load(default_template()), Dice(0, Faults()), around)
    function = service.function("f")
    service.functions["f"] = Function(replace(function.spec, max_age_s=max_age_s))
    service.enqueue("f", ENVELOPE)
    drive(service, around)
    return around


def test_an_invocation_that_dies_is_repeated_after_a_minute_and_after_two_more() -> None:
    """Under its request id; then its destination is told."""
    around = played(21_600)
    assert around.attempts == [(0, 1), (60, 2), (180, 3)]
    ((_, body),) = around.sent
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestPayload"] == json.loads(ENVELOPE)


@pytest.mark.parametrize(("age", "attempts"), [(59, 1), (60, 2), (179, 2), (180, 3)])
def test_an_event_that_is_too_old_is_not_tried_again(age: int, attempts: int) -> None:
    """However many attempts it had left."""
    around = played(age)
    assert len(around.attempts) == attempts
    ((_, body),) = around.sent
    assert body["requestContext"]["condition"] == ("RetriesExhausted" if attempts == 3 else "EventAgeExceeded")


def test_what_succeeds_is_not_repeated() -> None:
    """Nor is anybody told."""
    around = played(21_600, lambda: False)
    assert around.attempts == [(0, 1)]
    assert around.sent == []
