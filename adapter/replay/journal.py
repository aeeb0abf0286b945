"""The order in which a function's code heard of things, both what is recorded of it and what isn't yet. Pure.

A *delivery* is a settlement of one of the function's promises, a timer, or its cancellation. Their order is the only
thing that doesn't follow from the code. So the first promise that a turn creates, its *leader*, carries as ``seen`` all
deliveries since the last recorded one. A replay first follows the leaders, and then delivers what is new.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from adapter.protocol.records import Record


class Source(Enum):
    """What is delivered. Of two deliveries that are due at the same time, the one with the lower value comes first."""

    CHILD = 0
    TIMER = 1
    CANCELLATION = 2


_TOKEN = re.compile(r"(?P<timer>t?)(?P<ordinal>0|[1-9][0-9]{0,14})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: of a promise's or a timer's ``ordinal``, or of the cancellation."""

    source: Source
    ordinal: int = 0

    def __str__(self) -> str:
        """Its token in ``seen``: a child's ordinal, ``t`` and a timer's, or ``c``."""
        match self.source:
            case Source.CHILD:
                return str(self.ordinal)
            case Source.TIMER:
                return f"t{self.ordinal}"
            case Source.CANCELLATION:
                return "c"

    @classmethod
    def read(cls, token: str) -> Delivery | None:
        """The delivery of a token; None where it is no token."""
        if token == "c":
            return cls(Source.CANCELLATION)
        known = _TOKEN.fullmatch(token)
        if known is None:
            return None
        return cls(Source.TIMER if known["timer"] else Source.CHILD, int(known["ordinal"]))


class Journal:
    """The deliveries that the leaders among ``records`` carry, in order, and those since the last leader.

    ``recorded``: the tokens that the replay hasn't reached. ``since``: more of them, which no leader carries.
    """

    def __init__(self, records: Iterable[Record], since: str = "") -> None:
        leaders = sorted((record for record in records if record.seen), key=lambda record: record.ordinal)
        parts = [*(leader.seen or "" for leader in leaders), *filter(None, [since])]
        self.recorded = deque(token for part in parts for token in part.split(","))
        self._unrecorded: list[str] = []

    @property
    def seen(self) -> str:
        """What the next leader carries."""
        return ",".join(self._unrecorded)

    def follow(self) -> str:
        """The next recorded token; it counts as delivered."""
        token = self.recorded.popleft()
        self._unrecorded.append(token)
        return token

    def note(self, delivery: Delivery) -> None:
        """Add a new delivery."""
        self._unrecorded.append(str(delivery))

    def take_seen(self) -> str:
        """What the next leader carries. Later deliveries are for the leader after it."""
        seen = self.seen
        self._unrecorded.clear()
        return seen
