"""A forked execution's own time and chance, for as long as it repeats another's history. Pure.

A fork takes over what another execution had settled. Its code has to ask for the same again: by the same times, the
same drawn numbers and the same ids. So until its history ends, ``now()`` tells the times of the execution that it was
forked from, `uuid4` and `random` draw by that one's id, and a call fits that names that one's promises. Its timers and
deadlines go on from where they stood: by its own clock the whole history lies so much later that it ends at the fork.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

from adapter.protocol.ids import root_of
from adapter.protocol.times import NO_TIME, Instant, Span

INCOMPLETE = "it is a fork, and not all that it takes over is written yet: give the command that forked it again"
"""Why a fork is paused until it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """A part of the history, ``until`` a time by the fork's clock: that of the execution ``root``, ``lag`` before."""

    root: str
    until: Instant
    lag: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """What a forked promise keeps of where it came from. ``of`` is the promise from which on it is made anew."""

    of: str
    eras: tuple[Era, ...]

    def at(self, time: Instant) -> Era | None:
        """The era of a time by the fork's clock; None: it is the fork's own."""
        return next((era for era in self.eras if time <= era.until), None)

    def continued(self, root: str, of: str, at: Instant, lag: Span) -> Fork:
        """The fork, ``at`` a time, of an execution that is this fork itself."""
        before = [Era(root=era.root, until=era.until + lag, lag=era.lag + lag) for era in self.eras]
        return Fork(of=of, eras=(*before, Era(root=root, until=at, lag=lag)))


NONE = Fork(of="", eras=())


def repeated(root: str, at: Instant) -> str:
    """The field of a call that is made anew ``at`` a time, and draws as an execution's call of the same place did.

    So the idempotency key that a failed call has drawn is that of its retry. Empty where there is no such execution.
    """
    return to_text(Fork(of="", eras=(Era(root=root, until=at, lag=NO_TIME),))) if root else ""


def to_text(fork: Fork) -> str:
    return json.dumps({"of": fork.of, "eras": [[era.root, era.until, era.lag] for era in fork.eras]})


@functools.lru_cache(256)
def read(text: str) -> Fork:
    """The fork of a record's field; `NONE` for an empty text.

    Raises:
        ValueError: it is no such text.
    """
    if not text:
        return NONE
    try:
        data = json.loads(text)
        eras = [Era(root=str(root), until=Instant(until), lag=Span(lag)) for root, until, lag in data["eras"]]
        return Fork(of=str(data["of"]), eras=tuple(eras))
    except (TypeError, KeyError, RecursionError) as unreadable:
        raise ValueError(f"no fork: {unreadable}") from None


def renamed(promise: str, root: str) -> str:
    """The id of the same promise of another execution."""
    return f"{root}{promise[len(root_of(promise)) :]}"


def retold(text: str, root: str, other: str) -> str:
    """Encoded arguments in which ids of promises of one execution are those of another. A text that is an id, or
    begins with one, is taken for one.
    """
    return text.replace(
        f"{json.dumps(root, ensure_ascii=False)[:-1]}~", f"{json.dumps(other, ensure_ascii=False)[:-1]}~"
    )
