"""Programs drawn from a seed, and their text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults.chaos.constructs import Node

TIMERS = 9
"""Durations of a program at most: 1, 2, 4, … shifts of six hours."""


@dataclass
class Draw:
    """A program in the making. ``size``: how many nodes it may still get."""

    random: random.Random
    size: int
    count: int = 0
    shifts: list[int] = field(default_factory=list)

    def label(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def node(self, op: str, *of: Node, **parameters: Any) -> Node:
        return {"op": op, "n": self.label(), **parameters, "of": list(of)}

    def duration(self) -> int | None:
        return self.shifts.pop() if self.shifts else None

    # Parts of programs.

    def any(self, depth: int = 0, *, calm: bool = False) -> Node:
        """A node; a ``calm`` one ends at once, and doesn't fail."""
        self.size -= 1
        if depth > 5 or self.size <= 0 or self.random.random() < 0.08 * depth:
            return self.leaf(calm)
        kinds = CALM if calm else KINDS
        chosen = self.random.choices(list(kinds), weights=[kinds[kind] for kind in kinds])[0]
        return MAKERS[chosen](self, depth + 1, calm) or self.leaf(calm)

    def leaf(self, calm: bool) -> Node:
        kinds = ["step", "step", "step", "astep", "inline"] + ([] if calm else ["fails", "flaky", "raise"])
        kind = self.random.choice(kinds)
        if kind == "raise":
            return self.node("raise")
        times = {"times": self.random.randint(1, 3)} if kind == "flaky" else {}
        return self.node("leaf", kind=kind, **times)

    def several(self, depth: int, calm: bool) -> list[Node]:
        """Branches beside each other. What may fail begins at a time of its own."""
        return [self.branch(depth, calm) for _ in range(self.random.randint(2, 4))]

    def branch(self, depth: int, calm: bool, *, timed: bool = False) -> Node:
        """``timed``: at a time of its own, if there is one left."""
        shifts = self.duration() if timed or (not calm and self.random.random() < 0.5) else None
        inner = self.any(depth, calm=calm or shifts is None)
        node = inner if shifts is None else {"op": "after", "n": self.label(), "d": shifts, "of": [inner]}
        return self.node("call", node) if self.random.random() < 0.5 else node


Maker = Callable[[Draw, int, bool], Node | None]
MAKERS: dict[str, Maker] = {}
KINDS: dict[str, int] = {}
CALM: dict[str, int] = {}


def maker(weight: int, calm: bool = False) -> Callable[[Maker], Maker]:
    def keep(make: Maker) -> Maker:
        name = make.__name__.rstrip("_")
        MAKERS[name], KINDS[name] = make, weight
        if calm:
            CALM[name] = weight
        return make

    return keep


