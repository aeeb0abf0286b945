"""Every interleaving of a small run, over the product's own engine, resumer and transitions.

A run of a Lambda is known by what it was sent so far: the engine is a generator, so its next operation is a function of
its message and the results it has seen. That makes the whole system a graph of small states: the table, what is in
flight, the runs in progress, and the faults that are left. The search visits each state once.

Between any two operations another run may go on, or this one may die: a Lambda's death brings its message back as a
retry of the same request, a resumer's death brings its record back. A duplicate is a message delivered twice. A record
that is put aside never comes, or comes after the watchdog has looked; for each such record it has to look once at most.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from adapter.api.durable import Durable
from adapter.engine.caller import Caller
from adapter.engine.memory import Memory
from adapter.engine.operations import (
    Arm,
    Arrive,
    Claim,
    Close,
    Create,
    Hold,
    Invoke,
    Many,
    Now,
    Operation,
    Pause,
    PeekPromise,
    ReadChildren,
    ReadFunction,
    ReadPromise,
    Register,
    Remaining,
    RunCode,
    Settle,
    Tell,
)
from adapter.engine.run import respond
from adapter.lambdas.resumer import follow_up, resume_counted
from adapter.protocol import ids, promises
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Cause, Message, Resume, Settlement, Start
from adapter.protocol.promises import Refused
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.signs import Lost, verdict
from adapter.protocol.times import Instant
from adapter.protocol.timing import WATCH
from adapter.replay.outcomes import resolved

LEAF = "explored.leaf"

BEGINNING = 1_000
"""The time at first (microseconds); only a look of the watchdog comes later."""

MAX_OPERATIONS = 100
"""Of one run of any of the small programs: most take ten. One that goes on without end is found by it."""


@dataclass(frozen=True)
class LambdaRun:
    """An invocation of a function, or its retry; ``results`` are what its operations gave."""

    message: Message
    request: str
    attempt: int = 1
    results: tuple[int, ...] = ()
    now: int = BEGINNING


@dataclass(frozen=True)
class ResumerRun:
    """The resumer with one record of the stream."""

    settled: Settlement
    attempt: int = 1
    results: tuple[int, ...] = ()


Run = LambdaRun | ResumerRun


class World(NamedTuple):
    """One state. ``waiting`` are messages in flight, ``running`` runs between two operations; both sorted.

    ``aside`` are records of the stream that were put aside, ``looks`` how often the watchdog found a function lost.
    """

    table: tuple[tuple[str, int], ...]
    waiting: tuple[int, ...]
    running: tuple[int, ...]
    issued: tuple[tuple[str, int], ...]
    crashes: int
    duplicates: int
    bodies: tuple[tuple[str, int], ...]
    current: int
    switches: int
    drops: int = 0
    aside: tuple[int, ...] = ()
    looks: int = 0

    @property
    def clock(self) -> int:
        return BEGINNING + self.looks * WATCH


class Violation(AssertionError):
    """An invariant doesn't hold in some interleaving; the path that leads there is in the message."""


@dataclass
class Rules:
    """The transitions under test; a deliberate bug replaces one."""

    arm: Callable[[Record | None, Any], Any] = promises.arm
    settle: Callable[..., Any] = promises.settle
    register: Callable[..., Any] = promises.register
    wakes: Callable[..., bool] = promises.wakes
    engine: Callable[..., Any] = respond
    counted: Callable[..., Any] = resume_counted


