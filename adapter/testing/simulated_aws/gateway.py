"""AWS at a loopback address: what functions in other processes find under ``AWS_ENDPOINT_URL``.

DynamoDB, SQS and S3 are boto3 clients of this process; Lambda's Invoke is a callback. Clients are used one request at a
time, under a lock that whoever else uses them must hold, too: moto isn't safe under threads.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from adapter.testing.simulated_aws import objects
from adapter.testing.simulated_aws.wire import Answer, perform

Invoked = Callable[[str, str], None]
"""Takes an asynchronous invocation: the function's name and the payload; raises `NoSuchFunction`. Called without the
lock, from many threads."""

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class NoSuchFunction(Exception):
    """No function has the name that is invoked."""


class HangUp(Exception):
    """There is no answer: the connection ends, and what hasn't taken effect never will."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that a process sent; ``caller`` is the access key that it was signed with."""

    service: str
    operation: str
    caller: str


Seen = Callable[[Call, str], None]
"""Told of a call twice: ``"before"`` it takes effect, and ``"after"``, with the answer still unsent. Whoever kills the
caller and raises `HangUp` has killed it exactly there."""


class Gateway:
    """Serves from its creation until `close`.

    Args:
        clients: boto3 clients by the service's name: ``"dynamodb"``, ``"sqs"``, ``"s3"``. Others that speak AWS's JSON
            protocol may be among them.
        invoked: what Invoke does; the caller gets 202, or 404 where it raises `NoSuchFunction`.
        lock: held around every use of a client.
        seen: is told of every call.

    `failures` keeps what a client or a callback raised that AWS wouldn't answer; the caller saw a 500, and may have
    tried again.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        invoked: Invoked,
        lock: AbstractContextManager[Any],
        seen: Seen = lambda call, when: None,
    ) -> None:
        self._clients = clients
        self._prefixes = {client.meta.service_model.metadata.get("targetPrefix"): n for n, client in clients.items()}
        self._invoked = invoked
        self._lock = lock
        self._seen = seen
        self.failures: list[Exception] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gateway")
        self._thread.start()

    @property
    def url(self) -> str:
        """What ``AWS_ENDPOINT_URL`` is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer no more; requests under way end first."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request, whichever service it is for.

        Raises:
            HangUp: whoever watches wants no answer.
        """
        try:
            return self._route(method, url, headers, body)
        except HangUp:
            raise
        except Exception as error:
            # moto's ValueError at some bad conditions, say.
            self.failures.append(error)
            return _refusal(500, "InternalServerError", f"{type(error).__name__}: {error}")

    def _route(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        caller = _access_key(headers.get("Authorization", ""))
        path = urlsplit(url).path
        if target := headers.get("X-Amz-Target"):
            prefix, _, operation = target.rpartition(".")
            service = self._prefixes.get(prefix)
            if service is None:
                return _refusal(400, "UnknownOperationException", f"no client here speaks {target}")
            call = Call(service=service, operation=operation, caller=caller)
            return self._watched(call, lambda: self._perform(call, body))
        if found := _INVOKE.fullmatch(path):
            call = Call(service="lambda", operation="Invoke", caller=caller)
            kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
            return self._watched(call, lambda: self._invoke(unquote(found[1]), kind, body))
        return self._object(method, url, headers, body, caller)

    def _watched(self, call: Call, act: Callable[[], Answer]) -> Answer:
        self._seen(call, "before")
        answer = act()
        self._seen(call, "after")
        return answer

    def _perform(self, call: Call, body: bytes) -> Answer:
        with self._lock:
            return perform(self._clients[call.service], call.operation, body)

    def _object(self, method: str, url: str, headers: Mapping[str, str], body: bytes, caller: str) -> Answer:
        operation = objects.operation_of(method, url)
        if operation is None or "s3" not in self._clients:
            return _refusal(501, "NotImplemented", f"no service here answers {method} {url}")
        call = Call(service="s3", operation=operation, caller=caller)

        def act() -> Answer:
            with self._lock:
                return objects.perform(self._clients["s3"], operation, url, headers, body)

        return self._watched(call, act)

    def _invoke(self, function: str, kind: str, body: bytes) -> Answer:
        if kind != "Event":
            return _refusal(400, "InvalidParameterValueException", f"only Event is answered here, not {kind}")
        try:
            payload = body.decode()
            json.loads(payload)
        except ValueError as unreadable:
            return _refusal(400, "InvalidRequestContentException", f"the payload isn't JSON: {unreadable}")
        try:
            self._invoked(function, payload)
        except NoSuchFunction:
            return _refusal(404, "ResourceNotFoundException", f"Function not found: {function}")
        return Answer(status=202)


def _refusal(status: int, code: str, message: str) -> Answer:
    """Lambda's form of an error, which clients of the JSON protocols read as well."""
    body = json.dumps({"Type": "User", "Message": message, "__type": code}).encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/json", "x-amzn-ErrorType": code})


def _access_key(authorization: str) -> str:
    found = re.search(r"Credential=([^/,]+)/", authorization)
    return found[1] if found else ""


class _Server(ThreadingHTTPServer):
    # Closing waits for the threads.
    daemon_threads = False
    # Thirty-two threads of each of several processes may connect at once.
    request_queue_size = 256

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        """Wake the threads that wait for the next request of a connection."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A process that was killed in the middle of a request: what it asked for has been done, or not.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment for each answer, sent at once: otherwise each takes 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self.server.gateway.answer(self.command, self.path, self.headers, body)  # type: ignore[arg-type]
        except HangUp:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, format: str, *args: Any) -> None:
        pass
