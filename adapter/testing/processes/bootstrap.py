"""How a function's process starts: it shifts its clock if told to, and then runs AWS's runtime interface client.

``python -m adapter.testing.processes.bootstrap module.handler`` differs from ``python -m awslambdaric module.handler``
in nothing else, except that it replays each execution when it ends, if told so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.protocol.times import Instant
from adapter.testing.processes.offset import VARIABLE, ClockOffset

if TYPE_CHECKING:
    from adapter.engine.operations import Tell

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


def main() -> None:
    if path := os.environ.get(VARIABLE):
        shift_clock(ClockOffset(Path(path)))
    if os.environ.get(VERIFY):
        replay_endings()
    from awslambdaric.__main__ import main as run

    run(sys.argv)


if __name__ == "__main__":
    main()
