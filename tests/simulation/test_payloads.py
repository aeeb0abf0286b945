"""Large arguments, results and errors: programs behave as with small ones, and no crash loses any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from adapter import attach, durable, promise, resolve, run, schedule
from adapter.api.durable import Durable
from adapter.aws.payloads import key_of
from adapter.engine.operations import Settle
from adapter.errors import BadMessage, IdConflict, PayloadTooLarge
from adapter.protocol.records import MAX_OBJECT_BYTES, MAX_PAYLOAD_BYTES, State
from adapter.testing import Faults, LocalCloud
from adapter.testing.hosting import GetPayload, PutPayload
from tests.support.laws import COLD, HOUR, STORM, history

LARGE = 5_000_000
ABOVE = 20_000
"""More than an item takes of one text."""

BLIZZARD = Faults(crash=0.15, duplicate=0.2, reorder=0.3, delay=0.2)


@durable(name="payloads:make")
def make(size: int, letter: str = "x") -> str:
    return letter * size


@durable(name="payloads:measure")
def measure(text: str) -> int:
    return len(text)


@durable(name="payloads:echo")
def echo(text: str) -> str:
    return text


@durable(name="payloads:fails")
def fails(size: int) -> str:
    raise ValueError("e" * size)


@durable(name="payloads:pipeline")
async def pipeline(size: int) -> int:
    made = await make(size)
    echoed = await run(str.upper, made)
    return await measure(echoed)


@durable(name="payloads:gathers")
async def gathers(size: int) -> list[str]:
    return [text[:1] + str(len(text)) for text in await asyncio.gather(*(make(size, letter) for letter in "abc"))]


@durable(name="payloads:maps")
async def maps(size: int, letters: str) -> list[int]:
    return [len(text) for text in await echo.map([letter * size for letter in letters])]


@durable(name="payloads:catches")
async def catches(size: int) -> str:
    try:
        await fails(size)
    except ValueError as error:
        await measure("after")
        return f"{type(error).__name__} {str(error)[:3]} {len(str(error)) >= 20_000}"
    return "nothing"


@durable(name="payloads:shares")
async def shares(size: int) -> list[int]:
    """Two followers wait for one root, a third comes when it has settled."""
    root = make.with_options(id=f"shared-{size}")
    early = await asyncio.gather(root(size), root(size))
    return [len(text) for text in (*early, await attach(f"shared-{size}"))]


@durable(name="payloads:asks")
async def asks() -> int:
    return len(await promise(str))


PROGRAMS: list[tuple[Durable[..., object], tuple[object, ...], object]] = [
    (pipeline, (LARGE,), LARGE),
    (gathers, (LARGE,), [f"a{LARGE}", f"b{LARGE}", f"c{LARGE}"]),
    (maps, (1_000_000, "ab"), [1_000_000, 1_000_000]),
    (catches, (50_000,), "ValueError eee True"),
    (shares, (LARGE,), [LARGE, LARGE, LARGE]),
]


@pytest.mark.parametrize(("program", "args", "result"), PROGRAMS, ids=lambda value: getattr(value, "name", ""))
def test_a_program_over_large_values_gives_what_it_gives_over_small_ones(
    any_cloud: LocalCloud, program: Durable[..., object], args: tuple[object, ...], result: object
) -> None:
    """It runs in memory and by replay, through faults."""
    assert any_cloud.run(program, *args) == result


@pytest.mark.parametrize("engine", ["moto", "memory"])
def test_no_item_holds_what_is_large(engine: str) -> None:
    """The bucket has it, under the hash of its content."""
    with LocalCloud(engine=engine) as cloud:
        assert cloud.run(gathers, ABOVE) == [f"a{ABOVE}", f"b{ABOVE}", f"c{ABOVE}"]
        assert sorted(cloud._world.objects().values()) == [f'"{letter * ABOVE}"' for letter in "abc"]
        assert all(len(record.value) < 200 for record in cloud._world.records())
        assert cloud.stats.puts == 3


def test_a_wide_fan_out_of_large_results_marks_its_root_once() -> None:
    """A write for each of them would all go to the root's one item."""
    counts = {}
    for size in (1, ABOVE):
        with LocalCloud(engine="memory") as cloud:
            cloud.run(makes, 100, size)
            counts[size] = (cloud.stats.writes, cloud.stats.reads, cloud.stats.puts)
    small, large = counts.values()
    assert [after - before for before, after in zip(small, large, strict=True)] == [1, 1, 100]


