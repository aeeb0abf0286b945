"""What is imported, compiled or run, while somebody listens: data may cause none of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEARD: list[str] = []
_LISTENING: list[bool] = []
_ALARMING = (
    "import",
    "exec",
    "compile",
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "pickle.find_class",
)


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is heard within."""
    HEARD.clear()
    _LISTENING.append(True)
    try:
        yield HEARD
    finally:
        _LISTENING.clear()


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if _LISTENING and event in _ALARMING:
        HEARD.append(f"{event} {args[:1]}")


# An audit hook can't be taken off again, so it is there once and listens only when told to.
sys.addaudithook(_hear)
