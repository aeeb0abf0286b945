"""How a function's process starts: its clock shifted if told so, then AWS's runtime interface client.

``python -m adapter.testing.processes.bootstrap module.handler`` differs from ``python -m awslambdaric module.handler``
in nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from adapter.testing.processes.offset import VARIABLE, ClockOffset


def shift_clock(offset: ClockOffset) -> None:
    """Let the engine's clock run ``offset`` ahead. Lambda's deadline and user code see the machine's time."""
    # Not imported in vain: the first message of any durable function needs it.
    from adapter.aws.wiring import SystemClock

    real = SystemClock.now

    def now(self: SystemClock) -> int:
        return real(self) + offset.microseconds

    SystemClock.now = now  # type: ignore[method-assign]


def main() -> None:
    if path := os.environ.get(VARIABLE):
        shift_clock(ClockOffset(Path(path)))
    from awslambdaric.__main__ import main as run

    run(sys.argv)


if __name__ == "__main__":
    main()
