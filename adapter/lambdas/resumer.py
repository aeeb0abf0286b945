"""The resumer reads settlements from the table's stream, and resumes the functions that wait for them. It only counts
and invokes.

It makes one update for each parent in a batch, then the invocation. If it dies in between, it gets the batch again,
counts again and invokes. So it may count too many arrivals, which wakes a function in vain; too few would lose a wake.

A stream gives nothing that follows a record before that record is acknowledged. So what fails for one parent is put
aside, and comes again by a queue: it holds up no other parents (ADR 0021).
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType

from adapter.engine import hosts, telling
from adapter.engine.host import EngineHost
from adapter.engine.operations import Arrive, Invoke, Many, Operation, PeekPromise, PutAside, Settle, Tell
from adapter.engine.ports import drive
from adapter.engine.telling import What
from adapter.engine.waking import resume_direct
from adapter.errors import BadMessage, OtherVersion
from adapter.lambdas.aside import KEPT, Held, packed, unpacked
from adapter.lambdas.batches import process, records_of
from adapter.protocol.chapters import is_long
from adapter.protocol.ids import is_id, ordinal_of
from adapter.protocol.messages import Cause, Resume, Settlement, named
from adapter.protocol.promises import Refused, Written, copied, wakes
from adapter.protocol.records import Kind, Record, State, Stored, Wake, attribute, id_in, is_readable, texts_of
from adapter.protocol.times import EPOCH, MINUTE, Instant

Resuming = Generator[Operation, Any, str]

PATIENCE = 10.0
"""Seconds for which AWS is asked again for what it refuses; meanwhile all of the shard waits."""

PORTION = 100
"""Followers of a root that are settled side by side."""


_TEXTS = ("state", "wake", "kind", "target", "reply_to", "value")
"""What the resumer reads of a record, beside times and awaiters."""

_STATES, _WAKES = frozenset(State), frozenset(Wake)


def settlement(record: dict[str, Any]) -> Settlement:
    """Read a stream record.

    Raises:
        OtherVersion: this code doesn't read the item's version. Acknowledging the record would lose a wake. Refused, it
            comes again, perhaps after newer code is deployed.
        BadMessage: it isn't a settled promise, or this code doesn't know how it wakes its parent.
    """
    raw = _object(_object(record, "dynamodb"), "NewImage")
    texts, version = texts_of(raw, _TEXTS), _object(raw, "v").get("N")
    state, promise, wake = texts["state"], id_in(raw), texts["wake"]
    if raw and not (isinstance(version, str) and is_readable(version)):
        raise OtherVersion(
            f"a stream record of {promise[:80]!r} has format {named(version)}, which this code doesn't read: deploy one"
            " version everywhere"
        )
    if state not in _STATES or state == State.PENDING or not promise:
        what = repr(promise[:80]) if promise else "an unknown item"
        raise BadMessage(f"a stream record of {what} isn't a settlement: state {state[:40]!r}")
    awaiters = attribute(raw, "awaiters", [])
    if "wake" in raw and wake not in _WAKES:
        raise BadMessage(f"a stream record of {promise[:80]!r} wakes its parent in an unknown way: {wake[:40]!r}")
    if not isinstance(awaiters, list) or not all(isinstance(one, str) and is_id(one) for one in awaiters):
        raise BadMessage(f"a stream record of {promise[:80]!r} names awaiters that can't be promises")
    if wake in (Wake.DIRECT, Wake.PROMPT) and not texts["reply_to"]:
        raise BadMessage(f"a stream record of {promise[:80]!r} wakes its parent, and doesn't say where that runs")
    return Settlement(
        id=promise,
        kind=texts["kind"],
        target=texts["target"],
        rejected=state != State.RESOLVED,
        canceled=state in (State.CANCELED, State.TIMEDOUT),
        wake=Wake(wake) if wake else None,
        reply_to=texts["reply_to"],
        state=State(state),
        # The value stays as it is stored: the resumer carries it on to followers, and the code that awaits them opens
        # it.
        value=Stored(texts["value"], promise),
        # A set is stored in any order. Sorted, the same seed of a `LocalCloud` settles them in the same order
        # everywhere.
        awaiters=tuple(sorted(awaiters)),
        created_at=_time(attribute(raw, "created_at")),
        settled_at=_time(attribute(raw, "settled_at")),
    )


def _time(text: object) -> Instant:
    """A field's time; `EPOCH` if it has none."""
    return Instant(int(text)) if isinstance(text, str) and text.isdecimal() and len(text) < 17 else EPOCH


