"""The memory of a Lambda's sandbox: how much there is, how much is taken, and how to give some back."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """``size`` in bytes; 0: nobody said."""

    size: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Sandbox:
        """By the variable that Lambda sets."""
        return cls(int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0) * 2**20)

    @property
    def for_executions(self) -> int:
        """How many bytes suspended executions may take: a quarter, or as in a small one."""
        return (self.size or 256 * 2**20) // 4

    def is_nearly_full(self) -> bool:
        """Whether a quarter is left at most."""
        return 0 < self.size * 3 // 4 <= resident()

    def give_back(self) -> None:
        """Collect what is garbage, and return to the system what the allocator holds without need."""
        gc.collect()
        with suppress(OSError, AttributeError):
            # glibc's; other systems have none.
            ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of memory that this process takes; 0 where the system doesn't tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
