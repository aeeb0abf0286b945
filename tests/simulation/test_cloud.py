"""The cloud itself: what a test leaves behind."""

from __future__ import annotations

import pytest

from adapter import errors
from adapter.testing import Faults, LocalCloud
from tests.simulation.laws import step


def test_after_a_cloud_that_could_not_be_entered_the_next_one_works() -> None:
    """Two at once are refused; what the second had opened is closed."""
    with LocalCloud() as cloud:
        with pytest.raises(Exception, match=r"exists|ResourceInUse|LocalCloud"), LocalCloud():
            pass
        assert cloud.run(step, 1) == 1
    with LocalCloud() as another:
        assert another.run(step, 2) == 2


def test_a_cloud_in_which_every_invocation_is_lost_is_stuck() -> None:
    """Though the watchdog makes each of them again, for ever."""
    with LocalCloud(engine="memory", faults=Faults(lose=1.0)) as cloud, pytest.raises(errors.Stuck, match="lost"):
        cloud.run(step, 1)
