"""Code that others interrupt: one at a time, in a known order, and never left hanging."""

from __future__ import annotations

import threading

import pytest

from adapter.testing.faults import Killed
from adapter.testing.in_process.activities import Activity


def test_two_activities_take_turns_where_they_pause() -> None:
    """They never run at once."""
    log: list[str] = []

    def code(name: str) -> None:
        for number in range(3):
            log.append(f"{name}{number}")
            activities[name].pause()

    activities = {name: Activity(lambda name=name: code(name)) for name in "ab"}
    while not all(activity.done for activity in activities.values()):
        for activity in activities.values():
            if not activity.done:
                activity.resume()
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_what_the_code_raises_is_raised_where_it_is_resumed() -> None:
    """The driver of the cloud hears of it."""

    def code() -> None:
        activity.pause()
        raise KeyError("lost")

    activity = Activity(code)
    activity.resume()
    with pytest.raises(KeyError, match="lost"):
        activity.resume()
    assert activity.done


def test_what_is_dropped_dies_where_it_stands_and_leaves_no_thread() -> None:
    """Its clean-up runs, as a crashed Lambda's wouldn't. No more of its code does."""
    log: list[str] = []

    def code() -> None:
        try:
            activity.pause()
            log.append("went on")
        except Killed:
            log.append("killed")
            raise

    before = threading.active_count()
    activity = Activity(code)
    activity.resume()
    activity.drop()
    assert log == ["killed"]
    assert activity.done
    assert threading.active_count() == before
