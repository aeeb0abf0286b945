"""A suspended coroutine that is never resumed must vanish without running a line of its code.

Python closes a coroutine that is garbage: it throws GeneratorExit into it, which runs the ``finally:`` blocks of user
code, as if the function had ended. A suspended function hasn't ended; another Lambda goes on with it. So its coroutine
is given a reference that is never returned: not at a collection, not at the interpreter's exit. What a sandbox
suspended and did not resume itself stays in its memory until the platform ends it.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Any


def park(task: asyncio.Task[Any]) -> None:
    """Make sure that the task's coroutine, and what it awaits, is never closed."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    # asyncio must not count it among the running tasks any more.
    asyncio.tasks._unregister_task(task)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.get_coro()))