def _object(data: Any, name: str) -> dict[str, Any]:
    """An object within another; empty if there is none."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def follow_up(settled: Settlement, parent: str | None) -> Resuming:
    """Do what follows from one settlement by itself: all but counting it at its parent, which the batch does."""
    yield from settle_followers(settled)
    yield from resume_callee(settled)
    if settled.wake is not None and settled.wake.alone:
        yield from resume_direct(settled.id, settled.reply_to, settled.created_at)
    return "followed up"


def resume_callee(settled: Settlement) -> Resuming:
    """Resume a cancelled function itself, so that it cleans up."""
    if settled.canceled and settled.kind == Kind.CALL and settled.target:
        yield Invoke(settled.target, Resume(id=settled.id, cause=Cause.CANCEL, since=settled.created_at))
    return "resumed"


def settle_followers(settled: Settlement) -> Resuming:
    """Settle the promises of other executions that follow this root. Each then wakes its own parent.

    A follower that gave up may be gone by now, and its id may belong to a promise of a later execution. Then this
    settles nothing, and copies no object, since nothing would remove the copy.
    """
    state, value = copied(settled.state, settled.value)
    for start in range(0, len(settled.awaiters), PORTION):
        awaiters = settled.awaiters[start : start + PORTION]
        found: Sequence[Record | None] = yield Many(tuple(PeekPromise(awaiter) for awaiter in awaiters))
        followers = [one for one in found if one is not None and _follows(one, settled)]
        if followers:
            yield Many(tuple(Settle(follower.id, state, value) for follower in followers))
    return "settled"


def _follows(follower: Record, settled: Settlement) -> bool:
    """Whether it waits for this root. One that was made later waits for a later execution; clocks differ by less."""
    meant = not settled.settled_at or follower.created_at < settled.settled_at + MINUTE
    return meant and follower.pending and follower.kind is Kind.FOLLOW and follower.root == settled.id


def _resumed(settled: Settlement) -> Resuming:
    """Resume a parent that waits for this promise alone."""
    yield from resume_direct(settled.id, settled.reply_to, settled.created_at)
    return "resumed"


def resume_counted(parent: str, settled: Iterable[Settlement]) -> Resuming:
    """Count the arrivals at a parent, then resume it if it waits for no more."""
    together = list(settled)
    rejected = sum(one.rejected for one in together)
    standing: Written = yield Arrive(parent, len(together), rejected)
    if isinstance(standing, Refused):
        return "refused"
    if wakes(standing, rejected=rejected > 0):
        yield Tell(What.WAKING, parent, standing.fn, {"by": together[-1].id})
        # Another batch may find the same, before a run has claimed the parent. Of those runs one claims.
        long = any(is_long(ordinal_of(one.id)) for one in together)
        counted = Resume(id=parent, cause=Cause.COUNTED, since=standing.created_at, armed=standing.epoch, long=long)
        yield Invoke(standing.target, counted)
    return "counted"


@dataclass(frozen=True, slots=True)
class Task:
    """What is done for some records of a batch, independently of all others; ``numbers`` are theirs."""

    steps: Resuming
    numbers: tuple[str, ...]


class Batch:
    """Stream records, handled side by side. Each parent's arrivals are counted once, with all of its records.

    A record that failed is put aside, and so acknowledged: in its place it would hold up those that follow it. If it
    can't be put aside either, nobody acknowledges it.
    """

    def __init__(self, host: EngineHost, records: Iterable[Held], context: Any) -> None:
        self._host = host
        self._context = context
        self._records = records
        # By the numbers of the records; None: nothing is done yet.
        self._failed: dict[str, Exception] | None = None
        # Their numbers: no code of this version can ever handle them.
        self._poison: set[str] = set()

    def handle(self, held: Held) -> None:
        """Make sure that one of the records is handled, now or later. Raises what went wrong with putting it aside."""
        if self._failed is None:
            self._failed = self._do_all()
            # The rest of the invocation is for putting aside records that failed, perhaps for want of patience.
            self._host.enter_invocation(self._context)
        failed = self._failed.get(held.number)
        if failed is None:
            return
        self._host.ports.perform(Tell(What.UNHANDLED, "", "", {"error": telling.loggable(failed)}))
        now = self._host.ports.clock.now()
        aside = Held(record=held.record, tries=held.tries + 1, since=held.since or now, why=telling.loggable(failed))
        final = held.number in self._poison or now - aside.since >= KEPT
        self._host.ports.perform(PutAside(packed(aside), None if final else aside.pause))

    def _do_all(self) -> dict[str, Exception]:
        """What went wrong, by the numbers of the records."""
        failures: dict[str, Exception] = {}
        settled: list[tuple[str, Settlement]] = []
        for held in self._records:
            number = held.number
            try:
                settled.append((number, settlement(held.record)))
            except OtherVersion as later:
                failures[number] = later
            except BadMessage as poison:
                failures[number] = poison
                self._poison.add(number)
        # Followers first, each root's side by side. All else then has the pool for itself.
        followed = [Task(settle_followers(one), (number,)) for number, one in settled if one.awaiters]
        tasks = [*followed, *_wakes(settled)]
        ended = [*map(self._perform, followed), *self._host.ports.pool.map(self._perform, tasks[len(followed) :])]
        for task, error in zip(tasks, ended, strict=True):
            if error is not None:
                failures.update(dict.fromkeys(task.numbers, error))
        return failures

    def _perform(self, task: Task) -> Exception | None:
        try:
            drive(task.steps, self._host.ports.perform)
        except Exception as error:
            return error
        return None


def _wakes(settled: Sequence[tuple[str, Settlement]]) -> Iterator[Task]:
    """One task for each parent that is counted, and for each function that is resumed otherwise."""
    counted: dict[str, list[tuple[str, Settlement]]] = {}
    for number, one in settled:
        parent = one.parent
        if one.wake is Wake.COUNTED and parent is not None:
            counted.setdefault(parent, []).append((number, one))
        if one.canceled:
            yield Task(resume_callee(one), (number,))
        if one.wake is not None and one.wake.alone and parent is not None:
            yield Task(_resumed(one), (number,))
    for parent, together in counted.items():
        yield Task(resume_counted(parent, [one for _, one in together]), tuple(number for number, _ in together))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the table's stream. It reports the records that it could neither handle nor put aside."""
    host = hosts.current()
    batch = Batch(host, (Held(record=record) for record in records_of(event)), context)

    return process(
        host, EventType.DynamoDBStreams, event, context, lambda record: batch.handle(Held(record=record)), PATIENCE
    )


def again(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry for the queue of records that were put aside. It reports each message that it couldn't handle."""
    host = hosts.current()
    batch = Batch(host, _readable(records_of(event)), context)
    return process(host, EventType.SQS, event, context, lambda record: batch.handle(unpacked(record["body"])), PATIENCE)


def _readable(messages: Iterable[dict[str, Any]]) -> Iterator[Held]:
    for message in messages:
        with contextlib.suppress(BadMessage):
            yield unpacked(message.get("body"))
