"""How a record's fields are stored. It follows from each field's type, its default and its marks. Pure.

A store leaves out a value that is its field's default, and reads a missing attribute as the default. A field that is
marked `ALWAYS` is stored all the same. So none takes no space, nor do an empty text, zero, false and an empty set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints


class Form(Enum):
    """The forms in which values are stored: the word for each, and its type in DynamoDB's JSON."""

    TEXT = ("text", "S")
    NUMBER = ("number", "N")
    FLAG = ("flag", "BOOL")
    TEXTS = ("set of texts", "SS")
    MAP = ("map, as JSON", "S")

    def __init__(self, word: str, tag: str) -> None:
        self.word = word
        self.tag = tag


class Mark(Enum):
    """What a field's type and default don't say, so its annotation does."""

    KEY = "stored as the item's key, and nowhere else in the item"
    ALWAYS = "stored even where it is the default"
    INDEXED = "in the index of what is due, too"
    SEALED = "user data: encrypted if there is a cipher, in an object where it is large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a record. ``type`` is the type of its value, none aside."""

    name: str
    type: type
    form: Form
    default: Any
    marks: frozenset[Mark]

    @property
    def optional(self) -> bool:
        """Its default is None, and None is the only value of it that isn't stored."""
        return self.default is None


def fields_of(record: type[Any]) -> dict[str, Field]:
    """The fields of a dataclass, by name and in order.

    Raises:
        TypeError: one has a type that has no form.
    """
    hints = get_type_hints(record, include_extras=True)
    return {field.name: _field(field, hints[field.name]) for field in dataclasses.fields(record)}


def marked(fields: Mapping[str, Field], mark: Mark) -> tuple[str, ...]:
    """The names of the fields with a mark, in order."""
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
