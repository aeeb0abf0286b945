"""The engine in a place: what Lambda entries and handles do, over `adapter.ports`."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from adapter.engine import Memory, end, respond
from adapter.errors import ConfigurationError
from adapter.exceptions import encode_exception
from adapter.flushing import Caller, begin
from adapter.ids import SCHEDULE, is_id
from adapter.loop import MICROSECOND
from adapter.messages import Cause, Resume, is_envelope, parse
from adapter.operations import Glance, Invoke, Operation, Remaining, RunCode, RunLeft, Settle
from adapter.ports import Ports
from adapter.promises import Kind, Record, Refusal, Refused, State, Written
from adapter.realio import run_to_end
from adapter.steps import Scope, current
from adapter.timers import SCHEDULES

T = TypeVar("T")


def drive(steps: Generator[Operation, Any, T], perform: Callable[[Operation], Any]) -> T:
    """Perform what a generator of operations asks for, to its end."""
    result: Any = None
    try:
        while True:
            operation = steps.send(result)
            result = perform(operation)
    except StopIteration as ended:
        value: T = ended.value
        return value
    finally:
        # Here too when an operation raised: the generator drops its suspended code without running it.
        steps.close()


@dataclass(frozen=True, slots=True)
class CodeRunner:
    """Runs user code here and now, each under the scope of its promise."""

    def run(self, operations: Sequence[RunCode]) -> list[tuple[State, str]]:
        outcomes: dict[int, tuple[State, str]] = {}
        waiting: dict[int, Any] = {}
        for position, operation in enumerate(operations):
            context = contextvars.copy_context()
            context.run(current.set, Scope(operation.scope, operation.now))
            try:
                value = context.run(operation.code)
                if inspect.isawaitable(value):
                    waiting[position] = (context, value)
                else:
                    outcomes[position] = State.RESOLVED, operation.encode(value)
            except Exception as error:
                outcomes[position] = _rejected(error)
        if waiting:
            for position, value in zip(waiting, _await_all(list(waiting.values())), strict=True):
                outcomes[position] = _encoded(value, operations[position].encode)
        return [outcomes[position] for position in range(len(operations))]

    def run_left(self, operation: RunLeft) -> tuple[State, str]:
        try:
            return State.RESOLVED, operation.encode(run_to_end(operation.task, operation.loop))
        except (Exception, asyncio.CancelledError) as error:
            return _rejected(error)


def _encoded(value: object, encode: Callable[[Any], str]) -> tuple[State, str]:
    if isinstance(value, BaseException):
        return _rejected(value)
    try:
        return State.RESOLVED, encode(value)
    except Exception as error:
        return _rejected(error)


def _rejected(error: BaseException) -> tuple[State, str]:
    return State.REJECTED, encode_exception(error)


def _await_all(started: list[tuple[contextvars.Context, Any]]) -> list[Any]:
    async def one(awaitable: Any) -> Any:
        return await awaitable

    async def everything() -> list[Any]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(one(awaitable), context=context) for context, awaitable in started]
        return await asyncio.gather(*tasks, return_exceptions=True)

    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return asyncio.run(everything())
    finally:
        asyncio._set_running_loop(outer)


class EngineHost:
    """Handles messages and starts roots over ports. A subclass says how to wait and where ids come from."""

    def __init__(self, ports: Ports, memory: Memory | None = None) -> None:
        self.ports = ports
        self.memory = memory or Memory()

    def begin(self, context: Any) -> None:
        """An invocation of Lambda begins, in its own time."""

    def handle(
        self,
        event: Any,
        context: Any,
        root: Callable[[str, str], Record] | None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Lambda's entry: run the promise of an envelope, or start a root with any other event as its argument."""
        self.begin(context)
        request_id = str(context.aws_request_id)
        if is_envelope(event):
            message = parse(event)
            promise = message.id
            # Almost none of its time is used up by now.
            caller = Caller(request_id, self.ports.prefix, _remaining(context))

            def perform(operation: Operation) -> Any:
                return _remaining(context) if isinstance(operation, Remaining) else self.ports.perform(operation)

            return {"id": promise, "state": drive(respond(message, caller, self.memory), perform)}
        if root is None:
            raise ConfigurationError("this entry only runs envelopes; start a durable function by its own handler")
        record = replace(root(event, identity_of(event, request_id)), by=request_id)
        stands = self.start(record, timeout)
        return {"id": stands.id, "state": stands.state.value}

    def start(self, record: Record, timeout: float | None = None) -> Record:
        now = self.ports.clock.now()
        deadline = None if timeout is None else now + round(timeout * MICROSECOND)
        _, stands = drive(begin(replace(record, created_at=now, deadline=deadline)), self.ports.perform)
        if stands.pending and stands.digest == record.digest and stands.paused:
            self.ports.perform(Invoke(stands.target, Resume(id=stands.id, cause=Cause.AGAIN)))
        return stands

    def drive(self, steps: Generator[Operation, Any, T]) -> T:
        return drive(steps, self.ports.perform)

    def scheduled(self) -> list[str]:
        return [due.id for page in self.ports.store.due(SCHEDULES, 2**62) for due in page]

    def now(self) -> int:
        return self.ports.clock.now()

    def largest(self) -> int:
        return self.ports.largest

    def get(self, promise: str) -> Record | None:
        return self.ports.store.get(promise) if is_id(promise) else None

    def head(self, promise: str) -> Record | None:
        return self.ports.store.head(promise) if is_id(promise) else None

    def settle(self, promise: str, state: State, value: str) -> Written:
        if not is_id(promise) or promise.startswith(SCHEDULE):
            # A schedule never settles: its entry would stay in the index, due for ever, and start nothing any more.
            return Refused(Refusal.UNKNOWN, None)
        # What is cancelled may be a function: only a look at it tells.
        written: Written = self.ports.perform(Settle(promise, state, value, guarded=state is State.CANCELED))
        if isinstance(written, Record) and written.kind is Kind.CALL and written.over:
            # A function that is settled in its place hears of nothing any more. What a crash leaves here, or a run that
            # is under way begins still, is ended with its retention.
            _, children = self.ports.perform(Glance(promise))
            self.drive(end(children))
        return written

    def qualify(self, target: str) -> str:
        name = Caller("", self.ports.prefix).qualify(target) or self.ports.default_target
        if not name:
            raise ConfigurationError("where is it to run? Give the function a target=, the name of its Lambda")
        return name


def _remaining(context: Any) -> int:
    return int(context.get_remaining_time_in_millis()) * 1_000


def identity_of(event: Any, request_id: str) -> str:
    """The id of the root that an event starts: the event's own identity, so that its redelivery starts nothing new."""
    found = [*_header_identity(event), *_source_identity(event)]
    text = found[0] if found else request_id
    # Not printable first: a lone surrogate has no encoding.
    if text.isprintable() and "~" not in text and not text.startswith(SCHEDULE) and 0 < len(text.encode()) <= 256:
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _header_identity(event: Any) -> list[str]:
    headers = event.get("headers") if isinstance(event, dict) else None
    if not isinstance(headers, dict):
        return []
    texts = [(name, value) for name, value in headers.items() if isinstance(name, str) and isinstance(value, str)]
    return [value for name, value in texts if name.lower() == "idempotency-key" and value]


def _source_identity(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return []
    records = event.get("Records")
    if isinstance(records, list) and records and all(isinstance(r, dict) for r in records):
        found = [record.get("messageId") for record in records]
        return ["-".join(found)] if all(isinstance(one, str) and one for one in found) else []
    if isinstance(event.get("detail-type"), str) and isinstance(event.get("id"), str):
        return [event["id"]]
    return []