def test_a_run_whose_execution_was_removed_puts_nothing() -> None:
    """Its sandbox slept for that long before it settled. No removal would ever find the object."""
    with LocalCloud(engine="memory") as cloud:

        def removed() -> None:
            for record in cloud._world.store.records():
                cloud._world.store.drop(record)

        cloud.meanwhile(make, Settle, removed)
        make.start(ABOVE)
        cloud.drive()
        assert cloud.stats.bodies[make] == 1
        assert cloud.records() == []
        assert cloud._world.objects() == {}


@durable(name="payloads:makes")
async def makes(count: int, size: int) -> int:
    return sum(len(text) for text in await asyncio.gather(*(make(size) for _ in range(count))))


def test_a_cold_replay_reads_outcomes_and_no_arguments(cold: LocalCloud) -> None:
    """The step reads its own arguments. The engine replays its caller twice, without them."""
    assert cold.run(measured, ABOVE) == [ABOVE, 1]
    assert cold.stats.resumes[measured] == 2
    assert cold.stats.gets == 1


@durable(name="payloads:measured")
async def measured(size: int) -> list[int]:
    return [await measure("x" * size), await measure("x")]


def test_whoever_starts_a_root_may_pass_and_get_what_is_large(any_cloud: LocalCloud) -> None:
    """A caller outside may do so. The same start finds the same root."""
    text = "x" * LARGE
    assert any_cloud.run(echo.with_options(id="large"), text) == text
    assert echo.with_options(id="large").start(text).result() == text
    with pytest.raises(IdConflict):
        echo.with_options(id="large").start(text + "y")
    assert len(attach("large").result()) == LARGE


def test_what_is_settled_from_outside_may_be_large(any_cloud: LocalCloud) -> None:
    """It may be as large as any value."""
    handle = asks.start()
    any_cloud.advance(HOUR)
    resolve(f"{handle.id}~0", "x" * LARGE)
    assert handle.result() == LARGE


def test_a_schedules_large_arguments_reach_each_occurrence(any_cloud: LocalCloud) -> None:
    """Each occurrence has an object of its own."""
    schedule("large", "rate(5 minutes)", measure, "x" * 100_000)
    # In a storm, an invocation that died is repeated minutes later.
    any_cloud.advance(HOUR)
    settled = [r.value for r in any_cloud.records() if r.id.startswith("large@") and not r.pending]
    assert len(settled) >= 2
    assert set(settled) == {"100000"}


def test_what_another_execution_awaits_stays_when_the_first_ones_objects_go(on_moto: LocalCloud) -> None:
    """A follower's outcome is its own."""
    handle = shares.start(ABOVE)
    on_moto.drive()
    for key in on_moto._world.objects():
        if key.startswith(key_of(f"shared-{ABOVE}", "").split("/")[0]):
            on_moto._world.s3.delete_object(Bucket=on_moto.template.buckets[0], Key=key)
    assert handle.status() is State.RESOLVED
    values = [attach(f"{handle.id}~{ordinal}").result() for ordinal in range(3)]
    assert values == ["x" * ABOVE] * 3
    with pytest.raises(BadMessage, match="is gone"):
        attach(f"shared-{ABOVE}").result()


def test_a_result_that_is_too_large_for_anything_rejects_its_promise(cold: LocalCloud) -> None:
    """Its caller catches it like any exception. The store writes nothing of it."""
    with pytest.raises(PayloadTooLarge, match=str(MAX_OBJECT_BYTES)):
        cold.run(make, MAX_OBJECT_BYTES)
    assert cold._world.objects() == {}


