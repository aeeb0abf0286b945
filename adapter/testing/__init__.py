"""Testing durable functions: `LocalCloud` is the whole system in one process, in virtual time.

The pytest fixture ``cloud`` is a fresh one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapter.testing.cloud import LocalCloud
    from adapter.testing.events import Event
    from adapter.testing.fakes import Fake
    from adapter.testing.faults import Faults, Killed
    from adapter.testing.latencies import Latencies, Latency
    from adapter.testing.regression import replay_file
    from adapter.testing.timelines import Tree
    from adapter.testing.watching import DurableWarning

__all__ = [
    "DurableWarning",
    "Event",
    "Fake",
    "Faults",
    "Killed",
    "Latencies",
    "Latency",
    "LocalCloud",
    "Tree",
    "replay_file",
]

_HOMES = {
    "DurableWarning": "watching",
    "Event": "events",
    "Fake": "fakes",
    "Faults": "faults",
    "Killed": "faults",
    "Latencies": "latencies",
    "Latency": "latencies",
    "LocalCloud": "cloud",
    "Tree": "timelines",
    "replay_file": "regression",
}


def __getattr__(name: str) -> Any:
    # Imported late: moto is slow to import, and the pytest plugin imports this package in every test run.
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
