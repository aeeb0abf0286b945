"""What a cloud says that can't move any more: how each function stands, and which invocations failed before that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter.engine.telling import Progress, What
from adapter.errors import Paused, Stuck
from adapter.protocol.ids import parent_of, root_of
from adapter.protocol.records import Kind, Record
from adapter.protocol.signs import followed
from adapter.protocol.standing import Standing, Way, named, standing
from adapter.testing.happenings import Happening
from adapter.testing.simulated_aws.lambdas import Invocation

LINES = 20
"""Functions, each with a line of its own; others are counted."""


@dataclass
class Failures:
    """Of each Lambda, the invocations that have failed since one of them got on."""

    told: dict[str, list[str]] = field(default_factory=dict)

    def observe(self, what: What | Happening, function: str, detail: Mapping[str, Any]) -> None:
        if what in (Happening.FAILED, Happening.KILLED, Happening.LOST):
            text = f"failed with {detail['error']}" if what is Happening.FAILED else f"was {what}"
            self.told.setdefault(detail.get("of", function), []).append(text)
        elif what.progress is Progress.GOT_ON:
            self.told.pop(function, None)

    def lines(self) -> list[str]:
        return [_line(name, texts) for name, texts in self.told.items()]


def _line(function: str, texts: Sequence[str]) -> str:
    last = texts[-1][:300]
    if len(texts) == 1:
        return f"an invocation of {function} {last}"
    return f"{len(texts)} invocations of {function} in a row came to nothing; the last {last}"


def stuck(record: Record, records: Sequence[Record], now: int, failures: Failures, lost: Sequence[Invocation]) -> Stuck:
    """The error for whoever waits for ``record``; ``records`` is all that the table holds."""
    family = [one for one in records if root_of(one.id) == root_of(record.id)]
    unsettled = [one for one in family if one.id == record.id or (one.kind is Kind.CALL and one.runnable)]
    standings = _standings(unsettled, records, now)
    paused = [one.paused for one, stands in zip(unsettled, standings, strict=True) if stands.way is Way.PAUSED]
    if paused:
        return Paused("\n".join(paused))
    lines = [f"{named(one)} {stands.text}" for one, stands in zip(unsettled[:LINES], standings, strict=False)]
    if len(unsettled) > LINES:
        lines.append(f"and {len(unsettled) - LINES} more functions")
    lines += failures.lines()
    lines += [f"an invocation of {one.function} failed {one.attempt} times: {one.payload[:120]}" for one in lost]
    return Stuck("\n  ".join([f"{named(record)} can't move any more:", *lines]))


def _standings(functions: Sequence[Record], records: Sequence[Record], now: int) -> list[Standing]:
    by_id = {one.id: one for one in records}
    below: dict[str, list[Record]] = {}
    for one in sorted(records, key=lambda one: one.ordinal):
        below.setdefault(parent_of(one.id) or "", []).append(one)

    def stands(own: Record) -> Standing:
        children = below.get(own.id, [])
        return standing(own, children, now, {root: by_id.get(root) for root in followed(own, children, now)})

    return [stands(own) for own in functions]
