"""Events of a `LocalCloud` in words: one sentence for each event. `adapter.testing.show` shows them.

A scene takes no part in what happens: it reads records without counting the reads.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adapter.engine.telling import What
from adapter.protocol.ids import ordinal_of, parent_of
from adapter.protocol.records import Record, State
from adapter.protocol.times import SECOND
from adapter.testing.events import Event
from adapter.testing.happenings import Happening
from adapter.testing.simulated_aws.lambdas import RETRY_DELAYS

Peek = Callable[[str], Record | None]

SHOWN = 4
"""So many calls of one function by one caller are shown line by line. The others are counted."""
COUNTED = 50
"""So many counted calls share a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. ``at`` is in seconds since the first event; ``tone`` chooses the color."""

    at: int
    who: str
    promise: str
    text: str
    tone: str = ""

    def __str__(self) -> str:
        clock = dt.timedelta(seconds=self.at)
        who = f"{self.who:<10} {self.promise:<11}  " if self.promise else ""
        return f"{clock!s:>9}  {who}{self.text}"


@dataclass(slots=True)
class Actor:
    """A promise. Its ``phase`` is its state; while it is pending, what its Lambda does."""

    id: str
    fn: str = ""
    phase: str = State.PENDING
    woken_by: str = ""
    died: bool = False

    @property
    def name(self) -> str:
        return self.fn.rpartition(":")[2] or "promise"


@dataclass(slots=True)
class Crowd:
    """The calls of one function by one caller. Calls beyond `SHOWN` are only counted."""

    name: str
    members: dict[str, int] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    shown: int = 0


class Scene:
    """All promises that events have named, and sentences about what happens to them."""

    def __init__(self, peek: Peek) -> None:
        self.actors: dict[str, Actor] = {}
        self._peek = peek
        self._crowds: dict[tuple[str, str], Crowd] = {}
        self._grown: list[Crowd] = []
        self._began = 0
        self._now = 0
        self._skipped = 0
        self._current = ""

    def observe(self, event: Event) -> list[Line]:
        """The event in words; no line if it is only counted."""
        self._began, self._now = self._began or event.at, event.at
        if event.what is Happening.LATER:
            self._skipped += int(event.detail["seconds"])
            return []
        lines = self._pass_time()
        # A Lambda that dies names no promise. One runs at a time, so the promise is the last one that began.
        promise = event.promise or self._current
        actor = self._actor(promise, event.fn) if promise else Actor("", event.function)
        said = self._say(event, actor)
        if said is None:
            return lines
        tone, text = said
        crowd = self._crowd(actor)
        if crowd is not None and tone not in (Happening.KILLED, Happening.FAILED, What.PAUSED):
            return [*lines, *self._count(crowd, actor)]
        return [*lines, *self.unshown(), Line(self._elapsed(), actor.name, actor.id, text, tone)]

    def unshown(self) -> list[Line]:
        """Lines for the calls that were counted and not yet shown."""
        grown, self._grown = self._grown, []
        return [self._tally(crowd) for crowd in grown]

    def children(self) -> dict[str, list[Actor]]:
        """The promises by their parent, in order. If a parent is unknown, its children are under the empty id."""
        family: dict[str, list[Actor]] = {}
        for actor in sorted(self.actors.values(), key=lambda actor: ordinal_of(actor.id)):
            parent = parent_of(actor.id)
            family.setdefault(parent if parent in self.actors else "", []).append(actor)
        return family

    def _say(self, event: Event, actor: Actor) -> tuple[str, str] | None:
        match event.what:
            case What.RUNNING:
                return self._run(event, actor)
            case What.SUSPENDED:
                return self._suspend(event, actor)
            case What.WAKING:
                actor.woken_by = str(event.detail["by"])
                self._refresh(self._actor(actor.woken_by))
                return None
            case What.SETTLED:
                return self._ended(actor, str(event.detail["state"]))
            case What.REFUSED | What.CLEANED_UP:
                self._refresh(actor)
                text = "its outcome comes too late" if event.what is What.REFUSED else "has cleaned up"
                return self._ended(actor, actor.phase, f"{text}: it is {actor.phase}")
            case Happening.KILLED | Happening.FAILED | What.PAUSED:
                return self._break(event, actor)
            case _:
                return None

    def _run(self, event: Event, actor: Actor) -> tuple[str, str]:
        again = ", in Lambda's retry" if actor.died else ""
        actor.phase, actor.died, self._current = What.RUNNING, False, actor.id
        match event.detail["why"]:
            case "started":
                return What.RUNNING, f"runs again{again}" if again else "runs"
            case "direct" | "counted" if actor.woken_by:
                by = self._actor(actor.woken_by)
                return "resumed", f"resumed by the stream: {by.name} {by.id} is {by.phase}{again}"
            case "timer":
                return "resumed", f"resumed by its timer{again}"
            case "cancel":
                return "resumed", f"resumed to clean up: it is cancelled{again}"
            case why:
                return "resumed", f"resumed ({why}){again}"

    def _suspend(self, event: Event, actor: Actor) -> tuple[str, str]:
        waiting: Sequence[str] = event.detail["waiting"]
        for promise in waiting:
            self._actor(promise)
        causes = [self._described(waiting)] if waiting else []
        if (wake_at := event.detail.get("wake_at")) is not None:
            causes.append(f"a timer, {dt.timedelta(seconds=(wake_at - event.at) // SECOND)} from now")
        return self._ended(actor, What.SUSPENDED, f"suspended, waits for {' or '.join(causes) or 'nothing'}")

    def _described(self, waiting: Sequence[str]) -> str:
        if len(waiting) > SHOWN:
            return f"{len(waiting)} promises"
        actors = [self._actor(promise) for promise in waiting]
        for actor in actors:
            if not actor.fn:
                self._refresh(actor)
        if len({actor.name for actor in actors}) == 1:
            return f"{actors[0].name} {', '.join(waiting)}"
        return ", ".join(f"{actor.name} {actor.id}" for actor in actors)

    def _break(self, event: Event, actor: Actor) -> tuple[str, str]:
        if event.what is What.PAUSED:
            return self._ended(actor, What.PAUSED, "paused, its code drifted from its history")
        attempt = int(event.detail["attempt"])
        actor.died = True
        why = event.detail.get("error", "its Lambda dies")
        then = f"retries in {RETRY_DELAYS[attempt - 1] // SECOND} s" if attempt <= len(RETRY_DELAYS) else "gives up"
        return self._ended(actor, event.what, f"{event.what.upper()}: {why}, attempt {attempt}; Lambda {then}")

    def _ended(self, actor: Actor, phase: str, text: str = "") -> tuple[str, str]:
        actor.phase, self._current = phase, ""
        return phase, text or phase

    def _actor(self, promise: str, fn: str = "") -> Actor:
        actor = self.actors.setdefault(promise, Actor(promise))
        actor.fn = actor.fn or fn
        return actor

    def _refresh(self, actor: Actor) -> None:
        """Read the promise's state from its record, since not every settlement has an event of its own."""
        record = self._peek(actor.id)
        if record is not None:
            actor.fn = record.fn
            actor.phase = actor.phase if record.pending else record.state

    def _crowd(self, actor: Actor) -> Crowd | None:
        crowd = self._crowds.setdefault((parent_of(actor.id) or "", actor.fn), Crowd(actor.name))
        place = crowd.members.setdefault(actor.id, len(crowd.members))
        return None if place < SHOWN else crowd

    def _count(self, crowd: Crowd, actor: Actor) -> list[Line]:
        if actor.phase not in list(State):
            return []
        if crowd.counted.total() == crowd.shown:
            self._grown.append(crowd)
        crowd.counted[actor.phase] += 1
        return self.unshown() if crowd.counted.total() - crowd.shown >= COUNTED else []

    def _tally(self, crowd: Crowd) -> Line:
        crowd.shown = crowd.counted.total()
        text = f"{crowd.shown} others, each in its own Lambda: {tallied(crowd.counted)}"
        return Line(self._elapsed(), crowd.name, "...", text)

    def _pass_time(self) -> list[Line]:
        skipped, self._skipped = self._skipped, 0
        if not skipped:
            return []
        return [Line(self._elapsed(), "", "", f"-- {dt.timedelta(seconds=skipped)} later; nothing ran meanwhile --")]

    def _elapsed(self) -> int:
        return (self._now - self._began) // SECOND


def tallied(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items()))
