"""The commands list and count executions by state, function, tag, age and error, in pages, without a scan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter import attach, durable
from adapter.errors import ConfigurationError
from adapter.protocol.records import SEALED
from adapter.steering.filters import ANY, STATES, Filter
from adapter.steering.finding import page
from adapter.steering.reading import Reader
from adapter.testing import LocalCloud
from tests.simulation.command.commanding import (
    SECRET,
    calls_drifting,
    changed,
    checkout,
    deadlock,
    invoke,
    refused,
    said,
    unchanged,
)
from tests.support.ciphers import NAME
from tests.support.laws import forget, step


@durable(name="command:fails")
async def fails(why: str) -> None:
    await step(1)
    raise (KeyError if why == "key" else ValueError)(f"{why} {SECRET}")


def ids(*arguments: str) -> list[str]:
    """Those that a list has, in its order."""
    return [json.loads(line)["id"] for line in invoke("list", "--json", *arguments).stdout.splitlines()]


@pytest.fixture
def night(cloud: LocalCloud) -> LocalCloud:
    """An execution of each kind; a paused one is paused below its root."""
    cloud.watchers.append(lambda event: forget(cloud))
    cloud.run(step.with_options(id="good"), 5)
    calls_drifting.with_options(id="p").start()
    cloud.drive()
    changed[0] = True
    said("resolve", "p~0.0", '"done"')
    cloud.advance(60)
    for name, why in (("f1", "key"), ("f2", "value"), ("f3", "value")):
        fails.with_options(id=name, tags={"tenant": f"t{name[1]}"}).start(why)
        cloud.advance(60)
    checkout.with_options(id="w").start("tea")
    checkout.with_options(id="gone").start("tea")
    cloud.advance(60)
    attach("gone").cancel()
    deadlock.with_options(id="d").start()
    checkout.with_options(id="late", timeout=30).start("tea")
    cloud.advance(60)
    return cloud


def test_a_list_has_what_stands_as_is_asked_for(night: LocalCloud) -> None:
    """Each word finds its executions, also where what is paused is below."""
    found = {state: ids("--state", state) for state in STATES}
    assert found == {
        "open": ["p", "w", "d"],
        "running": [],
        "waiting": ["p", "w"],
        "paused": ["p"],
        "late": [],
        "deadlocked": ["d"],
        "settled": ["good", "f1", "f2", "f3", "gone", "late"],
        "succeeded": ["good"],
        "failed": ["f1", "f2", "f3"],
        "cancelled": ["gone"],
        "timed-out": ["late"],
        "any": ["good", "p", "f1", "f2", "f3", "gone", "w", "d", "late"],
    }
    assert ids("-s", "failed", "-s", "cancelled") == ["f1", "f2", "f3", "gone"]
    assert ids() == found["open"]
    assert ids("--all") == found["any"]
    assert "p  " in (line := said("list", "-s", "paused").splitlines()[1])
    assert "command:drifts (p~0) is paused: " in line


def test_a_list_goes_by_function_tag_age_and_error(night: LocalCloud) -> None:
    """Options narrow each other. Upper and lower case of an error are the same."""
    assert ids("--all", "-f", "command:fails") == ["f1", "f2", "f3"]
    assert ids("--all", "-f", "*:deadlock", "-f", "*laws:step") == ["good", "d"]
    assert ids("-s", "failed", "-t", "tenant=t2") == ["f2"]
    assert ids("-s", "failed", "-t", "tenant") == ["f1", "f2", "f3"]
    assert ids("-s", "any", "-t", "nothing") == []
    assert ids("-s", "failed", "--error", "keyerror") == ["f1"]
    assert ids("-s", "failed", "--error", "VALUE 4711") == ["f2", "f3"]
    assert ids("-s", "paused", "--error", "drifted") == ["p"]
    assert ids("-s", "paused", "--error", "no such words") == []
    assert ids("--all", "--younger", "2min") == ["gone", "w", "d", "late"]
    assert ids("--all", "--older", "5min") == ["good", "p", "f1"]
    assert ids("--all", "--older", "5min", "--newest") == ["f1", "p", "good"]


def test_a_list_names_the_class_of_an_error_and_its_message_only_if_asked(night: LocalCloud) -> None:
    """A message may be secret."""
    for messages in (False, True):
        options = ["-s", "failed", *(["--messages"] if messages else [])]
        text, data = said("list", *options), said("list", "--json", *options)
        assert "KeyError" in text
        assert (SECRET in text, SECRET in data) == (messages, messages)
    assert json.loads(data.splitlines()[1])["error"] == {"class": "ValueError", "message": f"value {SECRET}"}


def test_pages_have_each_execution_once_in_order(cloud: LocalCloud) -> None:
    """A page begins behind the one before, whatever has begun, moved or settled since."""
    for number in range(7):
        deadlock.with_options(id=f"d{number}").start()
        cloud.advance(number % 2)
    first = invoke("list", "--limit", "3")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["ID", "d0", "d1", "d2"]
    assert first.stderr.startswith("and 4 more: --after '")
    after = first.stderr.split("'")[1]
    assert after.endswith(",d2")
    attach("d1").cancel()
    deadlock.with_options(id="d9").start()
    cloud.advance(3_600)
    assert ids("--limit", "3", "--after", after) == ["d3", "d4", "d5"]
    assert ids("--limit", "9", "--after", after) == ["d3", "d4", "d5", "d6", "d9"]
    assert ids("--newest", "--limit", "2", "--after", after) == ["d0"]
    assert invoke("list", "--limit", "9").stderr == ""
    assert "--after takes what a page" in refused("list", "--after", "nonsense")


def test_a_page_ends_where_it_has_looked_at_enough(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how many entries are left, and the next page goes on there."""
    from adapter.steering import finding

    monkeypatch.setattr(finding, "LOOKED_AT", 2)
    for number in range(5):
        deadlock.with_options(id=f"d{number}").start()
        cloud.advance(1)
    first = invoke("list", "--tag", "tenant")
    assert (first.stdout, first.stderr.split(":")[0]) == ("no such executions\n", "and 3 more were not looked at")
    monkeypatch.setattr(finding, "KEPT", 2)
    assert "and 3 more were not looked at" in invoke("list", "--tag", "tenant").stderr


