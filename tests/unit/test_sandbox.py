"""What a sandbox keeps in its memory: as much as there is room for, and nothing when it is nearly full."""

from __future__ import annotations

import gc
import os
import weakref
from dataclasses import replace
from typing import Any

from adapter.aws import sandbox
from adapter.aws.sandbox import Sandbox, resident
from adapter.aws.wiring import AwsHost
from adapter.engine.memory import Memory
from adapter.protocol.records import Record
from adapter.replay.execution import Execution
from adapter.testing import LocalCloud


async def nothing() -> None:
    """It isn't even begun."""


def execution(number: int, texts: int = 0) -> Execution:
    own = Record(id=f"r{number}")
    children = [Record(id=f"r{number}~0", value="x" * texts)]
    return Execution(own, children, nothing, encode_result=str)


def test_a_memory_keeps_as_many_bytes_as_it_may() -> None:
    """It keeps the latest executions. A large one takes the place of many small ones."""
    small = execution(0).weight
    memory = Memory(size=3 * small)
    for number in range(5):
        memory.keep(f"r{number}", execution(number), now=0)
    assert list(memory.kept) == ["r2", "r3", "r4"]
    memory.keep("r5", execution(5, texts=2 * small), now=0)
    assert list(memory.kept) == ["r5"]
    assert memory.used == 3 * small


def test_what_is_taken_or_replaced_makes_room() -> None:
    """Otherwise a memory would be full of nothing."""
    memory = Memory()
    for _ in range(2):
        memory.keep("r0", execution(0), now=0)
    assert memory.used == execution(0).weight
    assert memory.take("r0", now=0) is not None
    assert (memory.used, memory.kept) == (0, {})
    assert memory.take("r0", now=0) is None


def test_what_weighs_more_than_all_there_is_is_not_kept() -> None:
    """The next run replays it."""
    memory = Memory(size=0)
    memory.keep("r0", execution(0), now=0)
    assert (memory.used, memory.kept) == (0, {})


def test_a_sandbox_is_as_large_as_lambda_says() -> None:
    """A quarter of it is for suspended executions."""
    assert Sandbox.of({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}).for_executions == 128 * 2**20
    assert Sandbox.of({}) == Sandbox()
    assert Sandbox().for_executions > 0


def test_a_process_knows_what_it_takes() -> None:
    """It takes more than a few megabytes, and less than the machine has."""
    assert 2**22 < resident() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_sandbox_that_is_nearly_full_drops_all_it_keeps(cloud: LocalCloud) -> None:
    """It does so after the invocation, which may have gone on from there."""
    ports: Any = cloud._driver.ports()
    for size, kept in ((2**50, True), (resident(), False), (0, True)):
        host = AwsHost(replace(ports), Memory(), Sandbox(size))
        held = execution(0)
        gone = weakref.ref(held)
        host.memory.keep("r0", held, now=0)
        del held
        host.leave_invocation()
        gc.collect()
        assert (gone() is not None) is kept


def test_where_the_system_does_not_tell_nothing_is_dropped(monkeypatch: Any, tmp_path: Any) -> None:
    """Not every system has /proc."""
    monkeypatch.setattr(sandbox, "_STATM", tmp_path / "none")
    assert resident() == 0
    assert not Sandbox(1).is_nearly_full()
