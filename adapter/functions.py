"""What a user touches: `durable`, and what durable code may call.

A durable function is its own Lambda handler. Called inside another durable function it returns a hot promise; called
by Lambda it runs, resumes or starts an execution; from anywhere else it is started with `Durable.start`.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import sys
import uuid as uuid_module
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from adapter import handles
from adapter.codec import Signature, decode
from adapter.errors import CodecError, DuplicateName, NotDurable, UnknownFunction
from adapter.execution import Promise, Request, Scope, current
from adapter.handles import Handle
from adapter.promises import Kind, Record, check_payload, check_root_id, digest_of

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``id``: of the root that `Durable.start` makes. ``target``: the Lambda that runs it. ``tags``: kept with it."""

    id: str | None = None
    target: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Durable(Generic[P, R]):
    """A durable function: made by `durable`."""

    def __init__(self, function: Callable[..., Any], name: str, options: Options, signature: Signature) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.options = options
        self.function = function
        self.signature = signature
        self.is_async = inspect.iscoroutinefunction(function)

    def __repr__(self) -> str:
        return f"<durable {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Promise[R]:
        """Inside a durable function: start this one in its own Lambda; returns its promise.

        As ``(event, context)``: Lambda's entry.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            NotDurable: called from where no durable call can be made.
        """
        scope = current.get()
        if scope is None and _is_lambda_call(args, kwargs):
            return handles.host().handle(args[0], args[1], self._root_of_event)  # type: ignore[return-value]
        if scope is None:
            raise NotDurable(
                f"{self.name} was called outside of a durable function: start it with .start(...),"
                " or call the plain function as .__wrapped__(...)"
            )
        return scope.request(self._request(args, kwargs))

    def with_options(
        self, *, id: str | None = None, target: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Durable[P, R]:
        """A copy of the function with other options, for one call.

        Raises:
            InvalidId: no promise can have this id.
        """
        options = self.options
        if id is not None:
            options = replace(options, id=check_root_id(id))
        if target is not None:
            options = replace(options, target=target)
        if tags is not None:
            options = replace(options, tags={**options.tags, **tags})
        return Durable(self.function, self.name, options, self.signature)

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """From outside: start a root execution, idempotent by id.

        A crash before this returns may leave a root that was created and not invoked. A Lambda's retry of the same
        request repairs that; nothing else does in this version.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            IdConflict: the id belongs to another function, or to other arguments.
        """
        if isinstance(current.get(), Scope):
            raise NotDurable(
                f"{self.name}.start(...) inside a durable function would start again at every replay: call it"
            )
        promise = self.options.id or handles.host().new_id()
        return handles.started(self._root(promise, self.encode_args(args, kwargs)), self.read)

    def encode_args(self, args: Any, kwargs: Any) -> str:
        return check_payload(self.signature.encode_args(args, kwargs), f"the arguments of {self.name}")

    def encode_result(self, value: object) -> str:
        return check_payload(self.signature.encode_result(value), f"the result of {self.name}")

    def read(self, text: str) -> Any:
        return self.signature.decode_result(text)

    def body(self, args: str) -> Any:
        """Call the function itself with encoded arguments."""
        positional, named = self.signature.decode_args(args)
        return self.function(*positional, **named)

    def _root(self, promise: str, args: str) -> Record:
        return Record(
            id=promise,
            fn=self.name,
            target=handles.host().qualify(self.options.target),
            args=args,
            digest=digest_of(Kind.CALL, self.name, args),
            tags=self.options.tags,
        )

    def _root_of_event(self, event: Any, promise: str) -> Record:
        return self._root(promise, check_payload(self.signature.encode_event(event), f"the event of {self.name}"))

    def _request(self, args: Any, kwargs: Any) -> Callable[[int], Request]:
        if self.options.id is not None:
            raise NotDurable(
                f"{self.name} was called with the id {self.options.id!r} inside a durable function: its id there"
                " follows from its caller's; an id of your own goes with .start(...)"
            )
        encoded = self.encode_args(args, kwargs)
        return lambda ordinal: Request(
            ordinal=ordinal,
            kind=Kind.CALL,
            fn=self.name,
            args=encoded,
            digest=digest_of(Kind.CALL, self.name, encoded),
            decode=self.read,
            target=self.options.target,
            tags=dict(self.options.tags),
        )


def _is_lambda_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return len(args) == 2 and not kwargs and hasattr(args[1], "aws_request_id")


_registry: dict[str, Durable[..., Any]] = {}


def find(name: str) -> Durable[..., Any]:
    """The durable function of a name.

    Raises:
        UnknownFunction: this process's code defines none.
    """
    function = _registry.get(name)
    if function is None:
        raise UnknownFunction(
            f"this Lambda's code defines no durable function {name!r}: import its module in the handler's,"
            " or give the function the target of the Lambda that has it"
        )
    return function


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Durable[P, R]: ...


@overload
def durable(function: Callable[P, Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...
@overload
def durable(function: Callable[P, R], /) -> Durable[P, R]: ...
@overload
def durable(*, name: str | None = None, target: str = "", tags: Mapping[str, str] | None = None) -> _Decorator: ...
def durable(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    target: str = "",
    tags: Mapping[str, str] | None = None,
) -> Any:
    """Make a function durable: each call of it is its own Lambda invocation, its outcome a promise in DynamoDB.

    Args:
        name: what records call the function; the default is ``module:qualname``. Give one to be free to move it.
        target: the Lambda function that runs it, named within the stack; the default is its caller's.
        tags: kept with each of its promises.

    Raises:
        DuplicateName: another function of this process has the name; a reload of the same one is fine.
    """
    namespace = sys._getframe(1).f_locals

    def decorate(plain: Callable[..., Any]) -> Durable[..., Any]:
        if inspect.isasyncgenfunction(plain) or inspect.isgeneratorfunction(plain):
            raise TypeError(f"{plain.__qualname__} is a generator; a durable function returns once")
        full = name or f"{plain.__module__}:{plain.__qualname__}"
        signature = Signature(plain, full, namespace)
        made: Durable[..., Any] = Durable(plain, full, Options(target=target, tags=dict(tags or {})), signature)
        _register(made)
        return made

    return decorate if function is None else decorate(function)


def _register(made: Durable[..., Any]) -> None:
    known = _registry.get(made.name)
    if known is not None and _origin(known.function) != _origin(made.function):
        raise DuplicateName(
            f"{made.name!r} names both {_origin(known.function)} and {_origin(made.function)}; give one another name="
        )
    _registry[made.name] = made
    handles.register_reader(made.name, made.read)


def _origin(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _scope(what: str) -> Scope:
    scope = current.get()
    if scope is None:
        raise NotDurable(f"{what} was called outside of a durable function")
    return scope


@overload
def run(function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> Promise[R]: ...
@overload
def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Promise[R]: ...
def run(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Promise[Any]:
    """An inline step: run a callable here, in this Lambda, and record its outcome with one write.

    It begins when the caller next awaits. A crash before its outcome is recorded runs it again.

    Raises:
        NotDurable: called outside of an async durable function.
    """
    scope = _scope("run(...)")
    plain = function.function if isinstance(function, Durable) else function
    name = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', type(plain).__qualname__)}"
    signature = Signature(plain, name)
    described = _describe(signature, args, kwargs)
    return scope.request(
        lambda ordinal: Request(
            ordinal=ordinal,
            kind=Kind.INLINE,
            fn=name,
            args=described,
            digest=digest_of(Kind.INLINE, name, described),
            decode=signature.decode_result,
            inline=functools.partial(plain, *args, **kwargs),
            encode=lambda value: check_payload(signature.encode_result(value), f"the result of {name}"),
        )
    )


def _describe(signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The arguments as a replay compares them. They never travel, so those that can't be encoded count by class."""
    try:
        return signature.encode_args(args, kwargs)
    except CodecError:
        named = (f"{key}={type(value).__qualname__}" for key, value in kwargs.items())
        return ", ".join([*(type(value).__qualname__ for value in args), *named])


@overload
def promise(type_: type[T], /) -> Promise[T]: ...
@overload
def promise(type_: Any = ..., /) -> Promise[Any]: ...
def promise(type_: Any = Any, /) -> Promise[Any]:
    """A promise that is settled from outside, with a value of this type: hand out its ``id``.

    Raises:
        NotDurable: called outside of an async durable function.
    """
    name = getattr(type_, "__qualname__", str(type_))
    return _scope("promise(...)").request(
        lambda ordinal: Request(
            ordinal=ordinal,
            kind=Kind.EXTERNAL,
            fn=name,
            args="",
            digest=digest_of(Kind.EXTERNAL, name, ""),
            decode=lambda text: decode(text, type_, where=f"the value of an external promise ({name})"),
        )
    )


def now() -> dt.datetime:
    """The time, aware, in UTC: that of the last delivery, so the same at every replay."""
    return _EPOCH + dt.timedelta(microseconds=_scope("now()").now())


def uuid4() -> uuid_module.UUID:
    """A random UUID that is the same at every replay, and at every attempt: an idempotency key."""
    return _scope("uuid4()").uuid4()


def random() -> float:
    """A random number in [0, 1) that is the same at every replay."""
    return _scope("random()").random()
