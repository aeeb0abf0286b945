"""EventBridge's rules that invoke a function once a minute. A firing that would find nothing to send is left out."""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterator, Sequence

from adapter.protocol.times import EPOCH, MINUTE, Instant, datetime_of, floor
from adapter.protocol.timing import next_sweep
from adapter.templates.template import Template


class Minutely:
    """The functions that are invoked each minute, and the last minute that was done.

    ``due_minutes``: the minutes in which the index has anything due, in order.
    """

    def __init__(self, template: Template, due_minutes: Callable[[], Sequence[int]], now: Instant) -> None:
        self.functions = [spec.name for spec in template.functions if spec.minutely]
        self.fired = floor(now, MINUTE)
        self._due_minutes = due_minutes

    def next_at(self) -> Instant | None:
        """The next firing that sends anything."""
        if not self.functions:
            return None
        minutes = self._due_minutes()
        # Entries that lie ahead are sent in order. Each overdue entry has a minute of its own.
        overdue = bisect.bisect_right(minutes, self.fired // MINUTE + 1)
        return min((next_sweep(EPOCH + minute * MINUTE, self.fired) for minute in minutes[: overdue + 1]), default=None)

    def fire(self, at: Instant) -> Iterator[tuple[str, str]]:
        """The functions to invoke at this minute, each with its event."""
        self.fired = at
        time = f"{datetime_of(at):%Y-%m-%dT%H:%M:%SZ}"
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": time, "detail": {}}
        yield from ((name, json.dumps(event)) for name in self.functions)
