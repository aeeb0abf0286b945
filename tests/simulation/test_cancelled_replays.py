"""What a function cancelled itself follows from a delivery that the journal may not have: its replay decides alike."""

from __future__ import annotations

import asyncio

from adapter import durable, promise
from adapter.engine.operations import Settle
from adapter.testing import LocalCloud
from tests.support.laws import HOUR, step


def test_a_timeout_is_a_timeout_though_the_lambda_dies_after_it_cancelled_what_was_awaited(cloud: LocalCloud) -> None:
    """The retry replays: the timer must be delivered before the cancellation that it caused, at equal times too."""

    @durable
    async def impatient() -> str:
        try:
            async with asyncio.timeout(HOUR):
                return await promise(str)
        except TimeoutError:
            return "timeout"

    cloud.kill(impatient, Settle, "after")
    assert cloud.run(impatient) == "timeout"


def test_a_promise_that_the_function_cancelled_is_cancelled_at_a_replay_too(cloud: LocalCloud) -> None:
    """The await raises CancelledError, as at the first time, not PromiseCancelled."""

    @durable
    async def cancels() -> str:
        asked = promise(str)
        await asyncio.sleep(HOUR)
        asked.cancel()
        try:
            await asked
        except asyncio.CancelledError:
            return "cancelled"

    cloud.kill(cancels, Settle, "after")
    assert cloud.run(cancels) == "cancelled"


def test_a_timeout_is_a_timeout_at_a_replay_too(cold: LocalCloud) -> None:
    """No fault is needed: no creation follows the timer, so the journal doesn't have it."""

    @durable
    async def impatient() -> str:
        try:
            answer = await asyncio.wait_for(promise(str), HOUR)
        except TimeoutError:
            answer = "timeout"
        await asyncio.sleep(HOUR)
        return answer

    assert cold.run(impatient) == "timeout"


def test_the_winner_of_a_race_stays_it_though_the_loser_was_cancelled_at_the_same_time(
    cold: LocalCloud,
) -> None:
    """The cancelled one has the smaller ordinal, and nothing was created after the race."""

    @durable
    async def race() -> str:
        slow, quick = promise(str), step(1)
        done, _ = await asyncio.wait([slow, quick], return_when=asyncio.FIRST_COMPLETED)
        winner = "quick" if quick in done else "slow"
        slow.cancel()
        await asyncio.sleep(HOUR)
        return winner

    assert cold.run(race) == "quick"
