"""What durable code may contain: inline steps, real I/O, changes; and what is refused before anything is written."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adapter import attach, durable, errors, promise, resolve, run
from adapter.testing import LocalCloud
from tests.support.laws import HOUR, Broken, slow, step

RAN: list[str] = []


def plain(value: int, *, twice: bool = False) -> int:
    RAN.append("plain")
    return value * (2 if twice else 1)


async def coroutine(value: int) -> int:
    RAN.append("coroutine")
    await asyncio.sleep(0)
    return value


@durable
def leaf(value: int) -> int:
    RAN.append("leaf")
    return value


@durable
async def inlines() -> list[int]:
    return [
        await run(plain, 1, twice=True),
        await run(coroutine, 3),
        await run(lambda: 4),
        await run(leaf, 5),
    ]


def test_inline_steps_take_any_callable(any_cloud: LocalCloud) -> None:
    """The callable may be sync, async, a lambda, undecorated or durable."""
    assert any_cloud.run(inlines) == [2, 3, 4, 5]


def test_an_inline_step_runs_once_and_costs_one_write(cloud: LocalCloud) -> None:
    """The root's creation and settlement cost two more."""
    RAN.clear()
    cloud.run(inlines)
    assert RAN == ["plain", "coroutine", "leaf"]
    assert cloud.stats.writes == 4 + 2
    assert cloud.stats.resumes[inlines] == 0


def test_an_inline_step_is_recorded_once_and_not_repeated_by_a_replay(cold: LocalCloud) -> None:
    """The replay reads its value."""
    RAN.clear()

    @durable
    async def replays() -> int:
        value = await run(plain, 2)
        await step(1)
        await step(2)
        return value

    assert cold.run(replays) == 2
    assert RAN == ["plain"]
    assert cold.stats.bodies[replays] == 3


def test_an_exception_of_an_inline_step_is_raised_where_it_is_awaited(any_cloud: LocalCloud) -> None:
    """The record has it, too."""

    def bad() -> None:
        raise Broken("inline", 5)

    @durable
    async def careful() -> str:
        try:
            await run(bad)
        except Broken as error:
            await step(1)
            return f"{error} {error.code}"
        return "?"

    assert any_cloud.run(careful) == "inline 5"


@pytest.mark.parametrize("how", ["inline", "async inline", "leaf"])
def test_a_durable_call_where_none_can_be_made_is_not_durable(how: str, any_cloud: LocalCloud) -> None:
    """The code is an inline step or a plain def. The error says what to do."""

    async def late() -> None:
        await step(1)

    @durable
    def leaf_that_calls() -> None:
        step(1)

    @durable
    async def caller() -> str:
        try:
            await {
                "inline": lambda: (run(step, 1), run(lambda: step(1)))[1],
                "async inline": lambda: run(late),
                "leaf": leaf_that_calls,
            }[how]()
        except errors.NotDurable as error:
            return str(error)
        return "nothing was raised"

    assert "make the call there" in any_cloud.run(caller)


def test_a_durable_call_outside_is_not_durable(cloud: LocalCloud) -> None:
    """`run`, `promise` and the others aren't either."""
    for call in (lambda: step(1), lambda: run(plain, 1), lambda: promise(str)):
        with pytest.raises(errors.NotDurable, match="outside of a durable function"):
            call()


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers every line with itself; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    stream.write(line)
                    stream.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


async def exchange(port: int, text: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{text}\n".encode())
        await writer.drain()
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()
        await writer.wait_closed()


@durable
async def talks(port: int) -> str:
    async with asyncio.timeout(60):
        answers = await asyncio.gather(exchange(port, "a"), exchange(port, "b"))
    return "".join(answers)


@durable
async def threads() -> int:
    await asyncio.sleep(0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.to_thread(abs, -n)) for n in range(5)]
    return sum(task.result() for task in tasks)


@durable
async def sleeps_then_io() -> int:
    await asyncio.sleep(HOUR)
    return await asyncio.to_thread(abs, -3)


def test_real_sockets_and_threads_work_in_a_function_without_durable_calls(any_cloud: LocalCloud, echo: int) -> None:
    """They work under timeouts, gather and task groups."""

    @durable
    async def caller(port: int) -> list[Any]:
        return list(await asyncio.gather(talks(port), threads()))

    assert any_cloud.run(caller, echo) == ["ab", 10]


def test_real_io_may_follow_a_durable_sleep(any_cloud: LocalCloud) -> None:
    """The sleep makes no durable promise."""
    assert any_cloud.run(sleeps_then_io) == 3


def test_real_io_in_an_inline_step_may_follow_durable_calls(any_cloud: LocalCloud, echo: int) -> None:
    """The inline step is the remedy."""

    @durable
    async def remedied(port: int) -> str:
        await step(1)
        return await run(exchange, port, "inline")

    assert any_cloud.run(remedied, echo) == "inline"


