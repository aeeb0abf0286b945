"""How one function's arguments and result are stored. Arguments go by parameter name, each under its own annotation."""

from __future__ import annotations

import inspect
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from adapter.codec.compiler import SHARED, Compiler
from adapter.codec.plans import MAX_DEPTH, Plan, attempt
from adapter.codec.text import json_text, parse, refuse
from adapter.errors import CodecError

_Parameter = inspect.Parameter
_BARE = inspect.Signature([_Parameter("args", _Parameter.VAR_POSITIONAL), _Parameter("kwargs", _Parameter.VAR_KEYWORD)])


class Signature:
    """How one function's arguments and result are stored. Annotations are resolved when first needed."""

    def __init__(
        self, function: Callable[..., object], name: str, namespace: Mapping[str, object] | None = None
    ) -> None:
        self._name = name
        self._function = _underlying(function)
        self._signature = _signature(function)
        self._plain = _plain(self._signature)
        is_module = namespace is getattr(self._function, "__globals__", None)
        self._locals = {**({} if is_module or namespace is None else namespace), **_enclosing(self._function)}
        # Local classes may share names with others; all other functions share their plans.
        self._compiler = Compiler(self._locals) if self._locals else SHARED
        self._plans: dict[str, Plan] = {}

    def encode_args(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """The arguments by parameter name. Defaults are left out: the callee's own code gives them."""
        return self._encode(self.by_name(args, kwargs))

    def by_name(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, Any]:
        """The arguments of a call by parameter name, without defaults."""
        if self._plain and not kwargs and len(args) == len(self._plain):
            return dict(zip(self._plain, args, strict=True))
        try:
            return self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self._name}() {error}") from None

    def decode_args(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments to call the function with."""
        try:
            data = parse(text)
        except Exception as error:
            refuse(f"{self._name}()", error)
        if type(data) is not dict:
            raise CodecError(f"{self._name}(): expected an object of arguments, got {type(data).__name__}")
        unknown = data.keys() - self._signature.parameters.keys()
        if unknown:
            raise CodecError(f"{self._name}(): has no parameter {min(unknown)[:80]!r}, but it is stored")
        for parameter in self._signature.parameters.values():
            if parameter.name not in data and _is_required(parameter):
                raise CodecError(f"{self._name}(): argument {parameter.name!r} is missing")
        return self._call({name: self._convert(name, data[name], decoding=True) for name in data})

    def encode_event(self, event: object) -> str:
        """A Lambda event as the function's only argument."""
        parameters = self._signature.parameters.values()
        required = [parameter.name for parameter in parameters if _is_required(parameter)]
        if len(required) > 1:
            names = ", ".join(required)
            several = f"{self._name}(): an event is one argument, but all of {names} are required"
            raise CodecError(several, several)
        usable = required or [
            parameter.name for parameter in parameters if parameter.kind is not _Parameter.VAR_KEYWORD
        ]
        if not usable:
            return "{}"
        many = self._signature.parameters[usable[0]].kind is _Parameter.VAR_POSITIONAL
        value = self._convert(usable[0], [event] if many else event, decoding=True)
        return self._encode({usable[0]: value})

    def encode_result(self, value: object) -> str:
        try:
            return json_text(self._plan("return").encode(value))
        except Exception as error:
            refuse(f"{self._name}(): result", error)

    def decode_result(self, text: str) -> Any:
        try:
            return self._plan("return").decode(parse(text))
        except Exception as error:
            refuse(f"{self._name}(): result", error)

    def _encode(self, arguments: Mapping[str, object]) -> str:
        data = {name: self._convert(name, value, decoding=False) for name, value in arguments.items()}
        try:
            return json_text(data)
        except Exception as error:
            refuse(f"{self._name}()", error)

    def _call(self, arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._plain and len(arguments) == len(self._plain):
            return tuple(arguments[name] for name in self._plain), {}
        # An empty *args mustn't be bound: if a parameter before it isn't stored, it would be taken for a keyword.
        given = {name: value for name, value in arguments.items() if not self._is_variadic(name) or value}
        bound = inspect.BoundArguments(self._signature, OrderedDict(given))
        try:
            again = self._signature.bind(*bound.args, **bound.kwargs)
        except TypeError as error:
            raise CodecError(f"{self._name}(): can't be called with what is stored: {error}") from None
        if lost := given.keys() - again.arguments.keys():
            raise CodecError(f"{self._name}(): {min(lost)!r} is stored, but no argument of a parameter before it")
        return bound.args, bound.kwargs

    def _is_variadic(self, name: str) -> bool:
        return self._signature.parameters[name].kind in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)

    def _convert(self, name: str, value: object, *, decoding: bool) -> Any:
        try:
            plan = self._plan(name)
            return plan.decode(value) if decoding else plan.encode(value)
        except Exception as error:
            refuse(f"{self._name}(): argument {name!r}", error)

    def _plan(self, name: str) -> Plan:
        """The plan is kept only once it is resolved: a name that is unknown now may be defined below the function."""
        if name not in self._plans:
            self._plans[name] = self._compiler.plan(self._annotation(name))
        return self._plans[name]

    def _annotation(self, name: str) -> Any:
        if name == "return":
            return self._resolved(self._signature.return_annotation)
        parameter = self._signature.parameters[name]
        annotation = self._resolved(parameter.annotation)
        if parameter.kind is _Parameter.VAR_POSITIONAL:
            return types.GenericAlias(tuple, (annotation, ...))
        if parameter.kind is not _Parameter.VAR_KEYWORD:
            return annotation
        unpacked = get_origin(annotation) is typing.Unpack
        return get_args(annotation)[0] if unpacked else types.GenericAlias(dict, (str, annotation))

    def _resolved(self, annotation: Any) -> Any:
        if annotation is inspect.Signature.empty:
            return Any
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        names = getattr(self._function, "__globals__", {})
        local = {
            **self._locals,
            **_enclosing(self._function),
        }  # Read again each time: cells are filled while the outer function runs.
        what = f"an annotation that can be resolved instead of {annotation!r}"
        hints = attempt(what, typing.get_type_hints, holder, names, local, include_extras=True)
        return hints["it"]


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)
    return parameter.default is _Parameter.empty and not variadic


def _plain(signature: inspect.Signature) -> tuple[str, ...]:
    """The names of the parameters, if each of them takes one argument by its position. Then a call needs no binding."""
    parameters = signature.parameters.values()
    by_position = (_Parameter.POSITIONAL_ONLY, _Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(one.name for one in parameters) if all(one.kind in by_position for one in parameters) else ()


def _signature(function: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # Some builtins have no signature.
        return _BARE


def _underlying(function: Any) -> Any:
    """The function that holds the annotations, inside wrappers, methods, partials and callable objects."""
    for _ in range(MAX_DEPTH):
        for attribute in ("__wrapped__", "__func__", "func"):
            inner = getattr(function, attribute, None)
            if callable(inner):
                break
        else:
            return function if hasattr(function, "__globals__") else _call_method(function)
        function = inner
    return function


def _call_method(function: Any) -> Any:
    found = [vars(kind)["__call__"] for kind in type(function).__mro__ if "__call__" in vars(kind)]
    return found[0] if found else function


def _enclosing(function: Any) -> dict[str, object]:
    """The variables of outer functions that this one uses, and its own type parameters."""
    found: dict[str, object] = {parameter.__name__: parameter for parameter in getattr(function, "__type_params__", ())}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # The cell isn't filled yet.
            continue
    return found
