"""The table of a record's fields in docs/ARCHITECTURE.md: ``python -m tests.support.fields`` prints it."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap

from adapter.protocol.fields import Field, Mark
from adapter.protocol.records import FIELDS, Record

HEAD = ("| field | stored as | what it says |", "|---|---|---|")


def explanations() -> dict[str, str]:
    """What stands below each field of the record, in its source."""
    (record,) = ast.parse(textwrap.dedent(inspect.getsource(Record))).body
    assert isinstance(record, ast.ClassDef)
    found = {}
    for one, following in itertools.pairwise(record.body):
        match one, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def rows() -> list[str]:
    """The lines of the table."""
    said = explanations()
    return [*HEAD, *(f"| `{name}` | {_stored_as(field)} | {said[name]} |" for name, field in FIELDS.items())]


def _stored_as(field: Field) -> str:
    if Mark.KEY in field.marks:
        return "the key"
    words = [f"{field.form.word} or none" if field.optional else field.form.word]
    if Mark.ALWAYS in field.marks:
        words.append("always")
    if Mark.INDEXED in field.marks:
        words.append("indexed")
    if Mark.SEALED in field.marks:
        words.append("user data")
    return ", ".join(words)


if __name__ == "__main__":
    print("\n".join(rows()))
