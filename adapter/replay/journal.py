"""The order in which a function's code heard of things, both what is recorded of it and what isn't yet. Pure.

A *delivery* is a settlement of one of the function's promises, a timer, or its cancellation. Their order is the only
thing that doesn't follow from the code. So the first promise that a turn creates, its *leader*, carries as ``seen`` all
deliveries since the last recorded one. A replay first follows the leaders, and then delivers what is new. Each of its
turns is compared with what is stored: a replay that asks for anything else has drifted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from adapter.errors import NonDeterminismError
from adapter.protocol.records import Kind, Record, Stored
from adapter.replay.known import Known
from adapter.replay.steps import Behind, Request


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
    ``alike`` says of a request whose digest isn't the stored one whether it means the same.
    """

    def __init__(
        self, records: Iterable[Record], since: str = "", alike: Callable[[Request, Record], bool] = lambda *_: False
    ) -> None:
        self._alike = alike
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

    def compare(self, asked: Sequence[Request], known: Known, own: Record) -> tuple[list[Request], str]:
        """The requests of a turn that aren't stored yet, and the deliveries that its leader carries.

        Later deliveries are for the leader after it. ``own`` is the function's record.

        Raises:
            NonDeterminismError: something else is stored, or it was stored at another point of the run.
            Behind: the journal tells of a promise's settlement, and its record is missing.
        """
        missing = self._missing(asked, known, own)
        seen = self.seen
        self._unrecorded.clear()
        return missing, seen

    def _missing(self, asked: Sequence[Request], known: Known, own: Record) -> list[Request]:
        leader = known.records.get(asked[0].ordinal)
        if leader is None:
            if self.recorded or known.last >= asked[0].ordinal:
                raise drifted(own, asked[0], None)
            return list(asked)
        if leader.seen is None or leader.seen != self.seen:
            raise drifted(own, asked[0], leader, "it was made at another point of the run")
        for request in asked:
            stored = known.records.get(request.ordinal)
            if stored is not None and stored.digest != request.digest and not self._alike(request, stored):
                raise drifted(own, request, stored)
            if stored is not None and stored is not leader and stored.seen is not None:
                raise drifted(own, request, stored, "it was made later in the run")
        missing = [request for request in asked if _is_missing(known.records.get(request.ordinal))]
        recorded = set(self.recorded) if missing else set()
        if lost := [request for request in missing if str(request.ordinal) in recorded]:
            # Created again, it would run again, though it has ended.
            raise Behind(f"#{lost[0].ordinal} of {named(own)}")
        return missing


def _is_missing(stored: Record | None) -> bool:
    """It isn't stored yet; or it is an inline step that was announced, and its run died before recording it."""
    return stored is None or (stored.kind is Kind.INLINE and stored.pending)


def named(own: Record) -> str:
    """A function in a message to people."""
    return f"{own.fn} ({own.id})"


def drifted(
    own: Record, asked: Request | None, stored: Record | None, why: str = "", does: str = "nothing"
) -> NonDeterminismError:
    """The error. It shows both sides with their arguments to the person who repairs it, and without them to a log.

    ``does`` says what the code does where it asks for nothing.
    """
    head = f"{named(own)} drifted from its history" + (f": {why}" if why else "")
    was = f"#{stored.ordinal} {stored.kind} {stored.fn}" if stored is not None else "nothing"
    if stored is None and asked is not None:
        was = f"nothing under #{asked.ordinal}, though the journal goes on"
    present = f"#{asked.ordinal} {asked.kind} {asked.fn}" if asked is not None else does
    lines = [
        head,
        f"  stored:  {was} {_shorten(stored.args)}" if stored is not None else f"  stored:  {was}",
        f"  present: {present} {_shorten(asked.args)}" if asked is not None else f"  present: {present}",
        f"Likely: {_cause(asked, stored)}",
        f"Deploy code that replays the history; then `durable resume {own.id}`, or start it again under its id.",
    ]
    return NonDeterminismError("\n".join(lines), brief=f"{head}; stored: {was}; present: {present}")


def _cause(asked: Request | None, stored: Record | None) -> str:
    if asked is not None and stored is not None and (asked.kind, asked.fn) == (stored.kind, stored.fn):
        return (
            "an argument comes from the clock, from chance or from something else that changes. Take now(), random() or"
            " uuid4(), or read it in a step: run(...)."
        )
    return (
        "a deploy changed the code before this point. Or the code goes by the clock, by chance or by something else"
        " that changes, and not by now(), random(), uuid4() or a step."
    )


def _shorten(args: str, limit: int = 200) -> str:
    if isinstance(args, Stored):
        return "with arguments that are large, or encrypted, and weren't read"
    return args if len(args) <= limit else f"{args[:limit]}…"
