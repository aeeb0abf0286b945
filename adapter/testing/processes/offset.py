"""How far the clocks of functions in other processes are ahead of the machine's clock: one number in shared memory."""

from __future__ import annotations

import mmap
from pathlib import Path

from adapter.protocol.times import Span

VARIABLE = "DURABLE_CLOCK_OFFSET"
"""The environment variable that names the file."""

_BYTES = 8


class ClockOffset:
    """Microseconds in a file that several processes map. All of them see a change at once.

    The process that made up the file's name sets ``create``. Without it, the file must exist.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _BYTES)
        # One aligned number, copied whole: no reader sees half of a change.
        self._number = memoryview(self._map).cast("q")

    @property
    def microseconds(self) -> Span:
        return Span(self._number[0])

    @microseconds.setter
    def microseconds(self, offset: Span) -> None:
        self._number[0] = offset

    def close(self) -> None:
        self._number.release()
        self._map.close()
