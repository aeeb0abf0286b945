"""Who only sends events can't speak as the engine does; and what comes late reaches no later execution."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from adapter import attach, durable, errors, promise, resolve
from adapter.cli.commands import durable as command
from adapter.engine.operations import RunCode
from adapter.protocol.messages import MARK, VERSION, Cause, Resume, Start, Timed, to_event
from adapter.protocol.signatures import MAC, NAME
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.lambdas import Context
from tests.support.envelopes import signed
from tests.support.laws import HOUR, step

DAY = 24 * HOUR


@durable(name="outsiders:asks")
async def asks() -> str:
    return await promise(str)


@durable(name="outsiders:sleeps")
async def sleeps() -> int:
    await asyncio.sleep(10 * 60)
    return await step(7)


@durable(name="outsiders:entry")
def entry(event: dict[str, Any]) -> int:
    return len(event)


FORGED: list[dict[str, Any]] = [
    {MARK: VERSION, "start": "order-7", "crashes": 99},
    {MARK: VERSION, "resume": "order-7", "cause": "check", "crashes": 99},
    {MARK: VERSION, "resume": "order-7", "cause": "counted"},
    {MARK: 99, "start": "order-7"},
    {MARK: "x"},
    {MARK: VERSION, "start": "order-7", NAME: "", MAC: ""},
]


@pytest.mark.parametrize("forged", FORGED, ids=range(len(FORGED)))
def test_an_event_that_looks_like_an_envelope_does_nothing(forged: dict[str, Any]) -> None:
    """The Lambda refuses it by name, as often as Lambda tries it. A queue then keeps it for a person."""
    with LocalCloud(engine="memory") as cloud:
        handle = asks.with_options(id="order-7").start()
        cloud.advance(60)
        before = cloud.records()
        told: list[Any] = []
        cloud.watchers.append(told.append)
        cloud.invoke(entry, forged)
        cloud.advance(12 * HOUR)
        # The watchdog has looked meanwhile.
        assert [(one.id, one.state, one.epoch) for one in cloud.records()] == [
            (one.id, one.state, one.epoch) for one in before
        ]
        failures = [event.detail["error"] for event in told if event.what == "failed"]
        assert len(failures) == 3
        assert all(error.startswith("UnsignedEnvelope: ") for error in failures)
        assert [json.loads(body)["requestPayload"] for body in unhandled(cloud)] == [forged]
        resolve("order-7~0", "yes")
        assert handle.result() == "yes"


def unhandled(cloud: LocalCloud) -> list[str]:
    """What lies in the last queue."""
    queues = cloud._world.sqs._queues  # type: ignore[union-attr]
    (queue,) = [queue for name, queue in queues.items() if name.endswith("Unhandled")]
    return list(queue.bodies())


@pytest.mark.parametrize("queue", ["Timers", "DeadLetters"])
def test_a_queues_message_that_nobody_signed_does_nothing(queue: str) -> None:
    """Otherwise the Lambda that reads the queue would sign it on its way."""
    with LocalCloud(engine="memory") as cloud:
        handle = asks.with_options(id="order-7").start()
        cloud.advance(60)
        target = cloud.records()[0].target
        for forged in FORGED:
            body = {"target": target, "at": 1, "message": forged, "requestPayload": forged}
            cloud.send(mapped(cloud, queue), json.dumps(body))
        cloud.advance(3 * HOUR)
        assert len(unhandled(cloud)) == len(FORGED)
        resolve("order-7~0", "yes")
        assert handle.result() == "yes"


def mapped(cloud: LocalCloud, end: str) -> str:
    return next(each.queue for each in cloud.template.queue_mappings if each.queue.endswith(end))


def test_a_changed_envelope_is_not_ours(cloud: LocalCloud) -> None:
    """An outsider that was shown a good one can't make another."""
    asks.with_options(id="order-7").start()
    cloud.advance(60)
    good = signed(cloud, Start(id="order-7"))
    context = Context(aws_request_id="r", function_name="durable", memory_limit_in_mb=128, timeout_s=3)
    assert asks(good, context) == {"id": "order-7", "state": "suspended"}  # type: ignore[call-arg, comparison-overlap]
    with pytest.raises(errors.UnsignedEnvelope, match="nothing was done"):
        asks({**good, "crashes": 99}, context)  # type: ignore[call-arg]


