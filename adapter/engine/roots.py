"""Starting a root: its promise is written, then it is set going. Pure: it yields operations."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Any

from adapter.engine.operations import Create, Invoke, Operation, SendAt
from adapter.protocol.messages import Look, Start
from adapter.protocol.promises import Record, Refused, Written
from adapter.protocol.timing import indexed, is_far


def start_root(root: Record, dispatched: Collection[str] = ()) -> Generator[Operation, Any, tuple[bool, Record]]:
    """Create a root and set it going, unless it is among the ``dispatched``: whether it was created, and what stands.

    The promise before its invocation: died in between, the retry of the same request, which is known by ``by``,
    invokes. Its deadline before that: the root may settle, and nothing would be left to set it.
    """
    root = indexed(root)
    written: Written = yield Create(root)
    stands = written.stands if isinstance(written, Refused) else written
    assert stands is not None
    mine = bool(root.by) and stands.by == root.by and stands.digest == root.digest
    again = mine and stands.pending and root.id not in dispatched
    if not isinstance(written, Refused) or again:
        if stands.deadline is not None and not is_far(stands.deadline, stands.created_at):
            yield SendAt(stands.target, Look(id=stands.id), stands.deadline)
        yield Invoke(stands.target, Start(id=stands.id))
    return not isinstance(written, Refused), stands
