"""What happens to the functions of the plays from outside: people, deadlines, outages, losses, removals."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from adapter import attach, resolve
from adapter.cli.acting import resume
from adapter.cli.moving import move
from adapter.cli.redriving import redrive
from adapter.engine import hosts
from adapter.engine.operations import Create, Invoke, Remove
from adapter.lambdas import removal
from adapter.links.endpoint import handler as answer_by_link
from adapter.protocol.messages import Cause, Resume, Start
from adapter.protocol.promises import Firing
from adapter.steering.forking import fork
from adapter.testing import LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.events import Event
from tests.faults.crashes.played import (
    BODY,
    DEATHS,
    TEND,
    answer,
    apart,
    asks,
    asks_by_link,
    begins,
    calls_apart,
    calls_in_turn,
    carries,
    counts,
    drifts,
    hears_apart,
    is_claimed_late,
    nests,
    pins,
    pins_anew,
    races,
    relies,
    rests,
    sleeps_while_it_is_out,
)
from tests.faults.crashes.programs import DAY, HOUR, leaf
from tests.support.chapters import short_chapters
from tests.support.drops import drop
from tests.support.envelopes import sent
from tests.support.laws import forget, nothing_is_kept


def answered(cloud: LocalCloud) -> object:
    """Another function answers after an hour."""
    handle = asks.with_options(id="asks").start()
    cloud.advance(HOUR)
    answer.start("asks~0")
    return handle.result()


def posted(cloud: LocalCloud) -> object:
    """A person answers through the Lambda behind the link. If the sender gets no answer, it sends the request again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_LINK_SECRET", "k" * 32)
        handle = asks_by_link.start()
        cloud.advance(HOUR)
        event = {
            "queryStringParameters": {"token": parse_qs(urlsplit(DEATHS[-1]).query)["token"][0]},
            "requestContext": {"http": {"method": "POST"}},
            "body": "41",
        }
        cloud.service.function("links").handler = answer_by_link
        cloud.service.enqueue("links", json.dumps(event))
        cloud.advance(HOUR)
        return handle.result()


def start_again(event: object, context: object) -> None:
    """In any Lambda: the old code is back, and the paused function is started again."""
    BODY[0] = "old"
    drifts.with_options(id="drifts").start()


def timed_out(root: object, cloud: LocalCloud) -> object:
    """A root that meets its deadline."""
    handle = root.start()  # type: ignore[attr-defined]
    cloud.advance(3 * HOUR)
    return handle.status().value


def claimed_late(cloud: LocalCloud) -> object:
    """What a root waits for is counted five minutes before its deadline."""
    handle = is_claimed_late.start()
    cloud.advance(2 * HOUR - 300)
    for ordinal in range(2):
        resolve(f"{handle.id}~{ordinal}", "now")
    cloud.advance(HOUR)
    return handle.status().value


def out_while_it_sleeps(cloud: LocalCloud) -> object:
    """A root's Lambda is missing from before its timer until after its deadline."""
    handle = sleeps_while_it_is_out.start()
    cloud.advance(HOUR / 2)
    with cloud.outage(sleeps_while_it_is_out, "missing"):
        cloud.advance(3 * HOUR)
        state = handle.status().value
    cloud.advance(HOUR)
    return state


def drifted(cloud: LocalCloud) -> object:
    """Paused by other code, mended, and started again by another function."""
    handle = drifts.with_options(id="drifts").start()
    cloud.advance(60)
    BODY[0] = "new"
    for function in cloud.service.functions.values():
        function.memory.clear()
    answer.start("drifts~1")
    cloud.advance(HOUR)
    cloud.service.function("repairs").handler = start_again
    cloud.service.enqueue("repairs", "{}")
    cloud.advance(HOUR)
    return handle.result()


def fired_twice(cloud: LocalCloud) -> object:
    """One firing dies once it has created a call; the other takes over, and the retry of the first is refused."""

    def again(event: Event) -> None:
        if event.what == "firing":
            message = Resume(id=event.promise, cause=Cause.TIMER, firing=Firing(event.detail["at"], 0))
            sent(cloud, DEFAULT_FUNCTION, message)

    cloud.watchers.append(again)
    cloud.kill(rests, Create, "after")
    return cloud.run(rests)


def counted_twice(cloud: LocalCloud) -> object:
    """Two batches find that enough has settled, before the function has claimed; of their runs one goes on."""

    def again(event: Event) -> None:
        own = cloud.peek(event.promise) if event.what == "waking" else None
        if own is not None and own.threshold is not None:
            sent(cloud, DEFAULT_FUNCTION, Resume(id=own.id, cause=Cause.COUNTED, armed=own.epoch))

    cloud.watchers.append(again)
    return cloud.run(races)


def settled_in_its_place(cloud: LocalCloud) -> object:
    """Another Lambda settles a function that waits for its call."""
    handle = relies.with_options(id="relies").start()
    cloud.advance(HOUR)
    answer.start("relies")
    cloud.advance(HOUR)
    return handle.result()


