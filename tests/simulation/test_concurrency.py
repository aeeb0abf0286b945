"""An account's concurrency: what is beyond it waits, everything ends, and what is reserved is always there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter import durable, errors
from adapter.protocol.times import SECOND
from adapter.testing import Faults, LocalCloud
from adapter.testing.happenings import Happening
from tests.support.laws import step

INFRA = Path(__file__).resolve().parents[2] / "infra"
CLOUDS: list[LocalCloud] = []
SLEEPERS, WIDTH = 50, 1_000


@durable(name="concurrency:body", target="bodies")
def body(index: int) -> int:
    CLOUDS[-1].elapse(1)
    return index


@durable(name="concurrency:wide")
async def wide(width: int) -> int:
    return sum(await body.map(range(width)))


@durable(name="concurrency:sleeper")
async def sleeper(index: int) -> int:
    await asyncio.sleep(10)
    return index


@durable(name="concurrency:addition")
async def addition(width: int) -> int:
    return sum(await step.map(range(width)))


@durable(name="concurrency:failing", target="bodies")
def failing(index: int) -> int:
    CLOUDS[-1].elapse(61)
    return index


def template(directory: Path, **reserved: int) -> Path:
    made = directory / "template.yaml"
    made.write_text(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Durable:\n    Type: AWS::Serverless::Application\n"
        f"    Properties: {{ Location: {INFRA}/durable.yaml, Parameters: {reserved or '{}'} }}\n"
    )
    return made


Limited = Callable[..., LocalCloud]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Limited]:
    """Makes an account with a limit, in which so much is reserved."""

    def made(concurrency: int, seed: int = 0, faults: Faults | None = None, **reserved: int) -> LocalCloud:
        path = template(tmp_path, **reserved)
        cloud = LocalCloud(seed, faults, template=path, engine="memory", verify=False, concurrency=concurrency)
        CLOUDS.append(cloud)
        return cloud

    yield made
    CLOUDS.clear()


def played(cloud: LocalCloud, width: int, sleepers: int) -> tuple[float, list[float]]:
    """A map of so many seconds' work among sleepers: after how many seconds the map ended, and each sleeper."""
    began = cloud.clock()
    handles = [sleeper.start(index) for index in range(sleepers)]
    handle = wide.start(width)
    assert handle.result() == sum(range(width))
    assert [each.result() for each in handles] == list(range(sleepers))
    ended = {record.id: (record.settled_at - began) / SECOND for record in cloud.records()}
    return ended[handle.id], [ended[each.id] for each in handles]


def test_a_map_of_a_thousand_and_fifty_sleepers_end_in_an_account_that_may_run_ten(limited: Limited) -> None:
    """The work of a thousand seconds takes a hundred. Each body runs once, and the watchdog finds nothing."""
    told: list[str] = []
    with limited(10) as cloud:
        cloud.watchers.append(lambda event: told.append(event.what))
        mapped, _ = played(cloud, WIDTH, SLEEPERS)
        assert WIDTH / 10 <= mapped < 2 * WIDTH / 10
        assert cloud.stats.bodies[body] == WIDTH
        assert cloud.lost == []
    assert Happening.THROTTLED in told
    assert "missed" not in told


def test_reserved_concurrency_keeps_a_wide_fan_out_from_timers_and_resumer(limited: Limited) -> None:
    """Without it the sleepers oversleep by as long as the fan-out takes."""
    with limited(10) as cloud:
        _, starved = played(cloud, 400, 10)
    with limited(25, ResumerConcurrency=5, TimersConcurrency=5, SweeperConcurrency=5) as cloud:
        mapped, prompt = played(cloud, 400, 10)
    assert min(starved) > 40
    assert mapped < 60
    assert max(prompt) < 13


@pytest.mark.parametrize("seed", range(3))
def test_a_limit_and_faults_end_in_the_same_outcome(limited: Limited, seed: int) -> None:
    """Lambdas die while others wait for their places."""
    with limited(3, seed, Faults(crash=0.05, duplicate=0.1, reorder=0.2, delay=0.1)) as cloud:
        played(cloud, 40, 5)
        assert cloud.lost == []


def test_the_same_seed_gives_the_same_run_under_a_limit(limited: Limited) -> None:
    """Invocations overlap in it."""
    weather = Faults(crash=0.05, duplicate=0.1, reorder=0.2)
    runs = []
    for _ in range(2):
        with limited(3, 7, weather) as cloud:
            runs.append((played(cloud, 20, 3), cloud.stats.writes, cloud.stats.invocations))
    assert runs[0] == runs[1]


def test_a_lambda_that_takes_longer_than_its_timeout_gives_its_place_back(limited: Limited) -> None:
    """Lambda counts it as ended, and repeats it after a minute and two more."""
    with limited(1) as cloud:
        with pytest.raises(errors.FunctionCrashed):
            cloud.run(failing, 1)
        assert cloud.run(body, 3) == 3


def test_each_function_has_its_turn_in_lambdas_queue(limited: Limited) -> None:
    """Other functions' events don't stand before its own."""
    with limited(2) as cloud:
        wide.start(60)
        cloud.advance(2)
        began = cloud.clock()
        sleeper.start(1)
        cloud.advance(2)
        assert cloud.stats.bodies[sleeper] == 1
        assert cloud.clock() - began <= 3 * SECOND


@pytest.mark.parametrize(
    ("concurrency", "reserved", "message"),
    [(0, {}, "at least 1"), (14, {"ResumerConcurrency": 5}, "leaves less than 10")],
)
def test_an_account_that_there_cannot_be_is_refused(
    limited: Limited, concurrency: int, reserved: dict[str, int], message: str
) -> None:
    """AWS refuses to deploy a stack that leaves too little to functions without a reservation."""
    with pytest.raises(errors.ConfigurationError, match=message):
        limited(concurrency, **reserved)


def test_processes_know_no_limit() -> None:
    """They take real time, and as many places as the machine has."""
    with pytest.raises(errors.ConfigurationError, match="processes"):
        LocalCloud(processes=True, concurrency=10)


def lambda_of(cloud: LocalCloud, handler: str) -> str:
    return next(spec.name for spec in cloud.template.functions if spec.handler == f"adapter.lambdas.{handler}")


def test_a_throttled_batch_of_the_stream_uses_up_no_retry(cloud: LocalCloud) -> None:
    """Lambda offers it for a quarter of an hour, since its records aren't too old: longer than ten retries last."""
    began = cloud.clock()
    with cloud.outage(lambda_of(cloud, "resumer.handler"), "throttled"):
        handle = addition.start(2)
        cloud.advance(900)
        assert handle.status() == "pending"
    assert handle.result() == 1
    assert cloud.clock() - began <= 960 * SECOND
    assert cloud._world.pollers[0].discarded == []


def test_a_throttled_message_is_tried_again_as_long_as_its_mapping_has_it(cloud: LocalCloud) -> None:
    """The mapping offers it within seconds. The queue would show it again only six minutes later."""
    began = cloud.clock()
    handle = sleeper.with_options(id="s").start(1)
    with cloud.outage(lambda_of(cloud, "sweeper.fire"), "throttled"):
        cloud.advance(60)
    assert handle.result() == 1
    assert cloud.peek("s").settled_at - began < 150 * SECOND
