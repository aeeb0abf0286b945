"""Starting a root, and following one: the promise is written first, and then dispatched. Pure: it yields operations."""

from __future__ import annotations

import json
from collections.abc import Generator, MutableSet
from typing import Any

from adapter.engine.caller import Caller
from adapter.engine.operations import Create, Invoke, Now, Operation, Register, SendAt
from adapter.errors import IdConflict, TooManyFollowers, UnknownPromise
from adapter.protocol.messages import Look, Start
from adapter.protocol.promises import Refusal, Refused, Written, copied
from adapter.protocol.records import Kind, Record, digest_of
from adapter.protocol.times import Instant
from adapter.protocol.timing import indexed, is_far
from adapter.replay.outcomes import Outcome, rejected, resolved


def start_root(root: Record, again: bool = True) -> Generator[Operation, Any, tuple[bool, Record]]:
    """Create a root and invoke it. Returns whether it was created, and the record that stands.

    The promise is written before the invocation. If this run dies in between, the retry of its request invokes the
    root, which it knows by ``by`` (only if ``again``). The deadline's message is sent before the invocation: once the
    root had settled, no retry would send it.
    """
    root = indexed(root)
    written: Written = yield Create(root)
    stands = written.stands if isinstance(written, Refused) else written
    assert stands is not None
    mine = bool(root.by) and stands.by == root.by and stands.digest == root.digest
    if not isinstance(written, Refused) or (again and mine and stands.pending):
        if stands.deadline is not None and not is_far(stands.deadline, stands.created_at):
            yield SendAt(stands.target, Look(id=stands.id), stands.deadline)
        yield Invoke(stands.target, Start(id=stands.id, since=stands.created_at))
    return not isinstance(written, Refused), stands


def follow(child: Record, caller: Caller, dispatched: MutableSet[str]) -> Generator[Operation, Any, Outcome | None]:
    """Let a function's promise settle as the root that it follows does, or as soon as the root exists (``DETACH``).

    If the promise names its root's function, the root is started first, and added to ``dispatched``. Returns the
    outcome of a promise that can settle at once; None if the root's settlement will settle it. If the run dies
    anywhere, the retry of its request finds the promise pending, and does all of this again.
    """
    if child.fn:
        root = _root_of(child, caller, (yield Now()))
        created, stands = yield from start_root(root, again=root.id not in dispatched)
        dispatched.add(root.id)
        if stands.digest != root.digest:
            return rejected(
                IdConflict(f"{child.root!r} is already an execution of {stands.fn}, or has other arguments")
            )
        if child.kind is Kind.DETACH:
            return resolved(json.dumps(child.root))
        if created:
            return None
    written: Written = yield Register(child.root, child.id)
    if not isinstance(written, Refused):
        return None
    if written.stands is None:
        return rejected(UnknownPromise(f"there is no promise {child.root!r}"))
    if written.why is Refusal.FULL:
        count = len(written.stands.awaiters)
        return rejected(
            TooManyFollowers(
                f"{child.root!r} is awaited by {count} promises already, and takes no more: let one function await it,"
                " and start the others"
            )
        )
    return Outcome(*copied(written.stands.state, written.stands.value))


def _root_of(child: Record, caller: Caller, now: Instant) -> Record:
    return Record(
        id=child.root,
        fn=child.fn,
        target=child.target,
        args=child.args,
        digest=digest_of(Kind.CALL, child.fn, child.args),
        created_at=now,
        by=caller.request_id,
        deadline=child.deadline,
        retry=child.retry,
        # The detached call's promise settles once this root exists. Until then the root must not be removed.
        detached_by=child.id if child.kind is Kind.DETACH else "",
        awaiters=frozenset({child.id} if child.kind is Kind.FOLLOW else ()),
        tags=child.tags,
    )
