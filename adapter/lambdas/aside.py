"""Stream records that the resumer puts aside, so that they hold up no other records of their shard.

A record that failed comes again by a queue, after pauses that grow, for a day. A record that has failed for a day, or
that no code of this version can handle, waits in another queue. A person sends it again by ``durable redrive``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from adapter.errors import BadMessage
from adapter.protocol.messages import MARK, READABLE, VERSION
from adapter.protocol.times import DAY

KEPT = DAY
"""Microseconds for which a record is tried again; a stream keeps it for as long."""

PAUSES = (5, 15, 45, 135, 405, 900)
"""Seconds before each further attempt; the last one stands for all that follow."""

LARGEST = 200_000
"""Bytes of a record in a message, which SQS bounds at 256 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A stream record as Lambda hands it over, and what became of it before.

    ``tries`` times it failed, for the first time at ``since`` (microseconds), and last because of ``why``.
    """

    record: dict[str, Any]
    tries: int = 0
    since: int = 0
    why: str = ""

    @property
    def number(self) -> str:
        """Its sequence number, by which a batch knows it."""
        return str(self.record["dynamodb"]["SequenceNumber"])

    @property
    def pause(self) -> int:
        """Seconds until it is to come again."""
        return PAUSES[min(self.tries, len(PAUSES)) - 1]


def packed(held: Held) -> str:
    """The message of a queue. A large record goes without what no resumer reads."""
    text = json.dumps(held.record, separators=(",", ":"))
    record = held.record if len(text) <= LARGEST else _smaller(held.record)
    body = {MARK: VERSION, "record": record, "tries": held.tries, "since": held.since, "why": held.why[:500]}
    return json.dumps(body, separators=(",", ":"))


def _smaller(record: dict[str, Any]) -> dict[str, Any]:
    change = {name: part for name, part in record["dynamodb"].items() if name != "OldImage"}
    image = change.get("NewImage")
    if isinstance(image, dict):
        change["NewImage"] = {name: part for name, part in image.items() if name != "args"}
    return {**record, "dynamodb": change}


def unpacked(body: object) -> Held:
    """Read a message of a queue.

    Raises:
        BadMessage: it isn't one of ours.
    """
    try:
        data = json.loads(body if isinstance(body, str) else "")
        record, tries, since, why = (data[name] for name in ("record", "tries", "since", "why"))
        if data[MARK] not in READABLE or not isinstance(record["dynamodb"]["SequenceNumber"], str):
            raise ValueError("of another version, or without a number")
        if type(tries) is not int or type(since) is not int or tries < 0 or not isinstance(why, str):
            raise TypeError("tries, since or why is of another type")
    except (ValueError, TypeError, KeyError, RecursionError) as unreadable:
        raise BadMessage(f"a message in a queue of stream records can't be read: {repr(unreadable)[:200]}") from None
    return Held(record=record, tries=tries, since=since, why=why)
