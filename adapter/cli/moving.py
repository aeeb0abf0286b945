"""Renamed Lambdas: under which name each is found. A move that can't be is refused, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.cli.acting import Unfit
from adapter.engine.caller import Caller
from adapter.engine.host import EngineHost
from adapter.protocol.addresses import split
from adapter.protocol.moves import Moves, named


def listed(host: EngineHost) -> Iterator[str]:
    """The moves that stand, each with the whole way."""
    found = host.ports.moves.read()
    for old in sorted(found.to):
        yield named(old, found.way(old))
    if not found.to:
        yield "no Lambda was moved"


def move(host: EngineHost, old: str, new: str) -> Iterator[str]:
    """From now on find the Lambda ``old`` under the name ``new``, once there is none of its old name any more.

    Died in between: the move stands, or it doesn't and may be given again.

    Raises:
        Unfit: there can be no such move.
    """
    old, new = _lambda(host, old), _lambda(host, new)
    before: list[str] = []

    def moved(stands: Moves) -> Moves:
        if (why := stands.objection(old, new)) is not None:
            raise Unfit(f"nothing was moved: {why}")
        before[:] = [stands.to.get(old, "")]
        return stands.moved(old, new)

    after = host.ports.moves.change(moved)
    instead = f", and no longer to {before[0]}" if before[0] not in ("", new) else ""
    yield f"{named(old, after.way(old))}{instead}"
    yield f"what names {old} goes to {new} where Lambda has no {old}: as long as there is one, nothing changes"
    yield "what is paused goes on within some 15 minutes, or at once with durable resume ID"


def undo(host: EngineHost, old: str) -> str:
    """Take a move back. Died in between: as `move`.

    Raises:
        Unfit: it was never moved.
    """
    old = _lambda(host, old)

    def undone(stands: Moves) -> Moves:
        if old not in stands.to:
            raise Unfit(f"{old} was not moved: durable move lists what was")
        return stands.undone(old)

    host.ports.moves.change(undone)
    return f"{old} is moved no more"


def _lambda(host: EngineHost, name: str) -> str:
    """A Lambda's name, whole, from that or from the target that a function has."""
    prefix = host.ports.prefix
    whole = name.startswith(prefix) or split(name)[0] == host.ports.default_target
    return name if whole else Caller("", prefix).qualify(name)
