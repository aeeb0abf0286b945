"""How a function's process starts: it shifts its clock if told to, and then runs AWS's runtime interface client.

``python -m adapter.testing.processes.bootstrap module.handler`` differs from ``python -m awslambdaric module.handler``
in nothing else, except that it replays each execution when it ends, if told so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import adapter
from adapter.protocol.times import Instant
from adapter.testing.processes.offset import VARIABLE, ClockOffset

if TYPE_CHECKING:
    from adapter.engine.operations import Tell

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
HIDDEN = "LOCAL_CLOUD_RUNTIME_API"
"""Where the runtime API is, until the runtime client begins: Python imports the package before it runs this module, and
the package would take itself for loaded by Lambda."""

VERIFY = "LOCAL_CLOUD_VERIFY"
"""Set where executions are replayed when they end."""


def shift_clock(offset: ClockOffset) -> None:
    """Let the engine's clock run ahead by ``offset``. Lambda's deadline and user code see the machine's time."""
    # The first message of any durable function imports it anyway.
    from adapter.aws.wiring import SystemClock

    real = SystemClock.now

    def now(self: SystemClock) -> Instant:
        return real(self) + offset.microseconds

    SystemClock.now = now  # type: ignore[method-assign]


def replay_endings() -> None:
    """Replay each execution when it ends, and print what drifted for the local cloud to read."""
    from adapter.aws.logs import LogWatcher
    from adapter.aws.wiring import host
    from adapter.testing.processes import telling
    from adapter.testing.verifying import Verifier

    verifier = Verifier(lambda promise: host().read_promise(promise), lambda: host().ports)
    real = LogWatcher.tell

    def tell(self: LogWatcher, told: Tell) -> None:
        real(self, told)
        verifier.tell(told)
        for drift in verifier.drifts():
            print(telling.line_of(drift), flush=True)

    LogWatcher.tell = tell  # type: ignore[method-assign]


def prepare() -> None:
    """What happens on AWS when the handler's import imports the package, and what a local cloud adds."""
    if path := os.environ.get(VARIABLE):
        shift_clock(ClockOffset(Path(path)))
    if os.environ.get(VERIFY):
        replay_endings()
    adapter.prepare()


def main() -> None:
    # The runtime client reads it when it is imported.
    os.environ[RUNTIME_API] = os.environ.pop(HIDDEN)
    from awslambdaric import bootstrap
    from awslambdaric.__main__ import main as run

    load = bootstrap._get_handler

    def prepared(handler: str) -> object:
        # Not earlier: the runtime client sets up logging first, and a logger made before it would log each line twice.
        prepare()
        return load(handler)

    bootstrap._get_handler = prepared
    run(sys.argv)


if __name__ == "__main__":
    main()
