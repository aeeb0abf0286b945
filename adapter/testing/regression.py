"""Recorded executions as tests: a file of ``durable export`` is replayed by the code of this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from adapter.aws.sealing import Sealing, cipher_named
from adapter.errors import NonDeterminismError
from adapter.protocol.variables import described
from adapter.steering.checking import Retraced, retrace
from adapter.steering.recordings import read


def replay_file(path: str | Path) -> Sequence[Retraced]:
    """Replay a recorded execution by the durable functions that this process has imported. Nothing is performed.

    Returns:
        what was replayed, a `Retraced` for each function: a test may ask that there was anything.

    Raises:
        NonDeterminismError: the code doesn't fit. The message shows where it first goes another way, with arguments.
        NoRecording: the file is none, is redacted, or has another version.
        ConfigurationError: it is encrypted, and DURABLE_CIPHER names no cipher.
    """
    sealing = Sealing(None, cipher_named(described(os.environ).get("DURABLE_CIPHER", "")))
    found = [*retrace(read(Path(path).read_text(encoding="utf-8"), sealing, str(path)))]
    drifts = [one for one in found if one.drift]
    if drifts:
        raise NonDeterminismError("\n".join(one.drift for one in drifts), brief=drifts[0].brief)
    return found
