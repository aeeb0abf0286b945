"""A function's execution made from its records; and one that is replayed, only to see whether it fits. Pure.

A body that doesn't replay is noticed at the first resume without a warm sandbox, perhaps weeks later. So a local
cloud replays each execution when it ends (`verify`), and a command replays what is recorded before a deploy
(`retraced`). Both follow the whole journal, and perform nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from adapter.engine.registry import Definition
from adapter.errors import CodecError, NonDeterminismError
from adapter.protocol import retries
from adapter.protocol.making import changed
from adapter.protocol.records import Record, State, Wake
from adapter.protocol.times import Instant
from adapter.replay.execution import Execution
from adapter.replay.loop import DurableLoop
from adapter.replay.steps import Behind, Done, Flush, Step


def policy_of(function: Definition, own: Record) -> retries.Retry:
    """The policy of the call, else of the function, else the one for all."""
    return retries.read(own.retry) if own.retry else function.retry or retries.LEAF


def execution_of(
    function: Definition,
    own: Record,
    children: Iterable[Record],
    *,
    leave: Callable[[DurableLoop], None] | None = None,
    since: str = "",
) -> Execution:
    """An execution that begins with a replay over ``children``. ``leave`` and ``since`` are those of `Execution`."""
    explicit = policy_of(function, own) if own.retry or function.retry else None
    return Execution(
        own,
        children,
        lambda: _called(function, own.args),
        retry=explicit,
        encode_result=function.encode_result,
        leave=leave,
        since=since,
    )


def become_ordinary(loop: DurableLoop) -> None:
    """Leave the durable loop, for real I/O."""
    # Imported late: most functions do none.
    from adapter.replay import leaving

    leaving.become_ordinary(loop)


async def _failing(error: BaseException) -> Any:
    raise error


def _called(function: Definition, args: str) -> Any:
    try:
        return function.body(args)
    except (CodecError, TypeError) as unreadable:
        # This version of the function can't read the arguments: that is its outcome, like an exception of its own.
        return _failing(unreadable)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ended:
    """An execution that has just come to its end; ``own`` is its record as the last run knew it."""

    function: Definition
    execution: Execution
    own: Record

    def __repr__(self) -> str:
        # Traces of a run show it, and two runs from one seed have the same trace.
        return f"<{type(self).__name__} {self.own.id}>"


def verify(ended: Ended) -> None:
    """Replay an execution over its records. It has to ask for the same again, and to end.

    The outcome isn't compared: it was stored once, and no replay settles it again. Nothing is performed.

    Raises:
        NonDeterminismError: the replay went another way.
    """
    known = list(ended.execution.known.records.values())
    try:
        step = retraced(execution_of(ended.function, ended.own, known, since=ended.execution.unrecorded))
    except Behind as news:
        _drifted(ended, f"it waits for {news}, which hasn't happened")
    except NonDeterminismError as drift:
        raise NonDeterminismError(f"{drift}\n{_CAUSES}", brief=drift.brief) from None
    if not isinstance(step, Done):
        _drifted(ended, _instead(step))


def retraced(replay: Execution, now: Instant | None = None) -> Step:
    """Where the code comes to over its records at ``now``; by default at its beginning, so that no timer falls due.

    What an earlier run would have performed on the way, since it isn't stored, is taken for performed. The replay ends
    where the code goes beyond what is stored. Nothing is performed, and the code is dropped as it stands there.

    Raises:
        NonDeterminismError: the code asks for something other than what is stored.
        Behind: the journal tells of something that isn't stored.
    """
    at = replay.own.created_at if now is None else now
    try:
        while isinstance(step := replay.advance(at), Flush) and replay.behind_its_history:
            for record in _performed(replay, step, at):
                replay.learn(record)
        return step
    finally:
        replay.unheard()
        replay.abandon()


def _performed(replay: Execution, flush: Flush, at: Instant) -> Iterator[Record]:
    """The records that there would be once a flush had been performed, and nothing had settled since."""
    for one in flush.requests:
        yield Record(id=one.id, kind=one.kind, fn=one.fn, digest=one.digest, created_at=at, wake=Wake.COUNTED)
    ends = [(each, State.CANCELED) for each in flush.cancels] + [(each, State.TIMEDOUT) for each in flush.expired]
    for ordinal, state in ends:
        standing = replay.known.records.get(ordinal)
        if standing is not None:
            own = state is State.CANCELED
            yield changed(standing, state=state, settled_at=at, by_parent=own)


def _instead(step: Step) -> str:
    if isinstance(step, Flush) and step.requests:
        asked = ", ".join(f"#{one.ordinal} {one.kind} {one.fn}" for one in step.requests[:3])
        return f"the replay asks for {asked}, where the first run had ended"
    return "the replay goes on, where the first run had ended"


def _drifted(ended: Ended, why: str) -> NoReturn:
    brief = f"{ended.own.fn} ({ended.own.id}) doesn't replay: {why}"
    raise NonDeterminismError(f"{brief}\n{_CAUSES}", brief=brief)


_CAUSES = (
    "LocalCloud replays each execution once when it ends; on AWS a resume does. Code between durable calls has to do"
    " the same each time: take the time from now(), chance from random() and uuid4(), and put whatever else may differ"
    " (I/O, global state, the environment) into run(...) or a @durable function of its own. LocalCloud(verify=False)"
    " leaves this check out."
)
