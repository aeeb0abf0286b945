"""The crash table, row by row: its last column names these tests. `docs/ARCHITECTURE.md` says why each is safe.

A row is one write or call of one Lambda, in one of the plays of `tests/faults/crashes/plays.py`; it dies just before
it, or just after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pytest

from adapter.aws import keys, moves
from adapter.engine.operations import (
    Arm,
    Arrive,
    Ask,
    Claim,
    Close,
    Create,
    Delete,
    Hold,
    Invoke,
    Many,
    Pause,
    Pin,
    Postpone,
    PutAside,
    Register,
    Remove,
    RemoveChapter,
    RunCode,
    RunLeft,
    SendAt,
    SendBatch,
    Settle,
    WriteChapter,
)
from adapter.protocol.ids import SCHEDULE, parent_of
from adapter.protocol.messages import Cause, Look, Occur, Resume, Start
from adapter.protocol.records import Kind, State
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.faults import Kill
from adapter.testing.hosting import ClearPayloads, PutPayload, WriteNote
from tests.faults.crashes.played import CLOUDS
from tests.faults.crashes.plays import PLAYS, play
from tests.faults.crashes.programs import leaf

LAMBDA = DEFAULT_FUNCTION
RESUMER = "adapter.lambdas.resumer.handler"
AGAIN = "adapter.lambdas.resumer.again"
SWEEP = "adapter.lambdas.sweeper.sweep"
FIRE = "adapter.lambdas.sweeper.fire"
TEND = "adapter.lambdas.sweeper.tend"
BURY = "adapter.lambdas.deadletters.handler"


@dataclass(frozen=True)
class Row:
    """Where it is in which play: a function, by its name, or one of the engine's Lambdas, by its handler.

    What a run does before it has begun is told by its Lambda alone.
    """

    play: str
    where: str
    at: Callable[[Any], bool]
    later: int = 0
    """How many times it comes there before."""


@dataclass
class Once(Kill):
    """Once, where a row says."""

    row: Row | None = None
    passed: int = 0
    met: bool = False

    def meets(self, names: Collection[str], operation: object, when: str) -> bool:
        assert self.row is not None
        if self.met or when != self.when or not any(name.endswith(self.row.where) for name in names):
            return False
        if self.row.at(operation):
            self.met = self.passed == self.row.later
            self.passed += 1
        return self.met


def of(*kinds: type[Any], **wanted: object) -> Callable[[Any], bool]:
    """An operation of a kind, with these fields."""
    return lambda found: isinstance(found, kinds) and all(getattr(found, n) == value for n, value in wanted.items())


def sent(operation: type[Any], message: type[Any], cause: Cause | None = None) -> Callable[[Any], bool]:
    """A message that is sent by an invocation, or for a time."""
    return lambda found: (
        isinstance(found, operation)
        and isinstance(found.message, message)
        and (cause is None or found.message.cause is cause)
    )


def to_root(operation: type[Any], message: type[Any]) -> Callable[[Any], bool]:
    return lambda found: sent(operation, message)(found) and parent_of(found.message.id) is None


def created(root: bool = False, **wanted: object) -> Callable[[Any], bool]:
    def is_it(found: Any) -> bool:
        if not isinstance(found, Create) or (parent_of(found.record.id) is None) != root:
            return False
        return all(getattr(found.record, name) == value for name, value in wanted.items())

    return is_it


def of_call(name: str) -> Callable[[Any], bool]:
    """A call's promise is written."""
    return lambda found: created(kind=Kind.CALL)(found) and found.record.fn.endswith(f":{name}")


def code_beside_others(found: Any) -> bool:
    return isinstance(found, Many) and all(isinstance(one, RunCode) for one in found.operations)


def of_a_child(state: State, by_parent: bool = False) -> Callable[[Any], bool]:
    return lambda found: (
        isinstance(found, Settle)
        and found.state is state
        and parent_of(found.id) is not None
        and found.by_parent >= by_parent
    )


