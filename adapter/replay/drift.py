"""Each turn's requests are compared with what is stored: a replay that asks for anything else has drifted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.errors import NonDeterminismError
from adapter.protocol.records import Kind, Record, Stored
from adapter.replay.journal import Journal
from adapter.replay.known import Known
from adapter.replay.steps import Behind, Request


def missing_of(asked: Sequence[Request], known: Known, journal: Journal, name: str) -> list[Request]:
    """The requests of a turn that aren't stored yet. ``name`` is the function's.

    Raises:
        NonDeterminismError: something else is stored, or it was stored at another point of the run.
        Behind: the journal tells of a promise's settlement, and its record is missing.
    """
    leader = known.records.get(asked[0].ordinal)
    if leader is None:
        if journal.recorded or known.last >= asked[0].ordinal:
            raise drifted(name, asked[0], None)
        return list(asked)
    if leader.seen is None or leader.seen != journal.seen:
        raise drifted(name, asked[0], leader, "it was made at another point of the run")
    for request in asked:
        stored = known.records.get(request.ordinal)
        if stored is not None and stored.digest != request.digest:
            raise drifted(name, request, stored)
        if stored is not None and stored is not leader and stored.seen is not None:
            raise drifted(name, request, stored, "it was made later in the run")
    missing = [request for request in asked if _is_missing(known.records.get(request.ordinal))]
    told = set(journal.recorded) if missing else set()
    if lost := [request for request in missing if str(request.ordinal) in told]:
        # Created again, it would run again, though it has ended.
        raise Behind(f"#{lost[0].ordinal} of {name}")
    return missing


def _is_missing(stored: Record | None) -> bool:
    """It isn't stored yet; or it is an inline step that was announced, and its run died before recording it."""
    return stored is None or (stored.kind is Kind.INLINE and stored.pending)


def drifted(name: str, asked: Request | None, stored: Record | None, why: str = "") -> NonDeterminismError:
    """The error. It shows both sides with their arguments to the person who repairs it, and without them to a log."""
    head = f"{name} drifted from its history" + (f": {why}" if why else "")
    was = f"#{stored.ordinal} {stored.kind} {stored.fn}" if stored is not None else "nothing"
    if stored is None and asked is not None:
        was = f"nothing under #{asked.ordinal}, though the journal goes on"
    present = f"#{asked.ordinal} {asked.kind} {asked.fn}" if asked is not None else "nothing"
    lines = [
        head,
        f"  stored:  {was} {_shorten(stored.args)}" if stored is not None else f"  stored:  {was}",
        f"  present: {present} {_shorten(asked.args)}" if asked is not None else f"  present: {present}",
        "Deploy code that replays the history, then start the execution again under the same id.",
    ]
    return NonDeterminismError("\n".join(lines), brief=f"{head}; stored: {was}; present: {present}")


def _shorten(args: str, limit: int = 200) -> str:
    if isinstance(args, Stored):
        return "with arguments that are large, or encrypted, and weren't read"
    return args if len(args) <= limit else f"{args[:limit]}…"
