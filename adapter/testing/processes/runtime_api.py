"""Lambda's Runtime API for one process. The thread that waits for the process serves it; there is no other server.

Between two invocations nothing reads: the process's request for the next one stays in the socket until there is one.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from typing import Any

_TICK_SECONDS = 0.02
_STALLED_SECONDS = 10.0
"""Seconds that half a request may wait for its other half."""


class Ended(Exception):
    """The process has ended, or doesn't listen."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request of the process."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class _Connection:
    socket: socket.socket
    file: Any = field(init=False)

    def __post_init__(self) -> None:
        self.socket.settimeout(_STALLED_SECONDS)
        # An answer is one segment, and shouldn't wait until the last one is acknowledged.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def read(self) -> Request | None:
        """The next request; None if the other side has hung up, even in the middle of one."""
        try:
            line = self.file.readline(65_537).decode("latin-1").split()
            if len(line) != 3:
                return None
            headers = parse_headers(self.file)
            length = int(headers.get("Content-Length") or 0)
            body = self.file.read(length)
        except (OSError, HTTPException, ValueError):
            return None
        if len(body) < length:
            return None
        return Request(method=line[0], path=line[1], headers=headers, body=body)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class RuntimeApi:
    """The address that one process is given, and its requests there."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pidfd = -1
        self._asking: _Connection | None = None

    def watch(self, pid: int) -> None:
        """Notice the process's end from now on."""
        self._pidfd = os.pidfd_open(pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ)

    def receive(self, deadline: float, tick: Callable[[], None]) -> Request:
        """Wait for the next request; it must be answered before the one after it.

        Args:
            deadline: by the monotonic clock.
            tick: called often during the wait. If it raises, the wait ends.

        Raises:
            TimeoutError: the deadline has passed first.
            Ended: the process has ended without a further request.
        """
        while True:
            tick()
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            ready = [key for key, _ in self._selector.select(min(left, _TICK_SECONDS))]
            connections: list[_Connection] = [key.data for key in ready if key.data is not None]
            for connection in connections:
                if (request := connection.read()) is not None:
                    self._asking = connection
                    return request
                self._forget(connection)
            files = [key.fileobj for key in ready]
            if self._listener in files:
                self._accept()
            elif files == [self._pidfd]:
                # Checked last: an ended process's last request was read first.
                raise Ended

    def answer(self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer what `receive` returned.

        Raises:
            Ended: nobody listens.
        """
        connection, self._asking = self._asking, None
        if connection is None:
            raise ValueError("nothing was asked")
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        try:
            connection.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        except OSError as gone:
            raise Ended from gone

    def close(self) -> None:
        for connection in [key.data for key in self._selector.get_map().values() if key.data is not None]:
            self._forget(connection)
        self._selector.close()
        self._listener.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection = _Connection(self._listener.accept()[0])
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _forget(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.close()
