"""Values to JSON text and back, directed by their annotation.

Invariant: ``decode(encode(v, T), T)`` equals ``v`` with the same types all the way down, and encoding that once more
gives the same text. A value that can't keep this promise is a ``CodecError`` when it is encoded, never later.

An annotation is compiled once into a ``Plan``, a pair of functions between values and JSON data. The data is what a
person would write by hand. Only where that would be ambiguous, an object whose first key begins with ``$`` wraps it.
Names in data are compared with names of the annotation, and never imported or evaluated.
"""

from __future__ import annotations

from adapter.codec.signature import Signature
from adapter.codec.tags import Runtime
from adapter.codec.text import decode, encode, encode_natural, from_data, to_data

__all__ = ["encode", "decode", "encode_natural", "to_data", "from_data", "Runtime", "Signature"]
