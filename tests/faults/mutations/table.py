"""All deliberate bugs of the protocol, in the order in which they are tried and shown."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation
from tests.faults.mutations.of_chapters import OF_CHAPTERS
from tests.faults.mutations.of_events import OF_EVENTS
from tests.faults.mutations.of_expiry import OF_EXPIRY
from tests.faults.mutations.of_forks import OF_FORKS
from tests.faults.mutations.of_losses import OF_LOSSES
from tests.faults.mutations.of_moves import OF_MOVES
from tests.faults.mutations.of_placement import OF_PLACEMENT
from tests.faults.mutations.of_retention import OF_RETENTION
from tests.faults.mutations.of_runs import OF_RUNS
from tests.faults.mutations.of_timers import OF_TIMERS
from tests.faults.mutations.of_transitions import OF_TRANSITIONS
from tests.faults.mutations.of_versions import OF_VERSIONS
from tests.faults.mutations.of_waking import OF_WAKING

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS = [
    *OF_TRANSITIONS,
    *OF_RUNS,
    *OF_PLACEMENT,
    *OF_RETENTION,
    *OF_WAKING,
    *OF_TIMERS,
    *OF_LOSSES,
    *OF_EVENTS,
    *OF_EXPIRY,
    *OF_MOVES,
    *OF_FORKS,
    *OF_CHAPTERS,
    *OF_VERSIONS,
]
