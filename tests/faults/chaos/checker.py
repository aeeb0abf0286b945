"""What must hold once a run is at rest, whatever went wrong on the way: the invariants, one function each."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from adapter.aws.chapters import is_chapter
from adapter.engine.telling import What
from adapter.protocol.chapters import TOLD, told_by
from adapter.protocol.ids import parent_of
from adapter.protocol.records import Kind, Record, State, Wake, id_in
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from adapter.testing.happenings import Happening
from tests.faults.chaos.in_asyncio import UNCOUNTED, plainly
from tests.faults.chaos.programs import Program, constructs_of, nodes
from tests.faults.chaos.trial import KEPT, Played, Weather
from tests.support.chapters import short_chapters

DAY = dt.timedelta(days=1)
LATENCIES = (None, 1, 2, 3, 4, 5)
QUIET = 10 * 60_000_000
"""Microseconds without doings of the program's Lambda or of what wakes it: no attempt is to come any more."""

WRITES_PER_PROMISE = 6
WRITES_BESIDES = 12
FIXED = (
    "pk",
    "sk",
    "kind",
    "fn",
    "target",
    "args",
    "digest",
    "created_at",
    "by",
    "wake",
    "reply_to",
    "seen",
    "deadline",
)
BAD = (Happening.FAILED, What.PAUSED, What.CRASHED, What.DEAD_LETTER, What.UNHANDLED)
"""Events that no weather excuses: an error of the engine, a drift, a function given up."""


@dataclass(frozen=True)
class Expected:
    """What plain asyncio makes of a program. ``ledger``: the steps that end, None where that depends on latencies.

    ``exactly``: no others do. What a function abandons, and then fails, may have begun or not.
    """

    result: Any
    ledger: Counter[str] | None
    exactly: bool


def expected(program: Program) -> Expected | None:
    """None: what the program comes to depends on how long its calls take."""
    runs = [plainly(program.body, program.cancel_after, seed) for seed in LATENCIES]
    if any(result != runs[0][0] for result, _ in runs):
        return None
    alike = all(ledger == runs[0][1] for _, ledger in runs) and not _leaves_tasks(program)
    return Expected(runs[0][0], runs[0][1] if alike else None, "abandon" not in constructs_of(program))


def _leaves_tasks(program: Program) -> bool:
    """How far an abandoned task gets until its function ends depends on the weather; an abandoned call is awaited."""
    return any(node["op"] == "abandon" and node["of"][0]["op"] != "call" for node in nodes(program.body))


Law = Callable[[Played], Iterator[str]]
LAWS: list[Law] = []


def law(check: Law) -> Law:
    LAWS.append(check)
    return check


def violations(played: Played, plain: Expected) -> list[str]:
    """Everything that doesn't hold, in words."""
    if played.error:
        return [played.error]
    if loses(played.weather):
        # What is lost is missed hours or days later: who is first isn't known.
        return _broken(played)
    found = [] if played.result == plain.result else [f"came to {played.result!r}, plainly to {plain.result!r}"]
    if plain.ledger is not None:
        found += ledger_as(played, plain)
    return [*found, *_broken(played)]


def _broken(played: Played) -> list[str]:
    found = [f"{check.__name__}: {violation}" for check in LAWS for violation in check(played)]
    return found or [f"in the end: {violation}" for violation in _all_is_removed(played)]


def _all_is_removed(played: Played) -> Iterator[str]:
    """Once it was kept for long enough, in the same weather; nothing runs for it. Last: it leaves nothing to check."""
    ran = played.told.bodies.copy()
    with played.cloud as cloud, short_chapters(played.weather.chapters):
        expires = KEPT + 3 * DAY if played.weather.deadline else dt.timedelta()
        cloud.advance((KEPT + 7 * DAY + expires).total_seconds())
        yield from (f"{record.id} ({record.fn}) is left" for record in cloud.records())
        yield from (f"a chapter of {chapter.promise} is left" for chapter in played.cloud._world.store.chapters())
    if played.told.bodies != ran:
        yield f"these ran once more: {played.told.bodies - ran}"
    yield from nothing_is_lost(played)


def ledger_as(played: Played, plain: Expected) -> list[str]:
    """The steps that ended are those that end under plain asyncio: clean-ups of what was cancelled included."""
    ended = Counter(
        str(json.loads(record.args)["value" if record.fn.endswith(":mark") else "label"])
        for record in played.cloud.records()
        if record.state is State.RESOLVED and _counts(record)
    )
    assert plain.ledger is not None
    missing, surplus = plain.ledger - ended, ended - plain.ledger if plain.exactly else None
    found = [f"steps should have ended: {sorted(missing)}"] if missing else []
    return [*found, f"steps shouldn't have ended: {sorted(surplus)}"] if surplus else found


def _counts(record: Record) -> bool:
    leaf = record.fn.startswith("chaos:") and record.fn != "chaos:function"
    return (leaf and record.fn.removeprefix("chaos:") not in UNCOUNTED) or record.fn.endswith(":mark")


