"""Every interleaving of a small run, over the product's own engine, resumer and transitions.

A run is known by what it was sent so far (`runs`). That makes the whole system a graph of small states: the table, what
is in flight, the runs in progress, and the faults that are left. The search visits each state once.

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
from adapter.engine.operations import (
    Invoke,
    Operation,
    ReadChildren,
    RunCode,
    Settle,
)
from adapter.protocol.messages import Cause, Resume, Start
from adapter.protocol.records import Record, State
from adapter.protocol.signs import Lost, verdict
from adapter.protocol.times import Instant
from tests.faults.interleavings.performing import Performing, Rules, children_of
from tests.faults.interleavings.runs import Runs, described
from tests.faults.interleavings.states import (
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


class Move(NamedTuple):
    """What happened between two states. It is put into words only if it leads to a violation."""

    what: str
    """With ``{run}`` and ``{operation}`` where these are named."""
    number: int | None = None
    operation: Operation | None = None


Moves = Iterator[tuple[Move, World]]


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
        self._runs = Runs(self._things, self.rules)
        fault_free = not (self.crashes or self.duplicates or self.drops)
        self._performing = Performing(self._things, self.rules, self.distinct, fault_free)
        self.states = 0
        self.ends = 0
        self.told = 0
        self.outcomes: Counter[str] = Counter()

    def explore(self) -> None:
        """Visit every reachable state; raise Violation at the first that breaks an invariant."""
        try:
            self._explore()
        finally:
            self._runs.close()

    def _explore(self) -> None:
        first = self._first()
        seen = {first}
        origin: dict[World, tuple[World, Move]] = {}
        todo = [first]
        while todo:
            world = todo.pop()
            self.states += 1
            if self.states > self.limit:
                raise Violation(f"more than {self.limit} states: does something never end?")
            found = False
            try:
                for move, successor in self._successors(world):
                    found = True
                    if successor not in seen:
                        seen.add(successor)
                        origin[successor] = world, move
                        todo.append(successor)
                if not found:
                    self._end(world)
            except Violation as violation:
                raise self._led_to(violation, _path(world, origin)) from None

    def wander(self, walks: int, seed: int = 0) -> None:
        """Take random ways from the start to an end: no bound on interruptions, no claim to have seen everything."""
        dice = random.Random(seed)
        try:
            for _ in range(walks):
                self._walk(dice)
        finally:
            self._runs.close()

    def _walk(self, dice: random.Random) -> None:
        world, path = self._first(), list[Move]()
        try:
            while moves := list(self._successors(world)):
                move, world = dice.choice(moves)
                path.append(move)
            self._end(world)
        except Violation as violation:
            raise self._led_to(violation, path) from None

    def _led_to(self, violation: Violation, path: list[Move]) -> Violation:
        return Violation("\n".join([str(violation), *map(self._told, path)]))

    def _told(self, move: Move) -> str:
        run = "" if move.number is None else self._things.label(move.number)
        return move.what.format(run=run, operation=described(move.operation))

    def _end(self, world: World) -> None:
        self.ends += 1
        self.told += len(world.chapters)
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

    def _successors(self, world: World) -> Moves:
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
                waiting = added(world.waiting, number)
                yield Move("duplicate"), world._replace(waiting=waiting, duplicates=world.duplicates - 1)
        yield from self._put_aside(world)
        for number in set(world.running):
            yield from self._moves_of(world, number)

        if not world.waiting and not world.running and (promise := self.outside(self._things.records(world))):
            _, after = self._performing.write(world, Settle(promise, State.RESOLVED, '"from outside"'))
            yield Move(f"{promise} settled from outside"), after
        elif not world.waiting and not world.running and self.drops:
            yield from self._look(world)

    def _put_aside(self, world: World) -> Moves:
        """Records of the stream that don't come, or come at last."""
        records = [number for number in set(world.waiting) if isinstance(self._things[number], ResumerRun)]
        for number in records if world.drops else ():
            waiting, aside = taken(world.waiting, number), added(world.aside, number)
            gone = world._replace(waiting=waiting, aside=aside, drops=world.drops - 1)
            yield Move("{run} put aside", number), gone
        for number in set(world.aside if world.looks else ()):
            again = world._replace(waiting=added(world.waiting, number), aside=taken(world.aside, number))
            yield Move("{run} sent again", number), again

    def _look(self, world: World) -> Moves:
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
        yield Move("look"), later._replace(waiting=tuple(sorted(self._things.number(run) for run in runs)))

    def _is_lost(self, own: Record, records: dict[str, Record], now: int) -> bool:
        children = children_of(records, ReadChildren(own.id, own.expires))
        return isinstance(verdict(own, children, now, records), Lost)

    def _moves_of(self, world: World, number: int) -> Moves:
        without = world._replace(running=taken(world.running, number))
        if (turned := self._turned(without, number)) is not None:
            yield from self._perform(turned, number)
        if world.crashes:
            yield Move("crash of {run}", number), self._crashed(without, number)

    def _turned(self, world: World, number: int) -> World | None:
        """The world when this run goes next; None where too many were interrupted already."""
        if self.switches is None or world.current in (-1, number):
            return world
        return world._replace(switches=world.switches - 1) if world.switches else None

    def _is_private(self, number: int) -> bool:
        """An invocation only puts a message on its way; user code touches nothing."""
        return isinstance(self._runs.next_of(number), (Invoke, RunCode))

    def _crashed(self, world: World, number: int) -> World:
        run: Run = self._things[number]
        again = self._things.number(replace(run, attempt=run.attempt + 1, results=()))
        current = -1 if world.current == number else world.current
        return world._replace(waiting=added(world.waiting, again), crashes=world.crashes - 1, current=current)

    def _perform(self, world: World, number: int) -> Moves:
        """The run's next operation; then it goes on, or ends, or dies before it could acknowledge."""
        operation = self._runs.next_of(number)
        if operation is None:
            yield Move("{run} ends", number), world._replace(current=-1)
            return
        run: Run = self._things[number]
        if len(run.results) >= MAX_OPERATIONS:
            raise Violation(f"{self._things.label(number)} goes on without end: {described(operation)}")
        result, world = self._performing.apply(world, run, operation)
        after = self._runs.after(number, result)
        done = Move("{run}: {operation}", number, operation)
        if self._runs.next_of(after) is None:
            world = world._replace(current=-1)
            yield done, world
            if world.crashes:
                yield done._replace(what=f"{done.what}, then crash"), self._crashed(world, after)
        else:
            current = -1 if self.switches is None else after
            yield done, world._replace(running=added(world.running, after), current=current)


def _path(world: World, origin: dict[World, tuple[World, Move]]) -> list[Move]:
    path: list[Move] = []
    while world in origin:
        world, move = origin[world]
        path.append(move)
    return path[::-1]
