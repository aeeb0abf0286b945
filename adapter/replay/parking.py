"""Abandoned code vanishes without running another line of it: a suspended coroutine that no run will resume.

Python closes a coroutine that is garbage: it throws GeneratorExit into it, which runs the ``finally:`` blocks of user
code, as if the function had ended. But a suspended function hasn't ended; another Lambda goes on with it.

Python finalizes an object once, and the collector marks an object that has been (PEP 442, `gc.is_finalized`). This
module sets that mark on all suspended code that an execution holds, and on whatever of its objects has a ``__del__``
in Python. Then they are freed like plain data, when the last reference goes. What can't be marked is given a reference
that nobody gives back: it stays in the sandbox's memory until Lambda ends the sandbox.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import sysconfig
import types
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Any, cast

from adapter.protocol.records import Record
from adapter.replay.known import Known
from adapter.replay.steps import Scope

MOST = 100_000
"""Objects that one execution is searched for; what holds more is kept."""

SUSPENDED = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)

_SHARED = (str, bytes, int, float, types.NoneType, types.ModuleType, type, types.CodeType, Record, Known, Scope)
"""No code of the execution is suspended below these, and much else is."""

_SHARED_MODULES = frozenset({"_thread", "boto3", "botocore", "logging", "threading", "urllib3"})

_MARK_BEFORE = ctypes.sizeof(ctypes.c_size_t)
"""The collector's second word stands so many bytes before an object; its lowest bit is the mark."""


def park(tasks: Iterable[asyncio.Task[Any]], beside: Iterable[object], *, keep: bool = False) -> None:
    """Make sure that Python never closes the tasks' suspended code, nor what it awaits or holds.

    ``beside``: what else refers to objects of theirs, and is dropped with them. ``keep``: don't free them.
    """
    suspended = [task for task in tasks if not task.done()]
    if not suspended:
        return
    for task in suspended:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        # asyncio must not count it among the running tasks any more.
        asyncio.tasks._unregister_task(task)
    coroutines = [task.get_coro() for task in suspended]
    found = _final([*coroutines, *suspended, *beside]) if can_mark() and not keep else None
    if found is None or not all(_mark(one) for one in found):
        for coroutine in coroutines:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


@functools.cache
def can_mark() -> bool:
    """Whether this Python keeps the mark where it is expected: CPython 3.11 and later, with its global lock."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    ran: list[str] = []
    one = _probe(ran)
    one.send(None)
    word = ctypes.c_size_t.from_address(id(one) - _MARK_BEFORE).value
    if word & 1 or gc.is_finalized(one) or not _mark(one):
        return False
    del one
    return not ran


async def _probe(ran: list[str]) -> None:
    try:
        await _pause()
    finally:
        ran.append("finally")


@types.coroutine
def _pause() -> Iterator[None]:
    yield


def _mark(one: object) -> bool:
    """Whether the object has the mark now."""
    if not gc.is_tracked(one):
        return False
    # While it is untracked no other thread's collection, and no neighbour in the collector's list, writes to its words.
    ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(one))
    ctypes.c_size_t.from_address(id(one) - _MARK_BEFORE).value = 1
    ctypes.pythonapi.PyObject_GC_Track(ctypes.py_object(one))
    return gc.is_finalized(one)


def _final(roots: list[object]) -> list[object] | None:
    """What Python code would run of, were it freed: below the roots; None where that is too much to search."""
    found: list[object] = []
    todo, seen = roots, {id(root) for root in roots}
    # An execution holds hundreds of objects, of a few dozen types.
    sorts: dict[type, _Sort] = {}
    while todo:
        one = todo.pop()
        if _sort(one, sorts) is _Sort.FINAL:
            found.append(one)
        for below in _below(one):
            if id(below) not in seen and _sort(below, sorts) is not _Sort.APART:
                seen.add(id(below))
                todo.append(below)
        if len(seen) > MOST:
            return None
    return found


def _below(one: object) -> Iterable[object]:
    # By its type: `isinstance` would ask a proxy in the code's variables for its class, which runs the proxy's code.
    kind = type(one)
    if kind is types.FunctionType:
        # Its module's globals are no part of the execution.
        return cast(types.FunctionType, one).__closure__ or ()
    below = gc.get_referents(one)
    if kind is types.FrameType:
        # Nor are the frames that called it.
        return [each for each in below if type(each) is not types.FrameType]
    return below


class _Sort(Enum):
    """What an object is, by its type."""

    APART = auto()
    """No code of the execution is suspended below it."""
    FINAL = auto()
    """Python code would run of it, were it freed."""
    OTHER = auto()


def _sort(one: object, sorts: dict[type, _Sort]) -> _Sort:
    kind = type(one)
    sort = sorts.get(kind)
    if sort is None:
        sort = sorts[kind] = _sort_of(kind)
    return sort


def _sort_of(kind: type) -> _Sort:
    if issubclass(kind, _SHARED) or kind.__module__.partition(".")[0] in _SHARED_MODULES:
        return _Sort.APART
    final = issubclass(kind, SUSPENDED) or isinstance(getattr(kind, "__del__", None), types.FunctionType)
    return _Sort.FINAL if final else _Sort.OTHER
