"""Stream records that wait for a person, listed and sent again. A record is forgotten only once it is sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from adapter.engine.host import EngineHost
from adapter.engine.operations import PutAside
from adapter.engine.ports import Aside
from adapter.errors import BadMessage
from adapter.lambdas.aside import Held, packed, unpacked
from adapter.lambdas.resumer import settlement
from adapter.protocol.records import State, attribute


def redrive(host: EngineHost, dry_run: bool) -> Iterator[str]:
    """Send what waits again to the resumer. Died in between: a record is sent twice, and counted twice, which is safe.

    With ``dry_run``, only say what waits.
    """
    aside, count = host.ports.aside, 0
    looked_at: list[str] = []
    for receipt, text in aside.unhandled():
        found = _found(aside, text)
        if found is None:
            yield "left where it is: a message that neither the resumer nor Lambda has put aside"
            looked_at.append(receipt)
            continue
        records, said = found
        yield said
        yield from (f"  {_named(one.record)}" for one in records)
        count += len(records)
        if dry_run:
            looked_at.append(receipt)
            continue
        for one in records:
            # As new: it has a day again.
            host.ports.perform(PutAside(packed(Held(record=one.record)), 0))
        aside.forget(receipt)
    for receipt in looked_at:
        aside.give_back(receipt)
    yield f"{count} records {'would be' if dry_run else 'were'} sent again"


def _found(aside: Aside, text: str) -> tuple[list[Held], str] | None:
    """The records of a message, and what became of them; None where it is no such message."""
    try:
        held = unpacked(text)
    except BadMessage:
        return _of_lambda(aside, text)
    return [held], f"put aside after {held.tries} attempts: {held.why}"


def _of_lambda(aside: Aside, text: str) -> tuple[list[Held], str] | None:
    """Lambda tells where the records were, and not what they were."""
    try:
        data = json.loads(text)
        where, condition = data["DDBStreamBatchInfo"], str(data["requestContext"]["condition"])
        place = [str(where[name]) for name in ("streamArn", "shardId", "startSequenceNumber", "endSequenceNumber")]
        size = int(where["batchSize"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    records = [Held(record=one) for one in aside.reread(*place) if _settles(one)]
    said = f"put aside by Lambda ({condition}), {size} records of {place[1]}"
    return records, said if records else f"{said}: the stream has lost them; the watchdog finds whom they were to wake"


def _settles(record: dict[str, Any]) -> bool:
    """Whether the mapping's filter would let it through, as far as this code knows."""
    change = record.get("dynamodb", {})
    before, after = (attribute(change.get(name, {}), "state") for name in ("OldImage", "NewImage"))
    return before == State.PENDING and after not in (None, State.PENDING)


def _named(record: dict[str, Any]) -> str:
    try:
        one = settlement(record)
    except BadMessage as unreadable:
        return f"unreadable: {unreadable}"
    return f"{one.id} is {one.state.value}"
