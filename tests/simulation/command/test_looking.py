"""The command shows and lists what an operator looks for, and changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from adapter import attach, durable, promise, schedule
from adapter.aws.items import to_item
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.timing import indexed
from adapter.testing import LocalCloud
from tests.simulation.command.commanding import (
    SECRET,
    checkout,
    deadlock,
    drifts,
    invoke,
    refused,
    said,
    unchanged,
    wide,
)
from tests.support.laws import HOUR, slow, step


def test_show_names_what_each_promise_of_a_tree_waits_for(cloud: LocalCloud) -> None:
    """It waits for a call, a person or a timer. The command also says for how long."""
    checkout.with_options(id="order-7").start("tea")
    cloud.advance(2 * HOUR)
    with unchanged(cloud):
        lines = said("show", "order-7").splitlines()
    assert len(lines) == 5
    for line, parts in zip(
        lines,
        (
            ["order-7  command:checkout  pending  2 h  waits for command:approval (order-7~1), ", "order-7~2"],
            ["order-7~0  run builtins:str  resolved  2 h  "],
            ["order-7~1  command:approval  pending", "waits for the promise order-7~1.0, to be settled from outside"],
            ["order-7~1.0  promise  pending", "durable resolve order-7~1.0 JSON, a signed link, or resolve()"],
            ["order-7~2", "sleeps until 2026-01-03 00:00:00Z (in 46 h)"],
        ),
        strict=True,
    ):
        for part in parts:
            assert part in line


def test_show_takes_any_promise_and_as_many_levels_as_are_asked_for(cloud: LocalCloud) -> None:
    """How a function stands doesn't depend on how many of its children are shown."""
    checkout.with_options(id="order-7").start("tea")
    cloud.advance(1)
    assert said("show", "order-7~1").count("\n") == 2
    root = said("show", "order-7").splitlines()[0]
    flat = said("show", "order-7", "--depth", "0").splitlines()
    assert flat == [root, "└── and 3 below: 2 pending, 1 resolved"]
    assert "order-7~1.0  promise" not in said("show", "order-7", "--depth", "1")


def test_show_counts_the_children_of_a_wide_function_and_hides_none_that_is_pending(cloud: LocalCloud) -> None:
    """The command shows the first few, and pending ones before the others."""
    wide.with_options(id="w").start(300)
    cloud.advance(1)
    lines = said("show", "w", "--width", "4").splitlines()
    assert [line.split()[1] for line in lines[1:5]] == ["w~0", "w~1", "w~300", "w~301"]
    assert lines[5:] == ["└── and 298 more: 298 resolved"]


def test_values_are_shown_only_when_asked_for(cloud: LocalCloud) -> None:
    """Arguments and outcomes are secrets until somebody asks for them, in any form."""
    drifts.with_options(id="s").start(SECRET)
    cloud.drive()
    said("resolve", "s~0", f'"{SECRET}"')
    cloud.drive()
    assert SECRET not in said("show", "s") + said("show", "s", "--json") + said("list", "--all")
    shown = said("show", "s", "--values")
    assert f'args: {{"secret":"{SECRET}"}}' in shown
    assert f'value: "{SECRET}"' in shown
    assert json.loads(said("show", "s", "--json", "--values"))["values"] == {
        "args": {"secret": SECRET},
        "value": SECRET,
    }


def test_json_says_what_the_tree_says(cloud: LocalCloud) -> None:
    """Scripts get one document, with what a promise waits for as values."""
    checkout.with_options(id="order-7", timeout=48 * HOUR).start("tea")
    cloud.advance(1)
    node = json.loads(said("show", "order-7", "--json", "--depth", "1"))
    assert (node["id"], node["stands"], node["state"]) == ("order-7", "waiting", "pending")
    assert [wait["what"] for wait in node["waits"]] == ["call", "call", "deadline"]
    assert node["waits"][0] == {"what": "call", "id": "order-7~1", "fn": "command:approval"}
    assert [child["id"] for child in node["children"]] == ["order-7~0", "order-7~1", "order-7~2"]
    assert node["children"][1]["hidden"] == {"pending": 1}


def test_list_has_what_is_not_settled_the_oldest_first(cloud: LocalCloud) -> None:
    """It lists executions only: none of their promises, and no schedules."""
    schedule("nightly", "0 3 * * *", step, 1)
    for name in ("b", "a"):
        checkout.with_options(id=name).start("tea")
        cloud.advance(60)
    cloud.run(step, 5)
    deadlock.with_options(id="c").start()
    cloud.drive()
    with unchanged(cloud):
        head, *rows = said("list").splitlines()
    assert head.split() == ["ID", "FUNCTION", "STATE", "AGE", "HOW", "IT", "STANDS"]
    assert [row.split()[:3] for row in rows] == [
        ["b", "command:checkout", "pending"],
        ["a", "command:checkout", "pending"],
        ["c", "command:deadlock", "pending"],
    ]
    assert "waits for command:approval (b~1)" in rows[0]
    assert "nothing that could settle" in rows[2]


def test_list_has_who_still_cleans_up_and_all_of_the_index_if_asked(cloud: LocalCloud) -> None:
    """With --all it also lists settled ones, as long as the index has them."""

    @durable(name="command:cleans up")
    async def cleans_up() -> None:
        try:
            await promise(str)
        finally:
            await slow(1, 48)

    assert "nothing runs" in said("list")
    cleans_up.with_options(id="u").start()
    cloud.drive()
    attach("u").cancel()
    cloud.advance(60)
    assert "u  " in said("list")
    assert "cleans up: waits for" in said("list")
    store: Any = cloud._world.store
    done = Record(id="done", fn="f", target="t", created_at=cloud.clock())
    store.create(replace(indexed(done), settled_at=cloud.clock(), state=State.RESOLVED))
    assert "done" not in said("list")
    assert "done" in said("list", "--all")


def test_what_cannot_be_read_hides_nothing_else() -> None:
    """An entry of the index that is none, and a record of a version to come: each is said. It may be known there who
    follows what can't be read.
    """
    with LocalCloud(engine="moto") as cloud:
        deadlock.with_options(id="d").start()
        cloud.drive()
        store: Any = cloud._world.store
        for name, number in (("later", "99"), ("nothing", "1")):
            item = to_item(indexed(Record(id=name, fn="f", target="t")))
            kept = item | {"v": {"N": number}} if name == "later" else {k: v for k, v in item.items() if k != "state"}
            store.client.put_item(TableName=cloud._world.table, Item=kept)
        store.create(indexed(Record(id="f", fn="f", target="t", created_at=cloud.clock())))
        following = Record(id="f~0", kind=Kind.FOLLOW, root="later", wake=Wake.DIRECT, created_at=cloud.clock())
        store.create(following)
        result = invoke("list")
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "d", "f"]
        assert "waits for the execution later (f~0)" in result.stdout
        assert "left out: item ('later', '-1') has format 99" in result.stderr
        assert "left out: entries of the index that can't be read: ('nothing', '-1')" in result.stderr
        assert "has format 99" in refused("show", "later")