@maker(6, calm=True)
def seq(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("seq", *(draw.any(depth, calm=calm) for _ in range(draw.random.randint(2, 4))))


@maker(5, calm=True)
def call(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("call", draw.any(depth, calm=calm))


@maker(5, calm=True)
def gather(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("gather", *draw.several(depth, calm), collect=draw.random.random() < 0.5)


@maker(4, calm=True)
def group(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("group", *draw.several(depth, calm))


@maker(2, calm=True)
def limited(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("limited", *draw.several(depth, calm))


@maker(3, calm=True)
def map_(draw: Draw, depth: int, calm: bool) -> Node:
    items = [_uncalled(item) for item in draw.several(depth, calm)]
    limit = draw.random.choice([None, 1, 2, 3])
    return draw.node("map", *items, limit=limit, collect=draw.random.random() < 0.5)


@maker(3, calm=True)
def pool(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("pool", *draw.several(depth, calm), width=draw.random.randint(1, 3))


@maker(3, calm=True)
def race(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("race", width=draw.random.randint(2, 3))


@maker(2, calm=True)
def detach(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("detach", draw.any(depth, calm=calm))


@maker(3, calm=True)
def shared(draw: Draw, depth: int, calm: bool) -> Node:
    """One root, awaited from several places."""
    name, inner = f"shared-{draw.label()}", draw.any(depth, calm=calm)
    calls = [draw.node("call", inner, id=name) for _ in range(draw.random.randint(1, 3))]
    if len(calls) > 1 and draw.random.random() < 0.5:
        calls[0] = draw.node("call", calls[0])
    return draw.node(draw.random.choice(["gather", "seq"]), *calls, collect=True)


@maker(4, calm=True)
def cleanup(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("cleanup", draw.any(depth, calm=calm), draw.any(depth, calm=True))


@maker(2, calm=True)
def again(draw: Draw, depth: int, calm: bool) -> Node:
    body = draw.node("again", draw.any(depth, calm=True), times=draw.random.randint(1, 3))
    return draw.node("call", body, retry=True)


@maker(2, calm=True)
def abandon(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("abandon", draw.branch(depth, calm))


@maker(5)
def catch(draw: Draw, depth: int, calm: bool) -> Node:
    return draw.node("catch", draw.any(depth), draw.any(depth, calm=True))


@maker(4)
def after(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _timed(draw, "after", lambda: draw.any(depth))


@maker(4)
def external(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _timed(draw, "external", None, how=draw.random.choice(["resolve", "resolve", "reject", "cancel"]))


@maker(3)
def first(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _racing(draw, "first", depth, cancel=draw.random.random() < 0.6)


@maker(3)
def completed(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _racing(draw, "completed", depth)


@maker(4)
def timeout(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _timed(draw, draw.random.choice(["timeout", "wait_for", "shield"]), lambda: _slow(draw, depth))


@maker(2)
def deadline(draw: Draw, depth: int, calm: bool) -> Node | None:
    shifts = draw.duration()
    return None if shifts is None else draw.node("call", _slow(draw, depth), timeout=shifts)


@maker(2)
def never(draw: Draw, depth: int, calm: bool) -> Node | None:
    return _timed(draw, "timeout", lambda: draw.node("external", d=None, how="never"))


@maker(4)
def cancel(draw: Draw, depth: int, calm: bool) -> Node | None:
    if draw.random.random() < 0.3:
        return draw.node("cancel", draw.branch(depth, False), d=0)
    return _timed(draw, "cancel", lambda: draw.node("call", _slow(draw, depth)))


def _racing(draw: Draw, op: str, depth: int, **parameters: Any) -> Node | None:
    """Branches of which the times alone decide who is first: each has one of its own, before it begins anything."""
    times = [draw.shifts.pop() for _ in range(min(draw.random.randint(2, 4), len(draw.shifts)))]
    if not times:
        return None
    branches = [draw.node("after", draw.any(depth), d=shifts) for shifts in times]
    called = [draw.node("call", branch) if draw.random.random() < 0.5 else branch for branch in branches]
    return draw.node(op, *called, **parameters)


def _timed(draw: Draw, op: str, inner: Callable[[], Node] | None, **parameters: Any) -> Node | None:
    shifts = draw.duration()
    if shifts is None:
        return None
    return draw.node(op, *([inner()] if inner else []), d=shifts, **parameters)


def _slow(draw: Draw, depth: int) -> Node:
    """Something that is under way for a while, often with a clean-up."""
    node: Node = draw.branch(depth, False, timed=True)
    if draw.random.random() < 0.5:
        node = draw.node("cleanup", node, draw.any(depth, calm=True))
    return draw.node("call", node) if draw.random.random() < 0.4 else node


def _uncalled(node: Node) -> Node:
    """An item of a map, which is called in any case; a call's options stay its own."""
    plain: Node = node["of"][0] if {*node} == {"op", "n", "of"} and node["op"] == "call" else node
    return plain


@dataclass(frozen=True)
class Program:
    """A root's body. ``cancel_after``: shifts after which it is cancelled from outside."""

    body: Node
    cancel_after: int | None = None


def program(seed: int) -> Program:
    """The program of a seed."""
    rng = random.Random(f"program {seed}")
    draw = Draw(rng, size=rng.randint(4, 30), shifts=[2**exponent for exponent in range(rng.randint(4, TIMERS))])
    rng.shuffle(draw.shifts)
    cancel_after = draw.duration() if rng.random() < 0.2 else None
    body = draw.any()
    while body["op"] == "leaf":
        body = draw.any()
    place(body, random.Random(f"places {seed}"))
    return Program(body, cancel_after)


def place(body: Node, rng: random.Random) -> None:
    """Say of each call where it runs, or that this changes each time that it is asked for."""
    for node in nodes(body):
        drawn = rng.choice(["lambda", "lambda", "inline", "auto", "changing"])
        if drawn != "lambda" and node["op"] in ("call", "leaf", "map", "race", "again", "completed"):
            node["place"] = drawn


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node["of"]:
        yield from nodes(child)


def constructs_of(programme: Program) -> Counter[str]:
    """How often each construct occurs, and each placement."""
    placed = Counter(f"placed {node['place']}" for node in nodes(programme.body) if "place" in node)
    return placed + Counter(node["kind"] if node["op"] == "leaf" else node["op"] for node in nodes(programme.body))


def text(programme: Program) -> str:
    """A program to be read: a node a line, its children indented."""
    lines = (
        [] if programme.cancel_after is None else [f"(cancelled from outside after {programme.cancel_after} shifts)"]
    )
    return "\n".join([*lines, *_lines(programme.body, 0)])


def _lines(node: Node, depth: int) -> Iterator[str]:
    rest = " ".join(f"{key}={value}" for key, value in node.items() if key not in ("op", "n", "of"))
    yield f"{'  ' * depth}{node['op']} {node['n']} {rest}".rstrip()
    for child in node["of"]:
        yield from _lines(child, depth + 1)
