"""The resumer reads settlements from the table's stream, and resumes the functions that wait for them. It only counts
and invokes.

It makes one update for each parent in a batch, then the invocation. If it dies in between, it gets the batch again,
counts again and invokes. So it may count too many arrivals, which wakes a function in vain; too few would lose a wake.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from adapter.engine import hosts
from adapter.engine.host import EngineHost
from adapter.engine.operations import Arrive, Invoke, Operation, PeekPromise, Settle, Tell
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.errors import BadMessage, OtherVersion
from adapter.lambdas.batches import process, records_of
from adapter.protocol.ids import is_id
from adapter.protocol.messages import Cause, Resume, Settlement, named
from adapter.protocol.promises import Refused, Written, copied, wakes
from adapter.protocol.records import Kind, Record, State, Stored, Wake, attribute, is_readable, texts_of

Waking = Generator[Operation, Any, str]


def settlement(record: DynamoDBRecord) -> Settlement:
    """Read a stream record.

    Raises:
        OtherVersion: this code doesn't read the item's version. Acknowledging the record would lose a wake. Refused, it
            comes again, perhaps after newer code is deployed.
        BadMessage: it isn't a settled promise, or this code doesn't know how it wakes its parent.
    """
    raw = _object(_object(record.raw_event, "dynamodb"), "NewImage")
    told, version = texts_of(raw), _object(raw, "v").get("N")
    state, promise, wake = told["state"], told["id"], told["wake"]
    if raw and not (isinstance(version, str) and is_readable(version)):
        raise OtherVersion(
            f"a stream record of {promise[:80]!r} has format {named(version)}, which this code doesn't read: deploy one"
            " version everywhere"
        )
    if state not in set(State) or state == State.PENDING or not is_id(promise):
        what = repr(promise[:80]) if promise else "an unknown item"
        raise BadMessage(f"a stream record of {what} isn't a settlement: state {state[:40]!r}")
    awaiters = attribute(raw, "awaiters", [])
    if "wake" in raw and wake not in set(Wake):
        raise BadMessage(f"a stream record of {promise[:80]!r} wakes its parent in an unknown way: {wake[:40]!r}")
    if not isinstance(awaiters, list) or not all(isinstance(one, str) and is_id(one) for one in awaiters):
        raise BadMessage(f"a stream record of {promise[:80]!r} names awaiters that can't be promises")
    if wake == Wake.DIRECT and not told["reply_to"]:
        raise BadMessage(f"a stream record of {promise[:80]!r} wakes its parent, and doesn't say where that runs")
    return Settlement(
        id=promise,
        kind=told["kind"],
        target=told["target"],
        rejected=state != State.RESOLVED,
        canceled=state in (State.CANCELED, State.TIMEDOUT),
        wake=Wake(wake) if wake else None,
        reply_to=told["reply_to"],
        state=State(state),
        # The value stays as it is stored: the resumer carries it on to followers, and the code that awaits them opens
        # it.
        value=Stored(told["value"], promise),
        # A set is stored in any order. Sorted, the same seed of a `LocalCloud` settles them in the same order
        # everywhere.
        awaiters=tuple(sorted(awaiters)),
    )


def _object(data: Any, name: str) -> dict[str, Any]:
    """An object within another; empty if there is none."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def follow_up(settled: Settlement, parent: str | None) -> Waking:
    """Do what follows from one settlement by itself: all but counting it at its parent, which the batch does."""
    yield from settle_followers(settled)
    yield from resume_callee(settled)
    if settled.wake is Wake.DIRECT and parent is not None:
        yield from resume_direct(parent, settled)
    return "followed up"


def resume_callee(settled: Settlement) -> Waking:
    """Resume a cancelled function itself, so that it cleans up."""
    if settled.canceled and settled.kind == Kind.CALL and settled.target:
        yield Invoke(settled.target, Resume(id=settled.id, cause=Cause.CANCEL))
    return "resumed"


def settle_followers(settled: Settlement) -> Waking:
    """Settle the promises of other executions that follow this root. Each then wakes its own parent.

    A follower that gave up may be gone by now, and its id may belong to a promise of a later execution. Then this
    settles nothing, and copies no object, since nothing would remove the copy.
    """
    state, value = copied(settled.state, settled.value)
    for awaiter in settled.awaiters:
        follower: Record | None = yield PeekPromise(awaiter)
        if follower is not None and follower.pending and follower.kind is Kind.FOLLOW and follower.root == settled.id:
            yield Settle(awaiter, state, value)
    return "settled"


def resume_direct(parent: str, settled: Settlement) -> Waking:
    """Resume a parent that waits for this promise alone."""
    yield Tell(What.WAKING, parent, "", {"by": settled.id})
    yield Invoke(settled.reply_to, Resume(id=parent, cause=Cause.DIRECT))
    return "resumed"


def resume_counted(parent: str, settled: Iterable[Settlement]) -> Waking:
    """Count the arrivals at a parent, then resume it if it waits for no more."""
    together = list(settled)
    standing: Written = yield Arrive(parent, len(together))
    if isinstance(standing, Refused):
        return "refused"
    if wakes(standing, rejected=any(one.rejected for one in together)):
        yield Tell(What.WAKING, parent, standing.fn, {"by": together[-1].id})
        yield Invoke(standing.target, Resume(id=parent, cause=Cause.COUNTED))
    return "counted"


class Batch:
    """One batch of the stream. Each parent's arrivals are counted once, with its first record."""

    def __init__(self, host: EngineHost, records: Iterable[dict[str, Any]]) -> None:
        self._host = host
        self._records = records
        self._ended: dict[str, Exception | None] = {}

    def process(self, record: DynamoDBRecord) -> None:
        one = settlement(record)
        parent = one.parent
        self._perform(follow_up(one, parent))
        if one.wake is Wake.COUNTED and parent is not None:
            self._count(parent)

    @functools.cached_property
    def _counted(self) -> dict[str, list[Settlement]]:
        """Those of the batch that are counted, by their parents."""
        counted: dict[str, list[Settlement]] = {}
        for raw in self._records:
            try:
                one = settlement(DynamoDBRecord(raw))
            except BadMessage:
                continue
            if one.wake is Wake.COUNTED and one.parent is not None:
                counted.setdefault(one.parent, []).append(one)
        return counted

    def _count(self, parent: str) -> None:
        if parent not in self._ended:
            try:
                self._perform(resume_counted(parent, self._counted[parent]))
                self._ended[parent] = None
            except Exception as error:
                self._ended[parent] = error
        failed = self._ended[parent]
        if failed is not None:
            # All records of this parent failed together, so none may be acknowledged.
            raise failed

    def _perform(self, steps: Waking) -> None:
        drive(steps, self._host.ports.perform)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the table's stream. It reports each record that failed."""
    host = hosts.current()
    batch = Batch(host, records_of(event))
    return process(host, EventType.DynamoDBStreams, event, context, batch.process)
