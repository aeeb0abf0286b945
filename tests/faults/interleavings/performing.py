"""What one operation does to a state, by the product's own transitions; and the invariants that a state has to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from adapter.engine.operations import (
    Arm,
    Arrive,
    Ask,
    Claim,
    Close,
    Create,
    Hold,
    Invoke,
    Pause,
    PeekPromise,
    Pin,
    ReadChapters,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    Register,
    RunCode,
    Settle,
    WriteChapter,
)
from adapter.engine.run import respond
from adapter.lambdas.resumer import resume_counted
from adapter.protocol import ids, promises
from adapter.protocol.chapters import TOLD, Chapter, told_by
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Resume, Settlement, Start
from adapter.protocol.promises import Refused
from adapter.protocol.records import Record, State
from adapter.replay.outcomes import resolved
from tests.faults.interleavings.states import LambdaRun, ResumerRun, Run, Things, Violation, World, added

LEAF = "explored.leaf"


@dataclass
class Rules:
    """The transitions under test; a deliberate bug replaces one."""

    arm: Callable[[Record | None, Any], Any] = promises.arm
    settle: Callable[..., Any] = promises.settle
    register: Callable[..., Any] = promises.register
    wakes: Callable[..., bool] = promises.wakes
    engine: Callable[..., Any] = respond
    counted: Callable[..., Any] = resume_counted


TRANSITIONS: dict[type[Any], Callable[[Record | None, Any], Any]] = {
    Create: lambda standing, asked: promises.create(standing, asked.record),
    Ask: lambda standing, asked: promises.ask(standing),
    Claim: lambda standing, asked: promises.claim(standing, asked.by, asked.firing, armed=asked.armed),
    Arrive: lambda standing, asked: promises.arrive(standing, asked.count, asked.rejected),
    Close: lambda standing, asked: promises.close(standing),
    Hold: lambda standing, asked: promises.hold(standing, asked.why, asked.since, asked.retry_at),
    Pin: lambda standing, asked: promises.pin(standing, asked.was, asked.target, asked.unpinned),
}
"""Those that no deliberate bug replaces."""


@dataclass
class Performing:
    """Performs operations on states. ``distinct`` is that of `Explorer`; ``fault_free``: nothing ever fails."""

    things: Things
    rules: Rules
    distinct: bool
    fault_free: bool

    def apply(self, world: World, run: Run, operation: Any) -> tuple[Any, World]:
        match operation:
            case ReadFunction() | ReadPromise() | PeekPromise():
                return self.things.records(world).get(operation.id), world
            case ReadChildren():
                return children_of(self.things.records(world), operation), world
            case ReadChapters():
                return self._chapters(world, operation.id), world
            case WriteChapter():
                return None, self._tell(world, operation.chapter)
            case Invoke():
                issued = Counter(dict(world.issued))
                issued[operation.message.id] += 1
                request = f"{operation.message.id}/{issued[operation.message.id]}"
                if not self.distinct and isinstance(operation.message, Start) and self._is_leaf(world, operation):
                    # A leaf has no children that could tell one request from another.
                    request, issued = f"{operation.message.id}/", Counter(dict(world.issued))
                called = self.things.number(LambdaRun(operation.message, request, now=world.clock))
                waiting = added(world.waiting, called)
                return None, world._replace(waiting=waiting, issued=tuple(sorted(issued.items())))
            case RunCode():
                return self._run_code(world, run, operation)
            case Pause():
                raise Violation(f"I4: a replay drifted:\n{operation.why}")
            case _:
                return self.write(world, operation)

    def _chapters(self, world: World, promise: str) -> tuple[Record | None, tuple[Chapter, ...]]:
        own = self.things.records(world).get(promise) if parent_of(promise) is None else None
        return own, tuple(self.things[number] for (of, _), number in world.chapters if of == promise)

    def _tell(self, world: World, chapter: Chapter) -> World:
        records = self.things.records(world)
        for told in told_by(chapter):
            stands = records[told.id]
            if any(getattr(told, name) != getattr(stands, name) for name in TOLD):
                raise Violation(f"I4: a chapter tells {told}, and what stands is {stands}")
        chapters = dict(world.chapters) | {(chapter.promise, chapter.number): self.things.number(chapter)}
        return world._replace(chapters=tuple(sorted(chapters.items())))

    def _is_leaf(self, world: World, operation: Invoke) -> bool:
        return self.things.records(world)[operation.message.id].fn == LEAF

    def _run_code(self, world: World, run: Run, operation: RunCode) -> tuple[Any, World]:
        assert isinstance(run, LambdaRun)
        if self.fault_free:
            counts = Counter(dict(world.bodies))
            counts[operation.id] += 1
            if counts[operation.id] > 1:
                raise Violation(f"I5: {operation.id} ran twice though nothing failed")
            world = world._replace(bodies=tuple(sorted(counts.items())))
        value = f"{operation.id} by {run.request}.{run.attempt}" if self.distinct else operation.id
        return resolved(f'"{value}"'), world

    def write(self, world: World, operation: Any) -> tuple[Any, World]:
        promise = operation.record.id if isinstance(operation, Create) else operation.id
        numbers = dict(world.table)
        standing: Record | None = self.things[numbers[promise]] if promise in numbers else None
        written = self._transition(world, standing, operation)
        if isinstance(written, Refused):
            return written, world
        self._check_write(standing, written)
        numbers[promise] = self.things.number(written)
        world = world._replace(table=tuple(sorted(numbers.items())))
        return written, self._without_idle(self._streamed(world, standing, written), standing, written)

    def _transition(self, world: World, standing: Record | None, operation: Any) -> Any:
        match operation:
            case Settle():
                # Higher ordinals settle earlier by the clock, so a run that sees more delivers in another order.
                at = world.clock - ids.ordinal_of(operation.id)
                state, value = operation.state, operation.value
                more = {"by_parent": operation.by_parent, "prompted_by": operation.prompted_by}
                return self.rules.settle(standing, state, value, at, **more)
            case Arm():
                return self.rules.arm(standing, operation.arming)
            case Register():
                return self.rules.register(standing, operation.awaiter)
            case _:
                return TRANSITIONS[type(operation)](standing, operation)

    def _check_write(self, before: Record | None, after: Record) -> None:
        if before is None or before.pending:
            return
        if (before.state, before.value, before.settled_at) != (after.state, after.value, after.settled_at):
            raise Violation(f"I1: {after.id} was {before.state} {before.value} and became {after.state} {after.value}")

    def _streamed(self, world: World, before: Record | None, after: Record) -> World:
        """What the template's filter lets through to the resumer."""
        if before is None or not before.pending or after.pending:
            return world
        canceled = after.state in (State.CANCELED, State.TIMEDOUT)
        wakes = after.wake is not None and not after.prompted_by
        if not wakes and not canceled and not after.awaiters:
            return world
        value = Settlement(
            id=after.id,
            kind=after.kind,
            target=after.target,
            rejected=after.rejected,
            canceled=canceled,
            wake=after.wake,
            reply_to=after.reply_to,
            state=after.state,
            value=after.value,
            awaiters=tuple(sorted(after.awaiters)),
        )
        return world._replace(waiting=added(world.waiting, self.things.number(ResumerRun(value))))

    def _without_idle(self, world: World, before: Record | None, after: Record) -> World:
        """Once a promise is settled, a leaf's other runs and a function's wakes can only be refused: forget them."""
        if after.pending or before is None or not before.pending or self.distinct:
            return world

        def idle(number: int) -> bool:
            run = self.things[number]
            if isinstance(run, ResumerRun):
                return parent_of(run.settled.id) == after.id and not run.results
            leaf = after.fn == LEAF
            return bool(run.message.id == after.id and (leaf or (not run.results and isinstance(run.message, Resume))))

        return world._replace(
            waiting=tuple(number for number in world.waiting if not idle(number)),
            running=tuple(number for number in world.running if not idle(number)),
        )

    def check_end(self, world: World, decode: Callable[[str], Any]) -> str:
        """The outcome of the root ``r``, once nothing moves any more. ``decode`` reads it."""
        records = self.things.records(world)
        root = records["r"]
        if root.pending:
            raise Violation(f"I3: nothing is in flight, and r is pending: {root}")
        if root.state is not State.RESOLVED:
            raise Violation(f"r is {root.state}: {root.value}")
        orphans = [record.id for record in records.values() if record.pending]
        if orphans:
            raise Violation(f"r is settled, but {orphans} are pending")
        stored = {record.value for record in records.values()}
        for value in _texts(decode(root.value)):
            if f'"{value}"' not in stored:
                raise Violation(f"I2: r observed {value!r}, which no promise has as its outcome")
        return root.value


def children_of(records: dict[str, Record], operation: ReadChildren) -> tuple[Record, ...]:
    found = [r for r in records.values() if parent_of(r.id) == operation.id and r.ordinal >= operation.first]
    found = [record for record in found if operation.last is None or record.ordinal <= operation.last]
    return tuple(sorted(found, key=lambda record: record.ordinal))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
