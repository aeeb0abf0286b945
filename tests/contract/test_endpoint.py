"""A local cloud whose table is on a DynamoDB that is running: the same programs, to the same end, at the same cost."""

from __future__ import annotations

import asyncio

import pytest

from adapter import durable, promise, resolve
from adapter.errors import ConfigurationError
from adapter.testing import Faults, LocalCloud
from tests.support.servers import ministack


@durable
def double(number: int) -> int:
    return 2 * number


@durable
async def program(count: int) -> int:
    numbers = await asyncio.gather(*(double(number) for number in range(count)))
    await asyncio.sleep(7_200)
    asked = promise(int)
    return sum(numbers) + await double(await asked)


def play(engine: str, faults: Faults | None = None) -> tuple[int, int, int]:
    """The outcome, writes and invocations."""
    with LocalCloud(engine=engine, seed=3, faults=faults) as cloud:
        handle = program.with_options(id="p").start(5)
        cloud.advance(8_000)
        resolve("p~5", 10)
        value = handle.result()
        assert [record.id for record in cloud.records()] == sorted(["p", *(f"p~{n}" for n in range(7))])
        return value, cloud.stats.writes, cloud.stats.invocations


def test_a_program_costs_the_same_on_every_engine() -> None:
    """Every engine gets the same requests, to a write."""
    costs = {engine: play(engine) for engine in ("memory", "moto", ministack())}
    assert len(set(costs.values())) == 1, costs


def test_faults_are_drawn_on_a_running_dynamodb_too() -> None:
    """The cloud draws the faults, not the table."""
    assert play(ministack(), Faults(crash=0.05, duplicate=0.2, reorder=0.2))[0] == 40


def test_no_table_is_left_behind() -> None:
    """Others use the same server."""
    with LocalCloud(engine=ministack()) as cloud:
        client, table = cloud._world.store.client, cloud._world.table
        assert table in client.list_tables()["TableNames"]
        names = client.list_tables
    assert table not in names()["TableNames"]


def test_an_engine_that_there_is_not_is_named() -> None:
    """The error also names the engines that there are."""
    with pytest.raises(ConfigurationError, match=r"moto, memory, or the URL of a DynamoDB, not 'dynamo'"):
        LocalCloud(engine="dynamo")
