"""Testing durable functions: `LocalCloud` is the whole system in one process, in virtual time.

The pytest fixture ``cloud`` is a fresh one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapter.testing.cloud import Event, LocalCloud
    from adapter.testing.faults import Faults, Killed

__all__ = ["Event", "Faults", "Killed", "LocalCloud"]


def __getattr__(name: str) -> Any:
    # Late: moto is slow to import, and the pytest plugin imports this package in every test run.
    if name in ("Event", "LocalCloud"):
        from adapter.testing import cloud

        return getattr(cloud, name)
    if name in ("Faults", "Killed"):
        from adapter.testing import faults

        return getattr(faults, name)
    raise AttributeError(name)
