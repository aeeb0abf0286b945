"""AWS at a loopback address. Functions in other processes find it under ``AWS_ENDPOINT_URL``.

Requests go to moto, as those of this process's own boto3 clients do; Lambda's Invoke is a callback. moto isn't safe
under threads, so the gateway uses clients one request at a time, under a lock. All other users of the clients must hold
the lock, too.
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

from botocore.awsrequest import HeadersDict

from adapter.testing.simulated_aws.outages import InvokeRefused
from adapter.testing.simulated_aws.wire import TARGET, Answer, Request, operation_of, perform

Invoked = Callable[[str, str], None]
"""Takes an asynchronous invocation: the function's name and the payload. Raises `InvokeRefused`. Many threads call it,
without the lock."""

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_CREDENTIAL = re.compile(r"Credential=([^/,]+)/[^/]+/[^/]+/([^/]+)/")
"""The access key that a request is signed with, and the service that it is signed for."""


class HangUp(Exception):
    """The connection ends without an answer. If the request hasn't taken effect, it never will."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that a process sent; ``caller`` is the access key that it was signed with."""

    service: str
    operation: str
    caller: str


Seen = Callable[[Call, str], None]
"""The gateway tells it of a call twice: ``"before"`` the call takes effect, and ``"after"``, with the answer still
unsent. If it kills the caller and raises `HangUp`, the caller has died exactly there."""


class Gateway:
    """Serves from its creation until `close`.

    Args:
        clients: boto3 clients by the service's name: ``"dynamodb"``, ``"sqs"``, ``"s3"``, or others that speak JSON or
            REST. Their hooks hear of requests as if the client had made them: see `wire.perform`.
        invoked: what Invoke does; the caller gets 202, or what `InvokeRefused` says.
        lock: held around every use of a client.
        seen: is told of every call.

    `failures` keeps the errors of clients and callbacks that are no answer of AWS's. The caller saw a 500, and may have
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
        """The value for ``AWS_ENDPOINT_URL``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering. Requests under way end first."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def answer(self, request: Request) -> Answer:
        """Answer one request, for any service.

        Raises:
            HangUp: the callback ``seen`` wants no answer.
        """
        try:
            return self._route(request)
        except HangUp:
            raise
        except Exception as error:
            # For instance moto's ValueError at some bad conditions.
            self.failures.append(error)
            return _refusal(500, "InternalServerError", f"{type(error).__name__}: {error}")

    def _route(self, request: Request) -> Answer:
        signed = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        # A request that isn't signed, or that is signed in its URL, is for an object.
        caller, named = (signed[1], signed[2]) if signed else ("", "s3")
        if found := _INVOKE.fullmatch(urlsplit(request.url).path):
            call = Call(service="lambda", operation="Invoke", caller=caller)
            return self._watched(call, lambda: self._invoke(unquote(found[1]), request))
        target = request.headers.get(TARGET)
        # Requests for a table and for its stream are signed for the same service.
        service = self._prefixes.get(target.rpartition(".")[0], "") if target else named
        client = self._clients.get(service)
        operation = operation_of(client, request) if client else None
        if operation is None:
            asked = target or f"{request.method} {request.url} of {named}"
            return _refusal(400, "UnknownOperationException", f"no client here answers {asked}")
        call = Call(service=service, operation=operation, caller=caller)
        return self._watched(call, lambda: self._perform(call, request))

    def _watched(self, call: Call, act: Callable[[], Answer]) -> Answer:
        self._seen(call, "before")
        answer = act()
        self._seen(call, "after")
        return answer

    def _perform(self, call: Call, request: Request) -> Answer:
        with self._lock:
            return perform(self._clients[call.service], call.operation, request)

    def _invoke(self, function: str, request: Request) -> Answer:
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind != "Event":
            return _refusal(400, "InvalidParameterValueException", f"only Event is answered here, not {kind}")
        try:
            payload = request.body.decode()
            json.loads(payload)
        except ValueError as unreadable:
            return _refusal(400, "InvalidRequestContentException", f"the payload isn't JSON: {unreadable}")
        try:
            self._invoked(function, payload)
        except InvokeRefused as refused:
            return _refusal(refused.status, refused.code, refused.message)
        return Answer(status=202)


def _refusal(status: int, code: str, message: str) -> Answer:
    """An error in Lambda's form, which clients of the JSON protocols read as well."""
    body = json.dumps({"Type": "User", "Message": message, "__type": code}).encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/json", "x-amzn-ErrorType": code})


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
        # The process was killed in the middle of a request, which has been done, or not.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Each answer is one segment, sent at once: otherwise each would take 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(method=self.command, url=self.path, headers=HeadersDict(self.headers.items()), body=body)
        try:
            answer = self.server.gateway.answer(request)
        except HangUp:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        headers = HeadersDict(answer.headers)
        if self.command != "HEAD":
            # The answer to HEAD has a length, and no body.
            headers["Content-Length"] = len(answer.body)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _answer  # noqa: N815

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, format: str, *args: Any) -> None:
        pass
