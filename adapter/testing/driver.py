"""What is ready to happen in a local cloud, and what falls due next. A subclass makes it happen.

`adapter.testing.in_process` runs functions in this process, one after the other. `adapter.testing.processes` runs them
in processes of their own, side by side.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.aws import keys, moves
from adapter.aws.aside import SqsAside
from adapter.aws.keys import Signatures
from adapter.aws.moves import NotedMoves
from adapter.aws.sealed import SealedStore
from adapter.aws.sealing import Sealing, cipher_named
from adapter.aws.timers import SqsTimers
from adapter.aws.wiring import NoTimers
from adapter.engine.caller import Waking, waking_of
from adapter.engine.ports import Clock, Payloads, Pool, Timers
from adapter.engine.registry import Definition
from adapter.engine.runner import CodeRunner
from adapter.errors import ConfigurationError
from adapter.protocol import addresses
from adapter.protocol.times import NO_TIME, SECOND, Instant, Span
from adapter.protocol.timing import retention_of
from adapter.testing.fakes import Fake
from adapter.testing.faults import Kill, Meanwhile
from adapter.testing.happenings import Happening
from adapter.testing.hosting import InOrder, LocalNote, LocalPayloads, LocalPorts, SkewedClock
from adapter.testing.ports import Cloud
from adapter.testing.simulated_aws.engines import AnyWorld
from adapter.testing.simulated_aws.lambdas import Function, Invocation
from adapter.testing.simulated_aws.past import LocalStore, PastIndex
from adapter.testing.simulated_aws.queues import QueuePoller
from adapter.testing.simulated_aws.streams import Lane
from adapter.testing.simulated_aws.versions import Code

DEFAULT_FUNCTION = "durable"
"""The Lambda of durable functions that neither the template nor a target places."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Hands an event, or a batch of ``source``, to a function, and deals with the result."""

    function: str
    code: Callable[[], object]
    source: Lane | QueuePoller | None = None


