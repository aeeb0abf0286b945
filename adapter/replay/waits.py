"""What a suspended function waits for, and how many settlements could let its code move. Pure.

asyncio doesn't say why a future is awaited, but a future's callbacks do: a task that awaits it, a `gather` that needs
all of its members, a `wait` with its counter. This module reads the callbacks, so that a function is woken when a
settlement matters, not at every one. A callback that it doesn't recognise counts as "any settlement matters": such a
function may be woken in vain, but no wake is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

ANY = "any"


@dataclass(frozen=True, slots=True)
class Need:
    """``count`` further settlements could let the code move (None: none can); with ``on_reject``, one rejection."""

    count: int | None
    on_reject: bool = False


@dataclass(slots=True)
class _Group:
    """The members of one `gather` or `wait` that are still pending."""

    fail_fast: bool
    members: int = 0


def awaited(future: asyncio.Future[Any]) -> bool:
    return bool(getattr(future, "_callbacks", None))


def need_of(futures: Iterable[asyncio.Future[Any]]) -> Need:
    """The need of a function that awaits these pending futures. Each counts once it settles.

    The code moves as soon as one group is complete, so the smallest group decides.
    """
    groups: dict[int, _Group] = {}
    for future in futures:
        for callback, _context in getattr(future, "_callbacks", None) or ():
            found = _group(callback)
            if found is ANY:
                return Need(1)
            if found is not None:
                key, fail_fast = found
                groups.setdefault(key, _Group(fail_fast)).members += 1
    if not groups:
        return Need(None)
    return Need(min(group.members for group in groups.values()), any(group.fail_fast for group in groups.values()))


def _group(callback: Callable[..., Any]) -> Any:
    """(identity, fail-fast) of the group that the callback completes; `ANY`; None where it moves nothing any more."""
    read = _READERS.get(getattr(callback, "__qualname__", ""))
    if read is None or getattr(callback, "__module__", "") != "asyncio.tasks":
        return ANY
    try:
        return read(_closure(callback))
    except (KeyError, ValueError):
        # Another Python version names its variables differently.
        return ANY


def _closure(callback: Any) -> dict[str, Any]:
    return dict(zip(callback.__code__.co_freevars, (c.cell_contents for c in callback.__closure__ or ()), strict=True))


def _gather(cells: dict[str, Any]) -> Any:
    outer = cells["outer"]
    if outer is None:
        return ANY
    return None if outer.done() else (id(outer), not cells["return_exceptions"])


def _wait(cells: dict[str, Any]) -> Any:
    if cells["return_when"] == asyncio.FIRST_COMPLETED:
        return ANY
    if cells["waiter"].done():
        return None
    return id(cells["waiter"]), cells["return_when"] == asyncio.FIRST_EXCEPTION


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "gather.<locals>._done_callback": _gather,
    "_wait.<locals>._on_completion": _wait,
}
