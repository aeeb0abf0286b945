"""Which records of the stream never come: chosen by a test, rather than drawn."""

from __future__ import annotations

from adapter.testing import LocalCloud


def drop(cloud: LocalCloud, *which: int) -> None:
    """Of the records that the resumer would be given, have these put aside, counted from 0."""
    seen = -1
    drawn = cloud.dice.draw

    def draw(kind: str) -> bool:
        nonlocal seen
        if kind != "drop":
            return drawn(kind)
        seen += 1
        return seen in which

    cloud.dice.draw = draw  # type: ignore[method-assign]
