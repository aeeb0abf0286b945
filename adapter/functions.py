"""What a user touches: `durable`, and what durable code may call.

A durable function is its own Lambda handler. Called inside another durable function it returns a hot promise; called
by Lambda it runs, resumes or starts an execution; from anywhere else it is started with `Durable.start`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import inspect
import json
import sys
import uuid as uuid_module
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from adapter import handles, maps, schemas
from adapter.codec import Signature, decode
from adapter.errors import CodecError, ConfigurationError, DuplicateName, NotDurable, UnknownFunction
from adapter.handles import Handle
from adapter.ids import check_root_id
from adapter.loop import MICROSECOND
from adapter.promises import Kind, Record, digest_of
from adapter.retries import Retry
from adapter.steps import Promise, Request, Scope, current

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LONGEST = 100 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``id``: of the root that runs it. ``target``: the Lambda that does. ``tags``: kept with it.

    ``retry``: what follows when it raises. ``timeout``: seconds until its promise times out. ``called_with``: a policy
    of the call, which travels with it.
    """

    id: str | None = None
    target: str = ""
    retry: Retry | None = None
    timeout: float | None = None
    called_with: str = ""
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
            return handles.host().handle(args[0], args[1], self._root_of_event, self.options.timeout)  # type: ignore[return-value]
        if scope is None:
            raise NotDurable(
                f"{self.name} was called outside of a durable function: start it with .start(...),"
                " or call the plain function as .__wrapped__(...)"
            )
        encoded = self.encode_args(args, kwargs)
        if self.options.id is not None:
            return scope.request(self._shared(Kind.LINK, self.options.id, encoded, scope))
        return scope.request(self._request(encoded, scope))

    def detach(self, *args: P.args, **kwargs: P.kwargs) -> Promise[str]:
        """Inside a durable function: start a root whose life isn't tied to the caller's.

        It is under way when the caller next awaits. The promise settles as soon as the root exists, with its id, which
        is ``.id`` from the beginning. A crash changes nothing: the id follows from the call.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            NotDurable: called outside of an async durable function.
        """
        scope = _scope(f"{self.name}.detach(...)")
        encoded = self.encode_args(args, kwargs)
        # Drawn, not counted: the same at every replay, and no other call of any execution has it.
        root = self.options.id or scope.uuid4().hex
        started = scope.request(self._shared(Kind.DETACH, root, encoded, scope))
        started.id = root
        return started

    @overload
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: Literal[False] = False
    ) -> asyncio.Task[list[R]]: ...
    @overload
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: bool
    ) -> asyncio.Task[list[R | BaseException]]: ...
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: bool = False
    ) -> asyncio.Task[list[Any]]:
        """Inside a durable function: call this one with each item; the results in the order of the items.

        Hot, as a call is: the first calls are under way when the caller next awaits.

        Args:
            max_concurrency: how many calls are pending at most, crashes and resumes included.
            return_exceptions: give a failure in place of its result. Otherwise the first failure is raised, what is
                pending is cancelled, and nothing further begins.

        Raises:
            ConfigurationError: ``max_concurrency`` isn't a positive whole number.
        """
        return maps.map_items(self, items, max_concurrency, return_exceptions)

    def with_options(
        self,
        *,
        id: str | None = None,
        target: str | None = None,
        tags: Mapping[str, str] | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> Durable[P, R]:
        """A copy of the function with other options, for one call.

        With an ``id``, a call inside a durable function awaits the root of that id, and starts it if there is none:
        work that several executions share. Cancelling such a call leaves the root to the others.

        Raises:
            InvalidId: no promise can have this id.
            ConfigurationError: ``timeout`` isn't a positive number of seconds.
        """
        options = self.options
        if retry is not None:
            options = replace(options, retry=retry, called_with=retry.to_text())
        if timeout is not None:
            options = replace(options, timeout=_seconds(timeout))
        if id is not None:
            options = replace(options, id=check_root_id(id))
        if target is not None:
            options = replace(options, target=target)
        if tags is not None:
            options = replace(options, tags={**options.tags, **tags})
        return Durable(self.function, self.name, options, self.signature)

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """From outside: start a root execution, idempotent by id.

        A crash before this returns may leave a root that was created and not invoked. The watchdog finds it after
        twenty minutes.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            IdConflict: the id belongs to another function, or to other arguments.
        """
        if isinstance(current.get(), Scope):
            raise NotDurable(
                f"{self.name}.start(...) inside a durable function would start again at every replay: call it"
            )
        promise = self.options.id or handles.host().new_id()
        record = self._root(promise, self.encode_args(args, kwargs))
        return handles.started(record, self.read, self.options.timeout)

    def encode_args(self, args: Any, kwargs: Any) -> str:
        return handles.storable(self.signature.encode_args(args, kwargs), f"the arguments of {self.name}")

    def encode_result(self, value: object) -> str:
        return handles.storable(self.signature.encode_result(value), f"the result of {self.name}")

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
            retry=self.options.called_with,
            tags=self.options.tags,
        )

    def _root_of_event(self, event: Any, promise: str) -> Record:
        try:
            encoded = self.signature.encode_event(event)
        except CodecError as misfit:
            # Lambda logs what a handler raises, which no event belongs in.
            raise CodecError(misfit.brief or f"{self.name}(): its argument can't be read from the event") from None
        return self._root(promise, handles.storable(encoded, f"the event of {self.name}"))

    def _request(self, encoded: str, scope: Scope) -> Callable[[int], Request]:
        return lambda ordinal: Request(
            ordinal=ordinal,
            kind=Kind.CALL,
            fn=self.name,
            args=encoded,
            digest=digest_of(Kind.CALL, self.name, encoded),
            decode=self.read,
            target=self.options.target,
            deadline=_deadline(scope, self.options.timeout),
            retry=self.options.called_with,
            tags=dict(self.options.tags),
        )

    def _shared(self, kind: Kind, root: str, encoded: str, scope: Scope) -> Callable[[int], Request]:
        return lambda ordinal: replace(
            self._request(encoded, scope)(ordinal),
            kind=kind,
            digest=digest_of(kind, self.name, f"{root}\0{encoded}"),
            decode=self.read if kind is Kind.LINK else decode,
            link=root,
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
            f"this Lambda's code defines no durable function {name[:200]!r}: import its module in the handler's,"
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
def durable(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    target: str = "",
    tags: Mapping[str, str] | None = None,
) -> _Decorator: ...
def durable(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    target: str = "",
    tags: Mapping[str, str] | None = None,
) -> Any:
    """Make a function durable: each call of it is its own Lambda invocation, its outcome a promise in DynamoDB.

    Args:
        name: what records call the function; the default is ``module:qualname``. Give one to be free to move it.
        retry: what follows when it raises. By default a function that made no durable call is tried three times in all,
            1 and 2 seconds later; one that did isn't.
        timeout: seconds after which its promise is settled as timed out, and it is cancelled.
        target: the Lambda function that runs it, named within the stack; the default is its caller's.
        tags: kept with each of its promises.

    Raises:
        ConfigurationError: ``timeout`` isn't a positive number; an attempt of a plain ``def`` can't be timed.
        DuplicateName: another function of this process has the name; a reload of the same one is fine.
    """
    namespace = sys._getframe(1).f_locals
    options = Options(target=target, tags=dict(tags or {}), retry=retry, timeout=_seconds(timeout))

    def decorate(plain: Callable[..., Any]) -> Durable[..., Any]:
        if inspect.isasyncgenfunction(plain) or inspect.isgeneratorfunction(plain):
            raise TypeError(f"{plain.__qualname__} is a generator; a durable function returns once")
        if retry is not None and retry.attempt_timeout is not None and not inspect.iscoroutinefunction(plain):
            raise ConfigurationError(
                f"{plain.__qualname__}: a plain def can't be interrupted, so attempt_timeout needs an async def;"
                " for a plain def, the Timeout of its Lambda is the bound"
            )
        full = name or f"{plain.__module__}:{plain.__qualname__}"
        signature = Signature(plain, full, namespace)
        made: Durable[..., Any] = Durable(plain, full, options, signature)
        _register(made)
        return made

    return decorate if function is None else decorate(function)


def _seconds(timeout: float | None) -> float | None:
    if timeout is None or 0 < timeout <= _LONGEST:
        return timeout
    raise ConfigurationError(f"timeout is a positive number of seconds, at most 100 years of them, got {timeout!r}")


def _deadline(scope: Scope, timeout: float | None) -> int | None:
    return None if timeout is None else scope.now() + round(timeout * MICROSECOND)


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
            encode=lambda value: handles.storable(signature.encode_result(value), f"the result of {name}"),
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
def promise(type_: type[T], /, *, timeout: float | None = None) -> Promise[T]: ...
@overload
def promise(type_: Any = ..., /, *, timeout: float | None = None) -> Promise[Any]: ...
def promise(type_: Any = Any, /, *, timeout: float | None = None) -> Promise[Any]:
    """A promise that is settled from outside, with a value of this type: hand out its ``id``.

    Args:
        timeout: seconds after which it is settled as timed out: awaiting it raises PromiseTimeout.

    Raises:
        NotDurable: called outside of an async durable function.
        ConfigurationError: ``timeout`` isn't a positive number.
    """
    name = getattr(type_, "__qualname__", str(type_))
    scope = _scope("promise(...)")
    deadline = _deadline(scope, _seconds(timeout))
    described = schemas.describe(type_)
    return scope.request(
        lambda ordinal: Request(
            ordinal=ordinal,
            kind=Kind.EXTERNAL,
            fn=name,
            # For those who settle it without its type. No part of what a replay compares: a type may grow.
            args=json.dumps(described, separators=(",", ":"), ensure_ascii=False) if described else "",
            digest=digest_of(Kind.EXTERNAL, name, ""),
            decode=lambda text: decode(text, type_, where=f"the value of an external promise ({name})"),
            deadline=deadline,
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