def test_who_sends_the_engine_an_envelope_has_signed_it(cloud: LocalCloud) -> None:
    """A run signs every message: starts, wakes and timers, those in a queue, too."""
    payloads: list[dict[str, Any]] = []
    accept = cloud.service.invoke

    def watched(invocation: Any) -> None:
        payloads.append(json.loads(invocation.payload))
        accept(invocation)

    cloud.service.invoke = watched  # type: ignore[method-assign]
    assert cloud.run(sleeps) == 7
    envelopes = [one for one in payloads if MARK in one]
    assert len(envelopes) >= 4
    for one in envelopes:
        cloud._driver.signer().check(one)


# Keys.


def test_what_an_earlier_key_signed_is_done_after_the_key_was_replaced(cloud: LocalCloud) -> None:
    """A timer's message lies in the queue meanwhile, and nothing is missed."""
    told: list[str] = []
    cloud.watchers.append(lambda event: told.append(event.what))
    handle = sleeps.start()
    cloud.advance(60)
    said = CliRunner().invoke(command, ["rotate-keys"])
    assert "another key signs from now on" in said.output
    assert handle.result() == 7
    assert "missed" not in told
    assert "failed" not in told


def test_what_a_dropped_key_signed_is_refused_and_made_good(cloud: LocalCloud) -> None:
    """The watchdog makes it good."""
    handle = sleeps.start()
    cloud.advance(60)
    assert "nothing that another key signed is good" in CliRunner().invoke(command, ["rotate-keys", "--drop"]).output
    cloud.advance(9 * 60 + 5)
    assert handle.status() == "pending"
    cloud.advance(3 * HOUR)
    assert handle.result(0) == 7


# What comes late.


@durable(name="outsiders:quick")
def quickly() -> int:
    return 1


@pytest.mark.parametrize("made", ["start", "resume"])
def test_a_dead_letter_of_an_execution_that_is_gone_reaches_no_later_one(made: str) -> None:
    """An operator sends it back a month late. Once it gave up the later execution of the id."""
    with LocalCloud(engine="memory") as cloud:
        quickly.with_options(id="daily").start().result()
        (gone,) = cloud.records()
        old: Timed = Start(id="daily", since=gone.created_at, crashes=9)
        if made == "resume":
            old = Resume(id="daily", cause=Cause.AGAIN, since=gone.created_at, crashes=9)
        cloud.advance(32 * DAY)
        assert cloud.records() == []
        later = asks.with_options(id="daily").start()
        cloud.advance(60)
        dead = {"requestPayload": signed(cloud, old), "responsePayload": {"errorType": "Runtime.ExitError"}}
        cloud.send(mapped(cloud, "DeadLetters"), json.dumps(dead))
        cloud.service.enqueue(cloud.records()[0].target, json.dumps(signed(cloud, old)))
        cloud.advance(HOUR)
        resolve("daily~0", "yes")
        assert later.result() == "yes"


def test_the_first_start_of_an_execution_names_it(cloud: LocalCloud) -> None:
    """A root's start and a call's do so: the first attempt may be the one that comes late."""
    started: list[dict[str, Any]] = []
    accept = cloud.service.invoke

    def watched(invocation: Any) -> None:
        started.append(json.loads(invocation.payload))
        accept(invocation)

    cloud.service.invoke = watched  # type: ignore[method-assign]
    cloud.kill(step, RunCode, "before")
    assert cloud.run(sleeps) == 7
    created = {one.id: one.created_at for one in cloud.records()}
    # A child's record alone doesn't tell when its parent was created.
    named = [one for one in started if (MARK in one and "start" in one) or one.get("cause") in ("timer", "counted")]
    assert len(named) >= 3
    assert all(one["since"] == created[one.get("start") or one["resume"]] for one in named)
    assert attach("run-1").result() == 7
    assert to_event(Start(id="r", since=5))["since"] == 5
