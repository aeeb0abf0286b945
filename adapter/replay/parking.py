"""Parking: a suspended coroutine that nobody resumes must vanish without running another line of its code.

Python closes a coroutine that is garbage: it throws GeneratorExit into it, which runs the ``finally:`` blocks of user
code, as if the function had ended. But a suspended function hasn't ended; another Lambda goes on with it. So this
module takes a reference to its coroutine and never gives it back, not even at the interpreter's exit. A coroutine that
a sandbox suspended and didn't resume stays in its memory until Lambda ends the sandbox.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Any


def park(task: asyncio.Task[Any]) -> None:
    """Make sure that Python never closes the task's coroutine, or anything that it awaits."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    # asyncio must not count it among the running tasks any more.
    asyncio.tasks._unregister_task(task)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.get_coro()))
