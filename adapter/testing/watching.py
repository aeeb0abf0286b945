"""What a durable function does beside its durable calls that a replay does again, or otherwise: found while it replays.

Your code is watched, and not the libraries that it calls: a logger may look at the clock. A leaf isn't watched, nor an
inline step, since no replay runs them.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import adapter

_CLOCK = "is another time at each replay: take adapter.now(), or read the clock in run(...)"
_CHANCE = "gives another value at each replay: take adapter.random() or adapter.uuid4(), or draw in run(...)"
_BLOCKS = (
    "is done again at each replay, and holds up whatever else the function waits for: move it into run(...), or into a"
    " @durable function of its own"
)

_BUILTINS: dict[object, str] = {
    **dict.fromkeys((time.time, time.time_ns, time.monotonic, time.monotonic_ns), _CLOCK),
    **dict.fromkeys((os.urandom, os.getrandom) if hasattr(os, "getrandom") else (os.urandom,), _CHANCE),
    time.sleep: "holds up whatever else the function waits for: take `await asyncio.sleep(...)`, which is durable",
}
_BLOCKING = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system")
_THROUGH = ("random", "uuid", "secrets")
"""Modules whose functions draw by calling others: the code that called them is meant."""

_OURS = f"{Path(adapter.__file__).parent}{os.sep}"
_INSTALLED = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_LIBRARIES = ("<", _OURS, *(f"{Path(folder)}{os.sep}" for folder in _INSTALLED))


class DurableWarning(UserWarning):
    """A test passed, and yet a durable function does something that won't go well on AWS."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A warning about a line of the user's code; without a line, about an execution."""

    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.file else self.text

    def warn(self) -> None:
        if self.file:
            warnings.warn_explicit(self.text, DurableWarning, self.file, self.line)
        else:
            warnings.warn(self.text, DurableWarning, stacklevel=2)


_watching: list[Callable[[str, FrameType], None]] = []
_hooked: list[bool] = []


@contextmanager
def watched(module: str) -> Iterator[list[Hint]]:
    """Watch what code does in this thread until the context is left; what was found is in the list then.

    Args:
        module: that of the function, which is the user's wherever it lies.
    """
    found: dict[Hint, None] = {}
    hints: list[Hint] = []

    def note(what: str, why: str, frame: FrameType | None) -> None:
        if (mine := _frame_of_user(frame, module)) is not None:
            found[Hint(f"{what} in a durable function {why}", mine.f_code.co_filename, mine.f_lineno)] = None

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and (why := _why(called)):
            what, caller = _named(frame, called)
            # The standard library and others may look at the clock for themselves.
            if caller is not None and _is_users(caller, module):
                note(what, why, caller)

    before = sys.getprofile()
    _hook()
    _watching.append(lambda event, frame: note(event, _BLOCKS, frame))
    if before is None:  # A profiler of the user's own goes before.
        sys.setprofile(profile)
    try:
        yield hints
    finally:
        if before is None:
            sys.setprofile(None)
        _watching.pop()
        hints.extend(found)


def _hook() -> None:
    """An audit hook can't be removed: there is one for all, which does nothing while nobody watches."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_audit)


def _audit(event: str, _: object) -> None:
    if _watching and event in _BLOCKING:
        _watching[-1](event, sys._getframe(1))


def _why(called: Any) -> str:
    """What is wrong with calling this builtin, if anything is."""
    try:
        known = _BUILTINS.get(called)
    except TypeError:  # It has no hash.
        return ""
    if known is not None:
        return known
    owner = getattr(called, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, datetime.date):
        return _CLOCK if called.__name__ in ("now", "utcnow", "today") else ""
    # A generator with a seed of its own draws the same at each replay.
    drawn = owner is random.random.__self__ and called.__name__ in ("random", "getrandbits")  # type: ignore[attr-defined]
    return _CHANCE if drawn else ""


def _named(frame: FrameType, called: Any) -> tuple[str, FrameType | None]:
    """What was called, as the calling code knows it; and that code's frame."""
    owner = getattr(called, "__self__", None)
    module = owner.__name__ if isinstance(owner, type) else getattr(called, "__module__", None) or "random"
    what = f"{module}.{called.__name__}()"
    caller: FrameType | None = frame
    while caller is not None and caller.f_globals.get("__name__") in _THROUGH:
        what, caller = f"{caller.f_globals['__name__']}.{caller.f_code.co_name}()", caller.f_back
    return what, caller


def _frame_of_user(frame: FrameType | None, module: str) -> FrameType | None:
    while frame is not None and not _is_users(frame, module):
        if frame.f_code.co_filename.startswith(_OURS):
            return None
        frame = frame.f_back
    return frame


def _is_users(frame: FrameType, module: str) -> bool:
    if frame.f_globals.get("__name__") == module:
        return True
    return not frame.f_code.co_filename.startswith(_LIBRARIES)
