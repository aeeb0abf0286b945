"""The events of a process's engine, read back from the log lines of `adapter.aws.logs`; and drifts that it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from adapter.engine.operations import Tell
from adapter.engine.telling import What
from adapter.errors import NonDeterminismError

DRIFTED = "lambda-await drifted: "
_OWN = frozenset({"level", "location", "message", "timestamp", "service", "promise", "function"})
_WORDS = {what.value: what for what in What}


def line_of(drift: NonDeterminismError) -> str:
    """The line by which a process tells that an execution doesn't replay."""
    return DRIFTED + json.dumps([str(drift), drift.brief])


def read(text: str) -> Iterator[Tell | NonDeterminismError]:
    """The engine's lines, and drifts. All others are printed here, as if the function ran in this process."""
    for line in text.splitlines():
        if line.startswith(DRIFTED):
            told, brief = json.loads(line.removeprefix(DRIFTED))
            yield NonDeterminismError(told, brief=brief)
            continue
        fields = _fields(line)
        if fields is None:
            print(line, file=sys.stdout)
        else:
            detail = {name: value for name, value in fields.items() if name not in _OWN}
            yield Tell(_WORDS[fields["message"]], fields["promise"], fields["function"], detail)


def _fields(line: str) -> dict[str, Any] | None:
    """The fields of a line that `LogWatcher.tell` logged."""
    if not line.startswith("{"):
        return None
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    told = str(fields.get("location", "")).startswith("tell:")
    known = fields.get("message") in list(_WORDS) and {"promise", "function"} <= fields.keys()
    return fields if told and known else None
