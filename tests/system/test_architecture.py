"""docs/ARCHITECTURE.md shows the rooms and a record as they are; of each write and call, which test shows it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from adapter.protocol.records import FIELDS
from tests.faults.crashes.test_crash_table import ROWS
from tests.support.fields import HEAD, explanations, rows

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "adapter"
DOCUMENT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
ABOVE = [{"cli", "testing"}, {"templates"}, {"steering", "timeline"}]
"""Rooms that the picture leaves out: the sentence below it names them."""


def rooms() -> dict[str, str]:
    """The table's first column, and its last."""
    _, _, table = DOCUMENT.partition("| room | subject | files |\n|---|---|---|\n")
    table, _, _ = table.partition("\n\n")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return {room.strip("`").removesuffix(".py"): files for room, _, files in cells}


def layers() -> list[set[str]]:
    """As import-linter checks them, from above."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one.get("containers") == ["adapter"]]
    return [set(re.split(r" [|:] ", layer)) for layer in contract["layers"]]


def modules(room: Path) -> str:
    """Those of a room as the table lists them, those of rooms within it behind."""
    own = " ".join(f"`{file.stem}`" for file in sorted(room.glob("*.py")) if file.stem != "__init__")
    inner = [one for one in sorted(room.iterdir()) if (one / "__init__.py").exists()]
    return "; ".join([own, *(f"`{one.name}/`: {modules(one)}" for one in inner)])


def test_the_table_of_rooms_is_the_tree() -> None:
    """The table has each room with each of its files, and no other."""
    tree = {one.name: modules(one) for one in PACKAGE.iterdir() if (one / "__init__.py").exists()}
    tree |= {file.stem: "" for file in PACKAGE.glob("*.py") if file.stem != "__init__"}
    assert rooms() == tree


def test_the_picture_shows_the_rooms_in_the_order_of_their_imports() -> None:
    """The picture has one line for each layer of the import contract, from above."""
    _, _, picture = DOCUMENT.partition("## The rooms\n\n```\n")
    picture, _, below = picture.partition("```")
    lines = [set(re.findall(r"\b[a-z]+\b", line)) & set(rooms()) for line in picture.splitlines()]
    assert [line for line in lines if line] == layers()[len(ABOVE) :]
    assert layers()[: len(ABOVE)] == ABOVE
    assert all(f"`{room}`" in below.partition("\n\n|")[0] for room in set.union(*ABOVE))


def test_every_room_says_what_always_holds_in_it() -> None:
    """The docstring of its package says it."""
    packages = [file for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE]
    assert all(len(file.read_text().split('"""')[1]) > 60 for file in packages)


def named_in_the_crash_table() -> list[str]:
    _, _, table = DOCUMENT.partition("| write or call |")
    table, _, _ = table.partition("\n\n")
    return [line.rpartition(" | ")[2].strip(" |`") for line in table.splitlines()[2:]]


def test_every_row_of_the_crash_table_has_its_test_and_every_test_its_row() -> None:
    """Otherwise one of them would rot."""
    assert sorted(named_in_the_crash_table()) == sorted(ROWS)


def test_the_table_of_fields_is_that_of_the_record() -> None:
    """``python -m tests.support.fields`` prints it."""
    _, found, table = DOCUMENT.partition(HEAD[0])
    assert (found + table.partition("\n\n")[0]).splitlines() == rows()


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_says_in_one_line_what_it_is(name: str) -> None:
    """The line stands below the field. For a time, it names the unit."""
    said = explanations()[name]
    assert said.endswith(".")
    assert "\n" not in said
    assert "|" not in said
    if name.endswith("_at") or name == "deadline":
        assert "in microseconds since the epoch" in said
