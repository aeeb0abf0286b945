"""Lambda as a local cloud plays it: it accepts events, makes attempts, retries, and gives up."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from adapter.protocol.addresses import split
from adapter.protocol.messages import is_envelope
from adapter.protocol.times import NO_TIME, SECOND, Instant
from adapter.templates.template import FunctionSpec, Template
from adapter.testing.faults import Dice, Killed
from adapter.testing.happenings import Happening
from adapter.testing.latencies import Delays
from adapter.testing.simulated_aws.concurrency import SHORTEST, Concurrency
from adapter.testing.simulated_aws.environments import Environments
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS, Batch, Function, Invocation, Unwritten
from adapter.testing.simulated_aws.on_failure import EXHAUSTED, TOO_OLD, UNRESERVED, on_failure_message
from adapter.testing.simulated_aws.outages import CannotImport, NoSuchFunction, Outage, Outages, Throttled, delay_of
from adapter.testing.simulated_aws.versions import Versions, own_name
from adapter.testing.simulated_aws.waiting import Ready

Attempt = Callable[[Function, Invocation], Any]
"""Makes one attempt. Raises the function's error, or Killed."""


class Surroundings(Protocol):
    """What the service calls on the cloud."""

    def clock(self) -> Instant: ...
    def happened(self, what: Happening, detail: dict[str, Any]) -> None: ...
    def attempt(self, function: Function, invocation: Invocation) -> Any: ...
    def send(self, queue: str, body: str) -> None: ...


