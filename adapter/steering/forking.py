"""Forks and retries: a new execution that takes over what another had settled, and goes on from there.

The root is written first, and paused: nothing runs it until all that it takes over is written. So its objects have a
mark to belong to, a removal finds it, and a list shows it. Then come the records below it, each if there is none, and
then the invocations, the root's last. The id, and so every record, follows from what is asked for: a caller that dies
anywhere gives the same command again, which completes the fork, and changes nothing where it is complete. Its time runs
from when it was first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapter.engine.host import EngineHost
from adapter.engine.operations import Create, Invoke, Many, Now
from adapter.errors import IdConflict, UnknownPromise
from adapter.protocol import forks
from adapter.protocol.ids import check_root_id, is_id, root_of
from adapter.protocol.messages import Cause, Resume, Start
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record, State
from adapter.steering.reading import batches
from adapter.steering.recordings import Recording, recorded
from adapter.steering.taking_over import Cut, NoFork, Taken, before, failed, taken_over

_RETRY = re.compile(r"(.*\+retry)(?:-([1-9][0-9]{0,8}))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """An execution that was forked. ``begun``: by this call; otherwise it had begun before, and is as it was."""

    id: str
    of: str
    begun: bool
    settled: int
    pending: int
    after: Sequence[str]


def retry_id(root: str) -> str:
    """The id of the retry of an execution: the first retry's follows from it, and each further one from the former."""
    known = _RETRY.fullmatch(root)
    return f"{root}+retry" if known is None else f"{known[1]}-{int(known[2] or 1) + 1}"


def fork(host: EngineHost, promise: str, *, args: str | None = None, new: str = "") -> Forked:
    """Begin an execution that takes over what was settled before ``promise`` was made.

    Args:
        args: other arguments of the root, as JSON. A call that follows from them and is history then drifts.
        new: its id; by default it follows from the promise.

    Raises:
        UnknownPromise: there is no such promise.
        NoFork: it is an execution, and no promise within one; or it was made while its function cleaned up.
        IdConflict: the id is that of another execution. Nothing was written.
    """
    recording = recorded(host, promise)
    cut = before(recording, promise)
    new = check_root_id(new) if new else f"{recording.root.id}+{promise.partition('~')[2]}"
    return _begun(host, recording, cut, new, args)


def retry(host: EngineHost, promise: str, *, compensated: bool = False) -> Forked:
    """Begin an execution that takes over what a failed one had settled, and makes anew the call that failed.

    Args:
        compensated: also if the code went on after the failure, as a clean-up does. What that has undone stays so.

    Raises:
        UnknownPromise: there is no such execution.
        NoFork: it hasn't failed; or its code went on after the failure. Nothing was written.
    """
    recording = recorded(host, root_of(promise) if is_id(promise) else promise)
    cut = failed(recording)
    new = retry_id(recording.root.id)
    after = taken_over(recording, cut, new, recording.at).after
    if after and not compensated:
        raise NoFork(
            f"{recording.root.id} went on after its failure, and made {_named(after)}: what that has undone isn't done"
            " again by a retry; --compensated retries it all the same"
        )
    return _begun(host, recording, cut, new, None)


def _named(records: Sequence[Record]) -> str:
    shown = ", ".join(f"{one.fn or 'a promise'} ({one.id})" for one in records[:3])
    return f"{shown} and {len(records) - 3} more" if len(records) > 3 else shown


def _begun(host: EngineHost, recording: Recording, cut: Cut, new: str, args: str | None) -> Forked:
    perform = host.ports.perform
    taken = taken_over(recording, cut, new, perform(Now()), args)
    written: Written = perform(Create(taken.root))
    if isinstance(written, Refused):
        stands = _checked(written.stands, taken.root, cut)
        if not _is_incomplete(stands):
            return _forked(taken, cut, begun=False)
        # Somebody died while they forked it. What they have written has the times of their fork.
        taken = taken_over(recording, cut, new, forks.read(stands.fork).eras[-1].until, args)
        written = stands
    _write(host, taken.below, written.expires)
    # The root is invoked last: as long as it hasn't run, the command finds the fork incomplete.
    calls = [one for one in taken.pending if one.kind is Kind.CALL]
    for batch in batches(calls):
        perform(Many(tuple(Invoke(one.target, Start(id=one.id, since=one.created_at)) for one in batch)))
    perform(Invoke(written.target, _first(written, taken.pending)))
    return _forked(taken, cut, begun=True)


def _checked(stands: Record | None, root: Record, cut: Cut) -> Record:
    if stands is None:
        raise UnknownPromise(f"{root.id} was removed meanwhile: give the command again")
    if stands.digest != root.digest or forks.read(stands.fork).of != cut.of:
        raise IdConflict(f"{root.id} is another execution: choose an id for the fork")
    return stands


def _is_incomplete(stands: Record) -> bool:
    """Whether nothing has run it yet. A fork that drifted at once looks alike; to complete it changes nothing."""
    return stands.state is State.PENDING and bool(stands.paused) and not stands.epoch


def _write(host: EngineHost, records: Sequence[Record], expires: int | None) -> None:
    """In order, so that what a death leaves is a history that ends earlier."""
    for batch in batches(replace(one, expires=expires) for one in records):
        host.ports.perform(Many(tuple(Create(one) for one in batch)))


def _first(root: Record, pending: Sequence[Record]) -> Start | Resume:
    """What begins it. A run that checks also dispatches followers and detached calls that no run has dispatched."""
    if any(one.kind in (Kind.FOLLOW, Kind.DETACH) for one in pending):
        return Resume(id=root.id, cause=Cause.CHECK, since=root.created_at)
    return Start(id=root.id, since=root.created_at)


def _forked(taken: Taken, cut: Cut, *, begun: bool) -> Forked:
    after = [one.id for one in taken.after]
    pending = len(taken.pending)
    settled = len(taken.below) - pending
    return Forked(id=taken.root.id, of=cut.of, begun=begun, settled=settled, pending=pending, after=after)
