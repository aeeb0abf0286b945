"""What AWS refuses in passing is asked again, with jitter, as long as the invocation has time for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from adapter.aws.patience import Patience, PatientPorts, passes
from adapter.aws.wiring import SystemClock
from adapter.engine.operations import Create, Many, ReadPromise, RunCode
from adapter.engine.runner import CodeRunner
from adapter.protocol.promises import Refused
from adapter.protocol.records import Record, State
from adapter.testing import LocalCloud
from adapter.testing.hosting import InOrder


class Time:
    """Virtual seconds; each pause is the longest that may be drawn, unless told otherwise."""

    def __init__(self, draw: Callable[[float, float], float] = lambda least, most: most) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.patience = Patience(lambda: self.now, self.sleep, draw)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutItem")  # type: ignore[typeddict-item]


class Refusing:
    """Fails a number of times, then answers."""

    def __init__(self, error: BaseException, times: int) -> None:
        self.left = times
        self.error = error

    def __call__(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


@pytest.mark.parametrize(
    "error",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("TooManyRequestsException", 429),
        refusal("SlowDown", 503),
        refusal("Unheard", 500),
        EndpointConnectionError(endpoint_url="https://example.com"),
        ReadTimeoutError(endpoint_url="https://example.com"),
    ],
    ids=repr,
)
def test_what_is_refused_in_passing_is_asked_again(error: Exception) -> None:
    """Each pause may be twice as long as the one before."""
    time = Time()
    time.patience.allow(60)
    assert time.patience.call(Refusing(error, 4)) == "done"
    assert time.pauses == [0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize(
    "error", [refusal("ValidationException"), refusal("AccessDeniedException", 403), KeyError("x")], ids=str
)
def test_what_stays_refused_is_asked_once(error: Exception) -> None:
    """Time would change nothing."""
    time = Time()
    time.patience.allow(60)
    with pytest.raises(type(error)):
        time.patience.call(Refusing(error, 1))
    assert time.pauses == []
    assert not passes(error)


def test_patience_ends_before_the_invocation_does() -> None:
    """Patience raises the failure in time, so Lambda repeats the invocation, rather than ends it."""
    time = Time()
    time.patience.allow(60)
    with pytest.raises(ClientError, match="Throttling"):
        time.patience.call(Refusing(refusal("ThrottlingException"), 10_000))
    assert 40 < time.now < 54
    assert max(time.pauses) == 10


def test_outside_of_a_lambda_patience_ends_too() -> None:
    """A script that starts an execution needs an answer."""
    time = Time()
    with pytest.raises(ClientError):
        time.patience.call(Refusing(refusal("ThrottlingException"), 10_000))
    assert 20 < time.now < 30


def test_pauses_are_drawn_so_that_many_do_not_ask_at_once() -> None:
    """Full jitter draws each pause from nothing on."""
    bounds: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        bounds.append((least, most))
        return most / 2

    time = Time(draw)
    time.patience.allow(60)
    time.patience.call(Refusing(refusal("ThrottlingException"), 3))
    assert bounds == [(0, 0.1), (0, 0.2), (0, 0.4)]
    assert time.pauses == [0.05, 0.1, 0.2]


class Throttled:
    """Answers the next requests of a client with a throttling error, before they are sent."""

    def __init__(self, client: Any, times: int) -> None:
        self.left = times
        client.meta.events.register_first("before-send.dynamodb.*", self.answer)

    def answer(self, request: Any, **_: Any) -> AWSResponse | None:
        self.left -= 1
        if self.left < 0:
            return None
        body = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate exceeded"}'
        return Answer(request.url, 400, {"x-amzn-RequestId": "r"}, body)


class Answer(AWSResponse):
    """A response that was never on a wire."""

    def __init__(self, url: str, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(url, status, headers, None)
        self._body = body

    @property
    def content(self) -> bytes:
        return self._body


def ports(cloud: LocalCloud, time: Time) -> PatientPorts:
    """Over the cloud's own table."""
    local = cloud._driver.ports()
    return PatientPorts(
        patience=time.patience,
        store=local.store,
        invoker=local.invoker,
        timers=local.timers,
        signer=local.signer,
        clock=SystemClock(),
        runner=CodeRunner(),
        watcher=cloud,
        pool=InOrder(),
    )


def test_a_throttled_table_is_asked_until_it_answers(cloud: LocalCloud) -> None:
    """DynamoDB throttles the product's own client. Each of many operations has its own patience."""
    time = Time()
    time.patience.allow(60)
    patient = ports(cloud, time)
    throttled = Throttled(cloud._world.store.client, 9)
    written = patient.perform(Many(tuple(Create(Record(id=f"r~{n}")) for n in range(3))))
    # One that was written though its answer was lost is refused by what stands: itself.
    stands = [one.stands if isinstance(one, Refused) else one for one in written]
    assert [record.id for record in stands] == ["r~0", "r~1", "r~2"]
    assert patient.perform(ReadPromise("r~1")).id == "r~1"
    assert throttled.left < 0
    assert time.pauses


def test_the_failures_of_a_users_code_are_its_own_affair(cloud: LocalCloud) -> None:
    """Their policy is `Retry`. Patience would run a step twice."""
    time = Time()
    time.patience.allow(60)
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        raise refusal("ThrottlingException")

    outcome = ports(cloud, time).perform(RunCode("r~0", 0, step, str))
    assert outcome.state is State.REJECTED
    assert (len(calls), time.pauses) == (1, [])


def test_patience_with_lambda_is_brief() -> None:
    """The engine keeps a message that Lambda doesn't accept. Other messages wait meanwhile."""
    time = Time()
    time.patience.allow(900)
    with pytest.raises(ClientError):
        time.patience.call_briefly(Refusing(refusal("TooManyRequestsException", 429), 10_000))
    assert time.now <= 3
    time.patience.allow(1)
    began = time.now
    with pytest.raises(ClientError):
        time.patience.call_briefly(Refusing(refusal("TooManyRequestsException", 429), 10_000))
    assert time.now - began <= 1
