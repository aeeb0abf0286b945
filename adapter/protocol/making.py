"""Frozen dataclasses of many fields, made as fast as open ones. Pure.

A frozen dataclass sets each field by a call of `object.__setattr__`: a record of forty fields takes six microseconds to
make, and twelve to change, several times in each step. Here an open twin of the class takes the fields, and becomes an
instance of the frozen class once it has them. So nobody ever sees a value that isn't frozen.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")


def quickly_made(frozen: type[T]) -> type[T]:
    """A frozen dataclass with slots, whose instances are made and `changed` fast.

    Raises:
        TypeError: a field without a default follows one that has a default.
    """
    fields = dataclasses.fields(frozen)  # type: ignore[arg-type]
    names = tuple(field.name for field in fields)
    twin: Any = dataclasses.make_dataclass(frozen.__name__, [_open(field) for field in fields], slots=True, eq=False)

    def make(self: Any, **values: Any) -> None:
        _set(self, "__class__", twin)
        twin.__init__(self, **values)
        self.__class__ = frozen

    frozen.__init__ = make  # type: ignore[method-assign]
    # One class may stand for another only while both have the same slots, so a twin is made for each class.
    _TWINS[frozen] = twin, operator.attrgetter(*names)
    return frozen


def _open(field: dataclasses.Field[Any]) -> tuple[str, Any, Any]:
    given: dict[str, Any] = {"default": field.default, "default_factory": field.default_factory}
    return field.name, Any, dataclasses.field(**given)


_TWINS: dict[type[Any], tuple[Any, operator.attrgetter[Any]]] = {}
_set = object.__setattr__


def _changed(value: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`, of a value whose class is `quickly_made`."""
    kind = type(value)
    twin, read = _TWINS[kind]
    made = twin(*read(value))
    for name, change in changes.items():
        setattr(made, name, change)
    made.__class__ = kind
    return made


if TYPE_CHECKING:
    changed = dataclasses.replace
else:
    changed = _changed
