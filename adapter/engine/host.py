"""The engine over the ports of one place: what the Lambda handlers and the handles outside call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from adapter.engine import answers, registry
from adapter.engine.answers import Started
from adapter.engine.caller import Caller
from adapter.engine.ending import end
from adapter.engine.events import Submission, is_http, path_of, submissions
from adapter.engine.memory import Memory
from adapter.engine.operations import Invoke, Operation, PeekFunction, Settle, Tell
from adapter.engine.pinning import pinned_root
from adapter.engine.ports import Ports, drive
from adapter.engine.roots import start_root
from adapter.engine.run import respond
from adapter.engine.telling import What, loggable
from adapter.errors import ConfigurationError, IdConflict
from adapter.protocol import addresses
from adapter.protocol.ids import SCHEDULE, is_id
from adapter.protocol.making import changed
from adapter.protocol.messages import Cause, Resume, is_envelope, parse
from adapter.protocol.promises import Refusal, Refused, Written
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import MILLISECOND, NEVER, Instant, Span, span_of
from adapter.protocol.timing import SCHEDULES, is_expired

T = TypeVar("T")


class EngineHost:
    """Handles messages and starts roots over ports. A subclass says how to wait and where ids come from."""

    def __init__(self, ports: Ports, memory: Memory | None = None) -> None:
        self.ports = ports
        self.memory = memory or Memory()

    def enter_invocation(self, context: Any, patience: float | None = None) -> None:
        """Called when an invocation of Lambda begins; its context says how much time it has.

        Args:
            patience: for how many seconds at most it asks AWS again for what AWS refuses.
        """

    def leave_invocation(self) -> None:
        """An invocation of Lambda has run a message."""

    def new_id(self) -> str:
        """An id that no root has."""
        raise NotImplementedError

    def wait(self, promise: str, timeout: float | None) -> Record | None:
        """Wait for the settled record; None if ``timeout`` seconds pass first."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass outside of any invocation, for who looks again, or goes slowly."""
        raise NotImplementedError

    def handle(
        self,
        event: Any,
        context: Any,
        root: Callable[[Submission], Record] | None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Lambda's entry: run the promise of an envelope, or start what any other event is to start."""
        self.enter_invocation(context)
        caller = self._caller(context)
        if is_envelope(event):
            self.ports.check(event)
            message = parse(event)
            promise = message.id
            remaining = functools.partial(_remaining, context)
            if message.by:
                caller = replace(caller, request_id=message.by)
            try:
                ended = drive(respond(message, caller, self.memory), self.ports.perform, remaining)
            finally:
                self.leave_invocation()
            return {"id": promise, "state": ended.value}
        if root is None:
            raise ConfigurationError("this entry only runs envelopes; start a durable function by its own handler")
        here = addresses.invoked(str(getattr(context, "invoked_function_arn", "")), caller.name, caller.alias)
        submit = functools.partial(self._submit, caller=caller, here=here, root=root, timeout=timeout)
        started: list[Started] = self.ports.pool.map(submit, submissions(event, caller.request_id))
        if len(started) > 1:
            # The answer names items, and Lambda logs what is raised: one error.
            self._tell_failures(started)
        return answers.of_http(started[0], path_of(event)) if is_http(event) else answers.of_event(started)

    def _caller(self, context: Any) -> Caller:
        """The invocation. Almost none of its time is used up by now."""
        return Caller(
            str(context.aws_request_id),
            self.ports.prefix,
            _remaining(context),
            self.ports.wake,
            self.ports.alias,
            str(getattr(context, "function_name", "")),
            str(getattr(context, "function_version", "")),
        )

    def _submit(
        self,
        submission: Submission,
        *,
        caller: Caller,
        here: str,
        root: Callable[[Submission], Record],
        timeout: float | None,
    ) -> Started:
        """Start the root of a submission. A failure is kept: others of its batch don't fail with it.

        In its own Lambda it goes by the name by which the event came.
        """
        try:
            made = changed(root(submission), by=submission.by(caller.request_id))
            record = changed(made, target=addresses.within(made.target, here, caller.alias) if here else made.target)
            if registry.find(record.fn).pin:
                record = pinned_root(record, caller)
            stands = self.start(record, timeout)
            if stands.digest == record.digest:
                return Started(submission, stands)
            raise IdConflict(f"{record.id} has begun with other content; nothing was started by this event")
        except Exception as error:
            return Started(submission, error)

    def _tell_failures(self, started: Sequence[Started]) -> None:
        for one in started:
            if isinstance(one.outcome, Exception):
                self.ports.perform(Tell(What.UNHANDLED, "", "", {"error": loggable(one.outcome)}))

    def start(self, record: Record, timeout: float | None = None) -> Record:
        now = self.ports.clock.now()
        deadline = None if timeout is None else now + span_of(timeout)
        _, stands = drive(start_root(changed(record, created_at=now, deadline=deadline)), self.ports.perform)
        if stands.pending and stands.digest == record.digest and stands.paused:
            again = Resume(id=stands.id, cause=Cause.AGAIN, since=stands.created_at)
            self.ports.perform(Invoke(stands.target, again))
        return stands

    def drive(self, steps: Generator[Operation, Any, T]) -> T:
        return drive(steps, self.ports.perform)

    def scheduled(self) -> list[str]:
        return [due.id for page in self.ports.store.due(SCHEDULES, NEVER) for due in page]

    def now(self) -> Instant:
        return self.ports.clock.now()

    def largest(self) -> int:
        return self.ports.largest

    def read_promise(self, promise: str) -> Record | None:
        return self.existing(self.ports.store.read_promise(promise)) if is_id(promise) else None

    def peek_promise(self, promise: str) -> Record | None:
        return self.existing(self.ports.store.peek_promise(promise)) if is_id(promise) else None

    def existing(self, found: Record | None) -> Record | None:
        """None for what has expired: DynamoDB may take two days to remove it."""
        return None if found is None or is_expired(found, self.now()) else found

    def settle(self, promise: str, state: State, value: str) -> Written:
        if not is_id(promise) or promise.startswith(SCHEDULE):
            # A schedule never settles. Settled, its entry would stay in the index, due for ever, and start nothing any
            # more.
            return Refused(Refusal.UNKNOWN, None)
        # Guarded, since the promise may be a function: its record hasn't been read.
        written: Written = self.ports.perform(Settle(promise, state, value, guarded=state is State.CANCELED))
        if isinstance(written, Record) and written.kind is Kind.CALL and written.over:
            # The function hears of nothing any more, so its children end here. If this dies, or a run under way still
            # starts some, they go when the execution's retention ends.
            _, children = self.ports.perform(PeekFunction(promise))
            self.drive(end(children))
        return written

    def qualify(self, target: str) -> str:
        default = addresses.lambda_of(self.ports.default_target, "", self.ports.alias)
        name = addresses.lambda_of(target, self.ports.prefix, self.ports.alias) or default
        if not name:
            raise ConfigurationError("where is it to run? Give the function a target=, the name of its Lambda")
        return name


def _remaining(context: Any) -> Span:
    return int(context.get_remaining_time_in_millis()) * MILLISECOND
