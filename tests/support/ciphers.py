"""A cipher for tests: nothing of a text shows, and a text moved elsewhere is refused. Not for real secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping

KEY = b"for tests only"


class Wrong(Exception):
    """The text was changed, or moved."""


class ToyCipher:
    """`adapter.Cipher`; each encryption gives another text."""

    def __init__(self) -> None:
        self._nonces = itertools.count()

    def encrypt(self, text: str, context: Mapping[str, str]) -> str:
        nonce = next(self._nonces).to_bytes(8, "big")
        data = text.encode()
        hidden = _xor(data, _stream(nonce, len(data)))
        return base64.b64encode(nonce + _tag(nonce, hidden, context) + hidden).decode()

    def decrypt(self, text: str, context: Mapping[str, str]) -> str:
        raw = base64.b64decode(text)
        nonce, tag, hidden = raw[:8], raw[8:40], raw[40:]
        if not hmac.compare_digest(tag, _tag(nonce, hidden, context)):
            raise Wrong
        return _xor(hidden, _stream(nonce, len(hidden))).decode()


def _stream(nonce: bytes, size: int) -> bytes:
    return hashlib.shake_256(KEY + nonce).digest(size)


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _tag(nonce: bytes, hidden: bytes, context: Mapping[str, str]) -> bytes:
    return hmac.digest(KEY, nonce + json.dumps(context, sort_keys=True).encode() + hidden, "sha256")


toy = ToyCipher()
NAME = "tests.support.ciphers:toy"
