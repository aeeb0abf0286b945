"""One configuration for all clients: a connection for each thread, and no call that outlives its invocation."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws import wiring
from adapter.aws.clients import ATTEMPTS, CONNECT, READ, THREADS, patience_of
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.patience import MARGIN, OUTSIDE, Patience
from adapter.protocol.messages import Start
from tests.support.envelopes import Trusting

VARIABLES = {"DURABLE_TABLE": "promises", "DURABLE_BUCKET": "payloads", "AWS_REGION": "us-east-1"}


@given(left=st.floats(0.001, 900))
def test_a_call_ends_before_its_invocation(left: float) -> None:
    """It does so even if it has to connect first. In the last seconds it finds a connection."""
    waits = patience_of(left)
    assert 0 < waits <= min(READ, left)
    assert waits + CONNECT <= left or left < 2 * CONNECT


@given(remaining=st.floats(0.1, 900), used=st.floats(0, 1, exclude_max=True))
def test_all_attempts_of_a_call_together_end_before_the_invocation(remaining: float, used: float) -> None:
    """Each attempt gets a part of the time that those before it have left."""
    now = 0.0
    patience = Patience(clock=lambda: now)
    patience.allow(remaining)
    now = remaining * used
    for _ in range(ATTEMPTS):
        now += patience_of(patience.left())
    assert now < remaining


def test_what_is_left_is_a_part_of_the_invocations_time() -> None:
    """Before the first invocation, and after the last, patience alone gives the time."""
    now = 0.0
    patience = Patience(clock=lambda: now)
    assert patience.left() == OUTSIDE
    patience.allow(60)
    now = 50
    assert patience.left() == pytest.approx(10 * (1 - MARGIN))
    now = 61
    assert patience.left() == OUTSIDE


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[wiring.AwsHost]:
    """A host whose services accept connections, and never answer."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for service in ("DYNAMODB", "S3", "LAMBDA", "SQS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)
        yield wiring.connect({**VARIABLES, "DURABLE_TIMERS": address, "AWS_ENDPOINT_URL_DYNAMODB": address})


def enter(host: wiring.AwsHost, seconds: float) -> None:
    host.enter_invocation(SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1_000))


def clients_of(host: wiring.AwsHost) -> dict[str, Any]:
    ports: Any = host.ports
    return {
        "dynamodb": ports.store.inner.client,
        "s3": ports.store.sealing.payloads._payloads._client,
        "lambda": ports.invoker.client,
        "sqs": getattr(ports.timers, "client", None),
    }


def test_all_clients_are_configured_alike(silent: wiring.AwsHost) -> None:
    """S3's client waited for a minute, and four threads shared a connection of Lambda's."""
    for client in clients_of(silent).values():
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (CONNECT, READ)
        assert config.max_pool_connections == THREADS
        assert config.retries["total_max_attempts"] == ATTEMPTS


CALLS: dict[str, Callable[[Any], object]] = {
    "dynamodb": lambda client: client.describe_table(TableName="promises"),
    "s3": lambda client: client.get_object(Bucket="payloads", Key="object"),
    "lambda": lambda client: client.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}"),
    "sqs": lambda client: client.list_queues(),
}


@pytest.mark.parametrize("service", CALLS)
def test_a_service_that_never_answers_fails_the_invocation_in_time(service: str, silent: wiring.AwsHost) -> None:
    """With a fifth of a second left, the client doesn't wait for the configured ten seconds."""
    enter(silent, 0.2)
    with pytest.raises(ReadTimeoutError):
        CALLS[service](clients_of(silent)[service])


class Counting(ThreadingHTTPServer):
    """Answers as Lambda's Invoke does, and counts connections."""

    daemon_threads = True
    connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Accepted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Not to the test's output."""


def test_invocations_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is an empty stream, which keeps its connection until it is read."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with Counting(("127.0.0.1", 0), Accepted) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_address[1]}")
            client = clients_of(wiring.connect(VARIABLES))["lambda"]
            for number in range(5):
                LambdaInvoker(client, Trusting()).invoke("f", Start(id=f"order-{number}"))
            client.close()
        finally:
            server.shutdown()
            thread.join()
        assert server.connections == 1