def begun_by_an_event(cloud: LocalCloud) -> object:
    """The first root of a table, whose Lambda is the first to sign an envelope."""
    cloud.invoke(begins, {"detail-type": "Order", "id": "e-1"})
    cloud.advance(HOUR)
    return attach("event:plays:begins:eventbridge:e-1").result()


def out_when_woken(cloud: LocalCloud) -> object:
    """What it waits for settles while it can't run itself."""
    handle = hears_apart.start()
    # By then it is suspended, though it died before.
    cloud.advance(540)
    with cloud.outage(apart, "missing"):
        cloud.advance(600)
    return handle.result()


def out(kind: str, cloud: LocalCloud) -> object:
    """What it calls can't run for ten minutes."""
    with cloud.outage(apart, kind):
        handle = calls_apart.start()
        cloud.advance(600)
    return handle.result()


def moved(cloud: LocalCloud) -> object:
    """What it calls is in a Lambda that was renamed. An operator says so; a command that died is given again."""
    cloud.service.function("operator").handler = lambda event, context: [*move(hosts.current(), "apart", "anew")]
    with cloud.outage(apart, "missing"):
        handle = calls_apart.start()
        cloud.advance(60)
        cloud.service.enqueue("operator", "{}")
        cloud.advance(600)
        return handle.status().value


def pinned(cloud: LocalCloud) -> object:
    """Its start comes to a newer version, too; then its own is deleted, and an operator takes back the pin."""
    cloud.service.function("operator").handler = lambda event, context: [
        *resume(hosts.current(), "pinned", force=False, unpin=True)
    ]
    cloud.publish(pins)
    handle = pins.with_options(id="pinned").start()
    cloud.advance(HOUR)
    cloud.publish(pins, calls=pins_anew)
    hosts.current().ports.perform(Invoke("local_pinned:live", Start(id="pinned")))
    cloud.advance(HOUR)
    cloud.unpublish(pins, 1)
    cloud.service.enqueue("operator", "{}")
    return handle.result()


def removed(cloud: LocalCloud) -> object:
    """What is left of it when its retention is over; a look removes two records, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "PORTION", 2)
        patch.setattr(removal, "SIDE_BY_SIDE", 1)
        cloud.run(carries)
        cloud.advance(33 * DAY)
        return [record.id for record in cloud.records()] + list(cloud._world.objects())


def told(cloud: LocalCloud) -> object:
    """What it came to in sandboxes that never know it; and what is left when its retention is over."""
    with short_chapters(2):
        cloud.watchers.append(lambda event: forget(cloud))
        outcome = cloud.run(calls_in_turn)
        assert cloud._world.chapters()
        cloud.advance(33 * DAY)
        return outcome, [record.id for record in cloud.records()], list(cloud._world.chapters())


def crowded(cloud: LocalCloud) -> object:
    """What is left of many whose retention ends within an hour; an invocation has time to remove one."""
    for number in range(8):
        leaf.with_options(id=f"crowd-{number}").start(number)
    cloud.meanwhile(TEND, Remove, lambda: cloud.elapse(40))
    cloud.advance(33 * DAY)
    return [record.id for record in cloud.records()]


def held_up(cloud: LocalCloud) -> object:
    """For a minute the resumer may not invoke a function, nor keep the message for later."""
    handle = asks.with_options(id="held", target="held").start()
    cloud.advance(60)
    with cloud.outage("held", "denied"), nothing_is_kept(cloud):
        answer.start("held~0")
        cloud.advance(60)
    cloud.advance(600)
    return handle.status().value


def forked(cloud: LocalCloud) -> object:
    """An operator forks an execution from within a function below; a command that died is given again."""
    cloud.run(nests.with_options(id="old"))
    cloud.service.function("operator").handler = lambda event, context: fork(hosts.current(), "old~0.1", new="new").id
    cloud.service.enqueue("operator", "{}")
    cloud.advance(600)
    return attach("new").result()


def redriven(cloud: LocalCloud) -> object:
    """An operator sends again what Lambda has put aside; a command that died is given again."""
    drop(cloud, 1)
    cloud.service.function("operator").handler = lambda event, context: [*redrive(hosts.current(), dry_run=False)]
    handle = counts.start()
    for seconds in (60, 300, 300):
        cloud.advance(seconds)
        cloud.service.enqueue("operator", "{}")
    cloud.drive()
    return handle.status().value


def uncounted(cloud: LocalCloud) -> object:
    """A record of the stream never comes; what it tells of would never be counted."""
    drop(cloud, 1)
    return cloud.run(counts)


def without(lost: int, root: object, cloud: LocalCloud) -> object:
    """One invocation never comes."""
    cloud.service.losses = {lost}
    return cloud.run(root)  # type: ignore[arg-type]