@dataclass
class Explorer:
    """Explores ``root()`` from its first invocation on.

    ``distinct``: each attempt of a leaf has an outcome of its own, which shows I2 at the price of many more states.
    ``drops``: how many records of the stream may be put aside.
    ``outside``: which promise the outside world settles when nothing else moves.
    ``switches``: how often a run may be interrupted by another; None explores every interleaving.
    """

    root: Durable[..., Any]
    crashes: int = 0
    duplicates: int = 0
    distinct: bool = False
    switches: int | None = None
    drops: int = 0
    outside: Callable[[dict[str, Record]], str | None] = lambda records: None
    rules: Rules = field(default_factory=Rules)
    limit: int = 2_000_000

    def __post_init__(self) -> None:
        self._things: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._next: dict[int, tuple[Any, tuple[Operation, ...]]] = {}
        # How many results a run had when it asked for its present operations.
        self._bases: dict[int, int] = {}
        self._fault_free = not (self.crashes or self.duplicates or self.drops)
        self.states = 0
        self.ends = 0
        self.outcomes: Counter[str] = Counter()

    def explore(self) -> None:
        """Visit every reachable state; raise Violation at the first that breaks an invariant."""
        first = self._first()
        seen = {first}
        origin: dict[World, tuple[World, str]] = {}
        todo = [first]
        while todo:
            world = todo.pop()
            self.states += 1
            if self.states > self.limit:
                raise Violation(f"more than {self.limit} states: does something never end?")
            found = False
            try:
                for what, successor in self._successors(world):
                    found = True
                    if successor not in seen:
                        seen.add(successor)
                        origin[successor] = world, what
                        todo.append(successor)
                if not found:
                    self._check_end(world)
            except Violation as violation:
                raise Violation(f"{violation}\n" + "\n".join(_path(world, origin))) from None

    def wander(self, walks: int, seed: int = 0) -> None:
        """Take random ways from the start to an end: no bound on interruptions, no claim to have seen everything."""
        dice = random.Random(seed)
        for _ in range(walks):
            world, path = self._first(), []
            try:
                while moves := list(self._successors(world)):
                    what, world = dice.choice(moves)
                    path.append(what)
                self._check_end(world)
            except Violation as violation:
                raise Violation(f"{violation}\n" + "\n".join(path)) from None

    # States.

    def _first(self) -> World:
        args = self.root.definition.signature.encode_args((), {})
        record = Record(id="r", fn=self.root.name, target="t", args=args, digest="d", by="outside")
        start = LambdaRun(Start(id="r"), "q0")
        return World(
            table=(("r", self._number(record)),),
            waiting=(self._number(start),),
            running=(),
            issued=(),
            crashes=self.crashes,
            duplicates=self.duplicates,
            bodies=(),
            current=-1,
            switches=self.switches or 0,
            drops=self.drops,
        )

    def _number(self, thing: Any) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return number

    def _records(self, world: World) -> dict[str, Record]:
        return {promise: self._things[number] for promise, number in world.table}

    # Moves.

    def _successors(self, world: World) -> Iterator[tuple[str, World]]:
        for number in set(world.running):
            if self._is_private(number):
                # No other run can see or hinder this operation: what it does first and what they do first is the same.
                yield from self._moves_of(world, number)
                return
        for number in set(world.waiting):
            rest = _without(world.waiting, number)
            if (turned := self._turned(world, number)) is not None:
                yield from self._perform(turned._replace(waiting=rest), number)
            if world.duplicates:
                yield "duplicate", world._replace(waiting=_with(world.waiting, number), duplicates=world.duplicates - 1)
        yield from self._put_aside(world)
        for number in set(world.running):
            yield from self._moves_of(world, number)

        if not world.waiting and not world.running and (promise := self.outside(self._records(world))):
            _, after = self._write(world, Settle(promise, State.RESOLVED, '"from outside"'))
            yield f"{promise} settled from outside", after
        elif not world.waiting and not world.running and self.drops:
            yield from self._look(world)

    def _put_aside(self, world: World) -> Iterator[tuple[str, World]]:
        """Records of the stream that don't come, or come at last."""
        records = [number for number in set(world.waiting) if isinstance(self._things[number], ResumerRun)]
        for number in records if world.drops else ():
            waiting, aside = _without(world.waiting, number), _with(world.aside, number)
            gone = world._replace(waiting=waiting, aside=aside, drops=world.drops - 1)
            yield f"{self._label(number)} put aside", gone
        for number in set(world.aside if world.looks else ()):
            again = world._replace(waiting=_with(world.waiting, number), aside=_without(world.aside, number))
            yield f"{self._label(number)} sent again", again

    def _look(self, world: World) -> Iterator[tuple[str, World]]:
        """Nothing moves any more: the watchdog invokes what is lost, some time later."""
        later = world._replace(looks=world.looks + 1)
        records = self._records(world)
        lost = [one for one in records.values() if one.runnable and self._is_lost(one, records, later.clock)]
        if not lost:
            return
        if later.looks > self.drops:
            raise Violation(f"a look for each record that was put aside, and one more for {lost[0]}")
        checks = [Resume(id=one.id, cause=Cause.CHECK, looked_at=Instant(later.clock)) for one in lost]
        runs = [LambdaRun(check, "look", now=later.clock) for check in checks]
        yield "look", later._replace(waiting=tuple(sorted(self._number(run) for run in runs)))

    def _is_lost(self, own: Record, records: dict[str, Record], now: int) -> bool:
        children = _children(records, ReadChildren(own.id))
        return isinstance(verdict(own, children, now, records), Lost)

    def _moves_of(self, world: World, number: int) -> Iterator[tuple[str, World]]:
        without = world._replace(running=_without(world.running, number))
        if (turned := self._turned(without, number)) is not None:
            yield from self._perform(turned, number)
        if world.crashes:
            yield f"crash of {self._label(number)}", self._crashed(without, number)

    def _turned(self, world: World, number: int) -> World | None:
        """The world when this run goes next; None where too many were interrupted already."""
        if self.switches is None or world.current in (-1, number):
            return world
        return world._replace(switches=world.switches - 1) if world.switches else None

    def _is_private(self, number: int) -> bool:
        """An invocation only puts a message on its way; user code touches nothing."""
        run, operations = self._next_of(number)
        return isinstance(self._operation(run, number, operations), (Invoke, RunCode))

    def _operation(self, run: Run, number: int, operations: tuple[Operation, ...]) -> Operation:
        return operations[len(run.results) - self._bases[number]]

    def _crashed(self, world: World, number: int) -> World:
        run: Run = self._things[number]
        again = self._number(replace(run, attempt=run.attempt + 1, results=()))
        current = -1 if world.current == number else world.current
        return world._replace(waiting=_with(world.waiting, again), crashes=world.crashes - 1, current=current)

    def _perform(self, world: World, number: int) -> Iterator[tuple[str, World]]:
        """The run's next operation; then it goes on, or ends, or dies before it could acknowledge."""
        run, operations = self._next_of(number)
        if not operations:
            yield f"{self._label(number)} ends", world._replace(current=-1)
            return
        operation = self._operation(run, number, operations)
        if len(run.results) >= MAX_OPERATIONS:
            raise Violation(f"{self._label(number)} goes on without end: {_describe(operation)}")
        result, world = self._apply(world, run, operation)
        after = self._number(replace(run, results=(*run.results, self._number(_frozen(result)))))
        label = f"{self._label(number)}: {_describe(operation)}"
        world = world._replace(current=-1)
        if not self._next_of(after)[1]:
            yield label, world
            if world.crashes:
                yield f"{label}, then crash", self._crashed(world, after)
        else:
            current = -1 if self.switches is None else after
            yield label, world._replace(running=_with(world.running, after), current=current)

    def _next_of(self, number: int) -> tuple[Run, tuple[Operation, ...]]:
        known = self._next.get(number)
        if known is None:
            run: Run = self._things[number]
            operations, base = self._replayed(run)
            self._bases[number] = base
            known = self._next[number] = (run, operations)
        return known

    def _replayed(self, run: Run) -> tuple[tuple[Operation, ...], int]:
        """Send a fresh generator everything that the run has seen; what does it ask for?"""
        steps = self._steps(run)
        results = [self._things[number] for number in run.results]
        base = 0
        answer: Any = None
        try:
            while True:
                operation = steps.send(answer)
                if isinstance(operation, (Now, Remaining, Tell)):
                    answer = None if isinstance(operation, Tell) else getattr(run, "now", BEGINNING)
                    continue
                parts = _parts(operation)
                taken = results[base : base + len(parts)]
                if len(taken) < len(parts):
                    return parts, base
                base += len(parts)
                answer = _assembled(operation, taken)
        except StopIteration:
            return (), base
        finally:
            steps.close()

    def _steps(self, run: Run) -> Any:
        if isinstance(run, LambdaRun):
            return self.rules.engine(run.message, Caller(run.request), Memory(size=0))
        return _resuming(run.settled, self.rules)

    # Operations.

    def _apply(self, world: World, run: Run, operation: Any) -> tuple[Any, World]:
        match operation:
            case ReadFunction() | ReadPromise() | PeekPromise():
                return self._records(world).get(operation.id), world
            case ReadChildren():
                return _children(self._records(world), operation), world
            case Invoke():
                issued = Counter(dict(world.issued))
                issued[operation.message.id] += 1
                request = f"{operation.message.id}/{issued[operation.message.id]}"
                if not self.distinct and isinstance(operation.message, Start) and self._is_leaf(world, operation):
                    # A leaf has no children that could tell one request from another.
                    request, issued = f"{operation.message.id}/", Counter(dict(world.issued))
                called = self._number(LambdaRun(operation.message, request, now=world.clock))
                waiting = _with(world.waiting, called)
                return None, world._replace(waiting=waiting, issued=tuple(sorted(issued.items())))
            case RunCode():
                return self._run_code(world, run, operation)
            case Pause():
                raise Violation(f"I4: a replay drifted:\n{operation.why}")
            case _:
                return self._write(world, operation)

    def _is_leaf(self, world: World, operation: Invoke) -> bool:
        return self._records(world)[operation.message.id].fn == LEAF

    def _run_code(self, world: World, run: Run, operation: RunCode) -> tuple[Any, World]:
        assert isinstance(run, LambdaRun)
        if self._fault_free:
            counts = Counter(dict(world.bodies))
            counts[operation.scope] += 1
            if counts[operation.scope] > 1:
                raise Violation(f"I5: {operation.scope} ran twice though nothing failed")
            world = world._replace(bodies=tuple(sorted(counts.items())))
        told = f"{operation.scope} by {run.request}.{run.attempt}" if self.distinct else operation.scope
        return resolved(f'"{told}"'), world

    def _write(self, world: World, operation: Any) -> tuple[Any, World]:
        promise = operation.record.id if isinstance(operation, Create) else operation.id
        numbers = dict(world.table)
        standing: Record | None = self._things[numbers[promise]] if promise in numbers else None
        match operation:
            case Create():
                written = promises.create(standing, operation.record)
            case Settle():
                # Higher ordinals settle earlier by the clock, so a run that sees more delivers in another order.
                at = world.clock - ids.ordinal_of(promise)
                written = self.rules.settle(
                    standing, operation.state, operation.value, at, by_parent=operation.by_parent
                )
            case Claim():
                written = promises.claim(standing, operation.firing)
            case Arm():
                written = self.rules.arm(standing, operation.arming)
            case Arrive():
                written = promises.arrive(standing, operation.count)
            case Register():
                written = self.rules.register(standing, operation.awaiter)
            case Close():
                written = promises.close(standing)
            case Hold():
                written = promises.hold(standing, operation.why, operation.since, operation.retry_at)
            case _:
                raise NotImplementedError(operation)
        if isinstance(written, Refused):
            return written, world
        self._check_write(standing, written)
        numbers[promise] = self._number(written)
        world = world._replace(table=tuple(sorted(numbers.items())))
        return written, self._without_idle(self._streamed(world, standing, written), standing, written)

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
        if after.wake is None and not canceled and not after.awaiters:
            return world
        told = Settlement(
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
        return world._replace(waiting=_with(world.waiting, self._number(ResumerRun(told))))

    def _without_idle(self, world: World, before: Record | None, after: Record) -> World:
        """Once a promise is settled, a leaf's other runs and a function's wakes can only be refused: forget them."""
        if after.pending or before is None or not before.pending or self.distinct:
            return world

        def idle(number: int) -> bool:
            run = self._things[number]
            if isinstance(run, ResumerRun):
                return parent_of(run.settled.id) == after.id and not run.results
            leaf = after.fn == LEAF
            return bool(run.message.id == after.id and (leaf or (not run.results and isinstance(run.message, Resume))))

        return world._replace(
            waiting=tuple(number for number in world.waiting if not idle(number)),
            running=tuple(number for number in world.running if not idle(number)),
        )

    # Ends.

    def _check_end(self, world: World) -> None:
        self.ends += 1
        records = self._records(world)
        root = records["r"]
        if root.pending:
            raise Violation(f"I3: nothing is in flight, and r is pending: {root}")
        if root.state is not State.RESOLVED:
            raise Violation(f"r is {root.state}: {root.value}")
        orphans = [record.id for record in records.values() if record.pending]
        if orphans:
            raise Violation(f"r is settled, but {orphans} are pending")
        stored = {record.value for record in records.values()}
        self.outcomes[root.value] += 1
        for value in _texts(self.root.definition.signature.decode_result(root.value)):
            if f'"{value}"' not in stored:
                raise Violation(f"I2: r observed {value!r}, which no promise has as its outcome")

    def _label(self, number: int) -> str:
        run: Run = self._things[number]
        if isinstance(run, ResumerRun):
            return f"resumer({run.settled.id})#{run.attempt}"
        kind = "start" if isinstance(run.message, Start) else run.message.cause.value
        return f"{kind}({run.message.id}) {run.request}#{run.attempt}"


def _resuming(settled: Settlement, rules: Rules) -> Any:
    parent = parent_of(settled.id)
    yield from follow_up(settled, parent)
    if settled.wake is Wake.COUNTED and parent is not None:
        yield from rules.counted(parent, [settled])


def _frozen(result: Any) -> Any:
    return tuple(result) if isinstance(result, list) else result


def _parts(operation: Operation) -> tuple[Operation, ...]:
    """The steps of an operation that other runs may come between."""
    if isinstance(operation, Many):
        return operation.operations
    if isinstance(operation, ReadFunction):
        return operation, ReadChildren(operation.id)
    return (operation,)


def _assembled(operation: Operation, results: list[Any]) -> Any:
    if isinstance(operation, Many):
        return results
    if isinstance(operation, ReadFunction):
        return results[0], results[1]
    return results[0]


def _children(records: dict[str, Record], operation: ReadChildren) -> tuple[Record, ...]:
    found = [r for r in records.values() if parent_of(r.id) == operation.id and r.ordinal >= operation.first]
    found = [record for record in found if operation.last is None or record.ordinal <= operation.last]
    return tuple(sorted(found, key=lambda record: record.ordinal))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


def _with(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(sorted((*numbers, number)))


def _without(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    position = numbers.index(number)
    return numbers[:position] + numbers[position + 1 :]


def _describe(operation: Any) -> str:
    name = type(operation).__name__
    if isinstance(operation, Create):
        return f"{name} {operation.record.id} seen={operation.record.seen!r} wake={operation.record.wake}"
    if isinstance(operation, Arm):
        return f"{name} {operation.id} {operation.arming}"
    return f"{name} {getattr(operation, 'id', getattr(getattr(operation, 'message', None), 'id', ''))}"


def _path(world: World, origin: dict[World, tuple[World, str]]) -> list[str]:
    path: list[str] = []
    while world in origin:
        world, what = origin[world]
        path.append(what)
    return path[::-1]
