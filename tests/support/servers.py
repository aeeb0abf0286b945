"""Servers for tests: each starts when it is first asked for, once in each process of tests, and ends with that process.

Nothing of ministack is imported here: it pins a botocore of its own, so it lives in an environment of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

REQUIRED = "REQUIRE_MINISTACK"
"""The variable by which `make test` says that what needs ministack mustn't be skipped."""

_HERE = Path(__file__).resolve().parent
_PYTHON = _HERE.parents[1] / ".ministack" / "bin" / "python"
_SECONDS = 60

_running: list[Server] = []


@dataclass(frozen=True)
class Server:
    """A process that listens on loopback."""

    endpoint: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def stop(self) -> None:
        with self.log, self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(_SECONDS)


def ministack() -> str:
    """The endpoint of ministack's DynamoDB. Skips the test where ministack isn't installed."""
    if not _PYTHON.exists():
        missing = f"ministack isn't installed in {_PYTHON.parents[1].name}: run `make setup`"
        pytest.fail(missing) if os.environ.get(REQUIRED) else pytest.skip(missing)
    if not _running:
        _running.append(_start())
    return _running[0].endpoint


def stop_all() -> None:
    while _running:
        _running.pop().stop()


def _start() -> Server:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        log = tempfile.TemporaryFile()  # noqa: SIM115 – closed by stop
        process = subprocess.Popen(
            [_PYTHON, "-I", _HERE / "serve_ministack.py", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_environment(port),
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    _await_answer(server)
    return server


def _environment(port: int) -> dict[str, str]:
    """DynamoDB and its streams alone, and no second port."""
    return {
        "SERVICES": "dynamodb,dynamodbstreams",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "GATEWAY_PORT": str(port),
    }


def _await_answer(server: Server) -> None:
    # The socket listens already: the request waits in its queue until the server has started.
    try:
        answer: Any = urllib.request.urlopen(f"{server.endpoint}/_ministack/health", timeout=_SECONDS)
        answer.close()
    except OSError as error:
        server.log.seek(0)
        said = server.log.read().decode(errors="replace")
        server.stop()
        raise RuntimeError(f"ministack doesn't answer on {server.endpoint}: {error}. It said:\n{said}") from error
