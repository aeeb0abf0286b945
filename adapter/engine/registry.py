"""The durable functions that this process's code defines, by name. An invocation finds its code here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CellType
from typing import Any

from adapter.codec import Signature, decode
from adapter.engine.caller import Waking
from adapter.engine.hosts import storable
from adapter.errors import DuplicateName, UnknownFunction
from adapter.protocol.retries import Retry


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A durable function, as its code defines it. ``retry`` is its own policy, ``wake`` how its calls resume it; None
    where it says nothing. ``pin``: each execution stays with the version of the code that it began with.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature
    retry: Retry | None = None
    wake: Waking | None = None
    pin: bool = False
    is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))

    @property
    def origin(self) -> str:
        """The module and the name of its code."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    def body(self, args: str) -> Any:
        """Call the function itself with encoded arguments."""
        positional, named = self.signature.decode_args(args)
        return self.function(*positional, **named)

    def encode_result(self, value: object) -> str:
        """Encode what the function returned. Raises CodecError or PayloadTooLarge if it can't be stored."""
        return storable(self.signature.encode_result(value), f"the result of {self.name}")


definitions: dict[str, Definition] = {}
_lingering: set[str] = set()
_instead: list[tuple[Mapping[str, Definition], Mapping[str, Definition] | None]] = []


def define(definition: Definition) -> None:
    """Register a function under its name.

    Raises:
        DuplicateName: another function of this process has the name; a reload of the same one is fine.
    """
    known = definitions.get(definition.name)
    if known is not None and known.origin != definition.origin:
        raise DuplicateName(
            f"{definition.name!r} names both {known.origin} and {definition.origin}; give one another name="
        )
    definitions[definition.name] = definition
    if definition.wake is Waking.LINGER:
        _lingering.add(definition.name)


def check_newest(definition: Definition) -> None:
    """Refuse a function in whose place another closure of the same code now has the name.

    A call travels by its name, so it would run that one. It is the code's identity that tells closures from a reload:
    a reload compiles the code again.

    Raises:
        DuplicateName: there is such a closure.
    """
    newest = definitions.get(definition.name)
    if newest is None or newest is definition:
        return
    mine, others = definition.function, newest.function
    if mine.__code__ is others.__code__ and not _same_values(mine, others):
        raise DuplicateName(
            f"{definition.name!r} was made more than once, with different variables around it. A call travels by its"
            " name, so the last one would run. Give each a name of its own, @durable(name=...), or make what differs an"
            " argument"
        )


def _same_values(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions of the same code do the same, as far as their variables and defaults tell."""
    mine, others = _values(one), _values(other)
    return len(mine) == len(others) and all(map(_equal, mine, others))


def _values(function: Any) -> list[object]:
    named = (function.__kwdefaults__ or {}).values()
    return [*map(_content, function.__closure__ or ()), *(function.__defaults__ or ()), *named]


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # Not set yet: the function is made before a variable that it uses.
        return None


def _equal(one: object, other: object) -> bool:
    try:
        return one is other or (type(one) is type(other) and bool(one == other))
    except Exception:  # Any class may compare as it likes.
        return False


def find(name: str) -> Definition:
    """The durable function of a name.

    Raises:
        UnknownFunction: this process's code defines none.
    """
    others, code = _instead[-1] if _instead else ({}, None)
    definition = others.get(name) or (definitions if code is None else code).get(name)
    if definition is None:
        raise UnknownFunction(
            f"this Lambda's code defines no durable function {name[:200]!r}: import its module in the handler's,"
            " or give the function the target of the Lambda that has it"
        )
    return definition


def lingers() -> bool:
    """Whether any function lingers by its own definition."""
    return bool(_lingering)


class instead:  # noqa: N801
    """A context: while it is open, `find` finds these first. Within another one only the inner one's count.

    ``code``: and after them only these, a version's own; None: those of the process.
    """

    def __init__(self, others: Mapping[str, Definition], code: Mapping[str, Definition] | None = None) -> None:
        self._found = others, code

    def __enter__(self) -> None:
        _instead.append(self._found)

    def __exit__(self, *_: object) -> None:
        _instead.pop()


def reader(name: str) -> Callable[[str], Any]:
    """The decoder of a function's result: by its annotation, if the function is known here."""
    definition = definitions.get(name)
    return decode if definition is None else definition.signature.decode_result
