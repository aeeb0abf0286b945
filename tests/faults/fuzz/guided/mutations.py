"""How one input becomes the next: where it is JSON, by its structure; else, and often anyway, by its bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.faults.fuzz.strategies import ODD_NUMBERS, ODD_TEXTS, nested

WRAPS: list[Callable[[Any], Any]] = [
    lambda value: [value],
    lambda value: [value] * 3,
    lambda value: {"$dict": [["a", value]]},
    lambda value: {"$type": "builtins:int", "value": value},
    lambda value: {f"${type(value).__name__}": value},
    lambda value: {"S": str(value)},
    lambda value: {"N": "9" * 38},
    lambda value: str(value),
    lambda value: json.dumps(value),
]


def text_of(data: bytes) -> str:
    """Any bytes as text: lone surrogates are kept, what is no UTF-8 is replaced."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def mutated(data: bytes, size: int, seed: int, by_bytes: Callable[[bytes, int], bytes]) -> bytes:
    """At most ``size`` bytes; the same for the same seed, unless it is libFuzzer's own doing."""
    draw = random.Random(seed)
    text = text_of(data)
    # Some targets read one character before the JSON.
    found = _json(text) or _json(text[1:])
    if found is not None and draw.random() < 0.5:
        made = text[: 0 if _json(text) else 1] + _rewritten(draw, found)
        encoded = made.encode("utf-8", "surrogatepass")
        if len(encoded) <= size:
            return encoded
    return by_bytes(data, size)


def _json(text: str) -> list[Any] | None:
    """The value in a list of its own, so that it has a place, too."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return None


def _rewritten(draw: random.Random, holder: list[Any]) -> str:
    try:
        for _ in range(draw.randint(1, 3)):
            _change(draw, holder)
        return json.dumps(holder[0], ensure_ascii=draw.random() < 0.5)
    except (ValueError, RecursionError):
        # Deeper than any stack, by now.
        return "[]"


def _places(holder: list[Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    level: list[Any] = [holder]
    while level and len(found) < 2_000:
        node = level.pop()
        keys: Any = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        found += [(node, key) for key in keys]
        level += [node[key] for key in keys]
    return found


def _change(draw: random.Random, holder: list[Any]) -> None:
    places = _places(holder)
    parent, key = draw.choice(places)
    there, other = draw.choice(places)
    match draw.randrange(9):
        case 0 if parent is not holder:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[draw.choice([*ODD_TEXTS, *(name for _, name in places if isinstance(name, str))])] = parent.pop(key)
        case 2:
            parent[key] = draw.choice(WRAPS)(parent[key])
        case 3:
            # A copy: what holds itself is no JSON.
            parent[key] = json.loads(json.dumps(there[other]))
        case 4 if isinstance(parent, list):
            parent[key:key] = [parent[key]] * draw.choice([1, 2, 40, 1_000])
        case 5:
            parent[key] = draw.choice(ODD_NUMBERS)
        case 6 if isinstance(parent[key], str) and parent[key]:
            at = draw.randrange(len(parent[key]))
            grown = parent[key][at:] * draw.choice([2, 20, 500])
            piece = draw.choice([grown, draw.choice("~.*0129,tc$:@!^=\0\n%é"), ""])
            parent[key] = parent[key][:at] + piece + parent[key][at + draw.randrange(2) :]
        case 7:
            for _ in range(draw.choice([2, 15, 90, 300])):
                parent[key] = {key: parent[key]} if isinstance(parent, dict) else [parent[key]]
        case _:
            parent[key] = draw.choice([*ODD_TEXTS, None, True, [], {}, nested(3)])