ROWS = {
    "put-large-text": Row("carries", ":large", of(PutPayload)),
    "copy-large-text": Row("carries", RESUMER, of(PutPayload)),
    "make-keys": Row("begins", "-begins", of(WriteNote, partition=keys.PARTITION)),
    "move-lambda": Row("is moved", "operator", of(WriteNote, partition=moves.PARTITION)),
    "pin": Row("is pinned", "_pinned", of(Pin)),
    "hand-on": Row("is pinned", "_pinned", lambda found: sent(Invoke, Start)(found) and bool(found.message.by)),
    "unpin": Row("is pinned", "operator", of(Pin)),
    "create-root": Row("follows", ":follows", created(root=True)),
    "send-root-deadline": Row("late", ":is_late", to_root(SendAt, Look)),
    "invoke-root": Row("follows", ":follows", to_root(Invoke, Start)),
    "create-leader": Row("calls", ":calls", created(seen="", kind=Kind.CALL)),
    "create-rest": Row("calls", ":calls", created(seen=None, kind=Kind.CALL)),
    "invoke-call": Row("calls", ":calls", sent(Invoke, Start)),
    "run-leaf": Row("calls", ":leaf", of(RunCode)),
    "run-real-io": Row("thinks", ":reads", of(RunLeft)),
    "run-inline": Row("calls", ":calls", code_beside_others),
    "record-inline": Row("calls", ":calls", created(kind=Kind.INLINE, state=State.RESOLVED)),
    "announce-inline": Row("announces", ":announces", created(kind=Kind.INLINE, state=State.PENDING)),
    "settle-announced": Row("announces", ":announces", of_a_child(State.RESOLVED)),
    "run-placed": Row("is placed here", ":is_placed", of(RunCode)),
    "record-placed": Row("is placed here", ":is_placed", created(kind=Kind.INLINE, state=State.RESOLVED)),
    "announce-placed": Row("is placed here", ":is_placed", of_call("leaf")),
    "settle-placed": Row("is placed here", ":is_placed", of_a_child(State.RESOLVED)),
    "move-no-leaf": Row("is placed here", ":is_placed", of_call("calling")),
    "invoke-no-leaf": Row("is placed here", ":is_placed", sent(Invoke, Start)),
    "move-failed": Row("is placed here", ":is_placed", of_call("flaky")),
    "send-moved-attempt": Row("is placed here", ":is_placed", sent(SendAt, Start)),
    "settle-leaf": Row("calls", ":leaf", of(Settle)),
    "settle": Row("calls", ":calls", of(Settle)),
    "count-arrivals": Row("calls", RESUMER, of(Arrive)),
    "wake-counted": Row("calls", RESUMER, sent(Invoke, Resume, Cause.COUNTED)),
    "wake-direct": Row("calls", RESUMER, sent(Invoke, Resume, Cause.DIRECT)),
    "wake-own-caller": Row("prompts", ":leaf", sent(Invoke, Resume, Cause.DIRECT)),
    "ask": Row("lingers", ":lingers", of(Ask)),
    "wake-cancelled": Row("waits", RESUMER, sent(Invoke, Resume, Cause.CANCEL)),
    "put-aside": Row("held up", RESUMER, of(PutAside)),
    "wake-again": Row("held up", AGAIN, sent(Invoke, Resume)),
    "create-fork": Row("is forked", "operator", created(root=True)),
    "take-over": Row("is forked", "operator", created(state=State.RESOLVED)),
    "take-over-pending": Row("is forked", "operator", created(state=State.PENDING)),
    "invoke-fork": Row("is forked", "operator", to_root(Invoke, Start)),
    "invoke-fork-below": Row("is forked", "operator", sent(Invoke, Start)),
    "send-again": Row("redriven", "operator", of(PutAside)),
    "settle-followers": Row("follows", RESUMER, of(Settle)),
    "claim": Row("calls", LAMBDA, of(Claim)),
    "watch-deadline": Row("is claimed late", LAMBDA, to_root(SendAt, Look)),
    "refused-claim": Row("fired twice", LAMBDA, of(Claim), later=2),
    "claim-what-is-claimed": Row("counted twice", LAMBDA, of(Claim), later=1),
    "send-timer": Row("waits", ":waits", sent(SendAt, Resume, Cause.TIMER)),
    "arm": Row("calls", ":calls", of(Arm)),
    "tell": Row("is told", ":calls_in_turn", of(WriteChapter)),
    "yield": Row("works", ":works", sent(Invoke, Resume, Cause.AGAIN)),
    "cancel-child": Row("waits", ":waits", of_a_child(State.CANCELED)),
    "time-out-child": Row("late", ":is_late", of_a_child(State.TIMEDOUT)),
    "time-out-itself": Row("expires", LAMBDA, of(Settle, state=State.TIMEDOUT)),
    "close": Row("waits", ":patient", of(Close)),
    "pause": Row("drifts", "plays.drifts", of(Pause)),
    "start-again": Row("drifts", "repairs", sent(Invoke, Resume, Cause.AGAIN)),
    "register-follower": Row("follows", ":follows", of(Register)),
    "settle-own-follower": Row("follows", ":follows", of_a_child(State.RESOLVED)),
    "send-attempt": Row("fails", ":broken", sent(SendAt, Start)),
    "bury": Row("dies", BURY, sent(SendAt, Start)),
    "keep-refused": Row("is out", ":calls_apart", sent(SendAt, Start)),
    "keep-wake": Row("is out when woken", RESUMER, sent(SendAt, Resume, Cause.AGAIN)),
    "keep-given-up": Row("is reserved", BURY, sent(SendAt, Start)),
    "say-that-it-is-kept": Row("is out", ":calls_apart", of(Hold, why="missing")),
    "say-that-it-runs-again": Row("is out", "_apart", of(Hold, why="")),
    "cancel-children-of-the-crashed": Row("crashes", LAMBDA, of_a_child(State.CANCELED, by_parent=True)),
    "settle-as-crashed": Row("crashes", LAMBDA, of(Settle, state=State.REJECTED)),
    "sweep": Row("waits", SWEEP, of(SendBatch)),
    "fire": Row("waits", FIRE, sent(Invoke, Resume, Cause.TIMER)),
    "look-though-it-is-out": Row("is out while it sleeps", FIRE, to_root(SendAt, Look)),
    "send-on": Row("retries", FIRE, sent(SendAt, Start)),
    "look-time-out": Row("late", FIRE, of(Settle, state=State.TIMEDOUT)),
    "look-invoke": Row("lost", TEND, sent(Invoke, Resume, Cause.CHECK)),
    "begin-anew": Row("lost", LAMBDA, of(Hold)),
    "make-up": Row("uncounted", LAMBDA, of(Arrive)),
    "look-at-calls": Row("lost below", TEND, of(SendBatch)),
    "look-send-time": Row("between looks", TEND, sent(SendAt, Resume, Cause.TIMER)),
    "postpone": Row("between looks", TEND, of(Postpone)),
    "remove-chapter": Row("is told", TEND, of(RemoveChapter)),
    "remove-record": Row("is removed", TEND, lambda found: isinstance(found, Remove) and "~" in found.id),
    "remove-objects": Row("is removed", TEND, of(ClearPayloads)),
    "remove-root": Row("is removed", TEND, lambda found: isinstance(found, Remove) and "~" not in found.id),
    "remove-rest": Row("is removed", TEND, to_root(SendAt, Look)),
    "send-on-for-want-of-time": Row("are removed in turn", TEND, sent(SendAt, Look)),
    "make-schedule": Row("schedules", ":keeps_time", created(root=True, kind=Kind.SCHEDULE)),
    "send-first-occurrence": Row("schedules", ":keeps_time", sent(SendAt, Occur)),
    "begin-occurrence": Row("schedules", FIRE, created(root=True)),
    "invoke-occurrence": Row("schedules", FIRE, sent(Invoke, Start)),
    "send-next-occurrence": Row("schedules", FIRE, sent(SendAt, Occur)),
    "move-schedule": Row("schedules", FIRE, lambda found: isinstance(found, Arm) and found.id.startswith(SCHEDULE)),
    "remove-schedule": Row("schedules", ":keeps_time", of(Delete)),
    "settle-from-outside": Row("asks", ":answer", lambda found: isinstance(found, Settle) and found.id == "asks~0"),
    "end-calls-of-the-settled": Row("settled in its place", ":answer", of_a_child(State.CANCELED, by_parent=True)),
    "settle-by-link": Row("link", "links", of(Settle)),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("row", ROWS)
def test_a_death_at_a_row_of_the_crash_table_is_made_good(row: str, when: str) -> None:
    """The outcome is the same, and nothing stays open. The watchdog mends only what a play loses on purpose."""
    here = ROWS[row]
    kill = Once("", object, when, row=here)
    assert play(here.play, kill) == PLAYS[here.play].outcome
    assert kill.met, "the play never comes to this row"


def test_a_leaf_whose_settlement_is_written_does_not_run_again() -> None:
    """I5: its retry reads that it has settled."""
    play("calls", Once("", object, "after", row=ROWS["settle-leaf"]))
    assert CLOUDS[-1].stats.bodies[leaf] == 3
