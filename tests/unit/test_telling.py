"""The words that the engine and a `LocalCloud` tell: each has its row, each is told, no detail of a row is made up."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import adapter
from adapter.engine.telling import Level, Progress, What
from adapter.testing.happenings import Happening

SILENT = {
    What.RUNNING: {"attempt"},
    What.RETRYING: {"attempt"},
    What.PAUSED: {"drift"},
    What.SETTLED: {"ended"},
    What.CLEANED_UP: {"ended"},
}
"""Details that no line keeps by these names: a line has its attempt anyway, a drift shows arguments, and an execution
that ended is for a local cloud to replay."""


def calls(*names: str) -> Iterator[ast.Call]:
    """Of these functions or methods, in the package's source."""
    for path in sorted(Path(adapter.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
                yield node


def members(node: ast.AST, enum: str) -> set[str]:
    attributes = [one for one in ast.walk(node) if isinstance(one, ast.Attribute)]
    return {one.attr for one in attributes if isinstance(one.value, ast.Name) and one.value.id == enum}


def details(call: ast.Call) -> set[str]:
    """The names in the dict that a `Tell` is made with."""
    (written,) = (one for one in call.args if isinstance(one, ast.Dict))
    return {key.value for key in written.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def told() -> dict[What, set[str]]:
    """Every word that is told somewhere, with the details that come with it."""
    found: dict[What, set[str]] = defaultdict(set)
    for call in calls("Tell"):
        for name in members(call.args[0], "What"):
            found[What[name]] |= details(call)
    return found


@pytest.mark.parametrize("what", What)
def test_every_word_has_a_level_and_a_progress(what: What) -> None:
    """A row without a level would not even import; what is told is a plain string."""
    assert isinstance(what.level, Level)
    assert isinstance(what.progress, Progress)
    assert what == str(what) == what.value


def test_every_word_is_told_somewhere() -> None:
    """A watcher would wait in vain for a word that is never told."""
    assert set(told()) == set(What)


def test_a_line_keeps_the_details_that_are_told_and_no_other() -> None:
    """A detail that is never told explains nothing. A new detail is either kept or named here."""
    assert {what: names - SILENT.get(what, set()) for what, names in told().items()} == {
        what: set(what.keeps) for what in What
    }


def test_every_happening_of_the_cloud_happens() -> None:
    """Its own words are told as the engine's are."""
    assert {name for call in calls("emit", "happened") for name in members(call, "Happening")} == {
        one.name for one in Happening
    }


def test_a_word_means_one_thing() -> None:
    """Watchers see both kinds side by side, as strings."""
    assert {what.value for what in What}.isdisjoint(one.value for one in Happening)