@law
def a_settled_promise_never_changes(played: Played) -> Iterator[str]:
    """I1, over every write."""
    for change in played.cloud._world.store.changes:
        old, new = change["dynamodb"].get("OldImage"), change["dynamodb"].get("NewImage")
        if is_chapter(change["dynamodb"]["Keys"]):
            continue
        if new is None:
            yield f"removed: {old}"
        elif old is not None:
            settled = ("state", "value", "settled_at") if old["state"] != {"S": "pending"} else ()
            for name in (*settled, *FIXED):
                asked = name == "wake" and not settled and name not in old and new.get(name) == {"S": Wake.PROMPT}
                if old.get(name) != new.get(name) and not asked:
                    yield f"{id_in(old)}: {name} was {old.get(name)}, is {new.get(name)}"
            if "closed" in old and "closed" not in new:
                yield f"{id_in(old)} was closed, and isn't any more"


@law
def a_chapter_tells_what_the_records_say(played: Played) -> Iterator[str]:
    """I4: of what has settled, and of all that a replay asks for."""
    standing = {record.id: record for record in played.cloud.records()}
    for chapter in played.cloud._world.store.chapters():
        told = told_by(chapter)
        if not told:
            yield f"a chapter of {chapter.promise} can't be read: {chapter.text}"
        for record in told:
            stands = standing[record.id]
            if record != Record(id=record.id, **{name: getattr(stands, name) for name in TOLD}):
                yield f"a chapter tells {record}, and what stands is {stands}"


@law
def one_outcome_is_heard(played: Played) -> Iterator[str]:
    """I2: whatever run heard of a step's result, it is the one that is stored."""
    stored = {}
    for record in played.cloud.records():
        if record.state is State.RESOLVED and (_counts(record) or record.fn == "chaos:tock"):
            _, key, execution = json.loads(record.value)
            stored[key] = execution
    for key, executions in played.told.heard.items():
        if executions != {stored.get(key)}:
            yield f"the promise of key {key} was heard to be {sorted(executions)}, it is {stored.get(key)}"


@law
def everything_has_settled(played: Played) -> Iterator[str]:
    """I3: nothing waits any more, and what was cancelled is closed."""
    for record in played.cloud.records():
        if record.pending:
            yield f"{record.id} ({record.fn}) is pending; its parent is {_state_of_parent(played, record)}"
        elif record.kind is Kind.CALL and record.state in (State.CANCELED, State.TIMEDOUT) and not record.closed:
            yield f"{record.id} ({record.fn}) is {record.state}, and not closed"
        if record.paused:
            yield f"{record.id} is paused: {record.paused}"


def _is_an_outage(event: Event) -> bool:
    """An attempt failed before it began."""
    return event.what == Happening.FAILED and str(event.detail["error"]).startswith(("CannotImport", "NoSuchFunction"))


def loses(weather: Weather) -> bool:
    """Whether something never comes, so that the watchdog has to make it good."""
    return bool(weather.faults.lose or weather.faults.drop)


def _state_of_parent(played: Played, record: Record) -> str:
    parent = parent_of(record.id)
    found = played.cloud.peek(parent) if parent else None
    return found.state.value if found else "none"


@law
def nothing_fails_but_user_code(played: Played) -> Iterator[str]:
    """I4: no drift, no error of the engine, nobody given up."""
    for event in played.cloud.events:
        if event.what in BAD and not _is_an_outage(event):
            yield f"{event.what}: {event.promise} {event.fn} {dict(event.detail)}"


@law
def only_what_was_lost_is_missed(played: Played) -> Iterator[str]:
    """I3: a crash, a copy or a delay is made good at once; the watchdog has nothing to mend where all is quiet.

    Attempts that die again and again may take longer than it waits.
    """
    if loses(played.weather) or played.weather.outages:
        return
    latest = died = 0
    for event in played.cloud.events:
        # A root's time and its looks share an entry of the index: a look that dies, and dies again, makes it late.
        quiet_since = latest if parent_of(event.promise) else max(latest, died)
        if event.what == "missed" and event.at - quiet_since > QUIET:
            yield f"the watchdog missed {event.promise}"
        if event.function == DEFAULT_FUNCTION or event.what in ("waking", "firing"):
            latest = event.at
        elif event.what == "killed":
            died = event.at


@law
def nothing_is_lost(played: Played) -> Iterator[str]:
    """No invocation, no record of the stream, no message; but for the records that are put aside, each of them told."""
    cloud = played.cloud
    yield from (f"lost: {one}" for one in cloud.lost)
    for poller in cloud._world.pollers:
        told = cloud._world._queues[str(poller.mapping.on_failure).rpartition(":")[2]]
        if not len(told.bodies()) == len(poller.discarded) == cloud.dice.drawn["drop"]:
            yield f"discarded: {poller.discarded}, told of {told.bodies()}"
    for name, queue in cloud._world._queues.items():
        if queue is told:
            continue
        yield from (f"left in {name}: {body}" for body in queue.bodies())


@law
def calm_a_step_runs_once(played: Played) -> Iterator[str]:
    """I5: an outage is no attempt, either."""
    if not played.weather.repeats:
        for key, executions in played.told.bodies.items():
            if executions > 1:
                yield f"the body of key {key} ran {executions} times"


@law
def calm_work_is_linear(played: Played) -> Iterator[str]:
    """I8, I9: in the number of promises."""
    if not played.weather.calm:
        return
    looks = sum(event.what == "looked" for event in played.cloud.events)
    promises, writes = len(played.cloud.records()), played.cloud.stats.writes - looks
    if writes > WRITES_PER_PROMISE * promises + WRITES_BESIDES:
        yield f"{writes} writes for {promises} promises"
