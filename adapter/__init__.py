"""Distributed Async Await on AWS Lambda: functions and promises.

The tour:

- `durable` makes a function durable. Calling it inside another one returns a hot `Promise`: the call runs in its own
  Lambda, and its outcome is stored. ``fn.start(...)`` starts one from outside and returns a `Handle`.
- `run` is an inline step. `promise` makes a promise that the outside world settles with `resolve`, `reject` or
  `cancel`. `attach` returns a handle on any promise.
- `link` makes an address by which people and other systems settle a promise.
- `schedule` starts executions by the clock, until `unschedule`; `schedules` lists them.
- `now`, `uuid4` and `random` give the same answers at every replay.
- `Cipher` is the protocol of an object that encrypts user data; ``DURABLE_CIPHER`` names yours.
- `errors` has every exception, under `DurableError`.
- `adapter.testing` has `LocalCloud`: the whole system in one process.
"""

from __future__ import annotations

import contextlib
import os

from adapter import errors
from adapter.api.calls import now, promise, random, run, uuid4
from adapter.api.durable import Durable, durable
from adapter.api.handles import Handle, attach, cancel, reject, resolve
from adapter.api.schedules import schedule, schedules, unschedule
from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.ports import Cipher
from adapter.errors import DurableError
from adapter.links.tokens import link
from adapter.protocol.recurrence import When
from adapter.protocol.retries import Retry
from adapter.replay.steps import Promise


def _environment() -> EngineHost:
    # Imported late: boto3 and PynamoDB take longer than everything else here, and a local run may not need them.
    from adapter.aws.wiring import host

    return host()


hosts.set_default(_environment)

__all__ = [
    "durable",
    "Durable",
    "Promise",
    "Handle",
    "Retry",
    "run",
    "promise",
    "resolve",
    "reject",
    "cancel",
    "attach",
    "link",
    "now",
    "uuid4",
    "random",
    "schedule",
    "schedules",
    "unschedule",
    "When",
    "Cipher",
    "errors",
    "DurableError",
]


def prepare() -> None:
    """Inside of Lambda, make the clients while it loads the code: it has a whole CPU then, and later a part of one.

    What is wrong with the environment, the first message is told. It tries this again.
    """
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        with contextlib.suppress(Exception):
            _environment()


# Last: a cipher's module may import this one.
prepare()
