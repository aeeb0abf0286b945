"""docs/ARCHITECTURE.md says what happens at each write and call, and which test shows it."""

from __future__ import annotations

from pathlib import Path

from tests.faults.crashes.test_crash_table import ROWS

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "ARCHITECTURE.md"


def named_in_the_crash_table() -> list[str]:
    _, _, table = ARCHITECTURE.read_text().partition("| write or call |")
    table, _, _ = table.partition("\n\n")
    return [line.rpartition(" | ")[2].strip(" |`") for line in table.splitlines()[2:]]


def test_every_row_of_the_crash_table_has_its_test_and_every_test_its_row() -> None:
    """Else one of them would rot."""
    assert sorted(named_in_the_crash_table()) == sorted(ROWS)
