"""One state of a small system: the table, what is in flight, the runs between two operations, the faults that are left.

A state is made of numbers, so that it is small and hashes fast: `Things` numbers records and runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from adapter.protocol.messages import Message, Settlement, Start
from adapter.protocol.records import Record
from adapter.protocol.timing import WATCH

BEGINNING = 1_000
"""The time at first (microseconds); only a look of the watchdog comes later."""


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
    ``chapters`` are by their functions and numbers.
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
    chapters: tuple[tuple[tuple[str, int], int], ...] = ()

    @property
    def clock(self) -> int:
        return BEGINNING + self.looks * WATCH


class Violation(AssertionError):
    """An invariant doesn't hold in some interleaving; the path that leads there is in the message."""


class Things:
    """The records, runs and results of all states, each by its number."""

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, thing: Any) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return number

    def __getitem__(self, number: int) -> Any:
        return self._things[number]

    def records(self, world: World) -> dict[str, Record]:
        return {promise: self._things[number] for promise, number in world.table}

    def label(self, number: int) -> str:
        run: Run = self._things[number]
        if isinstance(run, ResumerRun):
            return f"resumer({run.settled.id})#{run.attempt}"
        kind = "start" if isinstance(run.message, Start) else run.message.cause.value
        return f"{kind}({run.message.id}) {run.request}#{run.attempt}"


def added(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(sorted((*numbers, number)))


def taken(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    position = numbers.index(number)
    return numbers[:position] + numbers[position + 1 :]
