"""The durable loop does no real I/O, and refuses what a durable function may not do."""

from __future__ import annotations

import asyncio

import pytest

from adapter.replay.loop import REAL_IO, DurableLoop
from tests.unit.loop.running import Left, run


def test_a_function_cannot_stop_its_loop(loop: DurableLoop) -> None:
    """The error says whose loop it is."""

    async def main() -> None:
        asyncio.get_running_loop().stop()

    with pytest.raises(RuntimeError, match="durable function can't stop"):
        run(loop, main())


@pytest.mark.parametrize("operation", REAL_IO)
def test_real_io_asks_first(loop: DurableLoop, operation: str) -> None:
    """The loop asks by the operation's name. The error reaches the code."""
    with pytest.raises(Left, match=operation):
        getattr(loop, operation)("any", argument=1)


def test_every_operation_of_an_event_loop_is_pure_or_asks_first() -> None:
    """This test fails if a future Python adds an operation to event loops."""
    known = set(vars(DurableLoop)) | {
        # Refused by asyncio's abstract loop: nothing of a durable function's business.
        "close",
        "run_forever",
        "run_until_complete",
        "sendfile",
        "set_exception_handler",
        "set_task_factory",
        "shutdown_default_executor",
    }
    operations = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    assert operations - known == set()


def test_threads_are_real_io(loop: DurableLoop) -> None:
    """`asyncio.to_thread` leaves the loop by its executor."""
    with pytest.raises(Left, match="run_in_executor"):
        run(loop, asyncio.to_thread(int))


def test_code_that_left_takes_along_what_is_ready(loop: DurableLoop) -> None:
    """The ordinary loop goes on with it, in order."""
    log: list[str] = []
    for name in "ab":
        loop.call_soon(log.append, name)
    for handle in loop.take_ready():
        handle._run()
    assert log == ["a", "b"]
    assert loop.take_ready() == []


def test_asyncio_is_told_what_it_asks(loop: DurableLoop) -> None:
    """The loop is never closed, and never in debug mode, which would measure real time."""
    loop.set_debug(True)
    assert not loop.get_debug()
    assert not loop.is_closed()
    assert loop.get_task_factory() is None
    assert loop.get_exception_handler() is None
    assert run(loop, loop.shutdown_asyncgens()) is None