def test_arguments_that_are_too_large_for_anything_are_refused_at_the_call(cold: LocalCloud) -> None:
    """The call raises before it writes anything."""
    with pytest.raises(PayloadTooLarge, match=str(MAX_OBJECT_BYTES)):
        measure.start("x" * MAX_OBJECT_BYTES)
    assert cold.records() == []
    assert cold._world.objects() == {}


@pytest.mark.parametrize("engine", ["moto", "memory"])
def test_without_a_bucket_the_old_limit_holds_and_the_error_names_the_remedy(
    engine: str, without_bucket: Callable[[str], LocalCloud]
) -> None:
    """The user's own template has no DURABLE_BUCKET."""
    with without_bucket(engine) as cloud:
        assert cloud.run(make, MAX_PAYLOAD_BYTES - 2) == "x" * (MAX_PAYLOAD_BYTES - 2)
        with pytest.raises(PayloadTooLarge, match="set DURABLE_BUCKET"):
            cloud.run(make, MAX_PAYLOAD_BYTES - 1)
        with pytest.raises(PayloadTooLarge, match="set DURABLE_BUCKET"):
            measure.start("x" * (MAX_PAYLOAD_BYTES - 1))


@pytest.mark.parametrize("engine", ["moto", "memory"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("victim", "call"), [("payloads:pipeline", PutPayload), ("payloads:make", PutPayload), ("durable", GetPayload)]
)
def test_a_crash_around_a_call_to_the_bucket_loses_nothing(engine: str, when: str, call: type, victim: str) -> None:
    """Lambda's retry writes the object again, or reads it."""
    with COLD.cloud() if engine == "moto" else LocalCloud(engine="memory") as cloud:
        killed: list[str] = []
        cloud.watchers.append(lambda event: killed.append(event.fn) if event.what == "killed" else None)
        cloud.kill(victim, call, when)
        assert cloud.run(pipeline, ABOVE) == ABOVE
        # What a Lambda will run isn't known while it loads.
        assert killed == [victim if call is PutPayload else ""]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_a_follower_is_handed_a_large_outcome_loses_nothing(when: str) -> None:
    """The resumer gets the record again."""
    with LocalCloud(engine="memory") as cloud:
        killed: list[str] = []
        cloud.watchers.append(lambda event: killed.append(event.function) if event.what == "killed" else None)
        cloud.kill("adapter.lambdas.resumer.handler", PutPayload, when)
        assert cloud.run(shares, ABOVE) == [ABOVE] * 3
        assert len(killed) == 1


@pytest.mark.parametrize("seed", range(12))
def test_no_weather_loses_or_changes_a_large_value(seed: int) -> None:
    """A storm has crashes around each put and get. The history is that of a calm day."""
    with LocalCloud(engine="memory") as calm:
        assert calm.run(gathers, ABOVE) == [f"a{ABOVE}", f"b{ABOVE}", f"c{ABOVE}"]
        expected = {(item["id"], item["digest"], item.get("value")) for item in history(calm)}
    with LocalCloud(seed=seed, faults=BLIZZARD if seed % 2 else STORM, engine="memory") as cloud:
        assert cloud.run(gathers, ABOVE) == [f"a{ABOVE}", f"b{ABOVE}", f"c{ABOVE}"]
        assert {(item["id"], item["digest"], item.get("value")) for item in history(cloud)} == expected


def test_an_object_that_is_gone_is_named_and_stops_its_execution(on_moto: LocalCloud) -> None:
    """Somebody emptied the bucket. The engine makes nothing up in its place."""
    handle = holds.start(ABOVE)
    on_moto.drive()
    for key in list(on_moto._world.objects()):
        on_moto._world.s3.delete_object(Bucket=on_moto.template.buckets[0], Key=key)
    resolve(f"{handle.id}~1")
    failed: list[str] = []
    on_moto.watchers.append(lambda event: failed.append(event.detail["error"]) if event.what == "failed" else None)
    on_moto.advance(1)
    assert failed
    assert all("is gone" in error for error in failed)


@durable(name="payloads:holds")
async def holds(size: int) -> int:
    made = await make(size)
    await promise()
    return len(made)
