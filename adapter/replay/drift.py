"""What a replay says that asks for something other than what is stored: both, and what to do. Pure."""

from __future__ import annotations

from adapter.errors import NonDeterminismError
from adapter.protocol.promises import Record, Stored
from adapter.replay.steps import Request


def drifted(name: str, asked: Request | None, stored: Record | None, why: str) -> NonDeterminismError:
    """The error, with the arguments for who reads it, and without them for a log. ``name`` is the function's."""
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
