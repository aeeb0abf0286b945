"""What is played again and again, each time with another death: programs that make every write and call there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from adapter.engine.telling import What
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from adapter.testing.faults import Kill
from adapter.testing.happenings import Happening
from tests.faults.crashes.acts import (
    answered,
    begun_by_an_event,
    claimed_late,
    counted_twice,
    crowded,
    drifted,
    fired_twice,
    forked,
    held_up,
    moved,
    out,
    out_when_woken,
    out_while_it_sleeps,
    pinned,
    posted,
    redriven,
    removed,
    settled_in_its_place,
    timed_out,
    told,
    uncounted,
    without,
)
from tests.faults.crashes.played import (
    BODY,
    CLOUDS,
    DEATHS,
    REPLAYS,
    TRIED,
    announces,
    calls,
    carries,
    ends_between_looks,
    expires,
    follows,
    is_late,
    is_placed,
    keeps_time,
    lingers,
    maps,
    nests,
    patiently,
    prompts,
    thinks,
    waits,
    waits_for_the_dead,
    waits_for_the_dying,
    works,
)
from tests.faults.crashes.programs import DAY, fails
from tests.simulation.scenarios.stage import left_open
from tests.support.laws import Limit


@dataclass(frozen=True)
class Play:
    """What is played, and its outcome.

    ``looked_for``: something is lost or paused, or lies between two attempts, so that a look asks for a run.
    ``dropped``: so many records of the stream never come.
    """

    go: Callable[[LocalCloud], object]
    outcome: object
    looked_for: bool = False
    dropped: int = 0


def ran(root: object, outcome: object, **more: bool) -> Play:
    return Play(lambda cloud: cloud.run(root), outcome, **more)  # type: ignore[arg-type]


PLAYS = {
    "calls": ran(calls, 10),
    "prompts": ran(prompts, "11 slept"),
    "lingers": ran(lingers, "3 slept 3"),
    "announces": ran(announces, 3),
    "is placed here": Play(lambda cloud: cloud.run(is_placed, 0), 37),
    "is placed elsewhere": Play(lambda cloud: cloud.run(is_placed, 1), 37),
    "is placed anywhere": Play(lambda cloud: cloud.run(is_placed, 2), 37),
    "waits": ran(waits, "slept"),
    "follows": ran(follows, 17),
    "asks": Play(answered, 42),
    "link": Play(posted, 41),
    "fails": ran(fails, "caught"),
    "retries": ran(patiently, "broken", looked_for=True),
    "carries": ran(carries, 110_000),
    "maps": ran(maps, 6),
    "thinks": ran(thinks, "1"),
    "works": ran(works, 10),
    "expires": Play(partial(timed_out, expires), "rejected_timedout"),
    "late": ran(is_late, "late late"),
    "between looks": Play(partial(timed_out, ends_between_looks), "rejected_timedout"),
    "is claimed late": Play(claimed_late, "rejected_timedout"),
    "is out while it sleeps": Play(out_while_it_sleeps, "rejected_timedout"),
    "fired twice": Play(fired_twice, 3),
    "counted twice": Play(counted_twice, 7),
    "dies": ran(waits_for_the_dying, "lives"),
    "crashes": ran(waits_for_the_dead, "crashed"),
    "is out": Play(partial(out, "missing"), 3),
    "is out when woken": Play(out_when_woken, 3),
    "is moved": Play(moved, "resolved"),
    "is pinned": Play(pinned, "new 2"),
    "is reserved": Play(partial(out, "reserved"), 3),
    "schedules": ran(keeps_time, "kept"),
    "begins": Play(begun_by_an_event, 2),
    "settled in its place": Play(settled_in_its_place, 41),
    "is removed": Play(removed, []),
    "is told": Play(told, (28, [], [])),
    "are removed in turn": Play(crowded, []),
    "drifts": Play(drifted, 3, looked_for=True),
    "lost": Play(partial(without, 1, calls), 10, looked_for=True),
    "held up": Play(held_up, "resolved", looked_for=True),
    "is forked": Play(forked, 17),
    "redriven": Play(redriven, "resolved", looked_for=True, dropped=1),
    "uncounted": Play(uncounted, 6, looked_for=True, dropped=1),
    "lost below": Play(partial(without, 3, nests), 17, looked_for=True),
}


def play(name: str, kill: Kill) -> object:
    """The outcome, though there is a death."""
    with LocalCloud(engine="memory") as cloud:
        cloud._driver.kill(kill)
        return staged(name, cloud)


def staged(name: str, cloud: LocalCloud) -> object:
    """The outcome; everything that was begun has come to its end."""
    for noted in (DEATHS, REPLAYS, TRIED):
        noted.clear()
    BODY[0] = "old"
    wrong: list[Event] = []
    CLOUDS[:] = [cloud]
    cloud.watchers.append(Limit())
    cloud.watchers.append(lambda event: wrong.append(event) if event.what in WRONG else None)
    outcome = PLAYS[name].go(cloud)
    cloud.advance(4 * DAY)
    assert left_open(cloud) == []
    assert cloud.lost == []
    assert PLAYS[name].looked_for or wrong == [], wrong
    assert sum(len(poller.discarded) for poller in cloud._world.pollers) == PLAYS[name].dropped
    return outcome


WRONG = (What.MISSED, Happening.FAILED, What.UNHANDLED)
"""Events that no single death causes: a death is made good without the watchdog, and no run meets a missing record."""
