"""What all scenarios share: the clouds on which each is played, what must hold afterwards, and the world outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from adapter import Promise, promise, run, uuid4
from adapter.testing import Faults, LocalCloud
from tests.support.effort import ENGINE
from tests.support.laws import Limit, forget

T = TypeVar("T")

MINUTE = 60
HOUR = 3_600
DAY = 86_400

WEATHER = Faults(crash=0.05, duplicate=0.1, reorder=0.2, delay=0.1)
SEEDS = (0, 1, 2)
"""0 is calm. Under the other even ones, besides the faults, no sandbox remembers anything: each resume is a replay."""


@contextmanager
def play(seed: int) -> Iterator[LocalCloud]:
    """A cloud for one scenario. When it is over, everything that was begun has to have come to its end."""
    with LocalCloud(seed=seed, faults=WEATHER if seed else None, engine="memory" if seed else ENGINE) as cloud:
        cloud.watchers.append(Limit(5_000))
        if seed and seed % 2 == 0:
            cloud.watchers.append(lambda event: forget(cloud))
        yield cloud
        cloud.advance(HOUR)
        assert left_open(cloud) == []
        assert cloud.lost == []


def is_calm(cloud: LocalCloud) -> bool:
    """Nothing goes wrong, so that costs and times are exact."""
    return cloud.dice.faults == Faults()


def left_open(cloud: LocalCloud) -> list[str]:
    """Promises that aren't settled, or whose function was settled from above and hasn't ended its clean-up."""
    return [record.id for record in cloud.records() if not record.over]


class Outside:
    """The world beyond the cloud: keeps a log of what is asked of it, and the ids that are handed out to it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ids: dict[str, str] = {}
        self._keys: set[UUID] = set()

    def request(self, what: str) -> None:
        """Log a request; one that comes again, known by its idempotency key, counts once."""
        key = uuid4()
        if key not in self._keys:
            self._keys.add(key)
            self.log.append(what)

    def publish(self, name: str, promise_id: str) -> None:
        self.ids[name] = promise_id

    async def ask(self, name: str, kind: type[T]) -> Promise[T]:
        """Inside a durable function: make a promise, and hand its id out under this name."""
        asked = promise(kind)
        await run(self.publish, name, asked.id)
        return asked
