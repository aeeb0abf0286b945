"""Exceptions to JSON text and back.

Invariant: encoding never fails, and decoding neither imports anything nor runs a class's constructor. A class is only
    looked up in the modules that this process has loaded, and an exception is restored field by field. If it wouldn't
    print as it did before, it becomes a ``RemoteError``.
"""

from __future__ import annotations

import json
import sys
import traceback
import types
import weakref
from typing import Any

from adapter.codec.tags import Runtime
from adapter.codec.text import encode, from_data
from adapter.errors import CodecError, RemoteError, RemoteTraceback

_MAX_MESSAGE = 64 * 1024
_MAX_TRACEBACK = 8 * 1024
_MAX_GROUPS = 20  # Levels of groups within groups.

# Classes that functions define, as tests and notebooks do, can't be found by their name.
_LOCAL: weakref.WeakValueDictionary[str, type[BaseException]] = weakref.WeakValueDictionary()

# Attributes beside ``args`` and ``__dict__`` that a builtin class has, and that its constructor wouldn't restore.
_BUILTIN_ATTRIBUTES: dict[type[BaseException], tuple[str, ...]] = {
    ImportError: ("name", "path"),
    AttributeError: ("name",),
    NameError: ("name",),
}


MAX_BYTES = 160 * 1024
"""Bytes of an encoded exception: it has to fit into a record beside the arguments."""

_ESSENTIAL = {"class", "message", "traceback"}  # The fields that are kept where the rest doesn't fit.


