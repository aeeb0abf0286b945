"""What tells our envelopes from events that look like them: a MAC, under a key that no sender of events has. Pure.

The MAC is over the whole envelope, and is the same in each version of envelopes: it is checked before anything else is
read. A key ring has several keys. The first signs, and each of them is good, since messages that an earlier key signed
may still lie in a queue, and sandboxes that know nothing of a newer one still sign with it.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapter.errors import BadMessage
from adapter.protocol.times import DAY, EPOCH, LATEST, Instant

NAME = "key"
"""Of the key that signed an envelope."""

MAC = "mac"

OVERLAP = 30 * DAY
"""For so long a key is good after it was replaced. A queue keeps a message for 14 days at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """``name`` is no secret. ``replaced_at``: `EPOCH` if it isn't."""

    name: str
    secret: bytes = field(repr=False)
    replaced_at: Instant = EPOCH


@dataclass(frozen=True, slots=True)
class Ring:
    """At least one key; the first signs."""

    keys: tuple[Key, ...]

    def sign(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        """The envelope with the name of the key, and a MAC over both."""
        named = {**envelope, NAME: self.keys[0].name}
        return {**named, MAC: _mac(named, self.keys[0])}

    def signed(self, envelope: Mapping[str, Any]) -> bool:
        """Whether one of its keys signed this, as it is."""
        given = envelope.get(MAC)
        if not isinstance(given, str):
            return False
        good = [_mac(envelope, key) for key in self.keys if key.name == envelope.get(NAME)]
        return any(hmac.compare_digest(mac.encode(), given.encode("utf-8", "surrogatepass")) for mac in good if mac)

    def rotated(self, fresh: Key, now: Instant, *, drop: bool = False) -> Ring:
        """A fresh key signs from ``now`` on; the others stay good for a while, unless they are dropped."""
        kept = [replace(key, replaced_at=key.replaced_at or now) for key in self.keys]
        return Ring((fresh, *(key for key in kept if not drop and now < key.replaced_at + OVERLAP)))

    def to_text(self) -> str:
        keys = [[key.name, base64.b64encode(key.secret).decode(), key.replaced_at] for key in self.keys]
        return json.dumps(keys, separators=(",", ":"))


def ring(text: str) -> Ring:
    """Read what `Ring.to_text` wrote. Raises BadMessage: it isn't that."""
    try:
        keys = tuple(_key(*each) for each in json.loads(text))
        if not keys:
            raise ValueError("it has no key")
    except (ValueError, TypeError, RecursionError) as unreadable:
        raise BadMessage(f"the keys of envelopes can't be read: {type(unreadable).__name__}") from None
    return Ring(keys)


def _key(name: str, secret: str, replaced_at: int) -> Key:
    known = isinstance(name, str) and isinstance(secret, str) and type(replaced_at) is int
    if not known or len(secret) < 32 or not 0 <= replaced_at < LATEST:
        raise ValueError("something is of another type, or too short")
    return Key(name=name, secret=base64.b64decode(secret, validate=True), replaced_at=Instant(replaced_at))


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _mac(envelope: Mapping[str, Any], key: Key) -> str:
    """The MAC over all but the MAC itself. Empty where there can be none: of what isn't JSON."""
    covered = {name: value for name, value in envelope.items() if name != MAC}
    try:
        text = _ENCODER.encode(covered)
    except (TypeError, ValueError, RecursionError):
        return ""
    mac = hmac.digest(key.secret, f"lambda-await envelope\0{text}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).decode()