class Service:
    """The functions, and the events that wait for them.

    ``lost`` has the invocations that failed for good, and that no queue caught. ``losses`` says which accepted events
    never come, counted from 1; the dice may lose more. ``delays`` says how long events take; without it, no time. Then
    nobody counts ``environments`` either.
    """

    def __init__(
        self,
        template: Template,
        dice: Dice,
        cloud: Surroundings,
        concurrency: int | None = None,
        delays: Delays | None = None,
    ) -> None:
        self.functions = {spec.name: Function(spec) for spec in template.functions}
        self.versions = Versions(dice.random.random, self.functions)
        self.ready = Ready()
        self.lost: list[Invocation] = []
        self.losses: set[int] = set()
        self.accepted = 0
        self.outages = Outages()
        reserved = {spec.name: spec.reserved for spec in template.functions if spec.reserved is not None}
        self.concurrency = Concurrency(concurrency, reserved, cloud.clock, NO_TIME if delays else SHORTEST)
        self.environments = Environments(delays.latencies, cloud.clock) if delays else None
        self._delays = delays
        self._turns: dict[str, int] = {}
        self._later: list[tuple[Instant, int, Invocation]] = []
        self._template = template
        self._dice = dice
        self._cloud = cloud
        self._count = 0

    def function(self, name: str) -> Function:
        """A function; made up if no template defines it."""
        if name not in self.functions:
            spec = FunctionSpec(
                logical_id=name, name=name, handler="", memory_mb=512, timeout_s=60, environment={}, max_retries=2
            )
            self.functions[name] = Function(spec)
        return self.functions[name]

    def enqueue(self, function: str, body: str | Unwritten) -> None:
        """Lambda's Invoke: accept the event, to run it at some time.

        Raises:
            InvokeRefused: it isn't.
        """
        function = own_name(function)
        self.outages.check_invoke(split(function)[0])
        self.versions.check(function)
        self.accepted += 1
        if self._dice.draw("lose") or self.accepted in self.losses:
            self._cloud.happened(Happening.LOST, {"of": function})
            return
        copies = 2 if self._dice.draw("duplicate") else 1
        invocation = self.invocation(function, body)
        for _ in range(copies):
            late = self._dice.late() + (self._delays.draw("invocation") if self._delays else NO_TIME)
            if late:
                self._push(self._cloud.clock() + late, invocation)
            else:
                self.ready.append(invocation)

    def invocation(self, function: str, body: str | Unwritten, attempt: int = 1) -> Invocation:
        self._count += 1
        number, now = f"request-{self._count}", self._cloud.clock()
        return Invocation(function=function, body=body, request_id=number, attempt=attempt, at=now)

    def next_at(self) -> Instant | None:
        """When the next waiting event comes, or finds room."""
        moments = [self._later[0][0] if self._later else None]
        moments += [self.concurrency.next_at() if self.ready else None]
        if self.environments is not None:
            moments += [self.environments.next_at(function) for function in self.ready.firsts()]
        return min((at for at in moments if at is not None), default=None)

    def pass_time(self) -> None:
        while self._later and self._later[0][0] <= self._cloud.clock():
            self.ready.append(heapq.heappop(self._later)[2])

    def take(self) -> Invocation | None:
        """The next event that is ready, and for which there is room."""
        if len(self.ready) > 1 and self._dice.draw("reorder"):
            self.ready.rotate(-self._dice.random.randrange(len(self.ready)))
        if self.concurrency.limit is None and self.environments is None:
            return self.ready.popleft() if self.ready else None
        return self._in_turn()

    def _in_turn(self) -> Invocation | None:
        """Each function has a queue. Lambda is taken to serve in turn those for which there is room."""
        firsts = self.ready.firsts().items()
        free = [function for function, invocation in firsts if self._has_room(function, invocation)]
        if not free:
            return None
        function = min(free, key=lambda function: self._turns.get(function, 0))
        self._count += 1
        self._turns[function] = self._count
        return self.ready.take(function)

    def _has_room(self, function: str, first: Invocation) -> bool:
        room = self._is_free(function)
        if not room and not first.throttled:
            first.throttled = 1
            self._cloud.happened(Happening.THROTTLED, {"of": function})
        return room

    def _is_free(self, function: str) -> bool:
        """Whether the account has a place for an attempt, and the function an environment, or Lambda makes one."""
        if not self.concurrency.has_room(split(function)[0]):
            return False
        return self.environments is None or self.environments.has_room(function)

    def invoke(self, invocation: Invocation) -> None:
        """Make an attempt. If it fails, repeat it as Lambda does."""
        if self._cloud.clock() > self._oldest(invocation):
            self._give_up(invocation, Throttled(invocation.function, reserved=False), TOO_OLD)
            return
        try:
            self._attempt(invocation)
        except Throttled as throttled:
            self._return(invocation, throttled)
        except (Killed, Exception) as error:
            self._retry(invocation, error)

    def deliver(self, name: str, event: dict[str, Any], attempt: int) -> Any:
        """Call a function as an event source mapping does. Raises the function's error."""
        return self._attempt(self.invocation(name, Batch(event), attempt))

    @contextmanager
    def outage(self, name: str, kind: Outage) -> Iterator[None]:
        """While it is open, the function can't run."""
        if kind in (Outage.MISSING, Outage.IMPORT):
            # Other code is deployed, or none: no sandbox outlives that.
            for function in self.functions.values():
                if split(function.spec.name)[0] == name:
                    function.forget()
        with self.outages.open(name, kind):
            yield

    def _attempt(self, invocation: Invocation) -> Any:
        name = split(invocation.function)[0]
        function = self.function(name)
        try:
            self.outages.check_attempt(name)
            function = self.function(self.versions.resolved(invocation.function))
            if not self._is_free(invocation.function):
                raise Throttled(invocation.function, reserved=False)
        except Throttled:
            self._cloud.happened(Happening.THROTTLED, {"of": invocation.function})
            raise
        except (NoSuchFunction, CannotImport) as error:
            detail = {"error": f"{type(error).__name__}: {error}", "attempt": invocation.attempt}
            self._cloud.happened(Happening.FAILED, {**detail, "of": invocation.function})
            function.forget()
            raise
        begun = self.concurrency.begin(name)
        try:
            return self._cloud.attempt(function, invocation)
        finally:
            self.concurrency.end(name, begun)

    def _push(self, at: Instant, invocation: Invocation) -> None:
        self._count += 1
        heapq.heappush(self._later, (at, self._count, invocation))

    def _return(self, invocation: Invocation, throttled: Throttled) -> None:
        """It goes back into Lambda's queue, and no attempt is counted."""
        at = self._cloud.clock() + delay_of(invocation.throttled) * SECOND
        if throttled.reserved:
            self._give_up(invocation, throttled, UNRESERVED)
        elif at > self._oldest(invocation):
            self._give_up(invocation, throttled, TOO_OLD)
        else:
            self._push(at, replace(invocation, throttled=invocation.throttled + 1))

    def _oldest(self, invocation: Invocation) -> Instant:
        """Until when Lambda keeps it."""
        return invocation.at + self._of(invocation).spec.max_age_s * SECOND

    def _of(self, invocation: Invocation) -> Function:
        """Its Lambda, by whatever version it is to run."""
        return self.function(split(invocation.function)[0])

    def _retry(self, invocation: Invocation, error: BaseException) -> None:
        function = self._of(invocation)
        delay = RETRY_DELAYS[min(invocation.attempt, len(RETRY_DELAYS)) - 1]
        at = self._cloud.clock() + delay
        if invocation.attempt > function.spec.max_retries:
            self._give_up(invocation, error, EXHAUSTED)
        elif at > self._oldest(invocation):
            self._give_up(invocation, error, TOO_OLD)
        else:
            self._push(at, replace(invocation, attempt=invocation.attempt + 1, throttled=0))

    def _give_up(self, invocation: Invocation, error: BaseException, condition: str) -> None:
        """Lambda's on-failure destination; `lost` keeps what nothing catches."""
        queue = self._of(invocation).spec.on_failure or self._dead_letters()
        if queue is None or not is_envelope(json.loads(invocation.payload)):
            self.lost.append(invocation)
        if queue is not None:
            self._cloud.send(queue, on_failure_message(invocation, condition, error, self._cloud.clock()))

    def _dead_letters(self) -> str | None:
        """Where what fails in a function that no template defines goes: as in those that one does, by the handler."""
        handler = "adapter.lambdas.deadletters.handler"
        buriers = {spec.name for spec in self._template.functions if spec.handler == handler}
        return next((m.queue for m in self._template.queue_mappings if m.function in buriers), None)
