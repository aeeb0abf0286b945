"""The services in memory: a table with its stream and index, queues, and a Lambda service that is ours.

The clients of SQS and Lambda are as small as product code needs them: the adapters of `adapter.aws` run over them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from adapter.aws.payloads import missing
from adapter.promises import Record
from adapter.testing.lambdas import environment
from adapter.testing.memory import MemoryStore
from adapter.testing.queues import MemoryQueue, QueuePoller
from adapter.testing.stats import Stats
from adapter.testing.streams import Poller
from adapter.testing.template import Template
from adapter.testing.world import ENVIRONMENT, only_table


class MemoryWorld:
    """What `adapter.testing.world.World` is on moto."""

    def __init__(
        self,
        template: Template,
        stats: Stats,
        invoked: Callable[[str, str], None],
        clock: Callable[[], int],
        lanes: int = 1,
    ) -> None:
        self._template = template
        self._stack = ExitStack()
        self.table = only_table(template)
        self.store = MemoryStore(stats)
        self._queues = {spec.name: MemoryQueue(spec, clock, self.send) for spec in template.queues}
        self._buckets = {name: MemoryBucket() for name in template.buckets}
        self.sqs = _Sqs(self._queues, stats)
        self.lambda_client = _Lambda(invoked)
        self.pollers = [Poller(_Tail(self.store.changes).read, mapping, lanes) for mapping in template.mappings]
        self.queues = [QueuePoller(self._queues[mapping.queue], mapping) for mapping in template.queue_mappings]

    def open(self) -> None:
        # User code may make clients of its own: they must not reach an account.
        self._stack.enter_context(environment({k: v for k, v in ENVIRONMENT.items() if k not in os.environ}))

    def close(self) -> None:
        self._stack.close()

    def bucket(self, name: str) -> MemoryBucket:
        return self._buckets[name]

    def objects(self) -> dict[str, str]:
        """Everything in the buckets, by key."""
        return {key: text for bucket in self._buckets.values() for key, text in bucket.objects.items()}

    def send(self, queue: str, body: str) -> None:
        self._queues[queue].put(body)

    def due_minutes(self) -> list[int]:
        return self.store.due_minutes()

    def has_schedules(self) -> bool:
        return self.store.has_schedules()

    def records(self) -> list[Record]:
        return sorted(self.store.records(), key=lambda record: record.id)


class MemoryBucket:
    """`adapter.ports.Payloads` on a dict."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def put(self, key: str, text: str) -> None:
        self.objects[key] = text

    def get(self, key: str) -> str:
        if key not in self.objects:
            raise missing(key)
        return self.objects[key]

    def copy(self, key: str, to: str) -> None:
        self.objects[to] = self.get(key)


class _Tail:
    """What is new in a list that only grows."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        self._changes = changes
        self._read = 0

    def read(self) -> list[dict[str, Any]]:
        found = self._changes[self._read :]
        self._read = len(self._changes)
        return found


class _Sqs:
    def __init__(self, queues: dict[str, MemoryQueue], stats: Stats) -> None:
        self._queues = queues
        self._stats = stats

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0) -> None:  # noqa: N803
        self._stats.messages += 1
        self._queues[QueueUrl.rsplit("/", 1)[-1]].put(MessageBody, DelaySeconds)


class _Lambda:
    def __init__(self, invoked: Callable[[str, str], None]) -> None:
        self._invoked = invoked

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        self._invoked(FunctionName, Payload.decode())
