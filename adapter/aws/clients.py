"""One configuration of all clients of AWS: a connection for each thread, and no call that outlives its invocation.

botocore itself makes few attempts. It doesn't know how much time the invocation has, and `adapter.aws.patience` does.
A client decides how long a call may take when it sends it, attempt by attempt. So a service that doesn't answer fails
the invocation while there is time to say so, and Lambda repeats it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

THREADS = 32
"""Calls at a time, each on a connection of its own. If there were fewer, each burst would open some anew."""

CONNECT = 2.0
"""Seconds for a connection to be made. Almost every call finds one that is open."""

READ = 10.0
"""Seconds without a word from AWS, at most."""

ATTEMPTS = 2

CONFIG = Config(
    connect_timeout=CONNECT,
    read_timeout=READ,
    max_pool_connections=THREADS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)


def make(service: str, region: str | None, left: Callable[[], float]) -> Any:
    """A client whose calls take at most what is ``left``, in seconds."""
    return bounded(boto3.client(service, region_name=region, config=CONFIG), left)


def bounded(client: Any, left: Callable[[], float]) -> Any:
    """Let each of the client's calls take at most what is ``left``, in seconds. Returns the client."""

    def limit(request: Any, **_: Any) -> None:
        request.context["read_timeout"] = patience_of(left())

    client.meta.events.register("before-send", limit)
    return client


def patience_of(left: float) -> float:
    """For how many seconds a call may wait for an answer, if it has to end within ``left``.

    It ends in time even if it has to connect first, unless that takes long in the invocation's last seconds.
    """
    return min(READ, max(left - CONNECT, left / 2))
