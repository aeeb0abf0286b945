"""No law is held to a time: the machine may be busy with something else. How often it is tried is asked of `effort`."""

from __future__ import annotations

import gc

from hypothesis import settings

from tests.support.effort import effort

settings.register_profile("untimed", deadline=None, max_examples=effort(30, 200))
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What was imported stays: a test that asks for a collection needn't have all of it looked through."""
    gc.collect()
    gc.freeze()
