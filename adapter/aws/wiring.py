"""The ports of a Lambda, from its environment.

``DURABLE_TABLE`` names the table, ``DURABLE_TIMERS`` is the URL of the timers' queue, and ``DURABLE_PREFIX`` begins the
names of the stack's Lambdas. ``DURABLE_ALIAS`` is the alias by which those are invoked whose version nobody names.
``DURABLE_UPKEEP`` is the URL of the queue of looks and removals, which only the timers'
own Lambdas send. ``DURABLE_BUCKET`` names the bucket for texts that are too large for the table, and
``DURABLE_CIPHER`` the cipher of all user data (``module:name``); both may be missing. ``DURABLE_RETENTION_DAYS`` says
for how many days an execution that is over is kept: 30 by default; 0: for ever. Executions with a deadline expire only
where it is set.
``DURABLE_WAKE`` says how calls resume functions that don't say so themselves: see `adapter.engine.caller.Waking`.
``DURABLE_AGAIN`` and ``DURABLE_UNHANDLED`` are the URLs of the queues for stream records that were put aside.
``DURABLE_STACK`` has all of these in one, as JSON.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from aws_lambda_powertools import Logger

from adapter.aws import clients, keys, moves
from adapter.aws.aside import SqsAside
from adapter.aws.invoker import LambdaInvoker
from adapter.aws.keys import Signatures
from adapter.aws.logs import LogWatcher, silence_replays
from adapter.aws.moves import NotedMoves
from adapter.aws.notes import TableNote
from adapter.aws.patience import Patience, PatientPorts
from adapter.aws.payloads import Cached, S3Payloads
from adapter.aws.sandbox import Sandbox
from adapter.aws.sealed import SealedStore
from adapter.aws.sealing import Sealing, cipher_named
from adapter.aws.store import DynamoStore
from adapter.aws.timers import SqsTimers
from adapter.engine.caller import Waking, waking_of
from adapter.engine.host import EngineHost
from adapter.engine.memory import Memory
from adapter.engine.operations import SendAt
from adapter.engine.ports import Ports
from adapter.engine.runner import CodeRunner
from adapter.errors import ConfigurationError, Paused
from adapter.protocol.messages import Timed
from adapter.protocol.records import Record
from adapter.protocol.times import SECOND, Instant, Span
from adapter.protocol.timing import retention_of
from adapter.protocol.variables import described

_THREADS = "durable-pool"

POLL_SECONDS = (0.05, 2.0)


class SystemClock:
    def now(self) -> Instant:
        return Instant(time.time_ns() // 1_000)


class Threads:
    """Maps items side by side, in threads. boto3's clients are safe under threads."""

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=_THREADS)

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if len(items) == 1 or threading.current_thread().name.startswith(_THREADS):
            # If all threads waited for others of the same pool, they would wait for ever.
            return [function(item) for item in items]
        futures = [self._executor.submit(function, item) for item in items]
        # Wait for all threads before a failure ends the invocation: Lambda may freeze the sandbox then.
        wait(futures)
        return [future.result() for future in futures]


class NoTimers:
    """The timers of a host without a queue. It refuses, since otherwise a function would sleep for ever."""

    def send_at(self, target: str, message: Timed, at: Instant, upkeep: bool = False) -> None:
        raise ConfigurationError("set DURABLE_TIMERS to the URL of the timers' queue: this needs a timer")

    def send_batch(self, sends: Sequence[SendAt]) -> None:
        for send in sends:
            self.send_at(send.target, send.message, send.at)


