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
from typing import Any

from adapter.api.durable import Durable
from adapter.engine.caller import Caller
from adapter.engine.memory import Memory
from adapter.engine.operations import (
    Arm,
    Create,
    Invoke,
    Many,
    Now,
    Operation,
    ReadChildren,
    ReadFunction,
    Remaining,
    RunCode,
    Settle,
    Tell,
)
from adapter.lambdas.resumer import follow_up
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Cause, Resume, Settlement, Start
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.signs import Lost, verdict
from adapter.protocol.times import Instant
from tests.faults.interleavings.performing import Performing, Rules, children_of
from tests.faults.interleavings.states import (
    BEGINNING,
    LambdaRun,
    ResumerRun,
    Run,
    Things,
    Violation,
    World,
    added,
    taken,
)

MAX_OPERATIONS = 100
"""Of one run of any of the small programs: most take ten. One that goes on without end is found by it."""


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
        self._things = Things()
        self._next: dict[int, tuple[Any, tuple[Operation, ...]]] = {}
        # How many results a run had when it asked for its present operations.
        self._bases: dict[int, int] = {}
        fault_free = not (self.crashes or self.duplicates or self.drops)
        self._performing = Performing(self._things, self.rules, self.distinct, fault_free)
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
                    self._end(world)
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
                self._end(world)
            except Violation as violation:
                raise Violation(f"{violation}\n" + "\n".join(path)) from None

    def _end(self, world: World) -> None:
        self.ends += 1
        self.outcomes[self._performing.check_end(world, self.root.definition.signature.decode_result)] += 1

    # States.

    def _first(self) -> World:
        args = self.root.definition.signature.encode_args((), {})
        record = Record(id="r", fn=self.root.name, target="t", args=args, digest="d", by="outside")
        start = LambdaRun(Start(id="r"), "q0")
        return World(
            table=(("r", self._things.number(record)),),
            waiting=(self._things.number(start),),
            running=(),
            issued=(),
            crashes=self.crashes,
            duplicates=self.duplicates,
            bodies=(),
            current=-1,
            switches=self.switches or 0,
            drops=self.drops,
        )

    # Moves.

    def _successors(self, world: World) -> Iterator[tuple[str, World]]:
        for number in set(world.running):
            if self._is_private(number):
                # No other run can see or hinder this operation: what it does first and what they do first is the same.
                yield from self._moves_of(world, number)
                return
        for number in set(world.waiting):
            rest = taken(world.waiting, number)
            if (turned := self._turned(world, number)) is not None:
                yield from self._perform(turned._replace(waiting=rest), number)
            if world.duplicates:
                yield "duplicate", world._replace(waiting=added(world.waiting, number), duplicates=world.duplicates - 1)
        yield from self._put_aside(world)
        for number in set(world.running):
            yield from self._moves_of(world, number)

        if not world.waiting and not world.running and (promise := self.outside(self._things.records(world))):
            _, after = self._performing.write(world, Settle(promise, State.RESOLVED, '"from outside"'))
            yield f"{promise} settled from outside", after
        elif not world.waiting and not world.running and self.drops:
            yield from self._look(world)

    def _put_aside(self, world: World) -> Iterator[tuple[str, World]]:
        """Records of the stream that don't come, or come at last."""
        records = [number for number in set(world.waiting) if isinstance(self._things[number], ResumerRun)]
        for number in records if world.drops else ():
            waiting, aside = taken(world.waiting, number), added(world.aside, number)
            gone = world._replace(waiting=waiting, aside=aside, drops=world.drops - 1)
            yield f"{self._things.label(number)} put aside", gone
        for number in set(world.aside if world.looks else ()):
            again = world._replace(waiting=added(world.waiting, number), aside=taken(world.aside, number))
            yield f"{self._things.label(number)} sent again", again

    def _look(self, world: World) -> Iterator[tuple[str, World]]:
        """Nothing moves any more: the watchdog invokes what is lost, some time later."""
        later = world._replace(looks=world.looks + 1)
        records = self._things.records(world)
        lost = [one for one in records.values() if one.runnable and self._is_lost(one, records, later.clock)]
        if not lost:
            return
        if later.looks > self.drops:
            raise Violation(f"a look for each record that was put aside, and one more for {lost[0]}")
        checks = [Resume(id=one.id, cause=Cause.CHECK, looked_at=Instant(later.clock)) for one in lost]
        runs = [LambdaRun(check, "look", now=later.clock) for check in checks]
        yield "look", later._replace(waiting=tuple(sorted(self._things.number(run) for run in runs)))

    def _is_lost(self, own: Record, records: dict[str, Record], now: int) -> bool:
        children = children_of(records, ReadChildren(own.id))
        return isinstance(verdict(own, children, now, records), Lost)

    def _moves_of(self, world: World, number: int) -> Iterator[tuple[str, World]]:
        without = world._replace(running=taken(world.running, number))
        if (turned := self._turned(without, number)) is not None:
            yield from self._perform(turned, number)
        if world.crashes:
            yield f"crash of {self._things.label(number)}", self._crashed(without, number)

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
        again = self._things.number(replace(run, attempt=run.attempt + 1, results=()))
        current = -1 if world.current == number else world.current
        return world._replace(waiting=added(world.waiting, again), crashes=world.crashes - 1, current=current)

    def _perform(self, world: World, number: int) -> Iterator[tuple[str, World]]:
        """The run's next operation; then it goes on, or ends, or dies before it could acknowledge."""
        run, operations = self._next_of(number)
        if not operations:
            yield f"{self._things.label(number)} ends", world._replace(current=-1)
            return
        operation = self._operation(run, number, operations)
        if len(run.results) >= MAX_OPERATIONS:
            raise Violation(f"{self._things.label(number)} goes on without end: {_describe(operation)}")
        result, world = self._performing.apply(world, run, operation)
        after = self._things.number(replace(run, results=(*run.results, self._things.number(_frozen(result)))))
        label = f"{self._things.label(number)}: {_describe(operation)}"
        world = world._replace(current=-1)
        if not self._next_of(after)[1]:
            yield label, world
            if world.crashes:
                yield f"{label}, then crash", self._crashed(world, after)
        else:
            current = -1 if self.switches is None else after
            yield label, world._replace(running=added(world.running, after), current=current)

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
                given = results[base : base + len(parts)]
                if len(given) < len(parts):
                    return parts, base
                base += len(parts)
                answer = _assembled(operation, given)
        except StopIteration:
            return (), base
        finally:
            steps.close()

    def _steps(self, run: Run) -> Any:
        if isinstance(run, LambdaRun):
            return self.rules.engine(run.message, Caller(run.request), Memory(size=0))
        return _resuming(run.settled, self.rules)


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
