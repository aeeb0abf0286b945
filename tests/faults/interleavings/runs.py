"""A run of a Lambda is known by what it was sent so far, and asks for the same each time that it was sent the same.

The engine is a generator, so its next operation is a function of its message and of the results that it has seen. Runs
and results have numbers: a state of the search is a few small integers. A run that goes on from where it stands costs
one step; any other is replayed from its beginning.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any, NamedTuple

from adapter.engine.caller import Caller
from adapter.engine.memory import Memory
from adapter.engine.operations import (
    Arm,
    Create,
    Many,
    Now,
    Operation,
    ReadChildren,
    ReadFunction,
    Remaining,
    Sleep,
    Tell,
)
from adapter.lambdas.resumer import follow_up
from adapter.protocol.ids import parent_of
from adapter.protocol.messages import Settlement
from adapter.protocol.records import Wake
from adapter.protocol.times import HOUR
from tests.faults.interleavings.performing import Rules
from tests.faults.interleavings.programs import placed_by
from tests.faults.interleavings.states import BEGINNING, LambdaRun, Run, Things

MOST_STANDING = 500
"""Engines that are kept where they stand."""


class Asking(NamedTuple):
    """What a run asks for, in parts that other runs may come between. No part: it has ended."""

    parts: tuple[Operation, ...]
    operation: Operation | None
    by: int
    """The run's number when it asked."""
    base: int
    """How many results it had then."""


class Runs:
    """What the runs of one search ask for."""

    def __init__(self, things: Things, rules: Rules) -> None:
        self._things = things
        self._rules = rules
        self._asked: dict[int, Asking] = {}
        self._after: dict[tuple[int, int], int] = {}
        self._standing: OrderedDict[int, Any] = OrderedDict()

    def close(self) -> None:
        """Drop the engines that stand somewhere."""
        while self._standing:
            self._standing.popitem()[1].close()

    def next_of(self, number: int) -> Operation | None:
        """The operation that the run asks for now; None: it has ended."""
        asking = self._asking(number)
        return asking.parts[len(self._things[number].results) - asking.base] if asking.parts else None

    def after(self, number: int, result: Any) -> int:
        """The run once it has this result of its next operation."""
        given = self._things.number(tuple(result) if isinstance(result, list) else result)
        after = self._after.get((number, given))
        if after is None:
            run: Run = self._things[number]
            after = self._after[number, given] = self._things.number(replace(run, results=(*run.results, given)))
            self._go_on(after, self._asking(number))
        return after

    def _go_on(self, number: int, asking: Asking) -> None:
        """Find what it asks for next, if that costs no replay."""
        if number in self._asked:
            return
        if len(self._things[number].results) < asking.base + len(asking.parts):
            self._asked[number] = asking
        elif (steps := self._standing.pop(asking.by, None)) is not None:
            self._asked[number] = self._further(number, steps, asking)

    def _asking(self, number: int) -> Asking:
        asking = self._asked.get(number)
        if asking is None:
            asking = self._asked[number] = self._replayed(number)
        return asking

    def _replayed(self, number: int) -> Asking:
        """Send a fresh generator everything that the run has seen; what does it ask for?"""
        results = self._things[number].results
        steps = self._steps(self._things[number])
        asking = self._further(number, steps, None)
        while asking.parts and asking.base + len(asking.parts) <= len(results):
            asking = self._further(number, steps, asking)
        return asking

    def _further(self, number: int, steps: Any, asking: Asking | None) -> Asking:
        """Send the results of what it asked for, and stop at the next operation that another run can see."""
        run: Run = self._things[number]
        base = asking.base + len(asking.parts) if asking else 0
        answer = _assembled(asking, [self._things[one] for one in run.results[asking.base : base]]) if asking else None
        try:
            while True:
                operation = steps.send(answer)
                if isinstance(operation, (Now, Remaining, Sleep, Tell)):
                    answer = _at_once(operation, run)
                elif parts := _parts(operation):
                    self._stands(number, steps)
                    return Asking(parts, operation, number, base)
                else:
                    answer = []
        except StopIteration:
            return Asking((), None, number, base)

    def _stands(self, number: int, steps: Any) -> None:
        self._standing[number] = steps
        self._standing.move_to_end(number)
        if len(self._standing) > MOST_STANDING:
            self._standing.popitem(last=False)[1].close()

    def _steps(self, run: Run) -> Any:
        if isinstance(run, LambdaRun):
            number = sum(map(ord, run.request)) + run.attempt
            return placed_by(number, self._rules.engine(run.message, Caller(run.request), Memory(size=0)))
        return _resuming(run.settled, self._rules)


def _resuming(settled: Settlement, rules: Rules) -> Any:
    parent = parent_of(settled.id)
    yield from follow_up(settled, parent)
    if settled.wake is Wake.COUNTED and parent is not None:
        yield from rules.counted(parent, [settled])


def _at_once(operation: Operation, run: Run) -> Any:
    """The answer to what no other run can see."""
    match operation:
        case Now():
            return getattr(run, "now", BEGINNING)
        case Remaining():
            return HOUR
        case _:
            return None


def _parts(operation: Operation) -> tuple[Operation, ...]:
    """The steps of an operation that other runs may come between."""
    if isinstance(operation, Many):
        return operation.operations
    if isinstance(operation, ReadFunction):
        return operation, ReadChildren(operation.id, None)
    return (operation,)


def _assembled(asking: Asking, results: list[Any]) -> Any:
    if isinstance(asking.operation, Many):
        return results
    if isinstance(asking.operation, ReadFunction):
        return results[0], results[1]
    return results[0]


def described(operation: Any) -> str:
    name = type(operation).__name__
    if isinstance(operation, Create):
        return f"{name} {operation.record.id} seen={operation.record.seen!r} wake={operation.record.wake}"
    if isinstance(operation, Arm):
        return f"{name} {operation.id} {operation.arming}"
    return f"{name} {getattr(operation, 'id', getattr(getattr(operation, 'message', None), 'id', ''))}"
