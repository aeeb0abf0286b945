"""Replays recorded executions by the code of one directory, in a process of its own, so that modules never clash.

The parent writes one recording a line to standard input, and reads one line with what came of it. What the code prints
goes to standard error. The process imports what its arguments name, and nothing that is named in a recording.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapter.aws.sealing import Sealing
from adapter.errors import ConfigurationError
from adapter.steering.checking import Retraced, retrace
from adapter.steering.recordings import Recording, read, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A directory with code, and the modules in it that define durable functions."""

    directory: Path
    modules: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, hash=False)


class Retracing:
    """The process that has the code imported, as a context."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def __enter__(self) -> Self:
        path = os.pathsep.join([str(Path(place).resolve()) for place in sys.path if place])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "adapter.cli.retracing", *self._code.modules],
            cwd=self._code.directory,
            env={**os.environ, **self._code.environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if (said := self._answer()) != "ready":
            self.__exit__(None, None, None)
            raise ConfigurationError(f"the code in {self._code.directory} can't be imported: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def retrace(self, recording: Recording) -> list[Retraced]:
        """What came of the replay of each function.

        Raises:
            ConfigurationError: the code ended the process.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(json.loads(written(recording)))}\n")
        self._process.stdin.flush()
        said = self._answer()
        if isinstance(said, str):
            raise ConfigurationError(
                f"the code in {self._code.directory} ended the replay of {recording.root.id}: {said}"
            )
        return [Retraced(**one) for one in said]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else "its process ended"


def together(found: Sequence[Sequence[Retraced]]) -> list[Retraced]:
    """What several codes say of the same functions: of each, the word of the first that knows it."""
    return [next((one for one in said if one.known), said[0]) for said in zip(*found, strict=True)]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    try:
        for module in sys.argv[1:]:
            importlib.import_module(module)
    except BaseException as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), file=answers, flush=True)
        return
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        found = [asdict(one) for one in retrace(read(line, Sealing()))]
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