class Driver:
    """Where the functions of a cloud run, and the time that they see.

    ``running`` is the Lambda that runs right now, so that events name it; empty if none does.
    """

    running = ""

    def __init__(self, cloud: Cloud, world: AnyWorld, kills: list[Kill]) -> None:
        self.cloud = cloud
        self.service = cloud.service
        self.dice = cloud.dice
        self.delays = cloud.delays
        self.world = world
        self.kills = kills
        self.past = PastIndex(self.dice, self.now, self.world.records)
        self._skews: dict[str, Span] = {}
        self._signer: Signatures | None = None
        self._moves: NotedMoves | None = None

    @functools.cached_property
    def wake(self) -> Waking:
        """How calls resume functions that don't say so themselves."""
        return waking_of(self.cloud.template.variable("DURABLE_WAKE") or Waking.STREAM, "DURABLE_WAKE")

    # What a subclass does.

    def open(self) -> None:
        """Start what the driver needs. The world is open."""

    def close(self) -> None:
        """End everything that runs."""

    def check(self) -> None:
        """Raise an error of the cloud itself, which no function could notice."""

    def now(self) -> Instant:
        raise NotImplementedError

    def reach(self, at: Instant) -> None:
        """Move the clock forward to this time, never back."""
        raise NotImplementedError

    def elapse(self, time: Span) -> None:
        """Let the running Lambda's code take so long."""
        raise ConfigurationError("a function in a process of its own takes the time that it takes")

    def sleep(self, time: Span) -> None:
        """Let the running Lambda wait for so long, while others run."""
        self.elapse(time)

    def drive(self) -> None:
        """Run until nothing runs, and nothing is ready."""
        raise NotImplementedError

    def attempt(self, function: Function, invocation: Invocation) -> Any:
        """Make one attempt, as Lambda does. Raises the function's error, or one that says that it died."""
        raise NotImplementedError

    def fault(self, operation: object, when: str) -> None:
        """Called before and after each operation of an engine in this process, the test's own included."""

    def kill(self, kill: Kill) -> None:
        """Remember the kill until it comes about."""
        self.kills.append(kill)

    def meanwhile(self, meanwhile: Meanwhile) -> None:
        """Keep it: it holds as long as the cloud."""
        raise ConfigurationError("functions in processes run side by side of themselves: only in this process")

    def faked(self) -> Mapping[str, Definition]:
        """The functions that a test has put in place of others, by name."""
        return {}

    def fake(self, fake: Fake) -> None:
        """Let it answer until it ends, or the cloud does."""
        raise ConfigurationError(
            f"{fake.definition.name} runs in a process of its own, which knows no fake: only in this process"
        )

    def code(self, changed: Fake | None) -> Code:
        """The durable functions as they are now, one of them changed: what a version of a Lambda keeps."""
        raise ConfigurationError("functions in processes have the code of their modules' files: only in this process")

    def forget(self) -> None:
        """End every sandbox. One that serves an invocation ends after it."""
        raise NotImplementedError

    def kill_midway(self, fn: str, once: Callable[[], bool]) -> None:
        raise ConfigurationError(
            f"killing {fn} in the middle of its own code needs a process to kill: LocalCloud(processes=True)"
        )

    # What is ready.

    def invocation(self, taken: Invocation) -> Work:
        """The work of an invocation that is ready."""
        return Work(function=taken.function, code=lambda: self.service.invoke(taken))

    def changes(self) -> list[Work]:
        """Read the streams, and take a batch from each lane that has one."""
        for poller in self.world.pollers:
            for lane, added in poller.fetch():
                fresh = added - self._drop(lane, added)
                lane.not_before = self._comes_at(lane, added)
                if fresh and self.dice.draw("duplicate"):
                    # The duplicate is drawn once, when records are new: copies of copies would never end.
                    lane.backlog.extend(lane.backlog[-fresh:])
        lanes = [lane for lane in self.lanes() if lane.ready_at <= self.now()]
        if lanes and self.dice.faults.reorder:
            lanes = [self.dice.random.choice(lanes)]
        return [self._batch(lane) for lane in lanes]

    def _comes_at(self, lane: Lane, added: int) -> Instant:
        """When the lane's next batch comes, now that so many records have been added to it.

        With latencies, a batch has all that was written before it comes: so only the first record counts.
        """
        if self.delays is None:
            return self.now() + self.dice.late()
        waiting = len(lane.backlog) - lane.taken
        if waiting <= added:
            lane.read_at = self.now() + self.dice.late() + self.delays.draw("stream")
        window = NO_TIME if waiting >= lane.mapping.batch_size else Span(lane.mapping.window_s * SECOND)
        return lane.read_at + window

    def _drop(self, lane: Lane, fresh: int) -> int:
        """Have the mapping put aside some of what is new; how many. Each by itself: nobody says what they were."""
        waiting = len(lane.backlog)
        dropped = [position for position in range(waiting - fresh, waiting) if self.dice.draw("drop")]
        for position in reversed(dropped):
            lane.drop(position)
            self.cloud.emit(Happening.DROPPED, "", "", {"of": lane.mapping.function})
        return len(dropped)

    def _batch(self, lane: Lane) -> Work:
        limit = self.dice.random.randint(1, len(lane.backlog)) if self.dice.draw("reorder") else None
        deliver = functools.partial(lane.deliver, self.service.deliver, limit)
        return Work(function=lane.mapping.function, code=deliver, source=lane)

    def messages(self) -> list[Work]:
        """A batch from each queue that has one."""
        return [self._received(poller) for poller in self.world.queues if poller.is_ready()]

    def _received(self, poller: QueuePoller) -> Work:
        limit = self.dice.random.randint(1, poller.mapping.batch_size) if self.dice.draw("reorder") else None
        deliver = functools.partial(poller.deliver, self.service.deliver, limit, self.dice.draw("duplicate"))
        return Work(function=poller.mapping.function, code=deliver, source=poller)

    def lanes(self) -> list[Lane]:
        """The lanes that have a batch, and whose function is free to take it."""
        return [lane for poller in self.world.pollers for lane in poller.lanes if lane.backlog and not lane.busy]

    def next_at(self) -> Instant | None:
        """When the next of all this falls due, retries included."""
        moments = [self.service.next_at()]
        moments += [poller.next_at() for poller in self.world.queues]
        moments += [lane.ready_at for lane in self.lanes()]
        return min((at for at in moments if at is not None), default=None)

    # Wiring.

    def ports(self, function: str = DEFAULT_FUNCTION) -> LocalPorts:
        """The ports of an engine in this process, as if it were in a Lambda."""
        clock = SkewedClock(self.now, self._skew(function))
        bucket = self.bucket()
        store = self.store(None if bucket is None else LocalPayloads(bucket, self.cloud.stats, self.fault))
        return LocalPorts(
            store=store,
            invoker=self.world.make_invoker(self.world.lambda_client, self.signer(), moves=self.moves()),
            timers=self._timers(clock),
            signer=self.signer(),
            clock=clock,
            runner=CodeRunner(),
            watcher=self.cloud,
            pool=self.pool(),
            moves=self.moves(),
            aside=SqsAside(
                self.cloud.template.variable("DURABLE_AGAIN"),
                self.cloud.template.variable("DURABLE_UNHANDLED"),
                lambda: self.world.sqs,
                lambda: self.world.streams,
            ),
            prefix=self.cloud.template.prefix,
            alias=self.cloud.alias,
            default_target=addresses.split(function)[0],
            largest=store.sealing.largest,
            retention=retention_of(self.cloud.template.variable("DURABLE_RETENTION_DAYS")),
            retention_given=bool(self.cloud.template.variable("DURABLE_RETENTION_DAYS")),
            wake=self.wake,
            sleep=self.sleep,
            fault=self.fault,
        )

    def pool(self) -> Pool:
        return InOrder()

    def signer(self) -> Signatures:
        """What signs envelopes, and knows those that were signed: of all sandboxes in this process."""
        if self._signer is None:
            self._signer = self.world.make_signatures(self._note(keys.PARTITION), self)
        return self._signer

    def moves(self) -> NotedMoves:
        """Where renamed Lambdas are found, as all sandboxes in this process know it."""
        if self._moves is None:
            self._moves = NotedMoves(self._note(moves.PARTITION), self)
        return self._moves

    def _note(self, partition: str) -> LocalNote:
        return LocalNote(self.world.note(partition), partition, self.cloud.stats, self.fault)

    def bucket(self) -> Payloads | None:
        """The bucket of large values, if the template has one."""
        name = self.cloud.template.variable("DURABLE_BUCKET")
        return self.world.bucket(name) if name else None

    def store(self, payloads: Payloads | None) -> SealedStore:
        name = self.cloud.template.variable("DURABLE_CIPHER") or os.environ.get("DURABLE_CIPHER", "")
        return LocalStore(self.past, self.world.store, Sealing(payloads, cipher_named(name)), self.pool(), self)

    def _skew(self, function: str) -> Span:
        if function not in self._skews:
            self._skews[function] = self.dice.skew()
        return self._skews[function]

    def _timers(self, clock: Clock) -> Timers:
        url = self.cloud.template.timers_url
        upkeep = self.cloud.template.upkeep_url
        return SqsTimers(self.world.sqs, url, clock, self.signer(), upkeep) if url else NoTimers()
