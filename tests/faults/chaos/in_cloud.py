"""Random programs as durable code, and what their bodies tell the test beside their results."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from adapter import Retry, durable, promise, run, uuid4
from tests.faults.chaos.constructs import SHIFT, Broken, Node, interpret, place_of

ATTEMPTS = Retry(attempts=4, initial=60, backoff=1, jitter=0)
Mark = list[Any]
"""What a leaf returns: its value, its promise's key, and the number of the execution that made it."""


@dataclass
class Told:
    """What bodies did in one run of a cloud, replays and doomed attempts included, by their promise's key.

    ``bodies``: executions. ``failures``: of a flaky leaf, by label. ``ticks``: the promises of a counter, as they first
    ran. ``heard``: executions whose result code was given. ``asked``: what the outside is to settle, by label.
    ``elapse``: lets time pass, where bodies take any. ``asked_places``: how often a call was placed that is placed
    elsewhere each time.
    """

    bodies: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    ticks: dict[str, list[str]] = field(default_factory=dict)
    heard: dict[str, set[int]] = field(default_factory=dict)
    asked: dict[str, tuple[str, int | None, str]] = field(default_factory=dict)
    elapse: Callable[[float], None] | None = None
    asked_places: int = 0


told = Told()
"""Of the run that is under way: bodies know no other way to it."""


def begin(elapse: Callable[[float], None] | None) -> Told:
    """Another cloud: nothing is told yet."""
    global told
    told = Told(elapse=elapse)
    return told


def mark(value: Any) -> Mark:
    """Each execution returns another one: whoever hears of two outcomes shows."""
    key = str(uuid4())
    told.bodies[key] += 1
    made = [value, key, told.bodies[key]]
    if told.elapse is not None:
        told.elapse(zlib.crc32(key.encode()) % 5_000 / 1_000)
    return made


@durable(name="chaos:step")
def step(label: str) -> Mark:
    return mark(label)


@durable(name="chaos:astep")
async def astep(label: str) -> Mark:
    return mark(label)


@durable(name="chaos:tock")
def tock(label: str) -> Mark:
    """A step whose label depends on who won a race."""
    return mark(label)


@durable(name="chaos:fails")
def fails(label: str) -> Mark:
    raise Broken(label)


@durable(name="chaos:flaky", retry=ATTEMPTS)
def flaky(label: str, times: int) -> Mark:
    told.failures[label] += 1
    if told.failures[label] <= times:
        raise Broken(label)
    return mark(label)


@durable(name="chaos:tick")
def tick(label: str) -> Mark:
    """How many such promises ran before this one: the attempt, in a function that is retried."""
    made = mark(label)
    known = told.ticks.setdefault(label, [])
    if made[1] not in known:
        known.append(made[1])
    return [known.index(made[1]), *made[1:]]


def ask(label: str, asked: str, shifts: int | None, how: str) -> None:
    told.asked.setdefault(label, (asked, shifts, how))


@durable(name="chaos:function")
async def function(node: Node) -> Any:
    return await interpret(node, InCloud())


LEAVES: dict[str, Any] = {"step": step, "astep": astep, "tock": tock, "fails": fails, "flaky": flaky, "tick": tick}


def _place(word: str) -> str:
    if word != "changing":
        return word
    told.asked_places += 1
    return ("inline", "lambda", "auto")[told.asked_places % 3]


class InCloud:
    """`tests.faults.chaos.constructs.Calls` as durable calls."""

    def call(self, node: Node) -> asyncio.Future[Any]:
        options: dict[str, Any] = {"id": node.get("id"), "place": _place(place_of(node))}
        if node.get("retry"):
            options["retry"] = ATTEMPTS
        if node.get("timeout"):
            options["timeout"] = node["timeout"] * SHIFT
        return function.with_options(**options)(node["of"][0])

    def detach(self, node: Node) -> asyncio.Future[Any]:
        return function.detach(node["of"][0])

    def map(self, node: Node) -> asyncio.Future[list[Any]]:
        placed = function.with_options(place=_place(place_of(node)))
        collect = bool(node.get("collect"))
        return placed.map(node["of"], max_concurrency=node.get("limit"), return_exceptions=collect)

    def leaf(self, kind: str, label: str, times: int = 0, place: str = "lambda") -> asyncio.Future[Any]:
        if kind == "inline":
            return run(mark, label)
        called = LEAVES[kind].with_options(place=_place(place))
        made: asyncio.Future[Any] = called(label, times) if kind == "flaky" else called(label)
        return made

    def read(self, mark: Mark) -> Any:
        value, key, execution = mark
        told.heard.setdefault(key, set()).add(execution)
        return value

    async def external(self, label: str, shifts: int | None, how: str) -> Any:
        asked = promise(str)
        await run(ask, label, asked.id, shifts, how)
        return await asked

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.ensure_future(work)
