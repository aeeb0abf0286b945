"""How the fields of a record are stored: what follows from each one's type, its default and its marks. Pure.

A value that is its field's default isn't stored, unless the field is marked as stored always: what isn't there is read
as the default. So none, and of what is never none an empty text, zero, false and an empty set take no space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints


class Form(Enum):
    """The forms that values are stored in: a word for each, and its type in DynamoDB's JSON."""

    TEXT = ("text", "S")
    NUMBER = ("number", "N")
    FLAG = ("flag", "BOOL")
    TEXTS = ("set of texts", "SS")
    MAP = ("map, as JSON", "S")

    def __init__(self, word: str, tag: str) -> None:
        self.word = word
        self.tag = tag


class Mark(Enum):
    """What doesn't follow from a field's type and default; its annotation says it."""

    ALWAYS = "stored even where it is the default"
    INDEXED = "in the index of what is due, too"
    SEALED = "user data: encrypted if there is a cipher, in an object where it is large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a record. ``type``: of what it holds where that isn't none."""

    name: str
    type: type
    form: Form
    default: Any
    marks: frozenset[Mark]

    @property
    def optional(self) -> bool:
        """None is its default, and is all that isn't stored of it."""
        return self.default is None


def fields_of(record: type[Any]) -> dict[str, Field]:
    """The fields of a dataclass, by name and in order.

    Raises:
        TypeError: one has a type that has no form.
    """
    hints = get_type_hints(record, include_extras=True)
    return {field.name: _field(field, hints[field.name]) for field in dataclasses.fields(record)}


def marked(fields: Mapping[str, Field], mark: Mark) -> tuple[str, ...]:
    """The names of those with a mark, in order."""
    return tuple(name for name, field in fields.items() if mark in field.marks)


def _field(field: dataclasses.Field[Any], hint: Any) -> Field:
    marks: Sequence[Mark] = ()
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
    alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    held, *others = (get_origin(one) or one for one in alternatives if one is not NoneType)
    form = Form.TEXT if issubclass(held, str) else _FORMS.get(held)
    if form is None or others:
        raise TypeError(f"{field.name} can't be stored: it is {hint}")
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return Field(name=field.name, type=held, form=form, default=default, marks=frozenset(marks))


_FORMS = {int: Form.NUMBER, bool: Form.FLAG, frozenset: Form.TEXTS, Mapping: Form.MAP}