def encode_exception(exc: BaseException) -> str:
    """The JSON text of an exception, with its attributes, notes, traceback and, for a group, its members."""
    data = _pack(exc, 0)
    for kept in (data.keys(), {*_ESSENTIAL, "attributes"}, _ESSENTIAL):
        text = _dumps({key: value for key, value in data.items() if key in kept})
        if len(_utf8(text)) <= MAX_BYTES:
            return text
    # Escaped, a text of control characters is six times as long.
    return _dumps({key: value[: MAX_BYTES // 32] for key, value in data.items() if key in _ESSENTIAL})


def _dumps(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def decode_exception(text: str) -> BaseException:
    """The exception as it was, or else a ``RemoteError``; its ``__cause__`` is a ``RemoteTraceback``."""
    try:
        return _unpack(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise CodecError(f"an exception can't be read: {type(error).__name__}: {error}") from None


def named_in(text: str) -> tuple[str, str]:
    """The class and the message of an encoded exception, without making it: ``shop.errors.Declined``, ``ValueError``.

    Both are empty where the text is no such exception.
    """
    try:
        data = json.loads(text)
        return _part(data, "class", str, "").replace(":", ".").removeprefix("builtins."), _part(
            data, "message", str, ""
        )
    except (ValueError, RecursionError):
        return "", ""


def _pack(exc: BaseException, depth: int) -> dict[str, Any]:
    kind = type(exc)
    name = _head(f"{kind.__module__}:{kind.__qualname__}")
    if "<locals>" in name:
        _LOCAL[name] = kind
    message = _message(exc)
    members = exc.exceptions if isinstance(exc, BaseExceptionGroup) and depth < _MAX_GROUPS else ()
    data = {
        "class": name,
        "message": f"<unprintable {kind.__name__}>" if message is None else message,
        "args": _stored(_arguments(exc)),
        "attributes": _attributes(exc) or None,
        "notes": _notes(exc) or None,
        "traceback": _traceback(exc),
        "group": [_pack(member, depth + 1) for member in members] or None,
    }
    return {key: value for key, value in data.items() if value is not None}


def _unpack(data: Any) -> BaseException:
    name, message = _part(data, "class", str, ""), _part(data, "message", str, "")
    members = [_unpack(member) for member in _part(data, "group", list, [])]
    kind = _find(name)
    exc = None if kind is None else _restored(kind, message, data, members)
    if exc is None:
        exc = RemoteError(message, name.replace(":", ".").removeprefix("builtins."))
    for note in _part(data, "notes", list, []):
        exc.add_note(str(note))
    exc.__cause__ = RemoteTraceback(_part(data, "traceback", str, ""))
    return exc


def _part(data: Any, key: str, kind: type, default: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get(key, default), kind):
        raise ValueError(f"it has no valid {key!r}")
    return data.get(key, default)


def _stored(value: object) -> Any:
    """JSON data of any value; None if it can't be stored, or is too large."""
    try:
        text = encode(value, Runtime)
    except CodecError:
        return None
    return json.loads(text) if len(text) <= _MAX_MESSAGE else None


def _loaded(data: object) -> Any:
    return from_data(data, Runtime)


def _arguments(exc: BaseException) -> object:
    """The arguments from which a builtin constructor restores the exception."""
    if isinstance(exc, BaseExceptionGroup):
        return [exc.message]
    args = list(BaseException.args.__get__(exc))  # type: ignore[attr-defined] # never a property of a user's class
    if isinstance(exc, OSError) and len(args) == 2 and exc.filename is not None:
        return [*args, exc.filename] if exc.filename2 is None else [*args, exc.filename, None, exc.filename2]
    return args


def _builtin_attributes(kind: type[BaseException]) -> tuple[str, ...]:
    return next((names for base, names in _BUILTIN_ATTRIBUTES.items() if issubclass(kind, base)), ())


def _attributes(exc: BaseException) -> dict[str, Any]:
    values: dict[str, object] = {name: getattr(exc, name, None) for name in _builtin_attributes(type(exc))}
    values = {name: value for name, value in values.items() if value is not None}
    values |= {name: value for name, value in exc.__dict__.items() if type(name) is str and not name.startswith("_")}
    stored = {_head(name): _stored([value]) for name, value in values.items()}
    return {name: data[0] for name, data in stored.items() if data is not None}


def _notes(exc: BaseException) -> list[str]:
    notes = exc.__dict__.get("__notes__")
    return [_head(note) for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []


def _message(exc: BaseException) -> str | None:
    try:
        return _head(str(exc))
    except Exception:
        return None


def _traceback(exc: BaseException) -> str:
    """The traceback of the machine where it was raised, however many machines it has crossed since."""
    if isinstance(exc.__cause__, RemoteTraceback):
        return _utf8(exc.__cause__.text)[-_MAX_TRACEBACK:].decode(errors="ignore")
    try:
        lines = traceback.format_exception(exc)
    except Exception:
        lines = [type(exc).__name__]
    return _utf8("".join(lines))[-_MAX_TRACEBACK:].decode(errors="ignore")


def _head(text: str) -> str:
    return _utf8(text)[:_MAX_MESSAGE].decode(errors="ignore")


def _utf8(text: str) -> bytes:
    return str(text).encode(errors="backslashreplace")


def _find(name: str) -> type[BaseException] | None:
    """The class of this name, if it is loaded, is an exception, and may be raised for another machine."""
    module, _, path = name.partition(":")
    found: Any = _LOCAL.get(name) if "<locals>" in path else _walk(sys.modules.get(module), path)
    if not issubclass(type(found), type) or not issubclass(found, BaseException):
        return None
    if f"{found.__module__}:{found.__qualname__}" != name or issubclass(found, _control_flow()):
        return None
    kind: type[BaseException] = found
    return kind


def _walk(found: Any, path: str) -> Any:
    """Look only into the dictionaries of modules and classes: asking any other object may import, or run code."""
    for step in path.split("."):
        kind = type(found)
        if issubclass(kind, types.ModuleType):
            # Not by the module's `__getattr__`: a lazy module would load itself.
            found = object.__getattribute__(found, "__dict__").get(step)
        else:
            found = _own(found).get(step) if issubclass(kind, type) else None
    return found


_own: Any = type.__dict__["__dict__"].__get__


def _control_flow() -> tuple[type[BaseException], ...]:
    """Whether raising it would end the awaiting process or task, though another one has ended."""
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", GeneratorExit)
    return (SystemExit, KeyboardInterrupt, GeneratorExit, cancelled)


def _restored(
    kind: type[BaseException], message: str, data: dict[str, Any], members: list[BaseException]
) -> BaseException | None:
    """The exception, restored; None if it wouldn't print the same."""
    try:
        args = _loaded(data["args"]) if "args" in data else [message]
        exc = _built(kind, [*args, members] if issubclass(kind, BaseExceptionGroup) else args)
        for name, value in _part(data, "attributes", dict, {}).items():
            _set(exc, name, _loaded(value))
        # Members that became RemoteErrors are Exceptions, so an ExceptionGroup can hold them.
        same = type(exc) is kind or kind is BaseExceptionGroup
        return exc if same and _message(exc) == message else None
    except Exception:
        return None


def _built(kind: type[BaseException], args: list[Any]) -> BaseException:
    """Built by the builtin class that determines its memory layout: only that class's code has to run."""
    base: Any = kind
    while base.__module__ != "builtins":
        base = base.__base__
    exc: BaseException = base.__new__(kind, *args)
    base.__init__(exc, *args)
    return exc


def _set(exc: BaseException, name: str, value: object) -> None:
    if name in _builtin_attributes(type(exc)):
        BaseException.__setattr__(exc, name, value)
    else:
        exc.__dict__[name] = value
