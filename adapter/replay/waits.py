"""What a suspended function waits for, and how many settlements could let its code move. Pure.

asyncio doesn't say why a future is awaited, but a future's callbacks do: a task that awaits it, a `gather` that needs
all of its members, a `wait` with its counter. This module reads the callbacks, so that a function is woken when a
settlement matters, not at every one. A callback that it doesn't recognise counts as "any settlement matters": such a
function may be woken in vain, but no wake is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.protocol.records import Record, Wake
from adapter.protocol.times import Instant
from adapter.replay.known import Known
from adapter.replay.steps import Promise, Suspended

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


def of_code(promises: Mapping[int, Promise[Any]], known: Known, wake_at: Instant | None) -> Suspended:
    """How code waits: for those of its open promises that it awaits, and until its first timer."""
    waiting = [(ordinal, promise) for ordinal, promise in promises.items() if awaited(promise)]
    counted = [promise for ordinal, promise in waiting if known.records[ordinal].wake is Wake.COUNTED]
    need, ids = need_of(counted), tuple(promise.id for _, promise in waiting)
    return _suspended(ids, known, wake_at, need, direct=bool(waiting) and not counted)


def of_ended(pending: Sequence[Record], known: Known, wake_at: Instant | None) -> Suspended:
    """How a function waits whose code has ended: it settles when everything that it started has settled.

    The only timers that are left are its children's deadlines.
    """
    counted = [record for record in pending if record.wake is Wake.COUNTED]
    ids = tuple(record.id for record in pending)
    return _suspended(ids, known, wake_at, Need(len(counted) or None), direct=not counted)


def _suspended(ids: tuple[str, ...], known: Known, wake_at: Instant | None, need: Need, *, direct: bool) -> Suspended:
    return Suspended(
        waiting=ids,
        wake_at=wake_at,
        direct=direct and wake_at is None,
        consumed=known.consumed,
        rejections=known.rejections,
        need=need.count,
        on_reject=need.on_reject,
    )


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