def test_an_exception_after_real_io_arrives(any_cloud: LocalCloud) -> None:
    """It arrives as any other does."""

    @durable
    async def breaks() -> None:
        await asyncio.to_thread(abs, -1)
        raise Broken("after", 1)

    with pytest.raises(Broken, match="after"):
        any_cloud.run(breaks)


def test_real_io_after_a_durable_call_names_the_remedy(any_cloud: LocalCloud) -> None:
    """Every resume would repeat it."""

    @durable
    async def mixed() -> None:
        await step(1)
        await asyncio.to_thread(abs, -1)

    with pytest.raises(errors.MixedIO, match=r"run\(\.\.\.\)"):
        any_cloud.run(mixed)


def test_a_durable_call_after_real_io_names_the_remedy(any_cloud: LocalCloud) -> None:
    """No replay could make it."""

    @durable
    async def mixed() -> None:
        await asyncio.to_thread(abs, -1)
        await step(1)

    with pytest.raises(errors.MixedIO, match=r"run\(\.\.\.\)"):
        any_cloud.run(mixed)


VERSION = "old"


@durable
async def drifting() -> int:
    first = await (step(1) if VERSION != "other function" else slow(1, 0))
    await promise(str)
    second = await step(first + (2 if VERSION != "other arguments" else 3))
    if VERSION == "more":
        await step(9)
    await promise(str)
    return second


@pytest.mark.parametrize("version", ["other function", "other arguments"])
def test_drifted_code_pauses_shows_both_and_completes_once_it_is_back(version: str, cold: LocalCloud) -> None:
    """The state stays pending. The engine touches nothing that it had stored."""
    named = drifting.with_options(id="order")
    handle = named.start()
    cold.drive()
    resolve("order~1", "go on")
    cold.drive()
    globals()["VERSION"] = version
    resolve("order~3", "go on")
    with pytest.raises(errors.NonDeterminismError) as drift:
        handle.result()
    assert isinstance(drift.value, errors.Paused)
    text = str(drift.value)
    assert "stored:" in text
    assert "present:" in text
    assert "laws:step" in text
    assert ("laws:slow" if version == "other function" else "4") in text
    assert handle.status() == "pending"
    globals()["VERSION"] = "old"
    assert named.start().id == "order"
    assert handle.result() == 3


def test_what_goes_on_after_a_pause_is_not_paused_any_more(cold: LocalCloud) -> None:
    """It drifted before a promise that is still pending. Mended, it waits for that promise, and says so."""
    named = drifting.with_options(id="order")
    handle = named.start()
    cold.drive()
    globals()["VERSION"] = "other function"
    resolve("order~1", "go on")
    with pytest.raises(errors.Paused):
        handle.result()
    globals()["VERSION"] = "old"
    named.start()
    with pytest.raises(errors.Stuck) as stuck:
        handle.result()
    assert not isinstance(stuck.value, errors.Paused)
    assert "order~3" in str(stuck.value)


@pytest.fixture(autouse=True)
def _same_version() -> Iterator[None]:
    yield
    globals()["VERSION"] = "old"


def test_positional_and_named_arguments_are_the_same_call(cold: LocalCloud) -> None:
    """A replay doesn't drift over their spelling."""
    spelled = 0

    @durable
    async def caller() -> int:
        nonlocal spelled
        spelled += 1
        value = await (step(1) if spelled == 1 else step(value=1))
        await step(2)
        return value

    assert cold.run(caller) == 1
    # The last one is the cloud's own check.
    assert spelled == 4


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: step("x"), ["laws:step", "value", "int"]),
        (lambda: nested([{"a": [1, object()]}]), ["nested", "items", "[0]['a'][1]"]),
        (lambda: untyped({"a": object()}), ["untyped", "value", "['a']"]),
    ],
)
def test_an_argument_that_cannot_be_stored_is_refused_before_anything_is_written(
    call: Any, parts: list[str], cloud: LocalCloud
) -> None:
    """The error names function, argument and path."""

    @durable
    async def caller() -> str:
        try:
            await call()
        except errors.CodecError as error:
            return str(error)
        return "nothing was raised"

    text = cloud.run(caller)
    assert [part for part in parts if part not in text] == []
    assert cloud.stats.writes == 2


def test_a_root_argument_that_cannot_be_stored_is_refused_before_anything_is_written(cloud: LocalCloud) -> None:
    """The start itself refuses it."""
    with pytest.raises(errors.CodecError, match="value"):
        step.start("x")  # type: ignore[arg-type]
    assert cloud.stats.writes == 0


def test_a_result_that_cannot_be_stored_is_the_functions_own_failure(any_cloud: LocalCloud) -> None:
    """The error names the function."""

    @durable
    def lies() -> int:
        return "x"  # type: ignore[return-value]

    with pytest.raises(errors.CodecError, match="lies"):
        any_cloud.run(lies)
    assert attach("run-1").status() == "rejected"


@durable
def nested(items: list[dict[str, list[int]]]) -> None: ...


@durable
def untyped(value):  # type: ignore[no-untyped-def]
    ...