def test_counts_are_by_function_and_state(night: LocalCloud) -> None:
    """A script gets a line for each."""
    head, *rows = said("count").splitlines()
    assert head.split() == ["FUNCTION", "OPEN", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED-OUT"]
    assert {row.split()[0]: row.split()[-5:] for row in rows} == {
        "command:calls": ["1", "0", "0", "0", "0"],
        "command:checkout": ["1", "0", "0", "1", "1"],
        "command:deadlock": ["1", "0", "0", "0", "0"],
        "command:fails": ["0", "0", "3", "0", "0"],
        "tests.support.laws:step": ["0", "1", "0", "0", "0"],
    }
    lines = [json.loads(line) for line in said("count", "--json", "-s", "paused", "-s", "failed").splitlines()]
    assert lines == [
        {"fn": "command:calls drifting", "state": "paused", "count": 1},
        {"fn": "command:fails", "state": "failed", "count": 3},
    ]
    assert said("count", "-f", "nobody") == "no such executions\n"


def test_what_the_index_tells_is_counted_without_a_read_of_any_record(night: LocalCloud) -> None:
    """Each of the eight shards is asked once, however many executions there are."""
    night.stats.reset()
    said("count", "-s", "failed")
    assert night.stats.reads == 8


def test_a_failed_execution_with_a_deadline_is_found_until_its_retention_is_over(cloud: LocalCloud) -> None:
    """One that succeeds leaves the index at once: nobody looks for it, and DynamoDB removes it for nothing."""
    begun = [fn.with_options(id=fn.name[-4:], timeout=86_400) for fn in (fails, step)]
    begun[0].start("key")
    begun[1].start(1)
    cloud.drive()
    assert ids("--all") == ["ails"]
    assert ids("-s", "failed") == ["ails"]
    cloud.advance(32 * 86_400)
    assert ids("--all") == []
    cloud.advance(10 * 86_400)
    assert cloud.records() == []


def test_errors_are_opened_where_the_cipher_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list finds by the text of an encrypted error."""
    monkeypatch.setenv("DURABLE_CIPHER", NAME)
    with LocalCloud(engine="memory") as cloud:
        fails.with_options(id="f").start("key")
        cloud.drive()
        assert ids("-s", "failed", "--error", "key 4711") == ["f"]
        assert "KeyError" in said("list", "-s", "failed")


def test_a_list_is_shown_again_and_again_while_time_passes(cloud: LocalCloud) -> None:
    """It ends when a person ends it."""

    @durable(name="command:ends the watching")
    def ends() -> None:
        raise KeyboardInterrupt

    @durable(name="command:soon")
    async def soon() -> None:
        import asyncio

        await asyncio.sleep(25)
        await ends()

    soon.with_options(id="s").start()
    result = invoke("list", "--watch", "10")
    assert result.stdout.count("command:soon") >= 2
    assert "Aborted" in result.stderr


def test_the_local_cloud_has_the_same_by_the_same_names(night: LocalCloud) -> None:
    """A test asks the cloud as an operator asks the command."""
    with unchanged(night):
        assert [node.record.id for node in night.list(states=("failed",))] == ["f1", "f2", "f3"]
        assert night.count(functions=("command:fails",))[0].count == 3
    with pytest.raises(ConfigurationError, match="there is no state 'sad'"):
        night.list(states=("sad",))


def test_a_page_shows_no_more_than_is_stored(night: LocalCloud) -> None:
    """Whatever was read for a filter, a list has no values beside errors."""
    reader = Reader(night._host)
    found: Any = page(reader, Filter(states=(ANY,)), 50).nodes
    assert all(not node.values for node in found)
    assert SEALED == ("args", "value", "paused")
