"""The ports of a Lambda, as its environment describes them, against AWS as moto plays it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from adapter import durable, promise
from adapter.api import handles
from adapter.aws import wiring
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.wiring import AwsHost, NoTimers, SystemClock, Threads
from adapter.engine import hosts
from adapter.errors import ConfigurationError, Paused, Unreachable
from adapter.protocol.messages import Cause, Resume, Start, parse, to_event
from adapter.protocol.promises import Refusal, Refused
from adapter.protocol.records import Record, State
from adapter.templates.template import default_template, load
from adapter.testing.simulated_aws.lambdas import Context
from tests.support.envelopes import Trusting


class Lambda:
    """Lambda's API, as small as the invoker needs it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answers: list[io.BytesIO] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        self.answers.append(io.BytesIO(b"{}"))
        return {"StatusCode": 202, "Payload": self.answers[-1]}

    @property
    def messages(self) -> list[Any]:
        return [parse(json.loads(call["Payload"])) for call in self.calls]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A Lambda's environment, without any variable of ours; no host is kept from before, or for later."""
    for name in ("DURABLE_BUCKET", "DURABLE_CIPHER"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DURABLE_TABLE", "DURABLE_PREFIX", "AWS_LAMBDA_FUNCTION_NAME", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    wiring.host.cache_clear()
    with mock_aws():
        yield monkeypatch
    wiring.host.cache_clear()


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Invoke")


@pytest.fixture
def host(environment: pytest.MonkeyPatch) -> AwsHost:
    """The host of a deployed function; its invocations stay in its ``invoker.client``."""
    (table,) = load(default_template()).tables
    boto3.client("dynamodb").create_table(**table.create_table_arguments)
    environment.setenv("DURABLE_TABLE", table.name)
    environment.setenv("DURABLE_PREFIX", "shop-")
    environment.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-checkout")
    found: Any = wiring.host()
    return AwsHost(replace(found.ports, invoker=LambdaInvoker(Lambda(), found.ports.signer)))


def invoked(host: AwsHost) -> list[Any]:
    invoker: Any = host.ports.invoker
    messages: list[Any] = invoker.client.messages
    return messages


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_table_the_error_says_what_to_set(environment: pytest.MonkeyPatch, value: str | None) -> None:
    """It also says what to do in a test instead."""
    if value is not None:
        environment.setenv("DURABLE_TABLE", value)
    with pytest.raises(ConfigurationError, match=r"DURABLE_TABLE.*LocalCloud"):
        wiring.host()


def test_a_failed_wiring_is_tried_again(environment: pytest.MonkeyPatch) -> None:
    """The process doesn't keep the error."""
    with pytest.raises(ConfigurationError):
        wiring.host()
    environment.setenv("DURABLE_TABLE", "promises")
    assert wiring.host() is wiring.host()


def test_the_host_is_what_the_environment_describes(environment: pytest.MonkeyPatch) -> None:
    """The environment gives the table, the region, the prefix and the function itself."""
    environment.setenv("DURABLE_TABLE", "promises")
    environment.setenv("DURABLE_PREFIX", "shop-")
    environment.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-checkout")
    environment.setenv("AWS_REGION", "eu-north-1")
    ports: Any = wiring.host().ports  # type: ignore[attr-defined]
    assert (ports.prefix, ports.default_target) == ("shop-", "shop-checkout")
    assert ports.store.inner.client.meta.region_name == "eu-north-1"
    assert ports.store.inner._table == "promises"


def test_an_emulators_address_is_taken_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    """The SDKs give the variable its name."""
    environment.setenv("DURABLE_TABLE", "promises")
    environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    ports: Any = wiring.host().ports  # type: ignore[attr-defined]
    assert ports.store.inner.client.meta.endpoint_url == "http://127.0.0.1:1"


def test_outside_of_a_cloud_the_environments_host_is_used(environment: pytest.MonkeyPatch) -> None:
    """Every caller of a host finds it. Without one, all raise the same error."""
    with pytest.raises(ConfigurationError, match="DURABLE_TABLE"):
        hosts.current()
    environment.setenv("DURABLE_TABLE", "promises")
    assert hosts.current() is wiring.host()


def test_a_root_is_created_and_then_invoked(host: AwsHost) -> None:
    """The host does so once, however often the root is started under one id."""
    record = Record(id="order-7", fn="checkout", target="shop-checkout", digest="1")
    stands = host.start(record)
    assert stands.created_at > 0
    assert host.read_promise("order-7") == stands
    assert host.start(record) == stands
    assert invoked(host) == [Start(id="order-7", since=stands.created_at)]


def test_a_paused_root_is_resumed_when_it_is_started_again(host: AwsHost) -> None:
    """The fix is deployed by then."""
    record = Record(id="order-8", fn="checkout", target="shop-checkout", digest="1")
    since = host.start(record).created_at
    host.ports.store.pause("order-8", "drift")
    host.start(record)
    assert invoked(host)[1:] == [Resume(id="order-8", cause=Cause.AGAIN, since=since)]


def test_a_handle_settles_and_reads_through_the_host(host: AwsHost) -> None:
    """Outside of functions, too, the first settlement wins."""
    host.ports.store.create(Record(id="approval"))
    settled = host.settle("approval", State.RESOLVED, "true")
    assert isinstance(settled, Record)
    assert settled.settled_at > 0
    assert host.settle("approval", State.RESOLVED, "false") == Refused(Refusal.SETTLED, settled)


@pytest.mark.parametrize("timeout", [None, 0, 60])
def test_waiting_for_what_has_settled_returns_it_at_once(host: AwsHost, timeout: float | None) -> None:
    """It may have ended in any way."""
    for state in (State.RESOLVED, State.REJECTED, State.CANCELED, State.TIMEDOUT):
        record = Record(id=f"done-{state}", state=state, settled_at=1)
        host.ports.store.create(record)
        assert host.wait(record.id, timeout) == record


@pytest.mark.parametrize("timeout", [0, -1])
def test_waiting_without_time_for_what_is_pending_gives_nothing(host: AwsHost, timeout: float) -> None:
    """The handle looks at it once."""
    host.ports.store.create(Record(id="pending"))
    assert host.wait("pending", timeout) is None


def test_waiting_for_what_is_paused_says_why(host: AwsHost) -> None:
    """A person must act: waiting doesn't help."""
    host.ports.store.create(Record(id="paused"))
    host.ports.store.pause("paused", "it drifted")
    with pytest.raises(Paused, match="it drifted"):
        host.wait("paused", None)


def test_waiting_polls_with_growing_pauses(host: AwsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle polls until it settles, or the time is over. The last pause ends with the time."""
    host.ports.store.create(Record(id="slow"))
    elapsed: list[float] = []
    monkeypatch.setattr(wiring.time, "sleep", elapsed.append)
    monkeypatch.setattr(wiring.time, "monotonic", lambda: sum(elapsed))
    assert host.wait("slow", 10) is None
    assert sum(elapsed) == pytest.approx(10)
    assert elapsed[:3] == pytest.approx([0.05, 0.075, 0.1125])
    assert sorted(elapsed[:-1]) == elapsed[:-1]
    assert max(elapsed) == wiring.POLL_SECONDS[1]


def test_waiting_sees_a_settlement_that_comes_meanwhile(host: AwsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle waits without a timeout."""
    host.ports.store.create(Record(id="meanwhile"))
    monkeypatch.setattr(wiring.time, "sleep", lambda pause: host.settle("meanwhile", State.RESOLVED, "1"))
    found = host.wait("meanwhile", None)
    assert found is not None
    assert (found.state, found.value) == (State.RESOLVED, "1")


def test_a_lambda_runs_an_envelope_from_start_to_settlement(host: AwsHost) -> None:
    """The deployed handler starts, suspends, resumes and settles over the real ports."""

    @durable(name="test_aws_wiring:asks")
    async def asks(question: str) -> str:
        answer = await promise(str)
        return f"{question} {answer}"

    def context(number: int) -> Context:
        return Context(
            aws_request_id=f"request-{number}", function_name="shop-checkout", memory_limit_in_mb=512, timeout_s=60
        )

    def signed(message: Start | Resume) -> Any:
        return host.ports.signer.sign(to_event(message))

    hosts.enter(host)
    try:
        handle = asks.with_options(id="asked").start("ready?")
        (start,) = invoked(host)
        assert asks(signed(start), context(1)) == {"id": "asked", "state": "suspended"}  # type: ignore[comparison-overlap]
        handles.resolve("asked~0", "yes")
        resume = Resume(id="asked", cause=Cause.DIRECT)
        assert asks(signed(resume), context(2)) == {"id": "asked", "state": "settled"}  # type: ignore[comparison-overlap]
        assert handle.result(0) == "ready? yes"
    finally:
        hosts.leave(host)


def test_ids_of_roots_are_new_each_time(host: AwsHost) -> None:
    """A root may have each of them."""
    ids = [host.new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(len(one) == 32 and one.isalnum() for one in ids)


def test_the_clock_counts_microseconds_since_the_epoch() -> None:
    """It shows this century, and doesn't go back."""
    first, second = SystemClock().now(), SystemClock().now()
    assert 1_700_000_000_000_000 < first <= second < 4_000_000_000_000_000


def test_timers_are_refused_where_there_is_no_queue_for_them() -> None:
    """A function that sleeps for ever would be worse."""
    with pytest.raises(ConfigurationError, match="DURABLE_TIMERS"):
        NoTimers().send_at("target", Resume(id="r", cause=Cause.TIMER), 1)


def test_an_invocation_is_asynchronous_and_carries_the_envelope() -> None:
    """It carries compact JSON in UTF-8."""
    client = Lambda()
    message = Start(id="€")
    LambdaInvoker(client, Trusting()).invoke("shop-checkout", message)
    (call,) = client.calls
    assert (call["FunctionName"], call["InvocationType"]) == ("shop-checkout", "Event")
    assert client.messages == [message]
    assert "€".encode() in call["Payload"]
    assert client.answers[0].read() == b"", "the answer's stream keeps its connection"
    assert b": " not in call["Payload"]


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (refused("ResourceNotFoundException"), "missing"),
        (refused("AccessDeniedException"), "denied"),
        (refused("TooManyRequestsException"), "throttled"),
        (refused("KMSDisabledException"), "KMSDisabledException"),
        (EndpointConnectionError(endpoint_url="https://lambda"), "EndpointConnectionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_lambda_refuses_is_told_in_a_word(refusal: Exception, why: str) -> None:
    """Lambda's own code stands where there is no better word."""

    class Refuses:
        def invoke(self, **_: Any) -> None:
            raise refusal

    with pytest.raises(Unreachable, match="shop-checkout can't be invoked") as told:
        LambdaInvoker(Refuses(), Trusting()).invoke("shop-checkout", Start(id="r"))
    assert told.value.why == why


def test_without_a_queue_what_lambda_refuses_is_an_error(host: AwsHost, environment: pytest.MonkeyPatch) -> None:
    """No queue could keep it."""

    def refuse(**_: Any) -> None:
        raise refused("ResourceNotFoundException")

    invoker: Any = host.ports.invoker
    environment.setattr(invoker.client, "invoke", refuse)
    with pytest.raises(Unreachable):
        host.start(Record(id="order-9", fn="f", target="shop-checkout"))


def test_threads_give_results_in_order_whoever_ends_first() -> None:
    """The first waits for the last."""
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last.wait(10)
        if item == 3:
            last.set()
        return item * item

    assert Threads(4).map(work, range(4)) == [0, 1, 4, 9]


def test_threads_really_run_side_by_side() -> None:
    """Each waits for all others."""
    together = threading.Barrier(4, timeout=10)
    assert sorted(Threads(4).map(lambda item: together.wait(), range(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize("items", [[], [7], list(range(50))], ids=len)
def test_threads_take_any_number_of_items(items: list[int]) -> None:
    """There are more items than workers, or none."""
    assert Threads(2).map(lambda item: -item, items) == [-item for item in items]


def test_a_single_item_needs_no_thread() -> None:
    """Most flushes are one write."""
    assert Threads(2).map(lambda item: threading.current_thread(), [1]) == [threading.current_thread()]


def test_the_first_failure_in_order_is_raised() -> None:
    """A later item may have failed earlier."""
    second = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert second.wait(10)
        if item == 2:
            second.set()
        if item:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match=r"^1$"):
        Threads(3).map(work, range(3))
