"""A failing program made smaller, and its weather milder, as long as it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from tests.faults.chaos.checker import expected, violations
from tests.faults.chaos.constructs import Node
from tests.faults.chaos.programs import Program, nodes
from tests.faults.chaos.trial import Weather, play

VARIADIC = ("seq", "gather", "group", "limited", "first", "completed", "pool", "map")
TRIES = 12
"""Seeds of the cloud that each smaller program is tried with: its draws fall elsewhere."""


@dataclass(frozen=True)
class Failure:
    program: Program
    weather: Weather
    violations: tuple[str, ...]

    @property
    def law(self) -> str:
        """The first that it breaks: the words before its particulars."""
        return self.violations[0].partition(":")[0].partition(" to ")[0]

    @property
    def size(self) -> int:
        return sum(1 for _ in nodes(self.program.body))


def tried(program: Program, weather: Weather) -> Failure | None:
    """How it fails; None where it doesn't, or where what it comes to depends on latencies, or it comes to nothing."""
    try:
        plain = expected(program)
    except AssertionError:
        # It waits for what was cut away.
        return None
    if plain is None:
        return None
    found = violations(play(program, weather), plain)
    return Failure(program, weather, tuple(found)) if found else None


def shrunk(failure: Failure, enough: Callable[[], bool]) -> Failure:
    """The smallest failure found until ``enough`` says so."""
    improved = True
    while improved and not enough():
        improved = False
        candidates: list[Program | Weather] = [*_smaller(failure.program), *_milder(failure)]
        for candidate in candidates:
            if enough():
                break
            found = _again(failure, candidate)
            if found is not None:
                failure, improved = found, True
                break
    return failure


def _again(failure: Failure, candidate: Program | Weather) -> Failure | None:
    """The same law broken by another program, or in another weather."""
    program = candidate if isinstance(candidate, Program) else failure.program
    weather = candidate if isinstance(candidate, Weather) else failure.weather
    for seed in (weather.seed, *range(TRIES)):
        found = tried(program, replace(weather, seed=seed))
        if found is not None and found.law == failure.law:
            return found
    return None


def _milder(failure: Failure) -> Iterator[Weather]:
    weather = failure.weather
    if weather.cold:
        yield replace(weather, cold=False)
    if weather.deadline:
        yield replace(weather, deadline=False)
    if weather.latencies:
        yield replace(weather, latencies=False)
    if weather.concurrency:
        yield replace(weather, concurrency=None)
    if weather.meanwhile:
        yield replace(weather, meanwhile=0.0)
    for window in weather.outages:
        yield replace(weather, outages=tuple(other for other in weather.outages if other is not window))
    for field in fields(weather.faults):
        if getattr(weather.faults, field.name):
            yield replace(weather, faults=replace(weather.faults, **{field.name: 0.0}))


def _smaller(program: Program) -> Iterator[Program]:
    if program.cancel_after is not None:
        yield replace(program, cancel_after=None)
    for body in _simpler(program.body):
        yield replace(program, body=body)


def _simpler(node: Node) -> Iterator[Node]:
    """Each with one part less, the larger parts first."""
    yield from node["of"]
    if node["of"]:
        yield {"op": "leaf", "n": node["n"], "kind": "step", "of": []}
    if node["op"] in VARIADIC and len(node["of"]) > 1:
        for position in range(len(node["of"])):
            yield {**node, "of": [*node["of"][:position], *node["of"][position + 1 :]]}
    for position, child in enumerate(node["of"]):
        for simpler in _simpler(child):
            yield {**node, "of": [*node["of"][:position], simpler, *node["of"][position + 1 :]]}
