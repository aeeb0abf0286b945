"""The keys that sign envelopes: a note of the promises' table, which the first sender of one makes.

So there is nothing to deploy. The stack's own roles, which may send envelopes, can sign them; a sender of events can't.
A sandbox reads the note once in an hour at most, and when it meets an envelope that no key it knows has signed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from adapter.aws.notes import MARK, Note
from adapter.engine.ports import Clock
from adapter.errors import UnsignedEnvelope
from adapter.protocol.signatures import Key, Ring, ring
from adapter.protocol.times import EPOCH, MINUTE

PARTITION = f"{MARK}keys"

FRESH = 60 * MINUTE
"""For so long a sandbox signs by what it has read: then it may be that the key was replaced."""


class Signatures:
    """`adapter.engine.ports.Signer` by keys that are kept somewhere. One for each sandbox."""

    def __init__(self, keys: Note, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._ring: Ring | None = None
        self._read_at = EPOCH

    def sign(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        return self.signing().sign(envelope)

    def signing(self) -> Ring:
        """The keys by which it signs now."""
        known = self._ring if self._clock.now() < self._read_at + FRESH else self._read()
        return known or self._made()

    def check(self, envelope: Mapping[str, Any]) -> None:
        if self._ring is not None and self._ring.signed(envelope):
            return
        # Its key is newer than what this sandbox has read, perhaps.
        known = self._read()
        if known is None or not known.signed(envelope):
            raise UnsignedEnvelope(
                "an event looks like an envelope of lambda-await, and none of this table's keys signed it: nothing was"
                " done. An event of your own mustn't have the key 'lambda-await' at its top"
            )

    def rotate(self, *, drop: bool = False) -> None:
        """Another key signs from now on. A caller that dies before this is done has changed nothing."""
        while True:
            was = self._keys.read()
            ringed = Ring(()) if was is None else ring(was)
            if self._keys.write(ringed.rotated(_fresh(), self._clock.now(), drop=drop).to_text(), was):
                self._ring = None
                self._read_at = EPOCH
                return

    def _read(self) -> Ring | None:
        text = self._keys.read()
        self._ring, self._read_at = None if text is None else ring(text), self._clock.now()
        return self._ring

    def _made(self) -> Ring:
        """The first ring. A sandbox that makes one at the same time finds this one, or this finds the other's."""
        self._keys.write(Ring((_fresh(),)).to_text(), None)
        made = self._read()
        assert made is not None, "nothing removes it"
        return made


def _fresh() -> Key:
    return Key(name=secrets.token_hex(4), secret=secrets.token_bytes(32))
