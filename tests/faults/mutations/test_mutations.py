"""The table of deliberate bugs still fits the code; `make mutations` applies them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "mutations.md"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_exactly_one_place_and_is_checked_by_tests_that_exist(mutation: Mutation) -> None:
    """Otherwise the table would rot, and nobody would see it."""
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    for test in mutation.check:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file()
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text()


def test_the_document_says_of_every_mutation_what_it_is_and_what_noticed_it() -> None:
    """It has no other rows: `make mutations` printed it."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")][1:]
    said = [tuple(cell.strip() for cell in row.split("|")[1:4]) for row in rows]
    assert said == [(mutation.name, mutation.breaks, mutation.bug) for mutation in MUTATIONS]
    assert all("`" in row and "**" not in row for row in rows)


def test_no_two_mutations_have_one_name() -> None:
    """`make mutations` chooses them by it."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
