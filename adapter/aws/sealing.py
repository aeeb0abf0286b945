"""User data on its way into the table and out of it. It may be encrypted, and it is in an object if it is large.

No JSON text begins with one of the marks below, so a stored text is never mistaken for what a user wrote:

- ``@key``: the text is in the object of that key;
- ``!text``: the text is encrypted;
- ``^id`` and a line: a follower took the text over from the promise of that id;
- ``=text``: the text is plain, though it begins like one of these.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.aws.payloads import checked, key_of, known, moved
from adapter.engine.ports import Cipher, Payloads
from adapter.errors import BadMessage, ConfigurationError
from adapter.protocol.ids import is_id
from adapter.protocol.making import changed
from adapter.protocol.records import MAX_OBJECT_BYTES, MAX_PAYLOAD_BYTES, SEALED, Kind, Record, Stored

INLINE_BYTES = 16 * 1024
"""A longer text goes into an object. Each update pays for the whole item, and for an object only once (ADR 0013)."""

OBJECT, ENCRYPTED, CARRIED, PLAIN = "@", "!", "^", "="
MARKS = (OBJECT, ENCRYPTED, CARRIED, PLAIN)
"""A text that begins with one of them has to be opened to be read."""


CHAPTER = "chapter"
"""The part of a function that its chapters are, for a cipher."""

AboutToPut = Callable[[str], None]


def unannounced(promise: str) -> None:
    """Nothing is to be done before."""


def in_object(stored: str) -> bool:
    return _split(stored, "")[1].startswith(OBJECT)


@dataclass(frozen=True, slots=True)
class Sealing:
    """Turns a text into its stored form, and back. Both the bucket and the cipher may be missing."""

    payloads: Payloads | None = None
    cipher: Cipher | None = None

    @property
    def largest(self) -> int:
        """How many bytes a text may have."""
        if self.payloads is not None:
            return MAX_OBJECT_BYTES
        # Two texts, encrypted and written as text, have to fit into one item.
        return MAX_PAYLOAD_BYTES if self.cipher is None else MAX_PAYLOAD_BYTES // 2

    def seal(self, text: str, promise: str, part: str, about_to_put: AboutToPut = unannounced) -> str:
        """The stored form of a part (``args``, ``value``, ``paused``) of a promise. This puts its object, if any.

        ``about_to_put`` is called before that, with the promise's id. If it raises, this raises the same, and puts
        nothing.
        """
        if isinstance(text, Stored):
            return self._carry(text, promise, about_to_put)
        if self.cipher is not None and text:
            stored = f"{ENCRYPTED}{self.cipher.encrypt(text, _context(promise, part))}"
        else:
            stored = f"{PLAIN}{text}" if text.startswith(MARKS) else text
        if self.payloads is None or _fits(stored):
            return stored
        key = key_of(promise, stored)
        about_to_put(promise)
        # The object is put before the item: a reader of the key finds the object.
        self.payloads.put(key, stored)
        return f"{OBJECT}{key}"

    def seal_chapter(self, text: str, promise: str) -> str:
        """The stored form of a chapter's text: encrypted if there is a cipher, and never an object."""
        if self.cipher is None:
            return text
        return f"{ENCRYPTED}{self.cipher.encrypt(text, _context(promise, CHAPTER))}"

    def open_chapter(self, stored: str, promise: str) -> str:
        """The text of a stored chapter; empty if it can't be opened. Then the records are read, and these say why."""
        if not stored.startswith(ENCRYPTED):
            return stored
        try:
            return self._decrypted(stored.removeprefix(ENCRYPTED), promise, CHAPTER)
        except Exception:
            return ""

    def open(self, stored: str, record: Record, part: str) -> str:
        """The text of a stored part of a record.

        Raises:
            BadMessage: its object is gone or isn't the one that was put, or the text belongs to another promise.
            ConfigurationError: it is encrypted, or in an object, and this process has no cipher, or no bucket.
        """
        origin, stored = _split(stored, record.id)
        if origin != record.id and (record.kind is not Kind.FOLLOW or not is_id(origin)):
            raise BadMessage(
                f"{part} of {record.id} is that of {origin[:80]!r}, and only a follower's may be another promise's"
            )
        if stored.startswith(OBJECT):
            key = known(stored.removeprefix(OBJECT))
            stored = checked(key, self._bucket(record.id).get(key))
        if stored.startswith(ENCRYPTED):
            return self._decrypted(stored.removeprefix(ENCRYPTED), origin, part)
        return stored.removeprefix(PLAIN)

    def opened(self, record: Record, parts: Sequence[str] = ()) -> Record:
        """A stored record, with the named parts opened. The others stay as they are, as `Stored`."""
        found: dict[str, Any] = {}
        for name in SEALED:
            stored: str = getattr(record, name)
            if stored.startswith(MARKS):
                found[name] = self.open(stored, record, name) if name in parts else Stored(stored, record.id)
        return changed(record, **found) if found else record

    def without_bucket(self, stored: Stored, promise: str) -> str:
        """A stored text as it stands in no bucket. If it is encrypted, it stays `Stored`. Raises as `open` does."""
        origin, text = _split(stored, stored.origin)
        if text.startswith(OBJECT):
            key = known(text.removeprefix(OBJECT))
            text = checked(key, self._bucket(promise).get(key))
        if not text.startswith(ENCRYPTED):
            return text.removeprefix(PLAIN)
        return Stored(text if origin == promise else f"{CARRIED}{origin}\n{text}", promise)

    def _decrypted(self, text: str, promise: str, part: str) -> str:
        if self.cipher is None:
            raise ConfigurationError(
                f"{part} of {promise} is encrypted: set DURABLE_CIPHER to the cipher's module:name for this Lambda, too"
            )
        try:
            return self.cipher.decrypt(text, _context(promise, part))
        except Exception as error:
            error.add_note(f"decrypting {part} of {promise}")
            raise

    def _carry(self, text: Stored, promise: str, about_to_put: AboutToPut) -> str:
        """Take a text over from another promise, unread.

        Each execution has its own copy of the object, since each is removed alone.
        """
        if not text.startswith((OBJECT, ENCRYPTED, CARRIED)):
            return str(text)
        origin, stored = _split(text, text.origin)
        if stored.startswith(OBJECT):
            key = known(stored.removeprefix(OBJECT))
            mine = moved(key, promise)
            if mine != key:
                about_to_put(promise)
                self._bucket(promise).copy(key, mine)
            stored = f"{OBJECT}{mine}"
        return f"{CARRIED}{origin}\n{stored}"

    def _bucket(self, promise: str) -> Payloads:
        if self.payloads is None:
            raise ConfigurationError(
                f"data of {promise} is in a bucket: set DURABLE_BUCKET to its name for this Lambda, too"
            )
        return self.payloads


def _split(stored: str, origin: str) -> tuple[str, str]:
    """The promise that a text was stored for, and the text as it was stored there."""
    if not stored.startswith(CARRIED):
        return origin, stored
    head, _, rest = stored.removeprefix(CARRIED).partition("\n")
    return head, rest


def _fits(stored: str) -> bool:
    return len(stored) <= INLINE_BYTES and len(stored.encode("utf-8", "surrogatepass")) <= INLINE_BYTES


def _context(promise: str, part: str) -> dict[str, str]:
    return {"promise": promise, "part": part}


def cipher_named(name: str) -> Cipher | None:
    """The cipher that ``DURABLE_CIPHER`` names as ``module:name``; None if it is empty.

    Raises:
        ConfigurationError: there is no such cipher.
    """
    if not name:
        return None
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"DURABLE_CIPHER is {name!r}, but this can't be imported ({error}): it is module:name of an object"
            " with encrypt and decrypt, in this Lambda's code or layer"
        ) from error
    if isinstance(found, type) or not callable(getattr(found, "encrypt", None)):
        raise ConfigurationError(f"DURABLE_CIPHER is {name!r}, which isn't an object with encrypt and decrypt")
    cipher: Cipher = found
    return cipher
