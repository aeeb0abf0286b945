"""What Hypothesis draws: valid messages with something wrong, JSON of any kind, and texts that are hardly JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.effort import effort

quick = settings(max_examples=effort(75, 600), suppress_health_check=list(HealthCheck))
"""Each directory has its budget: many laws, few examples of each, drawn from what is likely to hurt."""

NAMES = ["os:system", "os.system", "builtins:eval", "builtins.eval", "subprocess:Popen", "antigravity:fly", "a:b.c"]

ODD_TEXTS = [
    "",
    "\0",
    "\ud800",
    "e\u0301",
    "\u202e",
    "x" * 1_200,
    "1",
    "null",
    "~",
    "r~",
    "r~0.",
    "r~" + "9" * 60,
    *NAMES,
]
ODD_NUMBERS: list[Any] = [0, -1, 1.0, 1.5, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308, True]
ODD_NUMBERS += [float("nan"), float("inf"), float("-inf")]


MONSTERS = {
    "<deep list>": "[" * 100_000,
    "<deep object>": '{"a":' * 100_000,
    "<deep and closed>": "[" * 100_000 + "]" * 100_000,
    "<long number>": "9" * 5_000,
    "<long text>": '"' + "x" * 200_000 + '"',
}
"""What Hypothesis couldn't even print is drawn by its name; `swollen` puts it in place."""

DEPTHS = {"<data 200 deep>": 200, "<data 5000 deep>": 5_000}


def swollen(data: Any) -> Any:
    """The data with the monsters that its texts name."""
    if isinstance(data, dict):
        return {key: swollen(value) for key, value in data.items()}
    if isinstance(data, list):
        return [swollen(value) for value in data]
    if not isinstance(data, str):
        return data
    if data in DEPTHS:
        return nested(DEPTHS[data])
    for name, monster in MONSTERS.items():
        data = data.replace(name, monster)
    return data


def nested(depth: int) -> Any:
    """A list in a list in a list, deeper than any stack."""
    inner: Any = []
    for _ in range(depth):
        inner = [inner]
    return inner


texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=6)
numbers = st.sampled_from(ODD_NUMBERS) | st.integers()
leaves = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3), max_leaves=6
)
deep = st.sampled_from(sorted(DEPTHS))


@st.composite
def mutated(draw: st.DrawFn, valid: Sequence[Any], replacements: st.SearchStrategy[Any] = anything) -> Any:
    """One of the valid data, with up to three places dropped, renamed, doubled or replaced."""
    data = copy.deepcopy(draw(st.sampled_from(valid)))
    holder = [data]
    for _ in range(draw(st.integers(1, 3))):
        _damage(draw, holder, replacements)
    return holder[0]


def _damage(draw: st.DrawFn, holder: list[Any], replacements: st.SearchStrategy[Any]) -> None:
    parent, key = draw(st.sampled_from(_places(holder)))
    match draw(st.sampled_from(["replace", "drop", "rename", "wrap", "other"])):
        case "drop" if parent is not holder:
            del parent[key]
        case "rename" if isinstance(parent, dict):
            parent[draw(texts)] = parent.pop(key)
        case "wrap":
            parent[key] = draw(st.sampled_from([[parent[key]], {"$dict": parent[key]}, {"": parent[key]}]))
        case "other":
            # What is valid elsewhere is likelier to be believed here.
            other, there = draw(st.sampled_from(_places(holder)))
            parent[key] = copy.deepcopy(other[there])
        case _:
            parent[key] = draw(replacements)


def _places(holder: list[Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    level: list[Any] = [holder]
    while level:
        node = level.pop()
        keys: Any = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        found += [(node, key) for key in keys]
        level += [node[key] for key in keys]
    return found[:200]


def jsons(valid: Sequence[Any]) -> st.SearchStrategy[str]:
    """Texts of valid data with something wrong, and texts that aren't JSON at all."""
    written = mutated(valid).map(json.dumps)
    cut = st.tuples(st.sampled_from([json.dumps(one) for one in valid]), st.integers(0, 200)).map(
        lambda x: x[0][: x[1]]
    )
    # The shortest value is made monstrous in place, so that all around it still reads.
    monsters = st.sampled_from([*MONSTERS, "1e999", "-1e999", '"\\ud800"', "\ud800"])
    spliced = st.tuples(written, st.integers(0, 60), monsters).map(lambda x: x[0][: x[1]] + x[2] + x[0][x[1] :])
    whole = st.sampled_from([*MONSTERS, "", "null", "NaN", "[]", "\ufeff{}"])
    return written | cut | spliced | whole | texts
