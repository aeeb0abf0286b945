"""The path of a promise below its root: ordinals from the top, long runs of one ordinal written short. Pure.

``0.2`` is the third promise that the root's first one made. Recursion repeats an ordinal at every level, and a key of
the table holds 2,048 bytes, so nine and more equal ordinals in a row are written ``0*9``. A path is written in one way.
"""

from __future__ import annotations

import re

RUN = 8
"""Equal ordinals in a row that are written out."""

_STEP = r"(0|[1-9][0-9]{0,14})(\*[1-9][0-9]{0,5})?"
_PATH = re.compile(rf"{_STEP}(\.{_STEP})*")


def extend(path: str, ordinal: int) -> str:
    """The path of a child; of a root's child, where ``path`` is empty."""
    steps = path.split(".")[-RUN:]
    same, star, count = steps[-1].partition("*")
    if star and int(same) == ordinal:
        return f"{path.removesuffix(steps[-1])}{same}*{int(count) + 1}"
    if steps == [str(ordinal)] * RUN:
        return f"{path.removesuffix('.'.join(steps))}{ordinal}*{RUN + 1}"
    return f"{path}.{ordinal}" if path else str(ordinal)


def shorten(path: str) -> str:
    """The path of the parent; empty for a root's child."""
    head, dot, tail = path.rpartition(".")
    same, star, count = tail.partition("*")
    if not star:
        return head
    left = int(count) - 1
    return f"{head}{dot}{same}*{left}" if left > RUN else f"{head}{dot}{'.'.join([same] * left)}"


def last(path: str) -> int:
    """The ordinal within the parent."""
    return int(path.rpartition(".")[2].partition("*")[0])


def is_path(text: str) -> bool:
    """Whether this is a path, written in the one way."""
    if _PATH.fullmatch(text) is None:
        return False
    before, run = "", 0
    for step in text.split("."):
        same, star, count = step.partition("*")
        if (same == before and (star or run >= RUN)) or (star and int(count) <= RUN):
            return False
        run = int(count) if star else run + 1 if same == before else 1
        before = same
    return True
