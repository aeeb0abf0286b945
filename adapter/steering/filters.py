"""What an operator looks for: executions by state, function, tag, age and the text of an error. Pure.

A filter is asked three times, with more each time: of the index's entry, of the record, and of how the execution
stands. It never lets through what it doesn't match by then, so only what may match is read at all.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.codec.exceptions import named_in
from adapter.errors import ConfigurationError
from adapter.protocol.records import Record, State, Stored
from adapter.protocol.standing import Standing, Way
from adapter.protocol.times import EPOCH, Instant, Span
from adapter.protocol.timing import Due

SETTLED = {
    "succeeded": State.RESOLVED,
    "failed": State.REJECTED,
    "cancelled": State.CANCELED,
    "timed-out": State.TIMEDOUT,
}
"""How an execution may have ended, by the operator's word. The index knows it."""

STANDING = {
    "running": Way.RUNNING,
    "waiting": Way.WAITING,
    "paused": Way.PAUSED,
    "late": Way.LOST,
    "deadlocked": Way.DEADLOCKED,
}
"""How an open one may stand. Only its records tell."""

OPEN, SETTLED_ANYHOW, ANY = "open", "settled", "any"

STATES = (OPEN, *STANDING, SETTLED_ANYHOW, *SETTLED, ANY)
"""The words for states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is looked for. Of several states, functions or tags of one name any will do.

    ``functions`` are names, with ``*`` and ``?`` for what may be anything. ``tags`` are values by name; an empty one
    stands for any. ``older`` and ``younger`` compare the age. ``error`` is a part of the text, or of the class, of an
    error, or of the reason of a pause; upper or lower case doesn't matter.
    """

    states: tuple[str, ...] = (OPEN,)
    functions: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    older: Span | None = None
    younger: Span | None = None
    error: str = ""

    def __post_init__(self) -> None:
        if unknown := [state for state in self.states if state not in STATES]:
            raise ConfigurationError(f"there is no state {unknown[0]!r}: it is one of {', '.join(STATES)}")

    @property
    def by_index(self) -> bool:
        """Whether the index tells all that this asks for."""
        return not (self.tags or self.error) and not any(state in STANDING for state in self.states)

    @property
    def of_trouble(self) -> bool:
        """Whether an execution is meant, too, in which something below stands so."""
        return any(state in STANDING for state in self.states) and not {OPEN, ANY} & {*self.states}

    def may_match(self, due: Due, now: Instant) -> bool:
        """Whether the execution of an entry may match. The index may be seconds behind."""
        return self._of_state(due.state, due.over) and self._of(due.fn, due.created_at, now)

    def matches(self, own: Record, now: Instant) -> bool:
        """Whether a record matches in all but how it stands, and the error, which may have to be opened."""
        if not self._of_state(own.state, own.over) or not self._of(own.fn, own.created_at, now):
            return False
        return all(name in own.tags and value in ("", own.tags[name]) for name, value in self.tags.items())

    def matches_standing(self, own: Record, standing: Standing) -> bool:
        """Whether how a matching record stands is among what is looked for, too."""
        if own.over:
            return True
        ways = {STANDING[state] for state in self.states if state in STANDING}
        return standing.way in ways or bool({OPEN, ANY} & {*self.states})

    def matches_error(self, own: Record) -> bool:
        """Whether an opened record has the text that is looked for."""
        if not self.error:
            return True
        found = own.paused if own.runnable else " ".join(failure(own))
        return self.error.casefold() in found.casefold()

    def _of_state(self, state: State, over: bool) -> bool:
        if ANY in self.states:
            return True
        if not over:
            return OPEN in self.states or any(word in STANDING for word in self.states)
        return SETTLED_ANYHOW in self.states or any(SETTLED.get(word) is state for word in self.states)

    def _of(self, fn: str, created_at: Instant, now: Instant) -> bool:
        if self.functions and not any(fnmatch.fnmatchcase(fn, wanted) for wanted in self.functions):
            return False
        age = now - (created_at or EPOCH)
        return (self.older is None or age >= self.older) and (self.younger is None or age <= self.younger)


def failure(own: Record) -> tuple[str, str]:
    """The class and the message of the error with which a promise failed; empty where it didn't, or isn't opened."""
    if own.state is not State.REJECTED or isinstance(own.value, Stored):
        return "", ""
    return named_in(own.value)


def word_of(state: State, over: bool) -> str:
    """The operator's word for a state, as far as the index knows it."""
    return next((word for word, settled in SETTLED.items() if over and settled is state), OPEN)
