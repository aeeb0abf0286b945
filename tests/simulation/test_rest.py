"""A cloud under faults comes to rest."""

from __future__ import annotations

import asyncio

import pytest

from adapter import durable, promise
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import HOUR, Broken, Limit


def test_duplicates_and_crashes_of_a_stream_batch_come_to_an_end() -> None:
    """Faults duplicated a failed batch faster than the resumer handled it, and 20 % of that for ever."""

    @durable
    async def waits() -> str:
        return await promise(str)

    @durable
    async def gives_up() -> None:
        for _ in range(8):
            waits()
        await asyncio.sleep(HOUR)
        raise Broken("enough")

    with LocalCloud(seed=4, engine=ENGINE, faults=Faults(crash=0.05, duplicate=0.4)) as cloud:
        cloud.watchers.append(Limit(400))
        with pytest.raises(Broken):
            cloud.run(gives_up)