class AwsHost(EngineHost):
    """The engine on AWS. A caller outside that waits for a result polls the table, with growing pauses."""

    ports: PatientPorts

    def __init__(self, ports: Ports, memory: Memory | None = None, sandbox: Sandbox | None = None) -> None:
        super().__init__(ports, memory)
        self.sandbox = sandbox or Sandbox()

    def enter_invocation(self, context: Any, patience: float | None = None) -> None:
        remaining = context.get_remaining_time_in_millis() / 1_000
        self.ports.patience.allow(remaining if patience is None else min(patience, remaining))

    def leave_invocation(self) -> None:
        if self.sandbox.is_nearly_full():
            # Executions can be replayed by any sandbox; running out of memory costs an attempt.
            self.memory.clear()
            self.sandbox.give_back()

    def new_id(self) -> str:
        return uuid.uuid4().hex

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def handle(self, event: Any, context: Any, root: Any, timeout: float | None = None) -> dict[str, Any]:
        silence_replays()
        return super().handle(event, context, root, timeout)

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = POLL_SECONDS[0]
        while True:
            record = self.read_promise(promise)
            if record is None or not record.pending:
                return record
            if record.paused:
                raise Paused(record.paused)
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0:
                return None
            time.sleep(left)
            pause = min(pause * 1.5, POLL_SECONDS[1])


@functools.cache
def host() -> EngineHost:
    """The host that the environment describes. It is made once for each sandbox.

    Raises:
        ConfigurationError: ``DURABLE_TABLE`` isn't set.
    """
    return connect(os.environ)


def connect(environment: Mapping[str, str]) -> AwsHost:
    """The host that these variables describe. Raises as `host` does."""
    environment = described(environment)
    table = environment.get("DURABLE_TABLE")
    if not table:
        raise ConfigurationError("set DURABLE_TABLE to the name of the promises' table, or enter a LocalCloud")
    clock, region = SystemClock(), environment.get("AWS_REGION")
    patience, pool = Patience(), Threads(clients.THREADS)
    sealing = _sealing(environment, patience)
    store = DynamoStore(table, region, environment.get("AWS_ENDPOINT_URL_DYNAMODB"))
    clients.bounded(store.client, patience.left)
    client = functools.partial(clients.make, region=region, left=patience.left)
    note = functools.partial(TableNote, store.client, table)
    signer = Signatures(note(keys.PARTITION), clock)
    moved = NotedMoves(note(moves.PARTITION), clock)
    ports = PatientPorts(
        patience=patience,
        store=SealedStore(store, sealing, pool, clock),
        invoker=LambdaInvoker(client("lambda"), signer, patience.call_briefly, moved),
        timers=_timers(client, environment, clock, signer),
        signer=signer,
        clock=clock,
        runner=CodeRunner(),
        watcher=LogWatcher(Logger(use_rfc3339=True)),
        pool=pool,
        moves=moved,
        aside=SqsAside(
            environment.get("DURABLE_AGAIN", ""),
            environment.get("DURABLE_UNHANDLED", ""),
            lambda: client("sqs"),
            lambda: client("dynamodbstreams"),
        ),
        prefix=environment.get("DURABLE_PREFIX", ""),
        alias=environment.get("DURABLE_ALIAS", ""),
        default_target=environment.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        largest=sealing.largest,
        retention=retention_of(environment.get("DURABLE_RETENTION_DAYS", "")),
        retention_given=bool(environment.get("DURABLE_RETENTION_DAYS")),
        wake=waking_of(environment.get("DURABLE_WAKE") or Waking.STREAM, "DURABLE_WAKE"),
        sleep=_sleep,
    )
    sandbox = Sandbox.of(environment)
    return AwsHost(ports, Memory(size=sandbox.for_executions), sandbox)


def _sleep(span: Span) -> None:
    time.sleep(span / SECOND)


def _timers(
    client: Callable[[str], Any], environment: Mapping[str, str], clock: SystemClock, signer: Signatures
) -> SqsTimers | NoTimers:
    queue = environment.get("DURABLE_TIMERS")
    if not queue:
        return NoTimers()
    return SqsTimers(client("sqs"), queue, clock, signer, environment.get("DURABLE_UPKEEP", ""))


def _sealing(environment: Mapping[str, str], patience: Patience) -> Sealing:
    bucket, region = environment.get("DURABLE_BUCKET"), environment.get("AWS_REGION")
    # The client is made when it is needed: most Lambdas never see a large payload.
    payloads = Cached(S3Payloads(bucket, lambda: clients.make("s3", region, patience.left))) if bucket else None
    return Sealing(payloads, cipher_named(environment.get("DURABLE_CIPHER", "")))
