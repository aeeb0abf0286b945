"""Recorded executions replayed by the code of this process: which of them it doesn't fit. Nothing is performed.

A replay runs the code between durable calls, and nothing else: no call, no inline step, no read of anything outside. A
function that has made no durable call has no history that it could drift from, so it isn't begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adapter.engine import hosts, registry
from adapter.engine.host import EngineHost
from adapter.engine.replaying import execution_of, retraced
from adapter.errors import ConfigurationError, NonDeterminismError, UnknownFunction
from adapter.protocol.records import MAX_OBJECT_BYTES, Kind, Record
from adapter.protocol.times import Instant
from adapter.replay.blocks import gathered
from adapter.replay.steps import Behind, Done, Flush, Step
from adapter.steering.recordings import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """What came of the replay of one function. ``drift`` is the first divergence; empty: it fits.

    ``known``: this process's code defines the function. ``brief`` is the divergence without any payload. ``asks`` is
    what the code would ask for next, if the execution is open and went on now.
    """

    id: str
    fn: str
    known: bool = True
    drift: str = ""
    brief: str = ""
    asks: str = ""


def retrace(recording: Recording) -> Iterator[Retraced]:
    """Replay each function of an execution that may be replayed: all of one that is over, of an open one what is open.

    A function that is over in an execution that is open is replayed by nobody any more.
    """
    open_ = recording.root.runnable
    for own in recording.records:
        if own.kind is Kind.CALL and recording.children.get(own.id) and (own.runnable or not open_):
            yield _function(recording, own)


def _function(recording: Recording, own: Record) -> Retraced:
    try:
        definition = registry.find(own.fn)
    except UnknownFunction:
        why = f"the code defines no durable function {own.fn!r}"
        return Retraced(id=own.id, fn=own.fn, known=False, drift=why, brief=why)
    children = recording.children[own.id]
    if not definition.is_async:
        why = f"{own.fn} ({own.id}) is a plain def now, which can't make the durable calls that it has made"
        return Retraced(id=own.id, fn=own.fn, drift=why, brief=why)
    replay = execution_of(definition, own, children)
    for ordinal in replay.known.unread[:]:
        block = next(child for child in children if child.ordinal == ordinal)
        replay.known.fill(ordinal, gathered(recording.children.get(block.id, ())))
    try:
        with _nowhere():
            step = retraced(replay, recording.at if own.runnable else own.ended_at)
    except Behind as news:
        why = f"{own.fn} ({own.id}) waits for {news}, of which the journal tells, and which isn't stored"
        return Retraced(id=own.id, fn=own.fn, drift=why, brief=why)
    except NonDeterminismError as drift:
        return Retraced(id=own.id, fn=own.fn, drift=str(drift), brief=drift.brief)
    return _come_to(own, step)


def _come_to(own: Record, step: Step) -> Retraced:
    asks = (
        ", ".join(f"#{one.ordinal} {one.kind} {one.fn}" for one in step.requests[:3]) if isinstance(step, Flush) else ""
    )
    if own.runnable or not asks:
        return Retraced(id=own.id, fn=own.fn, asks="its end" if isinstance(step, Done) and own.runnable else asks)
    why = f"{own.fn} ({own.id}) drifted from its history: the replay asks for {asks}, where the first run had ended"
    return Retraced(id=own.id, fn=own.fn, drift=why, brief=why)


class _NoPorts:
    """There is nothing outside of a replay."""

    prefix = ""
    largest = MAX_OBJECT_BYTES

    def __getattr__(self, port: str) -> Any:
        raise ConfigurationError(f"a replay of a recording has nothing outside, and no {port}: put that into run(...)")


class _Nowhere(EngineHost):
    def __init__(self) -> None:
        ports: Any = _NoPorts()
        super().__init__(ports)

    def now(self) -> Instant:
        raise ConfigurationError("a replay of a recording has no clock: use now()")


@contextmanager
def _nowhere() -> Iterator[None]:
    host = _Nowhere()
    hosts.enter(host)
    try:
        yield
    finally:
        hosts.leave(host)
