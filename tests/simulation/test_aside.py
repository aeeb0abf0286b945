"""Records that the resumer can't handle hold up no others; they come again by themselves, or are sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from adapter import durable, promise, resolve
from adapter.cli.commands import durable as command
from adapter.engine.telling import What
from adapter.lambdas import resumer
from adapter.testing import LocalCloud
from adapter.testing.simulated_aws.queues import arn_of
from tests.simulation.test_drops import sequence, waves
from tests.support.drops import drop
from tests.support.laws import nothing_is_kept

HOUR = 3_600


@durable
async def asks() -> int:
    return await promise(int) + 1


def said(*args: str) -> list[str]:
    """What the command prints."""
    answer = CliRunner().invoke(command, ["redrive", *args], catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.output.splitlines()


def waiting(cloud: LocalCloud) -> list[str]:
    """What waits for a person."""
    return [line for line in said("--dry-run") if not line.startswith("  ")][:-1]


def test_a_function_that_cannot_be_invoked_holds_up_no_other_of_its_shard(cloud: LocalCloud) -> None:
    """All of its shard waited, until its record was given up after eleven attempts."""
    told: list[str] = []
    cloud.watchers.append(lambda event: told.append(event.what))
    handle = asks.with_options(id="denied", target="elsewhere").start()
    cloud.advance(60)
    before = cloud.clock()
    with cloud.outage("elsewhere", "denied"), nothing_is_kept(cloud):
        resolve("denied~0", 41)
        assert cloud.run(sequence, 5) == 10
        assert cloud.clock() == before
        cloud.advance(10 * 60)
    assert handle.status().value == "pending"
    cloud.advance(16 * 60)
    assert handle.result() == 42
    assert What.MISSED not in told


def test_what_fails_for_a_day_waits_for_a_person_who_sends_it_again(cloud: LocalCloud) -> None:
    """The person sends it as new, and the queue has nothing left of it."""
    handle = asks.with_options(id="down", target="elsewhere").start()
    cloud.advance(60)
    with cloud.outage("elsewhere", "denied"), nothing_is_kept(cloud):
        resolve("down~0", 41)
        cloud.advance(23 * HOUR)
        assert waiting(cloud) == []
        cloud.advance(2 * HOUR)
        (line,) = waiting(cloud)
        assert line.startswith("put aside after 10")
    assert said()[-2:] == ["  down~0 is resolved", "1 records were sent again"]
    cloud.drive()
    assert handle.result() == 42
    assert waiting(cloud) == []


def test_a_listing_changes_nothing(cloud: LocalCloud) -> None:
    """An operator can send again at once what it lists."""
    drop(cloud, 0)
    handle = waves.start(3)
    cloud.advance(60)
    assert said("--dry-run") == said("--dry-run")
    assert said("--dry-run")[-1] == "1 records would be sent again"
    cloud.advance(60)
    assert handle.status().value == "pending"
    said()
    cloud.drive()
    assert handle.result() == 6


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_what_lambda_put_aside_is_read_from_the_stream_and_sent_again(engine: str) -> None:
    """Lambda doesn't say what it was. No look is needed."""
    with LocalCloud(engine=engine) as cloud:
        told: list[str] = []
        cloud.watchers.append(lambda event: told.append(event.what))
        drop(cloud, 0, 1)
        handle = waves.start(3)
        cloud.advance(60)
        lines = said()
        assert sum("put aside by Lambda (RetryAttemptsExhausted), 1 records of shardId-" in line for line in lines) == 2
        assert lines[-1] == "2 records were sent again"
        cloud.drive()
        assert handle.result() == 6
        assert waiting(cloud) == []
        assert What.MISSED not in told


def test_what_the_stream_has_lost_is_said_to_be_lost(cloud: LocalCloud) -> None:
    """The command forgets it, and leaves alone a message that isn't a record."""
    name = next(q.name for q in cloud.template.queues if q.name.endswith("UnhandledRecords"))
    place = {"streamArn": "arn", "shardId": "shard", "startSequenceNumber": "900", "endSequenceNumber": "901"}
    lost = {"requestContext": {"condition": "RecordAgeExceeded"}, "DDBStreamBatchInfo": {**place, "batchSize": 2}}
    cloud._world.send(name, json.dumps(lost))
    cloud._world.send(name, "?")
    assert said() == [
        "put aside by Lambda (RecordAgeExceeded), 2 records of shard: the stream has lost them; the watchdog finds"
        " whom they were to wake",
        "left where it is: a message that neither the resumer nor Lambda has put aside",
        "0 records were sent again",
    ]
    assert waiting(cloud) == ["left where it is: a message that neither the resumer nor Lambda has put aside"]


def test_a_batch_that_kills_its_lambda_is_given_again_for_as_long_as_the_stream_keeps_it(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the code, a fix may be deployed within a day: ten retries were over in seconds."""
    inner: Callable[..., Any] = resumer.settlement
    broken = [True]

    def settlement(record: Any) -> Any:
        if broken[0]:
            raise MemoryError
        return inner(record)

    monkeypatch.setattr(resumer, "settlement", settlement)
    handle = sequence.start(3)
    cloud.advance(10 * 60)
    broken[0] = False
    cloud.advance(60)
    assert handle.result() == 3
    assert [poller.discarded for poller in cloud._world.pollers] == [[]]


def test_the_queues_are_named_by_the_template(cloud: LocalCloud) -> None:
    """What the mapping puts aside, and what the resumer does, waits in one place."""
    (mapping,) = cloud.template.mappings
    name = cloud.template.variable("DURABLE_UNHANDLED").rpartition("/")[2]
    assert mapping.on_failure == arn_of(name)
